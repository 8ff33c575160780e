//! Frame: finds the next whole frame in a stream's bytes.
//!
//! Bounded: a length out of bounds is dropped, not waited for. What is dropped is skipped
//! by its own length, so that one bad frame doesn't take the next one with it.

use core::fmt;

use crate::dialect::{Dialect, LengthPrefix};
use crate::mti::{HEAD_BYTES, Head, Mti};

/// A whole frame, its message not yet looked into.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// How it is written.
    pub dialect: &'static Dialect,
    /// TPDU and header; zeros where the dialect has none.
    pub head: Head,
    /// The message type.
    pub mti: Mti,
    /// The message, from its MTI on.
    pub body: &'a [u8],
}

impl fmt::Debug for Frame<'_> {
    /// Without the body: it may hold a card number, tracks and a PIN block.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} {}, {} bytes)", self.dialect.name, self.mti, self.body.len())
    }
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFault {
    /// The length prefix is no number, or out of the dialect's bounds.
    Length,
    /// The first byte opens no dialect spoken here.
    Dialect,
    /// The TPDU isn't `60` and packed digits.
    Tpdu,
    /// The header isn't packed digits.
    Header,
    /// The MTI isn't digits.
    Mti,
}

/// What there is at the front of a stream's bytes.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// Not a whole frame yet; so many bytes at least make one.
    NeedMore {
        /// Counted from the front.
        at_least: usize,
    },
    /// A frame, and how many bytes it took.
    Frame(Frame<'a>, usize),
    /// No frame.
    Dropped {
        /// Why not.
        fault: FrameFault,
        /// How many bytes to skip; may be more than have arrived.
        skip: usize,
    },
}

/// Looks at the front of `bytes`, in dialects that share one length prefix and differ in
/// the byte after it.
pub fn next_frame<'a>(dialects: &[&'static Dialect], bytes: &'a [u8]) -> Step<'a> {
    let Some(prefix) = dialects.first().map(|dialect| dialect.framing.length) else {
        return Step::NeedMore { at_least: usize::MAX };
    };
    let Some((front, rest)) = bytes.split_at_checked(prefix.bytes()) else {
        return Step::NeedMore { at_least: prefix.bytes() };
    };
    let Some(length) = decode_length(prefix, front) else {
        return Step::Dropped { fault: FrameFault::Length, skip: prefix.bytes() };
    };
    let whole = prefix.bytes() + length;
    let dropped = |fault| Step::Dropped { fault, skip: whole };
    let least = dialects.iter().map(|dialect| dialect.framing.min_length).min().unwrap_or(0);
    let most = dialects.iter().map(|dialect| dialect.framing.max_length).max().unwrap_or(0);
    if !(least..=most).contains(&length) {
        return dropped(FrameFault::Length);
    }
    let Some(frame) = rest.get(..length) else {
        return Step::NeedMore { at_least: whole };
    };
    match parse(dialects, frame) {
        Ok(frame) => Step::Frame(frame, whole),
        Err(fault) => dropped(fault),
    }
}

fn decode_length(prefix: LengthPrefix, bytes: &[u8]) -> Option<usize> {
    match (prefix, bytes) {
        (LengthPrefix::Binary2, [high, low]) => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        (LengthPrefix::Ascii4, digits) => digits
            .iter()
            .try_fold(0, |length, digit| digit.is_ascii_digit().then(|| length * 10 + usize::from(digit - b'0'))),
        _ => None,
    }
}

/// Writes a length prefix; `None` where it doesn't fit.
pub(crate) fn encode_length(prefix: LengthPrefix, length: usize, to: &mut [u8]) -> Option<()> {
    match prefix {
        LengthPrefix::Binary2 => to.copy_from_slice(&u16::try_from(length).ok()?.to_be_bytes()),
        LengthPrefix::Ascii4 => {
            let units = [1_000, 100, 10, 1];
            to.iter_mut().zip(units).for_each(|(to, unit)| *to = b'0' + (length / unit % 10) as u8);
        }
    }
    Some(())
}

fn parse<'a>(dialects: &[&'static Dialect], frame: &'a [u8]) -> Result<Frame<'a>, FrameFault> {
    let opens = |dialect: &&&'static Dialect| frame.first() == Some(&dialect.framing.opens_with);
    let dialect: &'static Dialect = dialects.iter().find(opens).ok_or(match dialects {
        [only] if only.framing.tpdu => FrameFault::Tpdu,
        _ => FrameFault::Dialect,
    })?;
    if !(dialect.framing.min_length..=dialect.framing.max_length).contains(&frame.len()) {
        return Err(FrameFault::Length);
    }
    let (head, body) = if dialect.framing.tpdu { parse_head(frame)? } else { (Head::default(), frame) };
    let mti = body.get(..Mti::bytes(dialect)).and_then(|bytes| Mti::decode(dialect, bytes));
    Ok(Frame { dialect, head, mti: mti.ok_or(FrameFault::Mti)?, body })
}

fn parse_head(frame: &[u8]) -> Result<(Head, &[u8]), FrameFault> {
    let (head, body) = frame.split_at_checked(HEAD_BYTES).ok_or(FrameFault::Length)?;
    let head = Head::decode(head).ok_or(FrameFault::Length)?;
    if head.tpdu[0] != 0x60 || !packed_digits(&head.tpdu) {
        return Err(FrameFault::Tpdu);
    }
    if !packed_digits(&head.header) {
        return Err(FrameFault::Header);
    }
    Ok((head, body))
}

fn packed_digits(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte >> 4 <= 9 && byte & 0x0F <= 9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{ASCII87, CUP};

    const SPOKEN: &[&Dialect] = &[&CUP, &ASCII87];

    fn fault(bytes: &[u8]) -> (FrameFault, usize) {
        match next_frame(SPOKEN, bytes) {
            Step::Dropped { fault, skip } => (fault, skip),
            other => panic!("not dropped: {other:?}"),
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_dropped() {
        assert_eq!(fault(&[0, 11, 0x60]), (FrameFault::Length, 13));
        assert_eq!(fault(&[0x10, 0x01, 0x60]), (FrameFault::Length, 4_099));
        // Long enough for ascii87, too short for cup.
        let mut short = [0; 22];
        short[1] = 20;
        short[2] = 0x60;
        assert_eq!(fault(&short), (FrameFault::Length, 22));
    }

    #[test]
    fn heads_and_types_must_be_digits() {
        let mut frame = [0_u8; 23];
        frame[1] = 21;
        frame[2] = 0x60;
        assert!(matches!(next_frame(SPOKEN, &frame), Step::Frame(_, 23)));
        for (place, expected) in
            [(2, FrameFault::Dialect), (3, FrameFault::Tpdu), (7, FrameFault::Header), (13, FrameFault::Mti)]
        {
            let mut bad = frame;
            bad[place] = 0x6A;
            assert_eq!(fault(&bad), (expected, 23), "byte {place}");
        }
    }

    #[test]
    fn half_a_frame_waits() {
        assert!(matches!(next_frame(SPOKEN, &[]), Step::NeedMore { at_least: 2 }));
        assert!(matches!(next_frame(SPOKEN, &[0]), Step::NeedMore { at_least: 2 }));
        assert!(matches!(next_frame(SPOKEN, &[0, 0x54, 0x60]), Step::NeedMore { at_least: 86 }));
    }
}
