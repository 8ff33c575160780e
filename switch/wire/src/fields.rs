//! Fields: a message's bitmap and fields, checked as they are walked and borrowed where
//! they stand.
//!
//! Nothing is copied or allocated: a [`Fields`] is a bitmap and a place for each field
//! present. Every length has its maximum where it is read.

use crate::dialect::{BitmapForm, Content, Dialect, Digits, Field, Length};
use crate::digits::{self, DigitString};
use crate::fault::{Fault, FaultKind};
use crate::mti::Mti;

/// Fields a message may have: as many as any table has rows, with room.
const MAX_FIELDS: usize = 64;

/// Where a field's content stands, in bytes from the message's MTI, and how many units
/// (digits or bytes) it has.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    /// Its prefix, or the content where there is none.
    start: u16,
    content: u16,
    end: u16,
    units: u16,
}

/// A message's fields.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    dialect: &'static Dialect,
    body: &'a [u8],
    /// Field n is bit 128 − n.
    present: u128,
    wide: bool,
    spans: [Span; MAX_FIELDS],
}

const fn bit(field: u8) -> u128 {
    match field {
        1..=128 => 1 << (128 - field),
        _ => 0,
    }
}

/// What was read before a fault, and the fault.
pub(crate) struct Broken<'a> {
    pub(crate) fields: Fields<'a>,
    pub(crate) fault: Fault,
}

impl<'a> Fields<'a> {
    fn none(dialect: &'static Dialect, body: &'a [u8]) -> Self {
        Self { dialect, body, present: 0, wide: false, spans: [Span::default(); MAX_FIELDS] }
    }

