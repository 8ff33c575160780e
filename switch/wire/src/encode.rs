//! Writing messages, in any dialect, into the caller's buffer.
//!
//! A [`Writer`] takes fields in ascending order and keeps the first fault for
//! [`Writer::finish`], so that a message's code reads as a list of its fields.

use core::fmt;

use crate::classes;
use crate::dialect::{BitmapForm, Content, Dialect, Digits, Field, Length, Side};
use crate::digits::{self, DigitString};
use crate::fields::Fields;
use crate::frame::encode_length;
use crate::mti::{HEAD_BYTES, Head, Mti};

/// The longest frame of any dialect, with its length prefix, in bytes.
pub const MAX_FRAME_BYTES: usize = 4_096 + 4;

/// A length prefix has no more digits.
const MAX_PREFIX_DIGITS: usize = 4;

/// A field that is a number has no more digits.
const MAX_FIXED_DIGITS: usize = 20;

/// A length prefix of three digits says no more.
const MAX_VARIABLE_DIGITS: usize = 999;

/// Whether a message ends in a MAC, and in which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// No MAC.
    None,
    /// In field 64.
    Narrow,
    /// In field 128, behind a bitmap of 128 bits.
    Wide,
}

/// Why a message can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeFault {
    /// The buffer is too short, or the frame longer than the dialect allows.
    Overflow,
    /// The dialect has no such field, or it came out of order.
    Field(u8),
    /// The field can't hold what it was given.
    Content(u8),
}

impl fmt::Display for EncodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow => f.write_str("the message is longer than its buffer or its dialect allows"),
            Self::Field(field) => {
                write!(f, "field {field} is unknown to the dialect or out of order")
            }
            Self::Content(field) => write!(f, "field {field} cannot hold what it was given"),
        }
    }
}

impl core::error::Error for EncodeFault {}

/// Writes one message.
pub struct Writer<'b> {
    dialect: &'static Dialect,
    buffer: &'b mut [u8],
    at: usize,
    bitmap_at: usize,
    present: u128,
    last: u8,
    seal: Seal,
    fault: Option<EncodeFault>,
}

impl<'b> Writer<'b> {
    /// Begins a message.
    pub fn new(dialect: &'static Dialect, mti: Mti, seal: Seal, buffer: &'b mut [u8]) -> Self {
        let mut writer = Self { dialect, buffer, at: 0, bitmap_at: 0, present: 0, last: 1, seal, fault: None };
        let mti_bytes = Mti::bytes(dialect);
        writer.put(mti_bytes, |to| mti.encode(dialect, to));
        writer.bitmap_at = writer.at;
        writer.put(bitmap_bytes(dialect.bitmap, seal == Seal::Wide), |_| Some(()));
        writer
    }

    /// Lets the message fail for what a field was to hold.
    pub(crate) fn refuse(&mut self, field: u8) {
        self.fail(EncodeFault::Content(field));
    }

    fn fail(&mut self, fault: EncodeFault) {
        self.fault.get_or_insert(fault);
    }

    /// Lets `fill` write the next `count` bytes.
    fn put(&mut self, count: usize, fill: impl FnOnce(&mut [u8]) -> Option<()>) {
        let place = self.buffer.get_mut(self.at..self.at + count);
        match place.and_then(fill) {
            Some(()) => self.at += count,
            None => self.fail(EncodeFault::Overflow),
        }
    }

    fn row(&mut self, field: u8) -> Option<Field> {
        let row = self.dialect.fields.get(usize::from(field)).copied().flatten();
        // The MAC's field is the sealing's, and 64 is nobody's where the MAC has moved to 128.
        let reserved = match self.seal {
            Seal::None => field > 64,
            Seal::Narrow => field >= 64,
            Seal::Wide => field == 64 || field == 128,
        };
        if row.is_none() || field <= self.last || reserved {
            self.fail(EncodeFault::Field(field));
            return None;
        }
        self.last = field;
        self.present |= 1 << (128 - field);
        row
    }

    fn prefix(&mut self, field: u8, row: Field, units: usize) {
        let most = match row.length {
            Length::Fixed(exactly) if units != usize::from(exactly) => {
                return self.fail(EncodeFault::Content(field));
            }
            Length::Fixed(exactly) => exactly,
            Length::Ll(most) | Length::Lll(most) => most,
        };
        if units > usize::from(most) {
            return self.fail(EncodeFault::Content(field));
        }
        let form = self.dialect.digits;
        let digits = match row.length {
            Length::Fixed(_) => return,
            Length::Ll(_) => 2,
            // Packed, it begins with a 0.
            Length::Lll(_) if form == Digits::Bcd => 4,
            Length::Lll(_) => 3,
        };
        self.put(digits::bytes_of(form, digits), |to| {
            let mut ascii = [0; MAX_PREFIX_DIGITS];
            let ascii = ascii.get_mut(..digits)?;
            digits::write_number(units as u64, ascii).then(|| digits::write(ascii, form, Side::Left, to))
        });
    }

    /// A field of checked ASCII digits.
    fn ascii_digits(&mut self, field: u8, row: Field, ascii: &[u8]) {
        self.prefix(field, row, ascii.len());
        let form = self.dialect.digits;
        self.put(digits::bytes_of(form, ascii.len()), |to| {
            digits::write(ascii, form, row.side, to);
            Some(())
        });
    }

