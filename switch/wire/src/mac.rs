//! MACs, as wire.md lists them: chosen per terminal, eight bytes, compared in constant time.

use core::fmt;
use core::str::FromStr;

use aes::Aes128;
use cipher::{BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use des::{Des, TdesEde2};
use sm4::Sm4;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A way to make MACs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacAlgorithm {
    /// AES-128-CMAC (SP 800-38B), left 8 bytes.
    AesCmac,
    /// SM4-CBC-MAC, IV 0, zero padding, left 8 bytes.
    Sm4Cbc,
    /// ISO 9797-1 algorithm 3, padding method 1.
    X919,
    /// DES-CBC-MAC.
    X99,
    /// XOR of all blocks, then DES or two-key 3DES twice over its hexadecimal form.
    CupEcb,
    /// The same with SM4.
    CupEcbSm4,
}

/// A name that is no MAC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownMac;

impl fmt::Display for UnknownMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be one of aes-cmac, sm4-cbc, x9.19, x9.9, cup-ecb, cup-ecb-sm4")
    }
}

impl core::error::Error for UnknownMac {}

impl MacAlgorithm {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::AesCmac, Self::Sm4Cbc, Self::X919, Self::X99, Self::CupEcb, Self::CupEcbSm4];

    /// The name that `terminals.csv` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCmac => "aes-cmac",
            Self::Sm4Cbc => "sm4-cbc",
            Self::X919 => "x9.19",
            Self::X99 => "x9.9",
            Self::CupEcb => "cup-ecb",
            Self::CupEcbSm4 => "cup-ecb-sm4",
        }
    }
}

impl FromStr for MacAlgorithm {
    type Err = UnknownMac;

    fn from_str(name: &str) -> Result<Self, UnknownMac> {
        Self::ALL.iter().copied().find(|mac| mac.name() == name).ok_or(UnknownMac)
    }
}

impl fmt::Display for MacAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A key of a length its MAC can't use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongKeyLength;

impl fmt::Display for WrongKeyLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the MAC takes keys of another length")
    }
}

impl core::error::Error for WrongKeyLength {}

/// A MAC key with its key schedule, which is wiped when it is dropped.
#[derive(Clone)]
pub struct MacKey {
    schedule: Schedule,
}

#[derive(Clone)]
enum Schedule {
    AesCmac(Cmac<Aes128>),
    Sm4Cbc(Sm4),
    X919 { first: Des, whole: TdesEde2 },
    X99(Des),
    CupEcbDes(Des),
    CupEcbTdes(TdesEde2),
    CupEcbSm4(Sm4),
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

impl MacKey {
    /// From a clear key: 16 bytes, or 8 for `x9.9` and for `cup-ecb` with single DES.
    pub fn new(algorithm: MacAlgorithm, key: &[u8]) -> Result<Self, WrongKeyLength> {
        let schedule = match algorithm {
            MacAlgorithm::AesCmac => Schedule::AesCmac(expand(key)?),
            MacAlgorithm::Sm4Cbc => Schedule::Sm4Cbc(expand(key)?),
            MacAlgorithm::X919 => {
                let first = key.get(..8).ok_or(WrongKeyLength)?;
                Schedule::X919 { first: expand(first)?, whole: expand(key)? }
            }
            MacAlgorithm::X99 => Schedule::X99(expand(key)?),
            MacAlgorithm::CupEcb if key.len() == 8 => Schedule::CupEcbDes(expand(key)?),
            MacAlgorithm::CupEcb => Schedule::CupEcbTdes(expand(key)?),
            MacAlgorithm::CupEcbSm4 => Schedule::CupEcbSm4(expand(key)?),
        };
        Ok(Self { schedule })
    }

    /// The MAC of a message.
    pub fn mac(&self, mab: &[u8]) -> [u8; 8] {
        match &self.schedule {
            Schedule::AesCmac(key) => left(&key.clone().chain_update(mab).finalize().into_bytes()),
            Schedule::Sm4Cbc(key) => left(&cbc::<_, 16>(key, mab)),
            Schedule::X919 { first, whole } => x919(first, whole, mab),
            Schedule::X99(key) => cbc(key, mab),
            Schedule::CupEcbDes(key) => cup_ecb::<_, 8>(key, mab),
            Schedule::CupEcbTdes(key) => cup_ecb::<_, 8>(key, mab),
            Schedule::CupEcbSm4(key) => cup_ecb::<_, 16>(key, mab),
        }
    }

    /// Whether a MAC is the message's, in constant time.
    pub fn verify(&self, mab: &[u8], mac: &[u8; 8]) -> bool {
        let mut right = self.mac(mab);
        let same = right.ct_eq(mac).into();
        right.zeroize();
        same
    }
}

fn expand<K: KeyInit>(key: &[u8]) -> Result<K, WrongKeyLength> {
    K::new_from_slice(key).map_err(|_| WrongKeyLength)
}

fn left(bytes: &[u8]) -> [u8; 8] {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// One block in place. `N` is the cipher's block length in bytes.
fn encrypt<C: BlockCipherEncrypt, const N: usize>(key: &C, block: &mut [u8; N]) {
    if let Ok(block) = block.as_mut_slice().try_into() {
        key.encrypt_block(block);
    }
}

/// Blocks of a message, the last one padded with zeros.
fn blocks<const N: usize>(mab: &[u8]) -> impl Iterator<Item = [u8; N]> {
    mab.chunks(N).map(|chunk| {
        let mut block = [0; N];
        block.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        block
    })
}

fn xor<const N: usize>(to: &mut [u8; N], with: &[u8]) {
    to.iter_mut().zip(with).for_each(|(to, with)| *to ^= with);
}

/// CBC-MAC with IV 0.
fn cbc<C: BlockCipherEncrypt, const N: usize>(key: &C, mab: &[u8]) -> [u8; N] {
    blocks::<N>(mab).fold([0; N], |mut chained, block| {
        xor(&mut chained, &block);
        encrypt(key, &mut chained);
        chained
    })
}

/// Single DES all along, and 3DES on the last block: ISO 9797-1 algorithm 3.
///
/// The last encryption under the first key is undone and done again by 3DES, so it is
/// left out here.
fn x919(first: &Des, whole: &TdesEde2, mab: &[u8]) -> [u8; 8] {
    let mut chained = [0; 8];
    let mut rest = blocks::<8>(mab).peekable();
    while let Some(block) = rest.next() {
        xor(&mut chained, &block);
        match rest.peek() {
            Some(_) => encrypt(first, &mut chained),
            None => encrypt(whole, &mut chained),
        }
    }
    chained
}

/// wire.md's `cup-ecb`: compatibility only, blocks may be swapped unnoticed.
fn cup_ecb<C: BlockCipherEncrypt, const N: usize>(key: &C, mab: &[u8]) -> [u8; 8] {
    let folded = blocks::<N>(mab).fold([0; N], |mut folded, block| {
        xor(&mut folded, &block);
        folded
    });
    // 2N hexadecimal characters: the first N are one block, the others the next.
    let mut characters = folded.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 0x0F)]);
    let mut block = [0; N];
    block.iter_mut().zip(&mut characters).for_each(|(to, character)| *to = character);
    encrypt(key, &mut block);
    block.iter_mut().zip(characters).for_each(|(to, character)| *to ^= character);
    encrypt(key, &mut block);
    let mut mac = [0; 8];
    let text = block.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 0x0F)]);
    mac.iter_mut().zip(text).for_each(|(to, character)| *to = character);
    mac
}

const fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}
