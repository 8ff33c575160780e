//! PIN blocks of ISO 9564-1: formats 0, 3 and 4, and their translation from one key to another.
//!
//! Formats 0 and 3 are 8 bytes under DES or 3DES, format 4 is 16 bytes under AES, or under SM4, which
//! has the same block. A PIN block of 8 bytes under SM4 is refused: how such a one fills SM4's block
//! isn't openly published, and two guesses give two PINs.
//!
//! A clear PIN exists in here only, between decrypting and encrypting, in memory that is wiped.
//! No error says which digit was wrong: that would be an oracle.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::Cipher;

/// How a PIN is written into a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Filled with F, bound to the card number.
    Iso0,
    /// Filled with random digits, bound to the card number.
    Iso3,
    /// 16 bytes, bound to the card number in between two encryptions.
    Iso4,
}

/// A key for PIN blocks.
#[derive(Clone, Copy)]
pub struct PinKey<'k> {
    /// For which cipher.
    pub cipher: Cipher,
    /// Its bytes.
    pub key: &'k [u8],
}

impl std::fmt::Debug for PinKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PinKey({:?})", self.cipher)
    }
}

/// Why a PIN block can't be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PinFault {
    /// Cipher and format don't go together.
    #[error("format {0:?} has no block under {1:?}: formats 0 and 3 need DES or 3DES, format 4 AES or SM4")]
    Pair(Format, Cipher),
    /// The key has the wrong length.
    #[error("a PIN key has the wrong length for its cipher")]
    Key,
    /// The block has the wrong length.
    #[error("the PIN block has the wrong length for its format")]
    Length,
    /// The card number isn't one.
    #[error("a PIN block is bound to a card number of 12 to 19 digits")]
    Pan,
    /// It isn't a PIN block under this key and for this card.
    #[error("the PIN block doesn't open: another key, another format, or another card")]
    Block,
}

/// Randomness that an encoding needs: sixteen bytes that are used once.
pub type Random = [u8; 16];

/// A clear PIN: 4 to 12 digits, one a byte.
struct Pin(Zeroizing<Vec<u8>>);

impl Format {
    const fn control(self) -> u8 {
        match self {
            Self::Iso0 => 0,
            Self::Iso3 => 3,
            Self::Iso4 => 4,
        }
    }

    const fn bytes(self) -> usize {
        if matches!(self, Self::Iso4) { 16 } else { 8 }
    }

    fn check(self, key: &PinKey<'_>) -> Result<(), PinFault> {
        if key.cipher.block_bytes() != self.bytes() {
            return Err(PinFault::Pair(self, key.cipher));
        }
        if key.cipher.takes(key.key.len()) { Ok(()) } else { Err(PinFault::Key) }
    }
}

