//! Dialects: how a frame is laid out and how each field is written, as data.
//!
//! A dialect is a [`Dialect`] value and nothing else. The codec is factored along what a
//! field holds ([`Content`]), how its length is told ([`Length`]) and how digits are
//! written ([`Digits`]), so a vendor's deviation is another table. Refused: one codec a
//! dialect, where every fix has to be made again.

/// How digits are written: in fields of digits, in length prefixes and in the MTI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// Two to a byte, padded with 0 where there is an odd number.
    Bcd,
    /// One ASCII character each.
    Ascii,
    /// One EBCDIC character each.
    Ebcdic,
}

/// How the bitmap is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitmapForm {
    /// 8 or 16 bytes.
    Binary,
    /// 16 or 32 upper-case hexadecimal ASCII characters.
    HexAscii,
}

/// How texts for people are written (field 43, DF1A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-8.
    Utf8,
    /// GBK.
    Gbk,
}

/// How a frame's length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthPrefix {
    /// Two bytes, big-endian.
    Binary2,
    /// Four ASCII digits.
    Ascii4,
}

impl LengthPrefix {
    /// How many bytes it takes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Binary2 => 2,
            Self::Ascii4 => 4,
        }
    }
}

/// What stands around the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// The length in front, which counts everything after itself.
    pub length: LengthPrefix,
    /// The least a length may be, in bytes.
    pub min_length: usize,
    /// The most it may be, in bytes.
    pub max_length: usize,
    /// Whether a TPDU (5 bytes) and a header (6 bytes) stand before the MTI.
    pub tpdu: bool,
    /// The first byte after the length, which tells dialects on one listener apart.
    pub opens_with: u8,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Digits.
    N,
    /// Track data: digits and the separator.
    Z,
    /// Letters, digits and spaces.
    An,
    /// Printable characters, GBK's among them.
    Ans,
    /// Bytes.
    B,
}

/// How long a field is, in digits for `n` and `z`, in bytes otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Always as long.
    Fixed(u16),
    /// A prefix of two digits; at most so long.
    Ll(u16),
    /// A prefix of three digits; at most so long.
    Lll(u16),
}

/// On which side an odd number of packed digits stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The pad digit comes last.
    Left,
    /// The pad digit comes first.
    Right,
}

/// One field's row in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What it holds.
    pub content: Content,
    /// How long it is.
    pub length: Length,
    /// Where an odd digit stands.
    pub side: Side,
}

impl Field {
    /// A row whose odd digits stand left.
    pub const fn new(content: Content, length: Length) -> Self {
        Self { content, length, side: Side::Left }
    }

    const fn right(self) -> Self {
        Self { side: Side::Right, ..self }
    }
}

/// The fields a dialect knows, by number; place 0 is unused.
pub type FieldTable = [Option<Field>; 129];

/// A table from its rows, for dialects' own tables.
pub const fn table(rows: &[(usize, Field)]) -> FieldTable {
    let mut table = [None; 129];
    let mut row = 0;
    while row < rows.len() {
        table[rows[row].0] = Some(rows[row].1);
        row += 1;
    }
    table
}

/// A whole dialect.
#[derive(Debug)]
pub struct Dialect {
    /// What `terminals.csv` calls it.
    pub name: &'static str,
    /// What stands around the message.
    pub framing: Framing,
    /// How digits are written.
    pub digits: Digits,
    /// How the bitmap is written.
    pub bitmap: BitmapForm,
    /// How texts for people are written.
    pub text: TextEncoding,
    /// The fields it knows.
    pub fields: &'static FieldTable,
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Dialect {}

use Content::{An, Ans, B, N, Z};
use Length::{Fixed, Ll, Lll};

/// The fields of wire.md, in its order, with the MAC of 128-bit messages.
pub static FIELDS: FieldTable = table(&[
    (2, Field::new(N, Ll(19))),
    (3, Field::new(N, Fixed(6))),
    (4, Field::new(N, Fixed(12))),
    (11, Field::new(N, Fixed(6))),
    (12, Field::new(N, Fixed(6))),
    (13, Field::new(N, Fixed(4))),
    (14, Field::new(N, Fixed(4))),
    (15, Field::new(N, Fixed(4))),
    (22, Field::new(N, Fixed(3))),
    (23, Field::new(N, Fixed(3)).right()),
    (25, Field::new(N, Fixed(2))),
    (26, Field::new(N, Fixed(2))),
    (32, Field::new(N, Ll(11))),
    (35, Field::new(Z, Ll(37))),
    (36, Field::new(Z, Lll(104))),
    (37, Field::new(An, Fixed(12))),
    (38, Field::new(An, Fixed(6))),
    (39, Field::new(An, Fixed(2))),
    (41, Field::new(Ans, Fixed(8))),
    (42, Field::new(Ans, Fixed(15))),
    (43, Field::new(Ans, Fixed(40))),
    (44, Field::new(An, Ll(25))),
    (48, Field::new(N, Lll(322))),
    (49, Field::new(An, Fixed(3))),
    (52, Field::new(B, Fixed(8))),
    (53, Field::new(N, Fixed(16))),
    (54, Field::new(An, Lll(20))),
    (55, Field::new(B, Lll(512))),
    (57, Field::new(B, Lll(512))),
    (60, Field::new(N, Lll(17))),
    (61, Field::new(N, Lll(29))),
    (62, Field::new(B, Lll(512))),
    (63, Field::new(Ans, Lll(163))),
    (64, Field::new(B, Fixed(8))),
    (128, Field::new(B, Fixed(8))),
]);

const CUP_FRAMING: Framing =
    Framing { length: LengthPrefix::Binary2, min_length: 21, max_length: 4_096, tpdu: true, opens_with: 0x60 };

/// How a UnionPay-style terminal talks: packed digits, TPDU and header.
pub static CUP: Dialect = Dialect {
    name: "cup",
    framing: CUP_FRAMING,
    digits: Digits::Bcd,
    bitmap: BitmapForm::Binary,
    text: TextEncoding::Utf8,
    fields: &FIELDS,
};

/// [`CUP`] for terminals whose displays know GBK only.
pub static CUP_GBK: Dialect = Dialect {
    name: "cup-gbk",
    framing: CUP_FRAMING,
    digits: Digits::Bcd,
    bitmap: BitmapForm::Binary,
    text: TextEncoding::Gbk,
    fields: &FIELDS,
};

/// ISO 8583:1987 with ASCII digits, for bank links and independent libraries.
pub static ASCII87: Dialect = Dialect {
    name: "ascii87",
    framing: Framing {
        length: LengthPrefix::Binary2,
        min_length: 12,
        max_length: 4_096,
        tpdu: false,
        opens_with: b'0',
    },
    digits: Digits::Ascii,
    bitmap: BitmapForm::Binary,
    text: TextEncoding::Utf8,
    fields: &FIELDS,
};

impl Dialect {
    /// Every dialect there is.
    pub const ALL: [&'static Self; 3] = [&CUP, &CUP_GBK, &ASCII87];

    /// The dialect of a name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name == name)
    }
}
