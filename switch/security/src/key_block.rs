//! Key blocks of ASC X9.143 (formerly TR-31), version D: a key under another one, bound to what it is
//! for.
//!
//! The key block protection key (KBPK) is an AES key; from it come one key to encrypt and one to
//! authenticate (CMAC in counter mode). The authentication is over header and clear key, and its value is
//! also the encryption's first block. So nothing of a block can be changed without its being
//! found out, not even what the key is for. Versions A, B and C, which rest on 3DES, are refused.

use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, KeyInit, Mac};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::Cipher;

const HEADER: usize = 16;
const BLOCK: usize = 16;

/// What a key is for, and who may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Such as `K0` (key encryption), `M3` (MAC), `P0` (PIN encryption), `D0` (data).
    pub usage: [u8; 2],
    /// `A` AES, `T` 3DES, `D` DES.
    pub algorithm: u8,
    /// Such as `B` both ways, `E` encrypt only, `G` make a MAC, `V` verify one.
    pub mode: u8,
    /// `00` where keys have no versions.
    pub version: [u8; 2],
    /// `E` under a key block, `N` not at all, `S` somehow.
    pub exportability: u8,
    /// What else is said of it: identifiers and texts, padding left out.
    pub optional: Vec<([u8; 2], String)>,
}

/// Why a key block can't be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyBlockFault {
    /// The KBPK isn't one.
    #[error("a key block protection key has 16, 24 or 32 bytes")]
    Kbpk,
    /// Another version.
    #[error("it is no key block of version D; older versions rest on 3DES and aren't taken")]
    Version,
    /// The bytes are no key block.
    #[error("it is no key block: {0}")]
    Form(&'static str),
    /// It was changed, or is under another key.
    #[error("the key block was changed, or is under another protection key")]
    Authentication,
    /// The key can't be in a block.
    #[error("a key of {0} bytes can't be put into a key block for that algorithm")]
    Key(usize),
}

impl Header {
    /// A terminal master key: it encrypts other keys.
    pub const TERMINAL_MASTER_KEY: Self =
        Self { usage: *b"K0", algorithm: b'T', mode: b'B', version: *b"00", exportability: b'N', optional: Vec::new() };

    fn longest_key(&self) -> Option<usize> {
        match self.algorithm {
            b'A' => Some(32),
            b'T' => Some(24),
            b'D' => Some(8),
            _ => None,
        }
    }

    fn takes(&self, key_bytes: usize) -> bool {
        match self.algorithm {
            b'A' => Cipher::Aes.takes(key_bytes),
            b'T' => matches!(key_bytes, 16 | 24),
            b'D' => key_bytes == 8,
            _ => (1..=256).contains(&key_bytes),
        }
    }

    /// The header's text, its length still zeros. Optional blocks are filled up to whole cipher blocks.
    fn text(&self) -> Result<Vec<u8>, KeyBlockFault> {
        let mut blocks = self.optional.len();
        let mut optional = Vec::new();
        for (id, value) in &self.optional {
            let length = 4 + value.len();
            if length > 255 || !value.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
                return Err(KeyBlockFault::Form("an optional block's text is too long or not printable"));
            }
            optional.extend(id);
            optional.extend(format!("{length:02X}").bytes());
            optional.extend(value.bytes());
        }
        if !optional.len().is_multiple_of(BLOCK) {
            let mut pad = BLOCK - optional.len() % BLOCK;
            // The padding is a block itself, of four bytes at least.
            pad += if pad < 4 { BLOCK } else { 0 };
            optional.extend(format!("PB{pad:02X}").bytes());
            optional.extend(std::iter::repeat_n(b'0', pad - 4));
            blocks += 1;
        }
        if blocks > 99 {
            return Err(KeyBlockFault::Form("more than 99 optional blocks"));
        }
        let Self { usage, algorithm, mode, version, exportability, .. } = self;
        let mut text = b"D0000".to_vec();
        text.extend(usage.iter().chain([algorithm, mode]).chain(version).chain([exportability]));
        text.extend(format!("{blocks:02}00").bytes());
        text.extend(optional);
        let printable = text.iter().all(|byte| (0x20..0x7F).contains(byte));
        if printable { Ok(text) } else { Err(KeyBlockFault::Form("the header is not printable")) }
    }
}

