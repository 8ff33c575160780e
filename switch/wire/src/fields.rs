//! Fields: a message's bitmap and fields, checked as they are walked and borrowed where
//! they stand.
//!
//! Nothing is copied or allocated: a [`Fields`] is a bitmap and a place for each field
//! present. Every length has its maximum where it is read.

use crate::classes;
use crate::dialect::{BitmapForm, Content, Dialect, Digits, Field, Length};
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
        // A loop of its own for each form of digits: what is looked at for every field is known
        // before the first one.
        match self.dialect.digits {
            Digits::Bcd => self.read_in(Digits::Bcd),
            Digits::Ascii => self.read_in(Digits::Ascii),
            Digits::Ebcdic => self.read_in(Digits::Ebcdic),
        }
    }

    #[inline(always)]
    fn read_in(&mut self, form: Digits) -> Result<(), Fault> {
        let (bitmap, wide, start) = self.bitmap().ok_or(Fault::new(0, FaultKind::Bitmap))?;
        self.wide = wide;
        let at = self.read_narrow(form, (bitmap >> 64) as u64, start)?;
        let at = if wide { self.read_wide(bitmap as u64, at)? } else { at };
        if at == self.body.len() { Ok(()) } else { Err(Fault::new(0, FaultKind::TrailingBytes)) }
    }

    #[inline(always)]
    fn read_narrow(&mut self, form: Digits, bitmap: u64, mut at: usize) -> Result<usize, Fault> {
        let mut left = Bits(bitmap);
        while let Some(field) = left.next() {
            match self.end_of(form, field, at) {
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
            at = self.end_of(self.dialect.digits, field, at)?;
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
    #[inline(always)]
    fn end_of(&self, form: Digits, field: u8, start: usize) -> Result<usize, Fault> {
        let fault = |kind| Fault::new(field, kind);
        let row = self.row(field).ok_or(fault(FaultKind::UnknownField))?;
        let (units, content) = self.units(form, row, start).map_err(fault)?;
        let end = content + bytes_of(form, row, units);
        let bytes = self.body.get(content..end).ok_or(fault(FaultKind::CutShort))?;
        if content_fits(form, row, bytes, units) { Ok(end) } else { Err(fault(FaultKind::Content)) }
    }

    /// How many digits or bytes a field has, and where its content begins.
    #[inline(always)]
    fn units(&self, form: Digits, row: Field, start: usize) -> Result<(usize, usize), FaultKind> {
        let (prefix_digits, most) = match row.length {
            Length::Fixed(units) => return Ok((usize::from(units), start)),
            Length::Ll(most) => (2, most),
            Length::Lll(most) => (3, most),
        };
        let end = start + digits::bytes_of(form, prefix_digits);
        let prefix = self.body.get(start..end).ok_or(FaultKind::CutShort)?;
        let units = digits::read_prefix(form, prefix).ok_or(FaultKind::Prefix)?;
        if units <= most { Ok((usize::from(units), end)) } else { Err(FaultKind::TooLong) }
    }

    #[inline(always)]
    fn find(&self, field: u8) -> Option<Found> {
        if !self.has(field) {
            return None;
        }
        let start = match field {
            1..=NARROW_FIELDS => usize::from(*self.starts.get(usize::from(field) - 1)?),
            _ => self.wide_start(field)?,
        };
        let row = self.row(field)?;
        let (units, content) = self.units(self.dialect.digits, row, start).ok()?;
        Some(Found { row, start, content, units })
    }

    /// Walks to a field above 64.
    #[cold]
    fn wide_start(&self, field: u8) -> Option<usize> {
        let mut before =
            Bits(self.present as u64).map(|place| NARROW_FIELDS + place).take_while(|other| *other < field);
        before.try_fold(usize::from(self.narrow_end), |at, number| self.end_of(self.dialect.digits, number, at).ok())
    }

    #[inline(always)]
    fn content(&self, found: Found) -> Option<&'a [u8]> {
        self.body.get(found.content..found.content + bytes_of(self.dialect.digits, found.row, found.units))
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
    #[inline(always)]
    pub fn bytes(&self, field: u8) -> Option<&'a [u8]> {
        self.content(self.find(field)?)
    }

    /// A field of digits or track data.
    #[inline(always)]
    pub fn digits(&self, field: u8) -> Option<DigitString<'a>> {
        let found = self.find(field).filter(|found| counts_digits(found.row.content))?;
        let raw = self.content(found)?;
        Some(DigitString::checked(raw, found.units, self.dialect.digits, found.row.side))
    }

    /// A field of digits as a number.
    #[inline(always)]
    pub fn number(&self, field: u8) -> Option<u64> {
        self.digits(field)?.number()
    }

    /// A field's prefix and content as they stand, to be copied.
    pub(crate) fn raw(&self, field: u8) -> Option<&'a [u8]> {
        let found = self.find(field)?;
        self.body.get(found.start..found.content + bytes_of(self.dialect.digits, found.row, found.units))
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

const fn bytes_of(form: Digits, row: Field, units: usize) -> usize {
    if counts_digits(row.content) { digits::bytes_of(form, units) } else { units }
}

#[inline(always)]
fn content_fits(form: Digits, row: Field, bytes: &[u8], units: usize) -> bool {
    match row.content {
        Content::N | Content::Z => DigitString::checked(bytes, units, form, row.side).is_well_formed(row.content),
        Content::An => classes::alphanumeric(bytes),
        Content::Ans => classes::text(bytes),
        Content::B => true,
    }
}

/// Upper case only: one message, one spelling.
const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
