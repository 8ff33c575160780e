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

/// Where a field's content stands, in bytes from the message's MTI, and how many units
/// (digits or bytes) it has.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    content: u16,
    units: u16,
}

/// A message's fields.
///
/// Those up to 64 have a slot each, by their number: looking one up costs nothing. Those
/// above, rare and behind all others, are walked to when they are asked for.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    dialect: &'static Dialect,
    body: &'a [u8],
    /// Field n is bit 128 − n.
    present: u128,
    wide: bool,
    /// Where field 64 ends, or whichever is the last before it.
    narrow_end: u16,
    slots: [Slot; NARROW_FIELDS as usize],
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
        let slots = [Slot::default(); NARROW_FIELDS as usize];
        Self { dialect, body, present: 0, wide: false, narrow_end: 0, slots }
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
        let (bitmap, wide, start) = self.bitmap().ok_or(Fault::new(0, FaultKind::Bitmap))?;
        self.wide = wide;
        let (first, second) = ((bitmap >> 64) as u64, bitmap as u64);
        let mut at = start;
        let narrow = Bits(first).try_for_each(|field| {
            let (slot, end) = self.field(field, at)?;
            if let Some(place) = self.slots.get_mut(usize::from(field) - 1) {
                *place = slot;
            }
            self.present |= bit(field);
            at = end;
            Ok(())
        });
        // No message is longer than its frame, so all places fit in 16 bits.
        self.narrow_end = at as u16;
        narrow?;
        Bits(second).try_for_each(|place| {
            let field = NARROW_FIELDS + place;
            (_, at) = self.field(field, at)?;
            self.present |= bit(field);
            Ok(())
        })?;
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

    /// A field that begins at `start`, checked, and where it ends.
    #[inline]
    fn field(&self, field: u8, start: usize) -> Result<(Slot, usize), Fault> {
        let fault = |kind| Fault::new(field, kind);
        let row = self.row(field).ok_or(fault(FaultKind::UnknownField))?;
        let (units, content) = self.units(row, start).map_err(fault)?;
        let end = content + self.bytes_of(row, units);
        let bytes = self.body.get(content..end).ok_or(fault(FaultKind::CutShort))?;
        if !self.content_fits(row, bytes, units) {
            return Err(fault(FaultKind::Content));
        }
        Ok((Slot { content: content as u16, units: units as u16 }, end))
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
                DigitString::new(bytes, units, self.dialect.digits, row.side, row.content).is_some()
            }
            Content::An => classes::alphanumeric(bytes),
            Content::Ans => classes::text(bytes),
            Content::B => true,
        }
    }

    #[inline]
    fn slot(&self, field: u8) -> Option<Slot> {
        if !self.has(field) {
            return None;
        }
        match field {
            1..=NARROW_FIELDS => self.slots.get(usize::from(field) - 1).copied(),
            _ => self.wide_slot(field),
        }
    }

    /// Walks to a field above 64.
    fn wide_slot(&self, field: u8) -> Option<Slot> {
        let mut at = usize::from(self.narrow_end);
        Bits(self.present as u64).map(|place| NARROW_FIELDS + place).find_map(|number| {
            let (slot, end) = self.field(number, at).ok()?;
            at = end;
            (number == field).then_some(slot)
        })
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
        let slot = self.slot(field)?;
        self.content(self.row(field)?, slot)
    }

    fn content(&self, row: Field, slot: Slot) -> Option<&'a [u8]> {
        let start = usize::from(slot.content);
        self.body.get(start..start + self.bytes_of(row, usize::from(slot.units)))
    }

    /// A field of digits or track data.
    #[inline]
    pub fn digits(&self, field: u8) -> Option<DigitString<'a>> {
        let slot = self.slot(field)?;
        let row = self.row(field).filter(|row| counts_digits(row.content))?;
        let raw = self.content(row, slot)?;
        Some(DigitString::checked(raw, usize::from(slot.units), self.dialect.digits, row.side))
    }

    /// A field of digits as a number.
    pub fn number(&self, field: u8) -> Option<u64> {
        self.digits(field)?.number()
    }

    /// A field's prefix and content as they stand, to be copied.
    pub(crate) fn raw(&self, field: u8) -> Option<&'a [u8]> {
        let (slot, row) = (self.slot(field)?, self.row(field)?);
        let content = usize::from(slot.content);
        let prefix = prefix_of(self.dialect.digits, row.length).map_or(0, |(_, bytes)| bytes);
        self.body.get(content.checked_sub(prefix)?..content + self.bytes_of(row, usize::from(slot.units)))
    }

    /// The number of the field that a message of this width has its MAC in.
    pub const fn mac_field(&self) -> u8 {
        if self.wide { WIDE_MAC } else { NARROW_MAC }
    }

    /// The bytes a MAC is over: from the MTI up to, not including, the MAC's field.
    pub fn mab(&self) -> &'a [u8] {
        match self.slot(self.mac_field()) {
            // It has no prefix.
            Some(slot) => self.body.get(..usize::from(slot.content)).unwrap_or_default(),
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
