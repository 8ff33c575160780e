//! Fields: a message's bitmap and fields, checked as they are walked and borrowed where
//! they stand.
//!
//! Nothing is copied or allocated: a [`Fields`] is a bitmap and a place for each field
//! present. Every length has its maximum where it is read.

use crate::classes;
use crate::dialect::{BitmapForm, Content, Dialect, Digits, Field, Length, Side};
use crate::digits::{self, DigitString};
use crate::fault::{Fault, FaultKind};
use crate::mti::Mti;

/// Fields that every message may have: those of the first 64 bits.
const NARROW_FIELDS: u8 = 64;

/// A message's fields.
///
/// Of those up to 64 it keeps where each begins, by its number: looking one up costs next to
/// nothing, and little has to be copied. Those above, rare and behind all others, are walked
/// to when they are asked for.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    dialect: &'static Dialect,
    body: &'a [u8],
    /// Field n is bit 128 − n.
    present: u128,
    wide: bool,
    /// Where field 64 ends, or whichever is the last before it.
    narrow_end: u16,
    /// In bytes from the message's MTI. No message is longer than its frame, so all places fit
    /// in 16 bits.
    starts: [u16; NARROW_FIELDS as usize],
}

/// A field found again in a message that was checked.
#[derive(Clone, Copy)]
struct Found {
    row: Field,
    start: usize,
    content: usize,
    units: usize,
}

const fn bit(field: u8) -> u128 {
    match field {
        1..=128 => 1 << (128 - field),
        _ => 0,
    }
}

impl<'a> Fields<'a> {
    /// None yet, of a message.
    pub(crate) const fn none(dialect: &'static Dialect, body: &'a [u8]) -> Self {
        Self { dialect, body, present: 0, wide: false, narrow_end: 0, starts: [0; NARROW_FIELDS as usize] }
    }

    /// Reads the message, from its MTI on; after a fault it has the fields before it.
    pub(crate) fn read(&mut self) -> Result<(), Fault> {
        let (bitmap, wide, start) = self.bitmap().ok_or(Fault::new(0, FaultKind::Bitmap))?;
        self.wide = wide;
        let at = self.read_narrow((bitmap >> 64) as u64, start)?;
        let at = self.read_wide(bitmap as u64, at)?;
        if at == self.body.len() { Ok(()) } else { Err(Fault::new(0, FaultKind::TrailingBytes)) }
    }

    fn read_narrow(&mut self, bitmap: u64, mut at: usize) -> Result<usize, Fault> {
        let mut left = Bits(bitmap);
        while let Some(field) = left.next() {
            match self.end_of(field, at) {
                Ok(end) => {
                    if let Some(start) = self.starts.get_mut(usize::from(field) - 1) {
                        *start = at as u16;
                    }
                    at = end;
                }
                Err(fault) => {
                    self.present = u128::from(bitmap & !left.0) << 64 & !bit(field);
                    return Err(fault);
                }
            }
        }
        self.present = u128::from(bitmap) << 64;
        self.narrow_end = at as u16;
        Ok(at)
    }

