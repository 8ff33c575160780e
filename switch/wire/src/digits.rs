//! Digits, however they are written.

use crate::classes;
use crate::dialect::{Content, Digits, Side};

/// Digits of a field, borrowed as they stand in the message. Track data may hold the
/// separator too, which reads as `D`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DigitString<'a> {
    raw: &'a [u8],
    count: usize,
    form: Digits,
    side: Side,
}

impl core::fmt::Debug for DigitString<'_> {
    /// Says only how many: most digit fields are somebody's secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} digits", self.count)
    }
}

/// How many bytes so many digits take.
pub(crate) const fn bytes_of(form: Digits, count: usize) -> usize {
    match form {
        Digits::Bcd => count.div_ceil(2),
        Digits::Ascii | Digits::Ebcdic => count,
    }
}

/// The first digit of a form with one to a byte.
const fn zero_of(form: Digits) -> u8 {
    if matches!(form, Digits::Ebcdic) { 0xF0 } else { b'0' }
}

/// How a track's separator is written there.
const fn separator_of(form: Digits) -> u8 {
    if matches!(form, Digits::Ebcdic) { 0x7E } else { b'=' }
}

/// So many digits, and the two that may share their bytes, fit in 64 bits without a doubt.
const SHORT_NUMBER_DIGITS: usize = 17;

impl<'a> DigitString<'a> {
    /// Checks that `raw` holds `count` such digits, and that a pad digit is 0.
    #[inline]
    pub(crate) fn new(raw: &'a [u8], count: usize, form: Digits, side: Side, content: Content) -> Option<Self> {
        let text = Self::checked(raw, count, form, side);
        (raw.len() == bytes_of(form, count) && text.is_well_formed(content)).then_some(text)
    }

    /// Whether bytes that are as many as they should be hold digits, and a pad of 0.
    #[inline(always)]
    pub(crate) fn is_well_formed(&self, content: Content) -> bool {
        self.holds(content) && self.is_padded()
    }

    /// Of a field that was checked when its message was.
    pub(crate) const fn checked(raw: &'a [u8], count: usize, form: Digits, side: Side) -> Self {
        Self { raw, count, form, side }
    }

    #[inline(always)]
    fn holds(&self, content: Content) -> bool {
        match (content, self.form) {
            (Content::Z, _) => self.values().all(|value| value <= 9 || value == SEPARATOR),
            (_, Digits::Bcd) => classes::packed_digits(self.raw),
            (_, form) => classes::digits(self.raw, zero_of(form)),
        }
    }

