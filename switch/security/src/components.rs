//! A key from its components: two or three parts, carried by two or three people, each with a check
//! value, so that nobody knows the key and a slip is found at the part where it was made.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Cipher, check_value};

/// One part as its carrier has it on paper.
#[derive(Clone)]
pub struct Component {
    /// Hexadecimal digits; spaces between them don't matter.
    pub hex: Zeroizing<String>,
    /// Its check value: 6 or 8 hexadecimal digits.
    pub check_value: String,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Component(check value {})", self.check_value)
    }
}

/// Why components make no key. Parts are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ComponentFault {
    /// Too few or too many.
    #[error("a key has two or three components, not {0}")]
    Count(usize),
    /// Not hexadecimal, or of another length than the cipher's keys.
    #[error("component {0} must have as many hexadecimal digits as the key: 32 for 16 bytes")]
    Form(usize),
    /// Its check value is another.
    #[error("component {0} has not the check value {1}: was it typed as it is written?")]
    CheckValue(usize, String),
    /// Of another length than the first.
    #[error("component {0} has another length than the first")]
    Length(usize),
    /// The same as another: two people would know what the third doesn't.
    #[error("components {0} and {1} are the same, so that they cancel each other out")]
    Same(usize, usize),
    /// What they make is no key.
    #[error("together they make a weak key: equal halves, or nothing but zeros")]
    Weak,
    /// The whole key's check value is another.
    #[error("together they have not the check value {0}: is it the right set of components?")]
    Whole(String),
}

/// The key that components make (their exclusive or), where all check values are right. `whole` is the
/// key's own, where it is known.
pub fn combine(
    cipher: Cipher,
    components: &[Component],
    whole: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, ComponentFault> {
    if !(2..=3).contains(&components.len()) {
        return Err(ComponentFault::Count(components.len()));
    }
    let parts: Vec<Zeroizing<Vec<u8>>> = components
        .iter()
        .zip(1..)
        .map(|(component, number)| read(cipher, component, number))
        .collect::<Result<_, _>>()?;
    let first = parts.first().map_or(0, |part| part.len());
    if let Some(other) = parts.iter().position(|part| part.len() != first) {
        return Err(ComponentFault::Length(other + 1));
    }
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        if let (Some(a), Some(b)) = (parts.get(one), parts.get(other))
            && a == b
        {
            return Err(ComponentFault::Same(one + 1, other + 1));
        }
    }
    let mut key = Zeroizing::new(vec![0; first]);
    parts.iter().for_each(|part| key.iter_mut().zip(part.iter()).for_each(|(to, from)| *to ^= from));
    if is_weak(cipher, &key) {
        return Err(ComponentFault::Weak);
    }
    match whole {
        Some(whole) if !has_check_value(cipher, &key, whole) => Err(ComponentFault::Whole(whole.to_owned())),
        _ => Ok(key),
    }
}

fn read(cipher: Cipher, component: &Component, number: usize) -> Result<Zeroizing<Vec<u8>>, ComponentFault> {
    let digits = Zeroizing::new(component.hex.split_whitespace().collect::<String>());
    let bytes = hex::decode(digits.as_str()).map(Zeroizing::new).map_err(|_| ComponentFault::Form(number))?;
    if !cipher.takes(bytes.len()) {
        return Err(ComponentFault::Form(number));
    }
    if !has_check_value(cipher, &bytes, &component.check_value) {
        return Err(ComponentFault::CheckValue(number, component.check_value.clone()));
    }
    Ok(bytes)
}

/// Three or four bytes of it, as it is printed.
fn has_check_value(cipher: Cipher, key: &[u8], printed: &str) -> bool {
    let Some(right) = check_value(cipher, key) else { return false };
    matches!(printed.len(), 6 | 8)
        && hex::encode(right).get(..printed.len()).is_some_and(|it| it.eq_ignore_ascii_case(printed))
}

