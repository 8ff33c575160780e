//! Random field contents, from a seed.

use fastrand::Rng;
use xingka_wire::dialect::{Content, Field, Length};

use crate::{is_text, most};

const PRINTABLE: &[u8] =
    b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";

const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Of which GBK and UTF-8 have different bytes, and some that are the same.
const CHARACTERS: [char; 16] =
    ['诚', '信', '卡', '优', '惠', '折', '扣', '医', '院', '银', '行', 'A', '7', ' ', ',', '.'];

/// Some bytes of an alphabet.
pub fn of(rng: &mut Rng, alphabet: &[u8], count: usize) -> Vec<u8> {
    (0..count).filter_map(|_| rng.choice(alphabet).copied()).collect()
}

/// Any bytes.
pub fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| rng.u8(..)).collect()
}

/// An array of any bytes.
pub fn array<const N: usize>(rng: &mut Rng) -> [u8; N] {
    std::array::from_fn(|_| rng.u8(..))
}

/// Decimal digits.
pub fn digits(rng: &mut Rng, count: usize) -> Vec<u8> {
    of(rng, b"0123456789", count)
}

/// Letters, digits and spaces.
pub fn alphanumeric(rng: &mut Rng, count: usize) -> Vec<u8> {
    let mut text = of(rng, ALPHANUMERIC, count);
    text.iter_mut().filter(|_| rng.u8(..8) == 0).for_each(|byte| *byte = b' ');
    text
}

/// Letters and digits.
pub fn code(rng: &mut Rng, count: usize) -> Vec<u8> {
    of(rng, ALPHANUMERIC, count)
}

/// Printable ASCII.
pub fn printable(rng: &mut Rng, count: usize) -> Vec<u8> {
    of(rng, PRINTABLE, count)
}

/// Printable text in UTF-8 or GBK, exactly so many bytes long.
pub fn text(rng: &mut Rng, count: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(count);
    let gbk = rng.bool();
    while text.len() < count {
        let character = CHARACTERS.get(rng.usize(..CHARACTERS.len())).copied().unwrap_or(' ');
        let mut utf8 = [0; 4];
        let utf8 = character.encode_utf8(&mut utf8);
        let encoded = if gbk { encoding_rs::GBK.encode(utf8).0.into_owned() } else { utf8.as_bytes().to_vec() };
        let fits = text.len() + encoded.len() <= count;
        text.extend(if fits { encoded } else { b" ".to_vec() });
    }
    text
}

/// Track data: digits, and a separator somewhere among them.
pub fn track(rng: &mut Rng, count: usize) -> Vec<u8> {
    let mut track = digits(rng, count);
    let place = rng.usize(..20);
    // In one of eight there is none: that is no card, but a well-formed field.
    if let Some(digit) = track.get_mut(place).filter(|_| rng.u8(..8) > 0) {
        *digit = b'=';
    }
    track
}

/// What a field may hold, at any length it may have; never nothing at all.
pub fn content(rng: &mut Rng, number: u8, row: Field) -> Vec<u8> {
    let most = usize::from(most(row));
    let count = match row.length {
        Length::Fixed(_) => most,
        // Short and longest contents are where mistakes are.
        Length::Ll(_) | Length::Lll(_) => match rng.u8(..4) {
            0 => most,
            1 => rng.usize(1..=most.min(3)),
            _ => rng.usize(1..=most),
        },
    };
    match row.content {
        Content::N => digits(rng, count),
        Content::Z => track(rng, count),
        Content::An => alphanumeric(rng, count),
        Content::Ans if is_text(number) => text(rng, count),
        Content::Ans => printable(rng, count),
        Content::B => bytes(rng, count),
    }
}

/// One data object: a tag of two bytes, its length in the shortest form, its value.
pub fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        short @ 0..=0x7F => vec![short as u8],
        long @ 0x80..=0xFF => vec![0x81, long as u8],
        longer => vec![0x82, (longer >> 8) as u8, longer as u8],
    };
    [&tag.to_be_bytes(), length.as_slice(), value].concat()
}

/// An amount in twelve packed digits.
pub fn packed_fen(rng: &mut Rng) -> Vec<u8> {
    (0..6).map(|_| rng.u8(..10) << 4 | rng.u8(..10)).collect()
}