/// From one key, format and card number to others; `random` is used where the new format has any.
pub fn translate(
    block: &[u8],
    from: (PinKey<'_>, Format),
    to: (PinKey<'_>, Format),
    pan: &[u8],
    random: &Random,
) -> Result<Vec<u8>, PinFault> {
    let pin = open(block, from, pan)?;
    seal(&pin, to, pan, random)
}

/// A block of a clear PIN: for terminals, simulators and tests.
pub fn encrypt(pin: &[u8], to: (PinKey<'_>, Format), pan: &[u8], random: &Random) -> Result<Vec<u8>, PinFault> {
    let digits = pin.iter().map(|byte| byte.wrapping_sub(b'0')).collect();
    let pin = Pin::new(digits).ok_or(PinFault::Block)?;
    seal(&pin, to, pan, random)
}

/// Whether a block holds this PIN. In constant time for PINs of the same length.
pub fn holds(block: &[u8], from: (PinKey<'_>, Format), pan: &[u8], pin: &[u8]) -> Result<bool, PinFault> {
    let opened = open(block, from, pan)?;
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(pin.iter().map(|byte| byte.wrapping_sub(b'0')).collect());
    Ok(subtle::ConstantTimeEq::ct_eq(opened.0.as_slice(), digits.as_slice()).into())
}

impl Pin {
    fn new(digits: Vec<u8>) -> Option<Self> {
        let pin = Zeroizing::new(digits);
        ((4..=12).contains(&pin.len()) && pin.iter().all(|digit| *digit <= 9)).then_some(Self(pin))
    }
}

fn seal(pin: &Pin, (key, format): (PinKey<'_>, Format), pan: &[u8], random: &Random) -> Result<Vec<u8>, PinFault> {
    format.check(&key)?;
    let mut field = pin_field(pin, format, random);
    match format {
        Format::Iso0 | Format::Iso3 => {
            xor(&mut field, &short_pan(pan)?);
            key.cipher.encrypt(key.key, &mut field).ok_or(PinFault::Key)?;
        }
        Format::Iso4 => {
            key.cipher.encrypt(key.key, &mut field).ok_or(PinFault::Key)?;
            xor(&mut field, &long_pan(pan)?);
            key.cipher.encrypt(key.key, &mut field).ok_or(PinFault::Key)?;
        }
    }
    Ok(field.to_vec())
}

fn open(block: &[u8], (key, format): (PinKey<'_>, Format), pan: &[u8]) -> Result<Pin, PinFault> {
    format.check(&key)?;
    if block.len() != format.bytes() {
        return Err(PinFault::Length);
    }
    let mut field = Zeroizing::new(block.to_vec());
    key.cipher.decrypt(key.key, &mut field).ok_or(PinFault::Key)?;
    match format {
        Format::Iso0 | Format::Iso3 => xor(&mut field, &short_pan(pan)?),
        Format::Iso4 => {
            xor(&mut field, &long_pan(pan)?);
            key.cipher.decrypt(key.key, &mut field).ok_or(PinFault::Key)?;
        }
    }
    read_field(&field, format).ok_or(PinFault::Block)
}

/// Control, length, digits, fill; of format 4 eight random bytes more.
fn pin_field(pin: &Pin, format: Format, random: &Random) -> Zeroizing<Vec<u8>> {
    let mut nibbles = Zeroizing::new(vec![format.control(), pin.0.len() as u8]);
    nibbles.extend_from_slice(&pin.0);
    for at in nibbles.len()..16 {
        nibbles.push(match format {
            Format::Iso0 => 0xF,
            // A to F, each as likely as two bits more than needed make it.
            Format::Iso3 => 0xA + (random.get(at).copied().unwrap_or_default() % 6),
            Format::Iso4 => 0xA,
        });
    }
    let mut field = Zeroizing::new(pack(&nibbles));
    if format == Format::Iso4 {
        field.extend(random.iter().take(8));
    }
    field
}

fn read_field(field: &[u8], format: Format) -> Option<Pin> {
    let nibbles = Zeroizing::new(field.iter().flat_map(|byte| [byte >> 4, byte & 0xF]).take(16).collect::<Vec<u8>>());
    let (control, rest) = nibbles.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (digits, fill) = rest.split_at_checked(usize::from(*length))?;
    let filled = match format {
        Format::Iso0 => fill.iter().all(|nibble| *nibble == 0xF),
        Format::Iso3 => fill.iter().all(|nibble| *nibble >= 0xA),
        Format::Iso4 => fill.iter().all(|nibble| *nibble == 0xA),
    };
    if *control != format.control() || !filled {
        return None;
    }
    Pin::new(digits.to_vec())
}

/// Four zeros and the twelve digits left of the check digit.
fn short_pan(pan: &[u8]) -> Result<Vec<u8>, PinFault> {
    let digits = digits(pan)?;
    let body = digits.split_last().map(|(_, body)| body).unwrap_or_default();
    let twelve = body.len().checked_sub(12).and_then(|from| body.get(from..)).ok_or(PinFault::Pan)?;
    Ok(pack(&[&[0; 4], twelve].concat()))
}

/// How many digits there are beyond twelve, the digits, zeros.
fn long_pan(pan: &[u8]) -> Result<Vec<u8>, PinFault> {
    let digits = digits(pan)?;
    let beyond = digits.len().saturating_sub(12) as u8;
    let mut nibbles = vec![beyond];
    nibbles.resize(1 + 12_usize.saturating_sub(digits.len()), 0);
    nibbles.extend(digits);
    nibbles.resize(32, 0);
    Ok(pack(&nibbles))
}

fn digits(pan: &[u8]) -> Result<Vec<u8>, PinFault> {
    let fits = (12..=19).contains(&pan.len()) && pan.iter().all(u8::is_ascii_digit);
    if fits { Ok(pan.iter().map(|byte| byte - b'0').collect()) } else { Err(PinFault::Pan) }
}

fn pack(nibbles: &[u8]) -> Vec<u8> {
    nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect()
}

fn xor(to: &mut [u8], with: &[u8]) {
    to.iter_mut().zip(with).for_each(|(to, with)| *to ^= with);
}
