//! Fields: a message's bitmap and fields, checked as they are walked and borrowed where
//! they stand.
//!
//! Nothing is copied or allocated: a [`Fields`] is a bitmap and a place for each field
//! present. Every length has its maximum where it is read.

use crate::classes;
use crate::dialect::{BitmapForm, Content, Dialect, Digits, Field, Length};
use crate::digits::{self, DigitString};
use crate::fault::{Fault, FaultKind};
use crate::frame::Frame;
use crate::mti::Mti;

/// Fields that every message may have: those of the first 64 bits.
const NARROW_FIELDS: u8 = 64;

/// Where a field's content stands, in bytes from the message's MTI. No message is longer than
/// its frame, so all places fit in 16 bits.
#[derive(Clone, Copy)]
struct Span {
    content: u16,
    end: u16,
}

impl Span {
    const NONE: Self = Self { content: 0, end: 0 };
}

/// A message's fields.
///
/// Of those up to 64 it keeps where each stands, by its number: looking one up costs next to
/// nothing. Those above, rare and behind all others, are walked to when they are asked for.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    dialect: &'static Dialect,
    body: &'a [u8],
    /// Field n is bit 128 − n.
    present: u128,
    wide: bool,
    /// Where field 64 ends, or whichever is the last before it.
    narrow_end: u16,
    spans: [Span; NARROW_FIELDS as usize],
}

const fn bit(field: u8) -> u128 {
    match field {
        1..=128 => 1 << (128 - field),
        _ => 0,
    }
}

impl<'a> Fields<'a> {
    /// The fields of a frame's message, whatever it is: a request, an answer, or none of the
    /// known ones. What they mean together is for [`crate::decode`] to say.
    pub fn of(frame: &Frame<'a>) -> Result<Self, Fault> {
        let mut fields = Self::none(frame.dialect, frame.body);
        fields.read().map(|()| fields)
    }

    /// None yet, of a message.
    pub(crate) const fn none(dialect: &'static Dialect, body: &'a [u8]) -> Self {
        Self { dialect, body, present: 0, wide: false, narrow_end: 0, spans: [Span::NONE; NARROW_FIELDS as usize] }
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
            match self.span_of(form, field, at) {
                Ok(span) => {
                    if let Some(place) = self.spans.get_mut(usize::from(field) - 1) {
                        *place = span;
                    }
                    at = usize::from(span.end);
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
            at = usize::from(self.span_of(self.dialect.digits, field, at)?.end);
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

    /// Checks the field that begins at `start`.
    #[inline(always)]
    fn span_of(&self, form: Digits, field: u8, start: usize) -> Result<Span, Fault> {
        let fault = |kind| Fault::new(field, kind);
        let row = self.row(field).ok_or(fault(FaultKind::UnknownField))?;
        let (units, content) = self.units(form, row, start).map_err(fault)?;
        let end = content + bytes_of(form, row, units);
        let bytes = self.body.get(content..end).ok_or(fault(FaultKind::CutShort))?;
        let span = Span { content: content as u16, end: end as u16 };
        if content_fits(form, row, bytes, units) { Ok(span) } else { Err(fault(FaultKind::Content)) }
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
    fn span(&self, field: u8) -> Option<Span> {
        if !self.has(field) {
            return None;
        }
        match field {
            1..=NARROW_FIELDS => self.spans.get(usize::from(field) - 1).copied(),
            _ => self.wide_span(field),
        }
    }

    /// Walks to a field above 64.
    #[cold]
    fn wide_span(&self, field: u8) -> Option<Span> {
        let mut at = usize::from(self.narrow_end);
        Bits(self.present as u64).map(|place| NARROW_FIELDS + place).find_map(|other| {
            let span = self.span_of(self.dialect.digits, other, at).ok()?;
            at = usize::from(span.end);
            (other == field).then_some(span)
        })
    }

    /// How many bytes stand before a field's content and say its length.
    fn prefix_bytes(&self, row: Field) -> usize {
        match row.length {
            Length::Fixed(_) => 0,
            Length::Ll(_) => digits::bytes_of(self.dialect.digits, 2),
            Length::Lll(_) => digits::bytes_of(self.dialect.digits, 3),
        }
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
        let span = self.span(field)?;
        self.body.get(usize::from(span.content)..usize::from(span.end))
    }

    /// A field of digits or track data.
    #[inline(always)]
    pub fn digits(&self, field: u8) -> Option<DigitString<'a>> {
        let raw = self.bytes(field)?;
        let row = self.row(field).filter(|row| counts_digits(row.content))?;
        let form = self.dialect.digits;
        let count = match (form, row.length) {
            (Digits::Ascii | Digits::Ebcdic, _) => raw.len(),
            (Digits::Bcd, Length::Fixed(units)) => usize::from(units),
            // Only the prefix tells whether the last digit is a pad.
            (Digits::Bcd, _) => self.units(form, row, self.start(field, row)?).ok()?.0,
        };
        Some(DigitString::checked(raw, count, form, row.side))
    }

    /// Where a field's prefix stands, or its content where it has none.
    fn start(&self, field: u8, row: Field) -> Option<usize> {
        usize::from(self.span(field)?.content).checked_sub(self.prefix_bytes(row))
    }

    /// A field of digits as a number.
    #[inline(always)]
    pub fn number(&self, field: u8) -> Option<u64> {
        self.digits(field)?.number()
    }

    /// A field's prefix and content as they stand, to be copied.
    pub(crate) fn raw(&self, field: u8) -> Option<&'a [u8]> {
        let start = self.start(field, self.row(field)?)?;
        self.body.get(start..usize::from(self.span(field)?.end))
    }

    /// The number of the field that a message of this width has its MAC in.
    pub const fn mac_field(&self) -> u8 {
        if self.wide { WIDE_MAC } else { NARROW_MAC }
    }

    /// The bytes a MAC is over: from the MTI up to, not including, the MAC's field.
    pub fn mab(&self) -> &'a [u8] {
        match self.span(self.mac_field()) {
            // It has no prefix.
            Some(mac) => self.body.get(..usize::from(mac.content)).unwrap_or_default(),
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