/// Zeros, or a 3DES key whose halves are equal but for parity, which is single DES.
fn is_weak(cipher: Cipher, key: &[u8]) -> bool {
    let without_parity = |byte: &u8| byte & 0xFE;
    let mut halves = key.chunks(8);
    let same = |one: &[u8], other: &[u8]| one.iter().map(without_parity).eq(other.iter().map(without_parity));
    let equal = match (halves.next(), halves.next()) {
        (Some(one), Some(other)) => cipher == Cipher::Tdes && same(one, other),
        _ => false,
    };
    equal || key.iter().all(|byte| without_parity(byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(hex: &str, cipher: Cipher) -> Component {
        let kcv = check_value(cipher, &hex::decode(hex.replace(' ', "")).unwrap()).unwrap();
        Component { hex: Zeroizing::new(hex.into()), check_value: hex::encode_upper(kcv)[..6].into() }
    }

    const ONE: &str = "0123 4567 89AB CDEF FEDC BA98 7654 3210";
    const TWO: &str = "11111111222222223333333344444444";
    const THREE: &str = "A0A1A2A3A4A5A6A7B0B1B2B3B4B5B6B7";

    #[test]
    fn components_make_the_key_and_slips_are_found_where_they_are() {
        for cipher in [Cipher::Tdes, Cipher::Aes, Cipher::Sm4] {
            let parts = [ONE, TWO, THREE].map(|hex| component(hex, cipher));
            let key = combine(cipher, &parts, None).unwrap();
            let xor = |at: usize| {
                let byte = |hex: &str| u8::from_str_radix(&hex.replace(' ', "")[2 * at..2 * at + 2], 16).unwrap();
                byte(ONE) ^ byte(TWO) ^ byte(THREE)
            };
            assert_eq!(key.as_slice(), (0..16).map(xor).collect::<Vec<_>>());
            let whole = hex::encode(check_value(cipher, &key).unwrap());
            assert!(combine(cipher, &parts, Some(&whole)).is_ok());
            let fault = |parts: &[Component], whole| combine(cipher, parts, whole).unwrap_err();
            assert_eq!(fault(&parts[..2], Some(&whole)), ComponentFault::Whole(whole.clone()));
            assert_eq!(fault(&parts[..1], None), ComponentFault::Count(1));
            let mut slip = parts.clone();
            slip[1].hex = Zeroizing::new(TWO.replacen('1', "2", 1));
            assert!(matches!(fault(&slip, None), ComponentFault::CheckValue(2, _)));
            slip[1].hex = Zeroizing::new("11".into());
            assert_eq!(fault(&slip, None), ComponentFault::Form(2));
            let same = [parts[0].clone(), parts[2].clone(), parts[0].clone()];
            assert_eq!(fault(&same, None), ComponentFault::Same(1, 3));
        }
    }

    #[test]
    fn weak_keys_are_refused() {
        // Parts that differ in parity bits only, or whose sum has equal halves.
        let zero = [ONE, "0022 4466 88AA CCEE FFDD BB99 7755 3311"].map(|hex| component(hex, Cipher::Tdes));
        assert_eq!(combine(Cipher::Tdes, &zero, None).unwrap_err(), ComponentFault::Weak);
        let halves = ["11111111111111112222222222222222", "33333333333333330000000000000000"]
            .map(|hex| component(hex, Cipher::Tdes));
        assert_eq!(combine(Cipher::Tdes, &halves, None).unwrap_err(), ComponentFault::Weak);
        let aes = ["11111111111111112222222222222222", "33333333333333330000000000000000"]
            .map(|hex| component(hex, Cipher::Aes));
        assert!(combine(Cipher::Aes, &aes, None).is_ok(), "of AES that is a key like any other");
    }

    #[test]
    fn nothing_is_shown() {
        let shown = format!("{:?}", component(TWO, Cipher::Aes));
        assert!(!shown.contains("1111"), "{shown}");
    }
}
