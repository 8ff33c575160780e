//! What can go wrong at a terminal.

use core::fmt;

use xingka_wire::code::ResponseCode;
use xingka_wire::encode::EncodeFault;
use xingka_wire::fault::Fault;
use xingka_wire::mac::WrongKeyLength;
use xingka_wire::session_keys::KeyFault;

/// Why a request can't be written or an answer not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalFault {
    /// Sign in first.
    NotSignedIn,
    /// The bytes are not one whole frame.
    NoFrame,
    /// The answer breaks the format.
    Format(Fault),
    /// It answers something else.
    AnotherAnswer,
    /// Its MAC is wrong, or missing where there must be one.
    WrongMac,
    /// It lacks a field.
    Missing(u8),
    /// The sign-in was refused.
    Refused(ResponseCode),
    /// The session keys can't be used.
    Keys(KeyFault),
    /// The request can't be written.
    Encode(EncodeFault),
}

impl fmt::Display for TerminalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSignedIn => f.write_str("the terminal has not signed in"),
            Self::NoFrame => f.write_str("the answer is not one whole frame"),
            Self::Format(fault) => write!(f, "the answer breaks the format: {fault}"),
            Self::AnotherAnswer => f.write_str("the answer is to another request"),
            Self::WrongMac => f.write_str("the answer's MAC is wrong or missing"),
            Self::Missing(field) => write!(f, "the answer lacks field {field}"),
            Self::Refused(code) => write!(f, "the sign-in was refused with {code}"),
            Self::Keys(fault) => fault.fmt(f),
            Self::Encode(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for TerminalFault {}

impl From<Fault> for TerminalFault {
    fn from(fault: Fault) -> Self {
        Self::Format(fault)
    }
}

impl From<KeyFault> for TerminalFault {
    fn from(fault: KeyFault) -> Self {
        Self::Keys(fault)
    }
}

impl From<WrongKeyLength> for TerminalFault {
    fn from(_: WrongKeyLength) -> Self {
        Self::Keys(KeyFault::Layout)
    }
}

impl From<EncodeFault> for TerminalFault {
    fn from(fault: EncodeFault) -> Self {
        Self::Encode(fault)
    }
}
