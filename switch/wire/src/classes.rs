//! Character classes, eight bytes at a time: nearly all of a message's bytes are looked at
//! once, here.
//!
//! Each class has a function that marks the wrong bytes of a word in their highest bits.
//! (A table lookup or a loop over bytes takes four to six times as long, and made up most of
//! decoding.)

/// A word with `byte` in every place.
const fn each(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

const HIGH: u64 = each(0x80);

/// Digits are `zero` to `zero` + 9.
const fn not_digits(word: u64, zero: u8) -> u64 {
    // What is no digit is now above 9, and stays marked: a carry only comes out of a byte that
    // is marked itself.
    let value = word ^ each(zero);
    (value | value.wrapping_add(each(0x7F - 9))) & HIGH
}

/// Two digits to a byte.
const fn not_packed(word: u64) -> u64 {
    word & (word << 1 | word << 2) & each(0x88)
}

/// Letters, digits and space.
const fn not_alphanumeric(word: u64) -> u64 {
    // Without its highest bit, no byte carries into the next one.
    let low = word & each(0x7F);
    let small = low | each(0x20);
    let letter = (small + each(0x80 - b'a')) & !(small + each(0x7F - b'z'));
    let digit = (low + each(0x80 - b'0')) & !(low + each(0x7F - b'9'));
    let space = !((low ^ each(b' ')) + each(0x7F));
    (word | !(letter | digit | space)) & HIGH
}

/// Anything but control characters, 7F and FF: texts may be GBK.
const fn not_text(word: u64) -> u64 {
    let low = word & each(0x7F);
    let last = low + each(1);
    let control = !(low + each(0x80 - b' ')) & !word;
    (last | control) & HIGH
}

/// Whether `wrong` marks no byte.
#[inline(always)]
fn all(bytes: &[u8], wrong: impl Fn(u64) -> u64) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let marks = words.iter().fold(0, |marks, word| marks | wrong(u64::from_le_bytes(*word)));
    // What is left over is looked at together with what stands before it.
    let last = if rest.is_empty() { 0 } else { wrong(last_word(bytes)) };
    marks | last == 0
}

/// The last bytes as a word; some of them twice where there are fewer than eight.
#[inline(always)]
fn last_word(bytes: &[u8]) -> u64 {
    if let Some(word) = bytes.last_chunk() {
        return u64::from_le_bytes(*word);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let last = at(bytes.len().wrapping_sub(1));
    each(last) << 16 | u64::from(at(bytes.len() / 2)) << 8 | u64::from(at(0))
}

/// Digits from `zero` on.
#[inline]
pub(crate) fn digits(bytes: &[u8], zero: u8) -> bool {
    all(bytes, |word| not_digits(word, zero))
}

/// Packed digits, the pad included.
#[inline]
pub(crate) fn packed_digits(bytes: &[u8]) -> bool {
    all(bytes, not_packed)
}

/// ISO 8583's `an`.
#[inline]
pub(crate) fn alphanumeric(bytes: &[u8]) -> bool {
    all(bytes, not_alphanumeric)
}

/// ISO 8583's `ans`, with GBK.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> bool {
    all(bytes, not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte in every place of every length agrees with what is said of one byte.
    fn check(class: impl Fn(&[u8]) -> bool, right: u8, one: impl Fn(u8) -> bool) {
        for length in 0..=24 {
            let good = [right; 24];
            assert!(class(&good[..length]));
            for (place, byte) in (0..length).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
                let mut bytes = good;
                bytes[place] = byte;
                assert_eq!(class(&bytes[..length]), one(byte), "{byte:02X} at {place} of {length}");
            }
        }
    }

    #[test]
    fn words_say_what_bytes_say() {
        check(|bytes| digits(bytes, b'0'), b'7', |byte| byte.is_ascii_digit());
        check(|bytes| digits(bytes, 0xF0), 0xF3, |byte| (0xF0..=0xF9).contains(&byte));
        check(packed_digits, 0x19, |byte| byte >> 4 <= 9 && byte & 0x0F <= 9);
        check(alphanumeric, b'Z', |byte| byte.is_ascii_alphanumeric() || byte == b' ');
        check(text, b'~', |byte| matches!(byte, 0x20..=0x7E | 0x80..=0xFE));
    }

    /// Marks of one byte never hide in its neighbour.
    #[test]
    fn pairs_of_bytes_are_both_looked_at() {
        let one = |byte: u8| byte.is_ascii_digit();
        for (first, second) in (0..=255_u8).flat_map(|first| (0..=255_u8).map(move |second| (first, second))) {
            let word = [b'1', b'2', first, second, b'3', b'4', b'5', b'6'];
            assert_eq!(digits(&word, b'0'), one(first) && one(second));
            let both = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ';
            assert_eq!(alphanumeric(&word), both(first) && both(second));
            let packed = |byte: u8| byte >> 4 <= 9 && byte & 0x0F <= 9;
            assert_eq!(packed_digits(&word), packed(first) && packed(second));
            let printed = |byte: u8| matches!(byte, 0x20..=0x7E | 0x80..=0xFE);
            assert_eq!(text(&word), printed(first) && printed(second));
        }
    }
}
