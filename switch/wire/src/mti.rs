//! Message type and head.

use core::fmt;

use crate::parameters::Software;

use crate::dialect::{Content, Dialect, Side};
use crate::digits::{self, DigitString};

/// A message type: four decimal digits, kept as their number, so 0210 is 210.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mti(pub u16);

impl Mti {
    /// How many bytes it takes in a dialect.
    pub(crate) const fn bytes(dialect: &Dialect) -> usize {
        digits::bytes_of(dialect.digits, 4)
    }

    pub(crate) fn decode(dialect: &Dialect, bytes: &[u8]) -> Option<Self> {
        let digits = DigitString::new(bytes, 4, dialect.digits, Side::Left, Content::N)?;
        digits.number().and_then(|number| u16::try_from(number).ok()).map(Self)
    }

    pub(crate) fn encode(self, dialect: &Dialect, to: &mut [u8]) -> Option<()> {
        let mut ascii = [0; 4];
        digits::write_number(u64::from(self.0), &mut ascii)
            .then(|| digits::write(&ascii, dialect.digits, Side::Left, to))
    }

    /// The type of the answer: 10 more.
    pub const fn answer(self) -> Self {
        Self((self.0 + 10) % 10_000)
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// What stands between a frame's length and its MTI, where the dialect has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// `60`, destination n4, source n4.
    pub tpdu: [u8; 5],
    /// Class n2, software version n2, terminal state n1, processing request n1, sub-version n6.
    pub header: [u8; 6],
}

/// How many bytes the head of a dialect with one takes.
pub const HEAD_BYTES: usize = 11;

/// What the switch tells a terminal to do, in the processing digit of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Command {
    /// Nothing.
    #[default]
    None,
    /// Fetch parameters.
    FetchParameters,
    /// Sign in again.
    SignIn,
    /// Update the software.
    UpdateSoftware,
}

impl Command {
    const fn digit(self) -> u8 {
        match self {
            Self::None => 0,
            Self::FetchParameters => 1,
            Self::SignIn => 3,
            Self::UpdateSoftware => 6,
        }
    }
}

impl Head {
    /// A terminal's own: from address `source`, software version 31, no request.
    pub const fn of_terminal(destination: [u8; 2], source: [u8; 2]) -> Self {
        let tpdu = [0x60, destination[0], destination[1], source[0], source[1]];
        Self { tpdu, header: [0x60, 0x31, 0x00, 0x31, 0x01, 0x00] }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (tpdu, header) = bytes.split_first_chunk::<5>()?;
        Some(Self { tpdu: *tpdu, header: header.try_into().ok()? })
    }

    /// The answer's: destination and source swapped, the header kept but for its
    /// processing digit.
    pub const fn answer(self, command: Command) -> Self {
        let [id, d1, d0, s1, s0] = self.tpdu;
        let mut header = self.header;
        header[2] = header[2] & 0xF0 | command.digit();
        Self { tpdu: [id, s1, s0, d1, d0], header }
    }

    /// The software that the terminal says it runs.
    pub const fn software(self) -> Software {
        let [_, version, _, a, b, c] = self.header;
        Software { version, sub_version: [a, b, c] }
    }

    /// The command in an answer's processing digit; `None` for a digit that means nothing.
    pub const fn command(self) -> Option<Command> {
        match self.header[2] & 0x0F {
            0 => Some(Command::None),
            1 => Some(Command::FetchParameters),
            3 => Some(Command::SignIn),
            6 => Some(Command::UpdateSoftware),
            _ => None,
        }
    }
}