    /// Reads the message at `body`, from its MTI on.
    #[expect(clippy::result_large_err, reason = "nothing is allocated, and the answer needs what was read")]
    pub(crate) fn decode(dialect: &'static Dialect, body: &'a [u8]) -> Result<Self, Broken<'a>> {
        let mut fields = Self::none(dialect, body);
        match fields.walk() {
            Ok(()) => Ok(fields),
            Err(fault) => Err(Broken { fields, fault }),
        }
    }

    fn walk(&mut self) -> Result<(), Fault> {
        let (bitmap, wide, mut at) = self.bitmap().ok_or(Fault::new(0, FaultKind::Bitmap))?;
        self.wide = wide;
        let mut left = bitmap;
        let mut count = 0;
        while left != 0 {
            let field = (left.leading_zeros() + 1) as u8;
            let span = self.field(field, at)?;
            *self.spans.get_mut(count).ok_or(Fault::new(field, FaultKind::UnknownField))? = span;
            at = usize::from(span.end);
            self.present |= bit(field);
            left &= !bit(field);
            count += 1;
        }
        if at == self.body.len() { Ok(()) } else { Err(Fault::new(0, FaultKind::TrailingBytes)) }
    }

    /// The bitmap without bit 1, whether it has 128 bits, and where it ends.
    fn bitmap(&self) -> Option<(u128, bool, usize)> {
        let start = Mti::bytes(self.dialect);
        let (first, at) = self.half_bitmap(start)?;
        let wide = first >> 63 == 1;
        let (second, at) = if wide { self.half_bitmap(at)? } else { (0, at) };
        let both = u128::from(first) << 64 | u128::from(second);
        Some((both & !bit(1), wide, at))
    }

    fn half_bitmap(&self, at: usize) -> Option<(u64, usize)> {
        let rest = self.body.get(at..)?;
        match self.dialect.bitmap {
            BitmapForm::Binary => Some((u64::from_be_bytes(*rest.first_chunk()?), at + 8)),
            BitmapForm::HexAscii => {
                let hex: &[u8; 16] = rest.first_chunk()?;
                let half = hex.iter().try_fold(0_u64, |half, digit| Some(half << 4 | u64::from(hex_value(*digit)?)))?;
                Some((half, at + 16))
            }
        }
    }

    /// A field's row; the MAC moves from 64 to 128 where there are 128 bits.
    fn row(&self, field: u8) -> Option<Field> {
        let moved = self.wide && field == NARROW_MAC;
        self.dialect.fields.get(usize::from(field)).copied().flatten().filter(|_| !moved)
    }

    fn field(&self, field: u8, start: usize) -> Result<Span, Fault> {
        let fault = |kind| Fault::new(field, kind);
        let row = self.row(field).ok_or(fault(FaultKind::UnknownField))?;
        let (units, content) = self.units(row, start).map_err(fault)?;
        let length = if counts_digits(row.content) { digits::bytes_of(self.dialect.digits, units) } else { units };
        let end = content + length;
        let bytes = self.body.get(content..end).ok_or(fault(FaultKind::CutShort))?;
        if !self.content_fits(row, bytes, units) {
            return Err(fault(FaultKind::Content));
        }
        // No message is longer than its frame, so all of these fit in 16 bits.
        Ok(Span { start: start as u16, content: content as u16, end: end as u16, units: units as u16 })
    }

    /// How many digits or bytes a field has, and where its content begins.
    fn units(&self, row: Field, start: usize) -> Result<(usize, usize), FaultKind> {
        let (digits, most) = match row.length {
            Length::Fixed(units) => return Ok((usize::from(units), start)),
            Length::Ll(most) => (2, most),
            Length::Lll(most) => (3, most),
        };
        let (written, side) = prefix_form(self.dialect.digits, digits);
        let end = start + digits::bytes_of(self.dialect.digits, written);
        let prefix = self.body.get(start..end).ok_or(FaultKind::CutShort)?;
        let prefix = DigitString::new(prefix, written, self.dialect.digits, side, Content::N);
        let units = prefix.and_then(|prefix| prefix.number()).ok_or(FaultKind::Prefix)?;
        let units = usize::try_from(units).unwrap_or(usize::MAX);
        if units <= usize::from(most) { Ok((units, end)) } else { Err(FaultKind::TooLong) }
    }

    fn content_fits(&self, row: Field, bytes: &[u8], units: usize) -> bool {
        match row.content {
            Content::N | Content::Z => {
                DigitString::new(bytes, units, self.dialect.digits, row.side, row.content).is_some()
            }
            Content::An => bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' '),
            Content::Ans => bytes.iter().all(|byte| matches!(byte, 0x20..=0x7E | 0x80..=0xFE)),
            Content::B => true,
        }
    }

    fn span(&self, field: u8) -> Option<Span> {
        if self.present & bit(field) == 0 {
            return None;
        }
        // Fields with lower numbers are the bits above.
        let before = self.present & !(bit(field) | (bit(field).wrapping_sub(1)));
        self.spans.get(before.count_ones() as usize).copied()
    }

    /// How the message is written.
    pub const fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// Whether the bitmap has 128 bits.
    pub const fn wide(&self) -> bool {
        self.wide
    }

    /// Whether a field is there.
    pub const fn has(&self, field: u8) -> bool {
        self.present & bit(field) != 0
    }

    /// The numbers of the fields there are, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u8> + use<'_, 'a> {
        (2..=128).filter(|field| self.has(*field))
    }

    /// A field's content as it stands.
    pub fn bytes(&self, field: u8) -> Option<&'a [u8]> {
        let span = self.span(field)?;
        self.body.get(usize::from(span.content)..usize::from(span.end))
    }

    /// A field of digits or track data.
    pub fn digits(&self, field: u8) -> Option<DigitString<'a>> {
        let row = self.row(field).filter(|row| counts_digits(row.content))?;
        let units = usize::from(self.span(field)?.units);
        DigitString::new(self.bytes(field)?, units, self.dialect.digits, row.side, row.content)
    }

    /// A field of digits as a number.
    pub fn number(&self, field: u8) -> Option<u64> {
        self.digits(field)?.number()
    }

    /// A field's prefix and content as they stand, to be copied.
    pub(crate) fn raw(&self, field: u8) -> Option<&'a [u8]> {
        let span = self.span(field)?;
        self.body.get(usize::from(span.start)..usize::from(span.end))
    }

    /// The number of the field that a message of this width has its MAC in.
    pub const fn mac_field(&self) -> u8 {
        if self.wide { WIDE_MAC } else { NARROW_MAC }
    }

    /// The bytes a MAC is over: from the MTI up to, not including, the MAC's field.
    pub fn mab(&self) -> &'a [u8] {
        match self.span(self.mac_field()) {
            Some(span) => self.body.get(..usize::from(span.start)).unwrap_or_default(),
            None => self.body,
        }
    }

    /// The MAC, where there is one.
    pub fn mac(&self) -> Option<[u8; 8]> {
        self.bytes(self.mac_field())?.try_into().ok()
    }
}

const NARROW_MAC: u8 = 64;
const WIDE_MAC: u8 = 128;

const fn counts_digits(content: Content) -> bool {
    matches!(content, Content::N | Content::Z)
}

/// A packed prefix of three digits takes two bytes: four digits, of which the first is 0
/// because no maximum reaches a thousand.
const fn prefix_form(form: Digits, digits: usize) -> (usize, crate::dialect::Side) {
    let written = if matches!(form, Digits::Bcd) && digits == 3 { 4 } else { digits };
    (written, crate::dialect::Side::Left)
}

/// How a length prefix is written: its digits, and how many bytes they take.
pub(crate) const fn prefix_of(form: Digits, length: Length) -> Option<(usize, usize)> {
    let digits = match length {
        Length::Fixed(_) => return None,
        Length::Ll(_) => 2,
        Length::Lll(_) => 3,
    };
    let (written, _) = prefix_form(form, digits);
    Some((written, digits::bytes_of(form, written)))
}

/// Upper case only: one message, one spelling.
const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
