//! Card numbers on the wire: types that can't print them.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::digits::{DigitString, SEPARATOR};

/// The most digits a card number has.
pub const MAX_PAN_DIGITS: usize = 19;

/// A card number as it came, wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Pan {
    digits: [u8; MAX_PAN_DIGITS],
    length: usize,
}

impl Pan {
    /// From ASCII digits, 1 to 19 of them.
    pub fn from_ascii(ascii: &[u8]) -> Option<Self> {
        let fits = (1..=MAX_PAN_DIGITS).contains(&ascii.len()) && ascii.iter().all(u8::is_ascii_digit);
        fits.then(|| Self::collect(ascii.iter().copied()))
    }

    pub(crate) fn from_digits(digits: DigitString<'_>) -> Option<Self> {
        let mut pan = Self { digits: [0; MAX_PAN_DIGITS], length: digits.len() };
        let to = pan.digits.get_mut(..digits.len()).filter(|to| !to.is_empty())?;
        digits.write_ascii(to)?;
        Some(pan)
    }

    /// The digits of track 2 before its separator.
    pub(crate) fn from_track2(track: DigitString<'_>) -> Option<Self> {
        let length = track.values().position(|value| value == SEPARATOR)?;
        let digits = track.values().take(length).map(|value| b'0' + value);
        (1..=MAX_PAN_DIGITS).contains(&length).then(|| Self::collect(digits))
    }

    fn collect(ascii: impl Iterator<Item = u8>) -> Self {
        let mut pan = Self { digits: [0; MAX_PAN_DIGITS], length: 0 };
        for (to, digit) in pan.digits.iter_mut().zip(ascii) {
            *to = digit;
            pan.length += 1;
        }
        pan
    }

    /// Its ASCII digits.
    pub fn as_ascii(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }
}

/// `629999*********0012`: BIN and last four, where there is something left to hide.
impl fmt::Display for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |place: usize| self.length >= 13 && (place < 6 || place + 4 >= self.length);
        let mut digits = self.as_ascii().iter().enumerate();
        digits.try_for_each(|(place, digit)| write!(f, "{}", if shown(place) { char::from(*digit) } else { '*' }))
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({self})")
    }
}

/// How a request names the card.
#[derive(Clone, PartialEq, Eq)]
pub enum CardRef<'a> {
    /// By its number, from field 2 or track 2.
    Pan(Pan),
    /// By a credential scanned as a code, DF02.
    Credential(&'a [u8]),
}

impl fmt::Debug for CardRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pan(pan) => pan.fmt(f),
            Self::Credential(_) => f.write_str("Credential(…)"),
        }
    }
}
