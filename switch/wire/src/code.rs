//! Response codes, field 39.

use core::fmt;

/// Two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponseCode(pub [u8; 2]);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        impl ResponseCode { $($(#[$doc])* pub const $name: Self = Self(*$code);)+ }
    };
}

codes! {
    /// Approved.
    APPROVED = b"00",
    /// Approved, VIP.
    APPROVED_VIP = b"11",
    /// Invalid transaction.
    INVALID_TRANSACTION = b"12",
    /// Invalid amount.
    INVALID_AMOUNT = b"13",
    /// Unknown card, or its check digit is wrong.
    UNKNOWN_CARD = b"14",
    /// Original not found, or already voided or reversed.
    NO_ORIGINAL = b"25",
    /// Format error.
    FORMAT_ERROR = b"30",
    /// Message unknown.
    UNKNOWN_MESSAGE = b"40",
    /// Lost card.
    LOST = b"41",
    /// Stolen card.
    STOLEN = b"43",
    /// Expired card.
    EXPIRED = b"54",
    /// Not permitted to this terminal.
    NOT_PERMITTED = b"58",
    /// Frozen card.
    FROZEN = b"62",
    /// The deadline passed before it was decided.
    TOO_LATE = b"68",
    /// Batch out of step, or not signed in.
    OUT_OF_STEP = b"77",
    /// Cut-over.
    CUT_OVER = b"90",
    /// A system that is needed is away.
    AWAY = b"91",
    /// Same key, other content.
    DUPLICATE = b"94",
    /// Malfunction.
    MALFUNCTION = b"96",
    /// Unknown terminal.
    UNKNOWN_TERMINAL = b"97",
    /// MAC wrong.
    WRONG_MAC = b"A0",
}

impl ResponseCode {
    /// The two characters.
    pub const fn as_bytes(&self) -> &[u8; 2] {
        &self.0
    }

    /// Whether it approves, in whichever way.
    pub fn approves(self) -> bool {
        self == Self::APPROVED || self == Self::APPROVED_VIP
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", byte.escape_ascii()))
    }
}