    #[inline(always)]
    fn is_padded(&self) -> bool {
        if self.form != Digits::Bcd || self.count.is_multiple_of(2) {
            return true;
        }
        match self.side {
            Side::Left => self.raw.last().is_some_and(|byte| byte & 0x0F == 0),
            Side::Right => self.raw.first().is_some_and(|byte| byte >> 4 == 0),
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Packed digits before the first one: the pad, where it stands in front.
    const fn shift(&self) -> usize {
        (matches!(self.side, Side::Right) && self.count % 2 == 1) as usize
    }

    /// The value at a place: 0-9, [`SEPARATOR`], or something else where it is neither.
    fn value(&self, place: usize) -> u8 {
        if self.form == Digits::Bcd {
            let nibble = place + self.shift();
            let byte = self.raw.get(nibble / 2).copied().unwrap_or(0xFF);
            return if nibble.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F };
        }
        match self.raw.get(place) {
            Some(byte) if *byte == separator_of(self.form) => SEPARATOR,
            // What isn't a digit becomes neither a digit nor a separator.
            Some(byte) => match byte.wrapping_sub(zero_of(self.form)) {
                digit @ 0..=9 => digit,
                _ => 0xFF,
            },
            None => 0xFF,
        }
    }

    /// The values in order: 0-9, or [`SEPARATOR`].
    pub fn values(&self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        let this = *self;
        (0..this.count).map(move |place| this.value(place))
    }

    /// A part of it as a number; `None` where it doesn't reach so far or isn't a number.
    #[inline]
    pub fn number_at(&self, from: usize, count: usize) -> Option<u64> {
        if from + count > self.count {
            return None;
        }
        if count > SHORT_NUMBER_DIGITS {
            return self.long_number(from, count);
        }
        if self.form == Digits::Bcd {
            return self.packed_number(from + self.shift(), count);
        }
        let digits = self.raw.get(from..from + count)?;
        digits.iter().try_fold(0_u64, |number, byte| {
            let value = byte.wrapping_sub(zero_of(self.form));
            (value <= 9).then(|| number * 10 + u64::from(value))
        })
    }

    fn long_number(&self, from: usize, count: usize) -> Option<u64> {
        self.values().skip(from).take(count).try_fold(0_u64, |number, value| {
            (value <= 9).then_some(())?;
            number.checked_mul(10)?.checked_add(u64::from(value))
        })
    }

    /// From a nibble on.
    #[inline]
    fn packed_number(&self, from: usize, count: usize) -> Option<u64> {
        let bytes = self.raw.get(from / 2..(from + count).div_ceil(2))?;
        let whole = bytes.iter().try_fold(0_u64, |number, byte| {
            let (high, low) = (byte >> 4, byte & 0x0F);
            (high <= 9 && low <= 9).then(|| number * 100 + u64::from(high * 10 + low))
        })?;
        // Of the digits at both ends, some may belong to others.
        let whole = if (from + count).is_multiple_of(2) { whole } else { whole / 10 };
        Some(if from.is_multiple_of(2) { whole } else { whole % POWERS_OF_TEN.get(count)? })
    }

    /// All of it as a number.
    pub fn number(&self) -> Option<u64> {
        self.number_at(0, self.count)
    }

    /// Writes it as ASCII, a separator as `=`; `None` where it doesn't fit exactly.
    #[inline]
    pub(crate) fn write_ascii(&self, to: &mut [u8]) -> Option<()> {
        if to.len() != self.count {
            return None;
        }
        match self.form {
            Digits::Ascii => to.copy_from_slice(self.raw.get(..self.count)?),
            Digits::Bcd if self.shift() == 0 => unpack(self.raw, to),
            _ => to.iter_mut().zip(self.values()).for_each(|(to, value)| *to = ascii(value)),
        }
        Some(())
    }
}

/// A length prefix of two or three digits; packed, three take two bytes and begin with a 0.
#[inline(always)]
pub(crate) fn read_prefix(form: Digits, prefix: &[u8]) -> Option<u16> {
    let (base, value) = match form {
        Digits::Bcd => (100, unpacked as fn(u8) -> Option<u8>),
        Digits::Ascii => (10, ascii_value as fn(u8) -> Option<u8>),
        Digits::Ebcdic => (10, ebcdic_value as fn(u8) -> Option<u8>),
    };
    prefix.iter().try_fold(0_u16, |number, byte| Some(number * base + u16::from(value(*byte)?)))
}

/// Two packed digits.
#[inline]
const fn unpacked(byte: u8) -> Option<u8> {
    let (high, low) = (byte >> 4, byte & 0x0F);
    if high <= 9 && low <= 9 { Some(high * 10 + low) } else { None }
}

#[inline]
const fn ascii_value(byte: u8) -> Option<u8> {
    digit_value(byte, b'0')
}

#[inline]
const fn ebcdic_value(byte: u8) -> Option<u8> {
    digit_value(byte, 0xF0)
}

#[inline]
const fn digit_value(byte: u8, zero: u8) -> Option<u8> {
    let value = byte.wrapping_sub(zero);
    if value <= 9 { Some(value) } else { None }
}

/// 10^0 to 10^17.
const POWERS_OF_TEN: [u64; SHORT_NUMBER_DIGITS + 1] = {
    let mut powers = [1; SHORT_NUMBER_DIGITS + 1];
    let mut place = 1;
    while place < powers.len() {
        powers[place] = powers[place - 1] * 10;
        place += 1;
    }
    powers
};

const fn ascii(value: u8) -> u8 {
    if value == SEPARATOR { b'=' } else { b'0' + value }
}

#[inline]
fn unpack(packed: &[u8], to: &mut [u8]) {
    let (pairs, odd) = to.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(packed) {
        *pair = [ascii(byte >> 4), ascii(byte & 0x0F)];
    }
    if let ([odd], Some(byte)) = (odd, packed.last()) {
        *odd = ascii(byte >> 4);
    }
}

/// The value that stands for a track's separator.
pub const SEPARATOR: u8 = 0x0D;

/// Writes ASCII digits, a separator as `=` or `D`, in another form; `to` has just the room.
#[inline]
pub(crate) fn write(ascii: &[u8], form: Digits, side: Side, to: &mut [u8]) {
    match form {
        Digits::Bcd => pack(ascii, side, to),
        _ => {
            let written =
                |byte: u8| if byte.is_ascii_digit() { byte - b'0' + zero_of(form) } else { separator_of(form) };
            to.iter_mut().zip(ascii).for_each(|(to, byte)| *to = written(*byte));
        }
    }
}

#[inline]
fn pack(ascii: &[u8], side: Side, to: &mut [u8]) {
    // A pad in front makes the first digit a byte of its own.
    let in_front = usize::from(side == Side::Right && ascii.len() % 2 == 1);
    let (first, ascii) = ascii.split_at(in_front);
    let (first_to, to) = to.split_at_mut(in_front.min(to.len()));
    first_to.iter_mut().zip(first).for_each(|(to, digit)| *to = packed(*digit));
    let (pairs, odd) = ascii.as_chunks::<2>();
    for (to, [high, low]) in to.iter_mut().zip(pairs) {
        *to = packed(*high) << 4 | packed(*low);
    }
    if let ([odd], Some(last)) = (odd, to.last_mut()) {
        *last = packed(*odd) << 4;
    }
}

/// `=` and `D` both stand for the separator, whose low four bits `=` has already.
const fn packed(ascii: u8) -> u8 {
    if ascii == b'D' { SEPARATOR } else { ascii & 0x0F }
}

/// Writes the digits of a number as ASCII, as many as there is room for; false where it
/// has more.
#[inline]
pub(crate) fn write_number(mut number: u64, to: &mut [u8]) -> bool {
    for to in to.iter_mut().rev() {
        *to = b'0' + (number % 10) as u8;
        number /= 10;
    }
    number == 0
}