/// Puts a key into a block. `random` fills it up, so that its length doesn't show how long the key
/// is: 32 bytes that are used once.
pub fn wrap(kbpk: &[u8], header: &Header, key: &[u8], random: &[u8; 48]) -> Result<String, KeyBlockFault> {
    if !header.takes(key.len()) {
        return Err(KeyBlockFault::Key(key.len()));
    }
    let room = header.longest_key().unwrap_or(key.len()).max(key.len());
    let bits = (key.len() * 8) as u16;
    let mut payload = Zeroizing::new(bits.to_be_bytes().to_vec());
    payload.extend_from_slice(key);
    let length = (2 + room).next_multiple_of(BLOCK);
    let fill = random.iter().take(length - payload.len());
    payload.extend(fill);
    let mut text = header.text()?;
    let whole = text.len() + 2 * payload.len() + 2 * BLOCK;
    let digits = format!("{whole:04}");
    if digits.len() != 4 {
        return Err(KeyBlockFault::Form("longer than 9999 characters"));
    }
    text.splice(1..5, digits.bytes());
    let keys = derive(kbpk)?;
    let mac = authenticate(&keys.authentication, &text, &payload)?;
    encrypt_cbc(&keys.encryption, &mac, &mut payload)?;
    // Printable, as was checked.
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(text + &hex::encode_upper(payload.as_slice()) + &hex::encode_upper(mac))
}

/// Opens a block: the key, and what it is for.
pub fn unwrap(kbpk: &[u8], block: &str) -> Result<(Header, Zeroizing<Vec<u8>>), KeyBlockFault> {
    let bytes = block.as_bytes();
    if bytes.first() != Some(&b'D') {
        return Err(KeyBlockFault::Version);
    }
    let (header, header_bytes) = read_header(bytes)?;
    let (text, rest) = bytes.split_at_checked(header_bytes).ok_or(KeyBlockFault::Form("cut short"))?;
    let sealed = Zeroizing::new(hex::decode(rest).map_err(|_| KeyBlockFault::Form("not hexadecimal"))?);
    let split = sealed.len().checked_sub(BLOCK).ok_or(KeyBlockFault::Form("cut short"))?;
    let (encrypted, mac) = sealed.split_at(split);
    if encrypted.is_empty() || !encrypted.len().is_multiple_of(BLOCK) {
        return Err(KeyBlockFault::Form("the key isn't whole cipher blocks"));
    }
    let keys = derive(kbpk)?;
    let mut payload = Zeroizing::new(encrypted.to_vec());
    decrypt_cbc(&keys.encryption, mac, &mut payload)?;
    let right = authenticate(&keys.authentication, text, &payload)?;
    if !bool::from(right.as_slice().ct_eq(mac)) {
        return Err(KeyBlockFault::Authentication);
    }
    let (length, key) = payload.split_first_chunk::<2>().ok_or(KeyBlockFault::Form("cut short"))?;
    let bits = usize::from(u16::from_be_bytes(*length));
    let key = key.get(..bits / 8).filter(|_| bits.is_multiple_of(8)).ok_or(KeyBlockFault::Form("the key's length"))?;
    if !header.takes(key.len()) {
        return Err(KeyBlockFault::Key(key.len()));
    }
    Ok((header, Zeroizing::new(key.to_vec())))
}

/// The header, and how many bytes it has with its optional blocks.
fn read_header(bytes: &[u8]) -> Result<(Header, usize), KeyBlockFault> {
    let form = KeyBlockFault::Form;
    let fixed: &[u8; HEADER] = bytes.first_chunk().ok_or(form("cut short"))?;
    let number = |range: std::ops::Range<usize>| {
        let digits = fixed.get(range).and_then(|digits| std::str::from_utf8(digits).ok())?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<usize>().ok()).flatten()
    };
    if number(1..5) != Some(bytes.len()) {
        return Err(form("its length is another than it says"));
    }
    let count = number(12..14).ok_or(form("the number of optional blocks"))?;
    let mut optional = Vec::new();
    let mut at = HEADER;
    for _ in 0..count {
        let (id, value, next) = read_optional(bytes, at).ok_or(form("an optional block"))?;
        at = next;
        if id != *b"PB" {
            optional.push((id, value));
        }
    }
    if !at.is_multiple_of(BLOCK) {
        return Err(form("optional blocks that aren't whole cipher blocks"));
    }
    let [_, _, _, _, _, u1, u2, algorithm, mode, v1, v2, exportability, ..] = *fixed;
    let header = Header { usage: [u1, u2], algorithm, mode, version: [v1, v2], exportability, optional };
    Ok((header, at))
}

