//! BER-TLV, as fields 55 and 57 hold it: a bounded reader that takes one spelling only.
//!
//! Tags up to four bytes, definite lengths in their shortest form. Refused: indefinite
//! lengths and the padding zeros that EMV tolerates, which make two messages out of one.

use core::fmt;

use crate::fault::FaultKind;

/// How deep templates may nest.
const MAX_DEPTH: u32 = 4;

/// One tag and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag's bytes, as a number: `DF1A` is 0xDF1A.
    pub tag: u32,
    /// Its value.
    pub value: &'a [u8],
    constructed: bool,
}

impl fmt::Debug for Tlv<'_> {
    /// Without the value: it may be a credential or a track.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X} ({} bytes)", self.tag, self.value.len())
    }
}

/// Walks a value's tags.
#[derive(Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
}

impl fmt::Debug for Tlvs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tlvs({} bytes)", self.rest.len())
    }
}

impl<'a> Tlvs<'a> {
    /// Over the tags in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self) -> Result<Tlv<'a>, FaultKind> {
        let (tag, constructed, rest) = take_tag(self.rest).ok_or(FaultKind::TlvTag)?;
        let (length, rest) = take_length(rest).ok_or(FaultKind::TlvLength)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(FaultKind::TlvLength)?;
        self.rest = rest;
        Ok(Tlv { tag, value, constructed })
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, FaultKind>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.take();
        if taken.is_err() {
            self.rest = &[];
        }
        Some(taken)
    }
}

fn take_tag(bytes: &[u8]) -> Option<(u32, bool, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let constructed = first & 0x20 != 0;
    let mut tag = u32::from(*first);
    if first & 0x1F != 0x1F {
        return (*first != 0).then_some((tag, constructed, rest));
    }
    for _ in 0..3 {
        let (next, after) = rest.split_first()?;
        tag = tag << 8 | u32::from(*next);
        rest = after;
        if next & 0x80 == 0 {
            return Some((tag, constructed, rest));
        }
    }
    None
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ 0..=0x7F, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, length @ 0x80..=0xFF, rest @ ..] => Some((usize::from(*length), rest)),
        [0x82, high @ 1..=0xFF, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => None,
    }
}

/// Checks that `bytes` are well-formed tags, templates among them, and that none stands
/// twice in one template but those `may_repeat` names.
pub fn check(bytes: &[u8], may_repeat: fn(u32) -> bool) -> Result<(), FaultKind> {
    check_level(bytes, may_repeat, 0)
}

fn check_level(bytes: &[u8], may_repeat: fn(u32) -> bool, depth: u32) -> Result<(), FaultKind> {
    if depth == MAX_DEPTH {
        return Err(FaultKind::TlvDepth);
    }
    let mut walk = Tlvs::new(bytes);
    while let Some(tlv) = walk.next() {
        let tlv = tlv?;
        // A value has at most 512 bytes, so looking ahead each time stays small.
        let again = || walk.clone().flatten().any(|later| later.tag == tlv.tag);
        if !may_repeat(tlv.tag) && again() {
            return Err(FaultKind::TlvRepeated);
        }
        if tlv.constructed {
            check_level(tlv.value, may_repeat, depth + 1)?;
        }
    }
    Ok(())
}

/// EMV's issuer scripts are the templates that may come more than once.
pub const fn emv_may_repeat(tag: u32) -> bool {
    matches!(tag, 0x71 | 0x72 | 0x86)
}

/// Writes tags into a buffer; remembers whether all of them fitted.
pub struct TlvWriter<'b> {
    buffer: &'b mut [u8],
    at: usize,
    overflow: bool,
}

impl<'b> TlvWriter<'b> {
    /// Into `buffer`.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, at: 0, overflow: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.at..self.at + bytes.len()) {
            Some(to) => to.copy_from_slice(bytes),
            None => self.overflow = true,
        }
        self.at += bytes.len();
    }

    /// One tag and its value.
    pub fn tag(&mut self, tag: u32, value: &[u8]) {
        let bytes = tag.to_be_bytes();
        let leading = (tag.leading_zeros() / 8).min(3) as usize;
        self.push(bytes.get(leading..).unwrap_or_default());
        match u16::try_from(value.len()).map(u16::to_be_bytes) {
            Ok([0, short @ 0..=0x7F]) => self.push(&[short]),
            Ok([0, long]) => self.push(&[0x81, long]),
            Ok([high, low]) => self.push(&[0x82, high, low]),
            Err(_) => self.overflow = true,
        }
        self.push(value);
    }

    /// All that was written; `None` where it didn't fit.
    pub fn finish(self) -> Option<&'b [u8]> {
        let Self { buffer, at, overflow } = self;
        if overflow { None } else { buffer.get(..at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        for (bytes, fault) in [
            (&[0xDF][..], FaultKind::TlvTag),
            (&[0xDF, 0x81, 0x82, 0x83, 0x04, 0], FaultKind::TlvTag),
            (&[0x00, 0x00], FaultKind::TlvTag),
            (&[0xDF, 0x01], FaultKind::TlvLength),
            (&[0xDF, 0x01, 0x02, b'A'], FaultKind::TlvLength),
            (&[0xDF, 0x01, 0x81, 0x01, b'A'], FaultKind::TlvLength),
            (&[0xDF, 0x01, 0x82, 0x00, 0x81], FaultKind::TlvLength),
            (&[0xDF, 0x01, 0x80], FaultKind::TlvLength),
            (&[0xDF, 0x01, 0x00, 0xDF, 0x01, 0x00], FaultKind::TlvRepeated),
            (&[0x70, 0x08, 0x70, 0x06, 0x70, 0x04, 0x70, 0x02, 0x70, 0x00], FaultKind::TlvDepth),
            (&[0x70, 0x02, 0x9F, 0x02], FaultKind::TlvLength),
        ] {
            assert_eq!(check(bytes, emv_may_repeat), Err(fault), "{bytes:02x?}");
        }
        assert_eq!(check(&[0x71, 0, 0x71, 0, 0x9F, 0x02, 0x01, 0xFF], emv_may_repeat), Ok(()));
    }

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (length, bytes) in [(127, 3 + 127), (128, 4 + 128), (255, 4 + 255), (256, 5 + 256)] {
            let (value, mut buffer) = ([7; 256], [0; 300]);
            let mut writer = TlvWriter::new(&mut buffer);
            writer.tag(0xDF1A, &value[..length]);
            let written = writer.finish().unwrap();
            assert_eq!(written.len(), bytes);
            let read = Tlvs::new(written).next().unwrap().unwrap();
            assert_eq!((read.tag, read.value.len()), (0xDF1A, length));
        }
    }
}
