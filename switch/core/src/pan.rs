//! Card numbers, as far as the product keeps them: a keyed hash, the BIN and the last four.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::ids::PanKey;

/// Turns card numbers into look-up keys: HMAC-SHA-256 under the deployment's card-hash key.
///
/// Keyed, because there are few enough card numbers to try them all against a plain hash.
#[derive(Clone)]
pub struct CardHasher(Hmac<Sha256>);

impl CardHasher {
    /// With the key's two inner blocks hashed once, here.
    pub fn new(key: &[u8; 32]) -> Self {
        // The key has HMAC's own length, so this is the only branch there is.
        let mac = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self(mac)
    }

    /// The look-up key of a card number given as ASCII digits.
    pub fn key_of(&self, digits: &[u8]) -> PanKey {
        PanKey(self.0.clone().chain_update(digits).finalize().into_bytes().into())
    }

    /// A digest of a message's content, to tell a repeat from another request under the
    /// same key. Keyed as well: the message holds the card number, and little else that
    /// couldn't be guessed.
    pub fn content_of(&self, mab: &[u8]) -> Content {
        let digest = self.0.clone().chain_update(b"content").chain_update(mab).finalize().into_bytes();
        Content(core::array::from_fn(|at| digest[at]))
    }
}

impl core::fmt::Debug for CardHasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CardHasher(…)")
    }
}

/// A keyed digest of what a request said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content(pub [u8; 16]);

/// Whether the last of these ASCII digits is the Luhn check digit of the others (ISO/IEC 7812-1).
pub fn luhn_ok(digits: &[u8]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let values = digits.iter().rev().map(|byte| u32::from(byte.wrapping_sub(b'0')));
    let sum = values.enumerate().try_fold(0_u32, |sum, (place, digit)| {
        let value = if place % 2 == 1 { doubled(digit) } else { digit };
        (digit <= 9).then(|| sum + value)
    });
    !digits.is_empty() && sum.is_some_and(|sum| sum % 10 == 0)
}

/// The first six digits, of ASCII digits; 0 where there are fewer.
pub fn bin(digits: &[u8]) -> u32 {
    digits.get(..6).map_or(0, number)
}

/// The last four digits, of ASCII digits; 0 where there are fewer.
pub fn last4(digits: &[u8]) -> u16 {
    digits.last_chunk::<4>().map_or(0, |last| number(last) as u16)
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit.wrapping_sub(b'0') % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luhn_knows_a_wrong_digit() {
        assert!(luhn_ok(b"6299990000000000012"));
        assert!(!luhn_ok(b"6299990000000000013"));
        assert!(!luhn_ok(b""));
        assert!(!luhn_ok(b"62999900000000000x2"));
    }

    #[test]
    fn keys_follow_rfc_4231() {
        // Test case 1 has a 20-byte key; padded with zeros to 32 it is the same HMAC key.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let hex = CardHasher::new(&key).key_of(b"Hi There").0;
        assert_eq!(hex[..8], [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53]);
    }

    #[test]
    fn people_see_bin_and_last_four() {
        assert_eq!((bin(b"6299990000000000012"), last4(b"6299990000000000012")), (629_999, 12));
    }
}