/// Identifier, text, and where the next one begins. A length of `00` says how many digits follow that hold
/// the length.
fn read_optional(bytes: &[u8], at: usize) -> Option<([u8; 2], String, usize)> {
    let id = bytes.get(at..at + 2)?.try_into().ok()?;
    let hex = |from: usize, to: usize| usize::from_str_radix(std::str::from_utf8(bytes.get(from..to)?).ok()?, 16).ok();
    let (length, data) = match hex(at + 2, at + 4)? {
        0 => {
            let digits = hex(at + 4, at + 6)?;
            (hex(at + 6, at + 6 + digits)?, at + 6 + digits)
        }
        length => (length, at + 4),
    };
    let end = at.checked_add(length)?;
    let value = bytes.get(data..end)?;
    let printable = value.iter().all(|byte| (0x20..0x7F).contains(byte));
    printable.then(|| (id, String::from_utf8_lossy(value).into_owned(), end))
}

struct Keys {
    encryption: Zeroizing<Vec<u8>>,
    authentication: Zeroizing<Vec<u8>>,
}

/// CMAC in counter mode (NIST SP 800-108): counter, usage, a zero, algorithm, length in bits.
fn derive(kbpk: &[u8]) -> Result<Keys, KeyBlockFault> {
    let algorithm = match kbpk.len() {
        16 => 2,
        24 => 3,
        32 => 4,
        _ => return Err(KeyBlockFault::Kbpk),
    };
    let [high, low] = ((kbpk.len() * 8) as u16).to_be_bytes();
    let key = |usage: u8| {
        let mut key = Zeroizing::new(Vec::new());
        for counter in 1..=2 {
            key.extend(cmac(kbpk, &[&[counter, 0, usage, 0, 0, algorithm, high, low]])?);
        }
        key.truncate(kbpk.len());
        Ok(key)
    };
    Ok(Keys { encryption: key(0)?, authentication: key(1)? })
}

fn authenticate(key: &[u8], header: &[u8], payload: &[u8]) -> Result<[u8; BLOCK], KeyBlockFault> {
    cmac(key, &[header, payload])
}

fn cmac(key: &[u8], parts: &[&[u8]]) -> Result<[u8; BLOCK], KeyBlockFault> {
    fn with<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<[u8; BLOCK]> {
        let mac = <M as KeyInit>::new_from_slice(key).ok()?;
        let whole = parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes();
        whole.as_slice().try_into().ok()
    }
    let mac = match key.len() {
        16 => with::<Cmac<Aes128>>(key, parts),
        24 => with::<Cmac<Aes192>>(key, parts),
        _ => with::<Cmac<Aes256>>(key, parts),
    };
    mac.ok_or(KeyBlockFault::Kbpk)
}

fn encrypt_cbc(key: &[u8], first: &[u8], data: &mut [u8]) -> Result<(), KeyBlockFault> {
    let mut former = first.to_vec();
    for block in data.chunks_mut(BLOCK) {
        block.iter_mut().zip(&former).for_each(|(to, with)| *to ^= with);
        Cipher::Aes.encrypt(key, block).ok_or(KeyBlockFault::Kbpk)?;
        former.copy_from_slice(block);
    }
    Ok(())
}

fn decrypt_cbc(key: &[u8], first: &[u8], data: &mut [u8]) -> Result<(), KeyBlockFault> {
    let mut former = first.to_vec();
    for block in data.chunks_mut(BLOCK) {
        let this = block.to_vec();
        Cipher::Aes.decrypt(key, block).ok_or(KeyBlockFault::Kbpk)?;
        block.iter_mut().zip(&former).for_each(|(to, with)| *to ^= with);
        former = this;
    }
    Ok(())
}
