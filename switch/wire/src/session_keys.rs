//! Field 62 of a sign-in: session keys under the terminal master key (TMK), each with its
//! check value.
//!
//! The network code says cipher and layout; what the MAC key is then used for is the
//! terminal's MAC's affair.

use core::convert::Infallible;
use core::fmt;

use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2};
use sm4::Sm4;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::mac::MacAlgorithm;

/// A terminal master key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Tmk([u8; 16]);

impl Tmk {
    /// From its clear bytes.
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }
}

impl fmt::Debug for Tmk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tmk(…)")
    }
}

/// Cipher and layout of field 62, by network code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLayout {
    /// 001: DES keys.
    Des,
    /// 003: two-key 3DES keys.
    Tdes,
    /// 004: the same with a track key.
    TdesWithTrack,
    /// 005: SM4 keys.
    Sm4,
    /// 006: the same with a track key.
    Sm4WithTrack,
}

/// The longest field 62 of a sign-in, in bytes.
pub const MAX_KEY_FIELD_BYTES: usize = 60;

const KCV_BYTES: usize = 4;

/// Clear session keys. PIN and track keys have as many bytes as the layout's keys; the
/// MAC key may be a single DES key in a 16-byte slot.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionKeys {
    keys: [[u8; 16]; 3],
    key_bytes: usize,
    mac_key_bytes: usize,
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(…)")
    }
}

/// Why a field 62 can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It hasn't the layout's length.
    Length,
    /// A key's check value is another.
    CheckValue,
    /// The layout's keys can't serve this MAC.
    Layout,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "field 62 has not the length of its network code",
            Self::CheckValue => "a session key's check value is wrong: is it the right terminal master key?",
            Self::Layout => "keys of this network code cannot serve this MAC",
        })
    }
}

impl core::error::Error for KeyFault {}