    fn read_wide(&mut self, bitmap: u64, mut at: usize) -> Result<usize, Fault> {
        for field in Bits(bitmap).map(|place| NARROW_FIELDS + place) {
            at = self.end_of(field, at)?;
            self.present |= bit(field);
        }
        Ok(at)
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

    /// Checks the field that begins at `start`; where it ends.
    #[inline]
    fn end_of(&self, field: u8, start: usize) -> Result<usize, Fault> {
        let fault = |kind| Fault::new(field, kind);
        let row = self.row(field).ok_or(fault(FaultKind::UnknownField))?;
        let (units, content) = self.units(row, start).map_err(fault)?;
        let end = content + self.bytes_of(row, units);
        let bytes = self.body.get(content..end).ok_or(fault(FaultKind::CutShort))?;
        if self.content_fits(row, bytes, units) { Ok(end) } else { Err(fault(FaultKind::Content)) }
    }

    const fn bytes_of(&self, row: Field, units: usize) -> usize {
        if counts_digits(row.content) { digits::bytes_of(self.dialect.digits, units) } else { units }
    }

    /// How many digits or bytes a field has, and where its content begins.
    #[inline]
    fn units(&self, row: Field, start: usize) -> Result<(usize, usize), FaultKind> {
        let form = self.dialect.digits;
        let (Some((written, bytes)), Length::Ll(most) | Length::Lll(most)) = (prefix_of(form, row.length), row.length)
        else {
            let (Length::Fixed(units) | Length::Ll(units) | Length::Lll(units)) = row.length;
            return Ok((usize::from(units), start));
        };
        let end = start + bytes;
        let prefix = self.body.get(start..end).ok_or(FaultKind::CutShort)?;
        // Digits are checked as the number is read.
        let units = DigitString::checked(prefix, written, form, Side::Left).number().ok_or(FaultKind::Prefix)?;
        if units <= u64::from(most) { Ok((units as usize, end)) } else { Err(FaultKind::TooLong) }
    }

    #[inline]
    fn content_fits(&self, row: Field, bytes: &[u8], units: usize) -> bool {
        match row.content {
            Content::N | Content::Z => {
                DigitString::checked(bytes, units, self.dialect.digits, row.side).is_well_formed(row.content)
            }
            Content::An => classes::alphanumeric(bytes),
            Content::Ans => classes::text(bytes),
            Content::B => true,
        }
    }

    #[inline]
    fn find(&self, field: u8) -> Option<Found> {
        if !self.has(field) {
            return None;
        }
        let start = match field {
            1..=NARROW_FIELDS => usize::from(*self.starts.get(usize::from(field) - 1)?),
            _ => self.wide_start(field)?,
        };
        let row = self.row(field)?;
        let (units, content) = self.units(row, start).ok()?;
        Some(Found { row, start, content, units })
    }

    /// Walks to a field above 64.
    fn wide_start(&self, field: u8) -> Option<usize> {
        let mut before =
            Bits(self.present as u64).map(|place| NARROW_FIELDS + place).take_while(|other| *other < field);
        before.try_fold(usize::from(self.narrow_end), |at, number| self.end_of(number, at).ok())
    }

    fn content(&self, found: Found) -> Option<&'a [u8]> {
        self.body.get(found.content..found.content + self.bytes_of(found.row, found.units))
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
    #[inline]
    pub fn bytes(&self, field: u8) -> Option<&'a [u8]> {
        self.content(self.find(field)?)
    }

    /// A field of digits or track data.
    #[inline]
    pub fn digits(&self, field: u8) -> Option<DigitString<'a>> {
        let found = self.find(field).filter(|found| counts_digits(found.row.content))?;
        let raw = self.content(found)?;
        Some(DigitString::checked(raw, found.units, self.dialect.digits, found.row.side))
    }

    /// A field of digits as a number.
    pub fn number(&self, field: u8) -> Option<u64> {
        self.digits(field)?.number()
    }

    /// A field's prefix and content as they stand, to be copied.
    pub(crate) fn raw(&self, field: u8) -> Option<&'a [u8]> {
        let found = self.find(field)?;
        self.body.get(found.start..found.content + self.bytes_of(found.row, found.units))
    }

    /// The number of the field that a message of this width has its MAC in.
    pub const fn mac_field(&self) -> u8 {
        if self.wide { WIDE_MAC } else { NARROW_MAC }
    }

    /// The bytes a MAC is over: from the MTI up to, not including, the MAC's field.
    pub fn mab(&self) -> &'a [u8] {
        match self.find(self.mac_field()) {
            Some(mac) => self.body.get(..mac.start).unwrap_or_default(),
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

/// The places of the bits that are set, from the highest, which is place 1.
struct Bits(u64);

impl Iterator for Bits {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        if self.0 == 0 {
            return None;
        }
        let before = self.0.leading_zeros();
        self.0 &= !(1 << 63 >> before);
        Some(before as u8 + 1)
    }
}

const fn counts_digits(content: Content) -> bool {
    matches!(content, Content::N | Content::Z)
}

/// How a length prefix is written: its digits, and how many bytes they take. A packed prefix
/// of three digits takes two bytes: four digits, of which the first is 0 because no maximum
/// reaches a thousand.
pub(crate) const fn prefix_of(form: Digits, length: Length) -> Option<(usize, usize)> {
    let written = match (length, form) {
        (Length::Fixed(_), _) => return None,
        (Length::Ll(_), _) => 2,
        (Length::Lll(_), Digits::Bcd) => 4,
        (Length::Lll(_), _) => 3,
    };
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
