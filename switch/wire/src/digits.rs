//! Digits, however they are written.

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

impl<'a> DigitString<'a> {
    /// Checks that `raw` holds `count` such digits, and that a pad digit is 0.
    pub(crate) fn new(raw: &'a [u8], count: usize, form: Digits, side: Side, content: Content) -> Option<Self> {
        let text = Self { raw, count, form, side };
        let digits_only = content != Content::Z;
        let allowed = |value: u8| value <= 9 || !digits_only && value == SEPARATOR;
        let padded = form != Digits::Bcd || count.is_multiple_of(2) || text.pad() == Some(0);
        (padded && text.values().all(allowed)).then_some(text)
    }

    fn pad(&self) -> Option<u8> {
        match self.side {
            Side::Left => self.raw.last().map(|byte| byte & 0x0F),
            Side::Right => self.raw.first().map(|byte| byte >> 4),
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

    /// The value at a place: 0-9, [`SEPARATOR`], or something else where it is neither.
    fn value(&self, place: usize) -> u8 {
        match self.form {
            Digits::Bcd => {
                let shifted = self.side == Side::Right && self.count % 2 == 1;
                let nibble = place + usize::from(shifted);
                let byte = self.raw.get(nibble / 2).copied().unwrap_or(0xFF);
                if nibble.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F }
            }
            Digits::Ascii => match self.raw.get(place) {
                Some(digit @ b'0'..=b'9') => digit - b'0',
                Some(b'=') => SEPARATOR,
                _ => 0xFF,
            },
            Digits::Ebcdic => match self.raw.get(place) {
                Some(digit @ 0xF0..=0xF9) => digit - 0xF0,
                Some(0x7E) => SEPARATOR,
                _ => 0xFF,
            },
        }
    }

    /// The values in order: 0-9, or [`SEPARATOR`].
    pub fn values(&self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        let this = *self;
        (0..this.count).map(move |place| this.value(place))
    }

    /// A part of it as a number; `None` where it doesn't reach so far or isn't a number.
    pub fn number_at(&self, from: usize, count: usize) -> Option<u64> {
        if from + count > self.count {
            return None;
        }
        self.values().skip(from).take(count).try_fold(0_u64, |number, value| {
            (value <= 9).then_some(())?;
            number.checked_mul(10)?.checked_add(u64::from(value))
        })
    }

    /// All of it as a number.
    pub fn number(&self) -> Option<u64> {
        self.number_at(0, self.count)
    }
}

/// The value that stands for a track's separator.
pub const SEPARATOR: u8 = 0x0D;

/// Writes digit values; `None` where they don't fit or aren't digits of this form.
pub(crate) fn write(
    values: impl Iterator<Item = u8>,
    count: usize,
    form: Digits,
    side: Side,
    to: &mut [u8],
) -> Option<()> {
    if form != Digits::Bcd {
        let mut places = to.iter_mut();
        for value in values {
            *places.next()? = match (form, value) {
                (Digits::Ascii, SEPARATOR) => b'=',
                (Digits::Ascii, value) => b'0' + value,
                (_, SEPARATOR) => 0x7E,
                (_, value) => 0xF0 + value,
            };
        }
        return Some(());
    }
    to.fill(0);
    let shift = usize::from(side == Side::Right && count % 2 == 1);
    for (place, value) in values.enumerate() {
        let nibble = place + shift;
        let byte = to.get_mut(nibble / 2)?;
        *byte |= if nibble.is_multiple_of(2) { value << 4 } else { value };
    }
    Some(())
}