    /// A field of a fixed number of digits, from a number.
    pub fn number(&mut self, field: u8, number: u64) {
        let Some(row) = self.row(field) else { return };
        let (Content::N, Length::Fixed(count)) = (row.content, row.length) else {
            return self.fail(EncodeFault::Field(field));
        };
        let mut ascii = [0; MAX_FIXED_DIGITS];
        let written = ascii.get_mut(..usize::from(count)).and_then(|to| digits::write_number(number, to).then_some(to));
        match written {
            Some(ascii) => self.ascii_digits(field, row, ascii),
            None => self.fail(EncodeFault::Content(field)),
        }
    }

    /// A field of digits, from ASCII; a track's separator is `=` or `D`.
    pub fn digits(&mut self, field: u8, ascii: &[u8]) {
        let Some(row) = self.row(field) else { return };
        let fits = match row.content {
            Content::N => classes::digits(ascii, b'0'),
            Content::Z => ascii.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'=' | b'D')),
            _ => false,
        };
        if fits { self.ascii_digits(field, row, ascii) } else { self.fail(EncodeFault::Content(field)) }
    }

    /// A field of digits, from another message's.
    pub fn digit_string(&mut self, field: u8, digits: DigitString<'_>) {
        let mut ascii = [0; MAX_VARIABLE_DIGITS];
        let written = ascii.get_mut(..digits.len()).and_then(|to| digits.write_ascii(to).map(|()| to));
        match written {
            Some(ascii) => self.digits(field, ascii),
            None => self.fail(EncodeFault::Content(field)),
        }
    }

    /// A field of characters or bytes.
    pub fn bytes(&mut self, field: u8, bytes: &[u8]) {
        let Some(row) = self.row(field) else { return };
        let fits = match row.content {
            Content::N | Content::Z => false,
            Content::An => classes::alphanumeric(bytes),
            Content::Ans => classes::text(bytes),
            Content::B => true,
        };
        if !fits {
            return self.fail(EncodeFault::Content(field));
        }
        self.prefix(field, row, bytes.len());
        self.put(bytes.len(), |to| {
            to.copy_from_slice(bytes);
            Some(())
        });
    }

    /// A field as it stands in another message of the same dialect; nothing where that
    /// message doesn't have it.
    pub fn copy(&mut self, from: &Fields<'_>, field: u8) {
        let Some(raw) = from.raw(field) else { return };
        if self.row(field).is_some() {
            self.put(raw.len(), |to| {
                to.copy_from_slice(raw);
                Some(())
            });
        }
    }

    /// The message from its MTI up to, not including, its MAC field: what a MAC is over.
    pub fn finish(mut self) -> Result<&'b [u8], EncodeFault> {
        match self.seal {
            Seal::None => {}
            Seal::Narrow => self.present |= 1 << (128 - 64),
            Seal::Wide => self.present |= 1 << 127 | 1,
        }
        let (at, present, form) = (self.bitmap_at, self.present, self.dialect.bitmap);
        if let Some(to) = self.buffer.get_mut(at..at + bitmap_bytes(form, self.seal == Seal::Wide)) {
            write_bitmap(form, present, to);
        }
        match self.fault {
            Some(fault) => Err(fault),
            None => self.buffer.get(..self.at).ok_or(EncodeFault::Overflow),
        }
    }
}

const fn bitmap_bytes(form: BitmapForm, wide: bool) -> usize {
    let bytes = if wide { 16 } else { 8 };
    match form {
        BitmapForm::Binary => bytes,
        BitmapForm::HexAscii => 2 * bytes,
    }
}

fn write_bitmap(form: BitmapForm, present: u128, to: &mut [u8]) {
    let bytes = present.to_be_bytes();
    match form {
        BitmapForm::Binary => to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte),
        BitmapForm::HexAscii => {
            let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
            let digit = |nibble: u8| {
                if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
            };
            to.iter_mut().zip(nibbles).for_each(|(to, nibble)| *to = digit(nibble));
        }
    }
}

/// Puts a frame around a message that [`Writer::finish`] made, and appends its MAC where
/// it has one. Returns the frame's length in bytes.
pub fn seal_frame(
    dialect: &Dialect,
    head: Head,
    mab: &[u8],
    mac: Option<[u8; 8]>,
    to: &mut [u8],
) -> Result<usize, EncodeFault> {
    let prefix = dialect.framing.length;
    let head_bytes = if dialect.framing.tpdu { HEAD_BYTES } else { 0 };
    let length = head_bytes + mab.len() + mac.map_or(0, |mac| mac.len());
    let whole = prefix.bytes() + length;
    if length > dialect.framing.max_length {
        return Err(EncodeFault::Overflow);
    }
    let to = to.get_mut(..whole).ok_or(EncodeFault::Overflow)?;
    let (front, rest) = to.split_at_mut(prefix.bytes());
    encode_length(prefix, length, front).ok_or(EncodeFault::Overflow)?;
    let (head_to, rest) = rest.split_at_mut(head_bytes);
    if let Some((tpdu, header)) = head_to.split_first_chunk_mut() {
        *tpdu = head.tpdu;
        header.copy_from_slice(&head.header);
    }
    let (mab_to, mac_to) = rest.split_at_mut(mab.len());
    mab_to.copy_from_slice(mab);
    if let Some(mac) = mac {
        mac_to.copy_from_slice(&mac);
    }
    Ok(whole)
}