impl KeyLayout {
    /// The layout of a network code.
    pub const fn by_network_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Des),
            3 => Some(Self::Tdes),
            4 => Some(Self::TdesWithTrack),
            5 => Some(Self::Sm4),
            6 => Some(Self::Sm4WithTrack),
            _ => None,
        }
    }

    /// Its network code.
    pub const fn network_code(self) -> u16 {
        match self {
            Self::Des => 1,
            Self::Tdes => 3,
            Self::TdesWithTrack => 4,
            Self::Sm4 => 5,
            Self::Sm4WithTrack => 6,
        }
    }

    /// How many keys: PIN, MAC, and a track key where there is one.
    pub const fn keys(self) -> usize {
        match self {
            Self::TdesWithTrack | Self::Sm4WithTrack => 3,
            Self::Des | Self::Tdes | Self::Sm4 => 2,
        }
    }

    /// How many bytes a key's slot has.
    pub const fn key_bytes(self) -> usize {
        if matches!(self, Self::Des) { 8 } else { 16 }
    }

    /// Whether keys travel under SM4, or else under 3DES.
    pub const fn is_sm4(self) -> bool {
        matches!(self, Self::Sm4 | Self::Sm4WithTrack)
    }

    const fn cipher(self) -> WrappingCipher {
        match self {
            Self::Sm4 | Self::Sm4WithTrack => WrappingCipher::Sm4,
            Self::Des | Self::Tdes | Self::TdesWithTrack => WrappingCipher::Tdes,
        }
    }

    /// How many bytes the session MAC key has; `None` where such keys can't serve the MAC.
    pub const fn mac_key_bytes(self, mac: MacAlgorithm) -> Option<usize> {
        match (self, mac) {
            (Self::Des, MacAlgorithm::X99 | MacAlgorithm::CupEcb) => Some(8),
            (Self::Tdes | Self::TdesWithTrack, MacAlgorithm::X99) => Some(8),
            (Self::Des, _) | (Self::Sm4 | Self::Sm4WithTrack, MacAlgorithm::X99) => None,
            _ => Some(16),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WrappingCipher {
    Tdes,
    Sm4,
}

impl SessionKeys {
    /// Keys from random bytes: as many of them as the layout and the MAC need are taken.
    pub fn from_random(layout: KeyLayout, mac: MacAlgorithm, random: &[[u8; 16]; 3]) -> Result<Self, KeyFault> {
        let mac_key_bytes = layout.mac_key_bytes(mac).ok_or(KeyFault::Layout)?;
        Ok(Self { keys: *random, key_bytes: layout.key_bytes(), mac_key_bytes })
    }

    /// The MAC key, 8 or 16 bytes.
    pub fn mac_key(&self) -> &[u8] {
        let [_, mac, _] = &self.keys;
        mac.get(..self.mac_key_bytes).unwrap_or_default()
    }

    /// The PIN key, 8 or 16 bytes.
    pub fn pin_key(&self) -> &[u8] {
        let [pin, ..] = &self.keys;
        pin.get(..self.key_bytes).unwrap_or_default()
    }

    /// Writes field 62: what the switch sends. Returns how many bytes it has.
    pub fn wrap(&self, layout: KeyLayout, tmk: &Tmk, field: &mut [u8; MAX_KEY_FIELD_BYTES]) -> usize {
        let wrapped = self.wrap_by(layout, field, |key| {
            encrypt_blocks(layout.cipher(), tmk, key);
            Ok::<(), Infallible>(())
        });
        match wrapped {
            Ok(length) => length,
            Err(never) => match never {},
        }
    }

    /// The same by whoever has the terminal master key: `encrypt` is given each key, in place.
    pub fn wrap_by<E>(
        &self,
        layout: KeyLayout,
        field: &mut [u8; MAX_KEY_FIELD_BYTES],
        mut encrypt: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let slot = layout.key_bytes() + KCV_BYTES;
        for (at, (to, key)) in field.chunks_mut(slot).zip(&self.keys).take(layout.keys()).enumerate() {
            let bytes = if at == MAC_SLOT { self.mac_key_bytes } else { self.key_bytes };
            let (wrapped, kcv) = to.split_at_mut(layout.key_bytes());
            wrapped.fill(0);
            let key = key.get(..bytes).unwrap_or_default();
            kcv.copy_from_slice(&check_value(layout.cipher(), key));
            let wrapped = wrapped.get_mut(..bytes).unwrap_or_default();
            wrapped.copy_from_slice(key);
            encrypt(wrapped)?;
        }
        Ok(slot * layout.keys())
    }

    /// Reads field 62: what the terminal does.
    pub fn unwrap(layout: KeyLayout, mac: MacAlgorithm, tmk: &Tmk, field: &[u8]) -> Result<Self, KeyFault> {
        let mac_key_bytes = layout.mac_key_bytes(mac).ok_or(KeyFault::Layout)?;
        let slot = layout.key_bytes() + KCV_BYTES;
        if field.len() != slot * layout.keys() {
            return Err(KeyFault::Length);
        }
        let mut keys = Self { keys: [[0; 16]; 3], key_bytes: layout.key_bytes(), mac_key_bytes };
        for (at, (from, key)) in field.chunks(slot).zip(&mut keys.keys).enumerate() {
            let bytes = if at == MAC_SLOT { mac_key_bytes } else { layout.key_bytes() };
            let (wrapped, kcv) = from.split_at(layout.key_bytes());
            let (wrapped, unused) = wrapped.split_at(bytes);
            crypt_blocks(layout.cipher(), tmk, wrapped, key, Direction::Decrypt);
            let right = check_value(layout.cipher(), key.get(..bytes).unwrap_or_default());
            if !bool::from(right.as_slice().ct_eq(kcv)) || unused.iter().any(|byte| *byte != 0) {
                return Err(KeyFault::CheckValue);
            }
        }
        Ok(keys)
    }
}

/// The MAC key is the second of a layout's keys.
const MAC_SLOT: usize = 1;

#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// ECB under the TMK, block by block, in place.
fn encrypt_blocks(cipher: WrappingCipher, tmk: &Tmk, key: &mut [u8]) {
    let mut clear = [0; 16];
    clear.iter_mut().zip(key.iter()).for_each(|(to, from)| *to = *from);
    crypt_blocks(cipher, tmk, clear.get(..key.len()).unwrap_or_default(), key, Direction::Encrypt);
    clear.zeroize();
}

/// ECB under the TMK, block by block.
fn crypt_blocks(cipher: WrappingCipher, tmk: &Tmk, from: &[u8], to: &mut [u8], direction: Direction) {
    match cipher {
        WrappingCipher::Tdes => crypt(&expand::<TdesEde2>(&tmk.0), from, to, 8, direction),
        WrappingCipher::Sm4 => crypt(&expand::<Sm4>(&tmk.0), from, to, 16, direction),
    }
}

fn expand<C: KeyInit>(key: &[u8; 16]) -> Option<C> {
    C::new_from_slice(key).ok()
}

fn crypt<C: BlockCipherEncrypt + BlockCipherDecrypt>(
    cipher: &Option<C>,
    from: &[u8],
    to: &mut [u8],
    block_bytes: usize,
    direction: Direction,
) {
    let Some(cipher) = cipher else { return };
    for (from, to) in from.chunks_exact(block_bytes).zip(to.chunks_exact_mut(block_bytes)) {
        to.copy_from_slice(from);
        if let Ok(block) = to.try_into() {
            match direction {
                Direction::Encrypt => cipher.encrypt_block(block),
                Direction::Decrypt => cipher.decrypt_block(block),
            }
        }
    }
}

/// K(00…00), left four bytes: DES for 8-byte keys, two-key 3DES or SM4 for 16.
fn check_value(cipher: WrappingCipher, key: &[u8]) -> [u8; KCV_BYTES] {
    match (cipher, key.len()) {
        (WrappingCipher::Tdes, 8) => zeros_under::<Des, 8>(key),
        (WrappingCipher::Tdes, _) => zeros_under::<TdesEde2, 8>(key),
        (WrappingCipher::Sm4, _) => zeros_under::<Sm4, 16>(key),
    }
}

fn zeros_under<C: KeyInit + BlockCipherEncrypt, const N: usize>(key: &[u8]) -> [u8; KCV_BYTES] {
    let mut block = [0; N];
    if let (Ok(cipher), Ok(block)) = (C::new_from_slice(key), block.as_mut_slice().try_into()) {
        cipher.encrypt_block(block);
    }
    block.first_chunk().copied().unwrap_or_default()
}
