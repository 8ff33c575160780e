//! Messages by their fields: written as a test wants them, right or wrong, and read back as they are.

use std::collections::BTreeMap;

use xingka_wire::dialect::{Content, Dialect};
use xingka_wire::encode::{EncodeFault, MAX_FRAME_BYTES, Seal, Writer, seal_frame};
use xingka_wire::fields::Fields;
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::mac::MacKey;
use xingka_wire::mti::{Head, Mti};
use xingka_wire::tlv::Tlvs;

/// A message, before it is written. Fields of digits hold ASCII digits, others their bytes.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its type, as four decimal digits.
    pub mti: u16,
    /// Its fields, the MAC left out.
    pub fields: BTreeMap<u8, Vec<u8>>,
    /// Bytes behind the last field, where there should be none.
    pub tail: Vec<u8>,
    /// What stands in front.
    pub head: Head,
}

impl Message {
    pub(crate) fn new(mti: u16, head: Head) -> Self {
        Self { mti, fields: BTreeMap::new(), tail: Vec::new(), head }
    }

    pub(crate) fn with(mut self, field: u8, value: impl AsRef<[u8]>) -> Self {
        self.fields.insert(field, value.as_ref().to_vec());
        self
    }

    pub(crate) fn without(mut self, field: u8) -> Self {
        self.fields.remove(&field);
        self
    }

    /// With a tag more in field 57.
    pub(crate) fn with_tag(mut self, tag: u16, value: &[u8]) -> Self {
        let field = self.fields.entry(57).or_default();
        field.extend(tag.to_be_bytes());
        field.push(value.len() as u8);
        field.extend(value);
        self
    }

    /// A field as text; empty where there is none.
    pub(crate) fn text(&self, field: u8) -> String {
        self.fields.get(&field).map(|value| shown(value)).unwrap_or_default()
    }

    /// The whole frame, sealed with a key where there is one.
    pub fn frame(&self, dialect: &'static Dialect, key: Option<&MacKey>) -> Result<Vec<u8>, EncodeFault> {
        let mut buffer = [0; MAX_FRAME_BYTES];
        let seal = if key.is_some() { Seal::Narrow } else { Seal::None };
        let mut writer = Writer::new(dialect, Mti(self.mti), seal, &mut buffer);
        for (field, value) in &self.fields {
            let row = dialect.fields.get(usize::from(*field)).copied().flatten();
            match row.map(|row| row.content) {
                Some(Content::N | Content::Z) => writer.digits(*field, value),
                _ => writer.bytes(*field, value),
            }
        }
        let mab = [writer.finish()?, &self.tail].concat();
        let mut frame = vec![0; MAX_FRAME_BYTES];
        let length = seal_frame(dialect, self.head, &mab, key.map(|key| key.mac(&mab)), &mut frame)?;
        frame.truncate(length);
        Ok(frame)
    }
}

/// A message that arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its bytes.
    pub frame: Vec<u8>,
    /// What stands in front.
    pub head: Head,
    /// Its type.
    pub mti: u16,
    /// Its fields, the MAC left out.
    pub fields: BTreeMap<u8, Vec<u8>>,
    /// Field 57's values, by tag.
    pub tags: BTreeMap<u32, Vec<Vec<u8>>>,
    /// What its MAC is over.
    pub mab: Vec<u8>,
    /// Its MAC.
    pub mac: Option<[u8; 8]>,
}

impl Seen {
    /// Reads a whole frame; what can't be read is said in words.
    pub fn read(dialect: &'static Dialect, frame: &[u8]) -> Result<Self, String> {
        let (framed, length) = match next_frame(&[dialect], frame) {
            Step::Frame(framed, length) => (framed, length),
            Step::Dropped { fault, .. } => return Err(format!("it is no frame: {fault:?}")),
            Step::NeedMore { .. } => return Err("its length says more bytes than there are".into()),
        };
        if length != frame.len() {
            return Err(format!("its length says {length} bytes, there are {}", frame.len()));
        }
        let fields = Fields::of(&framed).map_err(|fault| format!("it breaks the format: {fault}"))?;
        let values = fields.numbers().filter(|field| *field != fields.mac_field());
        let values: BTreeMap<u8, Vec<u8>> = values.map(|field| (field, value(&fields, field))).collect();
        let mut tags: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        for tlv in Tlvs::new(fields.bytes(57).unwrap_or_default()).flatten() {
            tags.entry(tlv.tag).or_default().push(tlv.value.to_vec());
        }
        Ok(Self {
            frame: frame.to_vec(),
            head: framed.head,
            mti: framed.mti.0,
            fields: values,
            tags,
            mab: fields.mab().to_vec(),
            mac: fields.mac(),
        })
    }

    /// A field of digits as a number.
    pub fn number(&self, field: u8) -> Option<u64> {
        std::str::from_utf8(self.fields.get(&field)?).ok()?.parse().ok()
    }

    /// A field as text; empty where there is none.
    pub fn text(&self, field: u8) -> String {
        self.fields.get(&field).map(|value| shown(value)).unwrap_or_default()
    }

    /// A tag's only value.
    pub(crate) fn tag(&self, tag: u32) -> Option<&[u8]> {
        match self.tags.get(&tag).map(Vec::as_slice) {
            Some([value]) => Some(value),
            _ => None,
        }
    }
}

fn value(fields: &Fields<'_>, field: u8) -> Vec<u8> {
    match fields.digits(field) {
        Some(digits) => digits.values().map(|value| if value < 10 { b'0' + value } else { b'=' }).collect(),
        None => fields.bytes(field).unwrap_or_default().to_vec(),
    }
}

/// Text where it is text, else hexadecimal.
pub(crate) fn shown(value: &[u8]) -> String {
    if value.iter().all(|byte| (0x20..0x7F).contains(byte)) {
        String::from_utf8_lossy(value).into_owned()
    } else {
        hex::encode_upper(value)
    }
}
