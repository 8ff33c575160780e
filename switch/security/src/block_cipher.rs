//! The block ciphers that keys here are for, chosen at run time.

use aes::{Aes128, Aes192, Aes256};
use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2, TdesEde3};
use sm4::Sm4;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// DES for 8 bytes, two-key 3DES for 16, three-key 3DES for 24.
    Tdes,
    /// AES for 16, 24 or 32 bytes.
    Aes,
    /// SM4 for 16 bytes.
    Sm4,
}

impl Cipher {
    /// A block's length in bytes.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Tdes => 8,
            Self::Aes | Self::Sm4 => 16,
        }
    }

    /// Whether a key of this length fits.
    pub const fn takes(self, key_bytes: usize) -> bool {
        match self {
            Self::Tdes => matches!(key_bytes, 8 | 16 | 24),
            Self::Aes => matches!(key_bytes, 16 | 24 | 32),
            Self::Sm4 => key_bytes == 16,
        }
    }

    /// Encrypts whole blocks, each by itself; `None` where key or data don't fit.
    pub(crate) fn encrypt(self, key: &[u8], data: &mut [u8]) -> Option<()> {
        match (self, key.len()) {
            (Self::Tdes, 8) => encrypt::<Des>(key, data, 8),
            (Self::Tdes, 16) => encrypt::<TdesEde2>(key, data, 8),
            (Self::Tdes, 24) => encrypt::<TdesEde3>(key, data, 8),
            (Self::Aes, 16) => encrypt::<Aes128>(key, data, 16),
            (Self::Aes, 24) => encrypt::<Aes192>(key, data, 16),
            (Self::Aes, 32) => encrypt::<Aes256>(key, data, 16),
            (Self::Sm4, 16) => encrypt::<Sm4>(key, data, 16),
            _ => None,
        }
    }

    /// Decrypts whole blocks, each by itself; `None` where key or data don't fit.
    pub(crate) fn decrypt(self, key: &[u8], data: &mut [u8]) -> Option<()> {
        match (self, key.len()) {
            (Self::Tdes, 8) => decrypt::<Des>(key, data, 8),
            (Self::Tdes, 16) => decrypt::<TdesEde2>(key, data, 8),
            (Self::Tdes, 24) => decrypt::<TdesEde3>(key, data, 8),
            (Self::Aes, 16) => decrypt::<Aes128>(key, data, 16),
            (Self::Aes, 24) => decrypt::<Aes192>(key, data, 16),
            (Self::Aes, 32) => decrypt::<Aes256>(key, data, 16),
            (Self::Sm4, 16) => decrypt::<Sm4>(key, data, 16),
            _ => None,
        }
    }
}

fn encrypt<C: KeyInit + BlockCipherEncrypt>(key: &[u8], data: &mut [u8], block_bytes: usize) -> Option<()> {
    let cipher = C::new_from_slice(key).ok()?;
    data.len().is_multiple_of(block_bytes).then_some(())?;
    data.chunks_exact_mut(block_bytes)
        .try_for_each(|block| block.try_into().map(|block| cipher.encrypt_block(block)).ok())
}

fn decrypt<C: KeyInit + BlockCipherDecrypt>(key: &[u8], data: &mut [u8], block_bytes: usize) -> Option<()> {
    let cipher = C::new_from_slice(key).ok()?;
    data.len().is_multiple_of(block_bytes).then_some(())?;
    data.chunks_exact_mut(block_bytes)
        .try_for_each(|block| block.try_into().map(|block| cipher.decrypt_block(block)).ok())
}

/// A key's check value as wire.md has it: K(00…00), the left four bytes. Says nothing of the key that
/// could be used to find it. `None` where the key doesn't fit the cipher.
pub fn check_value(cipher: Cipher, key: &[u8]) -> Option<[u8; 4]> {
    let mut block = [0; 16];
    let block = block.get_mut(..cipher.block_bytes())?;
    cipher.encrypt(key, block)?;
    block.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// wire.md's own vectors.
    #[test]
    fn check_values_are_those_of_the_wire() {
        for (key, kcv) in [
            ("A1B2C3D4E5F60718293A4B5C6D7E8F90", "76CDB553"),
            ("0F1E2D3C4B5A6978", "BFADEE68"),
            ("1029384756AFBECD0123456789ABCDEF", "82F460EF"),
        ] {
            let key = hex::decode(key).unwrap();
            assert_eq!(hex::encode_upper(check_value(Cipher::Tdes, &key).unwrap()), kcv);
        }
        assert_eq!(check_value(Cipher::Sm4, &[0; 8]), None);
    }

    #[test]
    fn what_is_encrypted_is_decrypted() {
        for (cipher, lengths) in [(Cipher::Tdes, &[8, 16, 24][..]), (Cipher::Aes, &[16, 24, 32]), (Cipher::Sm4, &[16])]
        {
            for length in lengths {
                assert!(cipher.takes(*length));
                let (key, mut data) = (vec![0x5A; *length], vec![7; 48]);
                cipher.encrypt(&key, &mut data).unwrap();
                assert_ne!(data, vec![7; 48]);
                cipher.decrypt(&key, &mut data).unwrap();
                assert_eq!(data, vec![7; 48]);
                assert!(cipher.encrypt(&key, &mut data[1..]).is_none(), "not whole blocks");
            }
        }
    }
}
