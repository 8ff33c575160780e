//! Field 57, integrity data: what a terminal asks beyond ISO 8583, and what it is told.

use crate::fault::FaultKind;
use crate::tlv::{self, TlvWriter, Tlvs};

/// What a field 57 holds at the most, in bytes.
pub const MAX_INTEGRITY_BYTES: usize = 512;

/// What DF1A holds at the most, in bytes.
pub const MAX_TEXT_BYTES: usize = 80;

/// Field 57 of a request.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct IntegrityRequest<'a> {
    /// DF01: hall matter or goods class; up to 16 letters and digits, never empty.
    pub service: Option<&'a [u8]>,
    /// DF02: an e-card credential scanned as a code.
    pub credential: Option<&'a [u8]>,
    /// DF03 = 01: decide, use nothing up.
    pub preview: bool,
    /// DF04: the benefit the holder chose.
    pub chosen_benefit: Option<u32>,
    /// DF05: an id the terminal stored before it sent the request.
    pub request_id: Option<[u8; 16]>,
}

impl core::fmt::Debug for IntegrityRequest<'_> {
    /// Without the credential, which is as good as a card.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IntegrityRequest")
            .field("service", &self.service)
            .field("credential", &self.credential.map(|_| "…"))
            .field("preview", &self.preview)
            .field("chosen_benefit", &self.chosen_benefit)
            .finish_non_exhaustive()
    }
}

/// Field 57 of an answer. In an offline upload's request: what the terminal gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntegrityAnswer<'a> {
    /// DF11: star level 0-5.
    pub star: Option<u8>,
    /// DF13: discount, basis points off.
    pub discount_bp: Option<u16>,
    /// DF14: original amount, fen.
    pub original_fen: Option<u64>,
    /// DF15: payable amount, fen.
    pub payable_fen: Option<u64>,
    /// DF16: discount amount, fen.
    pub off_fen: Option<u64>,
    /// DF17: 0 ordinary, 1 priority, 2 VIP.
    pub priority: Option<u8>,
    /// DF18: benefits applied, in order.
    pub benefits: Ids<'a>,
    /// DF19: rule-book version.
    pub rule_book: Option<u32>,
    /// DF1A: text for display and slip, in the terminal's encoding.
    pub text: Option<&'a [u8]>,
    /// DF1B: decision id, UUIDv7.
    pub decision_id: Option<[u8; 16]>,
    /// DF1C: working days by which handling is shorter.
    pub days: Option<u8>,
    /// DF1D: 0 live, 1 stand-in.
    pub source: Option<u8>,
    /// DF1E: fee waivers that apply.
    pub waivers: Ids<'a>,
}

/// Ids of benefits: a list to be written, or where they stand in a field that was read.
#[derive(Clone, Copy)]
pub enum Ids<'a> {
    /// To be written.
    List(&'a [u32]),
    /// All values of this tag in a field that was checked.
    Tagged {
        /// The field.
        field: &'a [u8],
        /// The tag.
        tag: u32,
    },
}

impl core::fmt::Debug for Ids<'_> {
    /// The ids alone: the field they stand in may hold a credential.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Default for Ids<'_> {
    fn default() -> Self {
        Self::List(&[])
    }
}

impl PartialEq for Ids<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Ids<'_> {}

impl<'a> Ids<'a> {
    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (list, field, tag) = match *self {
            Self::List(list) => (list, &[][..], 0),
            Self::Tagged { field, tag } => (&[][..], field, tag),
        };
        let tagged = Tlvs::new(field).flatten().filter(move |tlv| tlv.tag == tag);
        list.iter().copied().chain(tagged.filter_map(|tlv| number(tlv.value)))
    }
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// Twelve packed digits.
fn fen(value: &[u8]) -> Option<u64> {
    let bytes: &[u8; 6] = value.try_into().ok()?;
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .try_fold(0, |fen, digit| (digit <= 9).then(|| fen * 10 + u64::from(digit)))
}

fn pack_fen(fen: u64) -> Option<[u8; 6]> {
    let digit = |place: u32| (fen / 10_u64.pow(place) % 10) as u8;
    let packed = core::array::from_fn(|at| {
        let place = 10 - 2 * at as u32;
        digit(place + 1) << 4 | digit(place)
    });
    (fen < 1_000_000_000_000).then_some(packed)
}

const fn may_repeat(tag: u32) -> bool {
    // Tags nobody knows here may do as they like.
    matches!(tag, 0xDF18 | 0xDF1E) || !known(tag)
}

const fn known(tag: u32) -> bool {
    matches!(tag, 0xDF01..=0xDF05 | 0xDF11 | 0xDF13..=0xDF1E | 0xDF21..=0xDF24)
}

/// Whether a known tag's value has the length and content that wire.md gives it.
fn fits(tag: u32, value: &[u8]) -> bool {
    match tag {
        0xDF01 => value.len() <= 16 && value.iter().all(u8::is_ascii_alphanumeric),
        0xDF02 => value.len() <= 255,
        0xDF03 | 0xDF1D => matches!(value, [0 | 1]),
        0xDF11 => matches!(value, [0..=5]),
        0xDF17 => matches!(value, [0..=2]),
        0xDF1C => value.len() == 1,
        0xDF22 => matches!(value, [0..=3]),
        0xDF13 => value.len() == 2,
        0xDF04 | 0xDF18 | 0xDF19 | 0xDF1E | 0xDF24 => value.len() == 4,
        0xDF05 | 0xDF1B | 0xDF21 => value.len() == 16,
        0xDF14 | 0xDF15 | 0xDF16 | 0xDF23 => fen(value).is_some(),
        0xDF1A => value.len() <= MAX_TEXT_BYTES,
        _ => true,
    }
}

/// Checks a whole field 57, in whichever direction it goes.
pub(crate) fn check(field: &[u8]) -> Result<(), FaultKind> {
    // Primitive tags only: what is inside an unknown constructed one is nobody's business.
    let mut walk = Tlvs::new(field);
    while let Some(tlv) = walk.next() {
        let tlv = tlv?;
        if !may_repeat(tlv.tag) && walk.clone().flatten().any(|later| later.tag == tlv.tag) {
            return Err(FaultKind::TlvRepeated);
        }
        if !fits(tlv.tag, tlv.value) {
            return Err(FaultKind::TlvValue);
        }
    }
    Ok(())
}

impl<'a> IntegrityRequest<'a> {
    /// Reads a request's field 57.
    pub fn decode(field: &'a [u8]) -> Result<Self, FaultKind> {
        check(field)?;
        let mut request = Self::default();
        for tlv in Tlvs::new(field).flatten() {
            match tlv.tag {
                0xDF01 => request.service = Some(tlv.value).filter(|code| !code.is_empty()),
                0xDF02 => request.credential = Some(tlv.value),
                0xDF03 => request.preview = tlv.value == [1],
                0xDF04 => request.chosen_benefit = number(tlv.value),
                0xDF05 => request.request_id = tlv.value.try_into().ok(),
                _ => {}
            }
        }
        Ok(request)
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes it; `None` where `buffer` is too short.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut tags = TlvWriter::new(buffer);
        let mut optional = |tag, value: Option<&[u8]>| value.into_iter().for_each(|value| tags.tag(tag, value));
        optional(0xDF01, self.service);
        optional(0xDF02, self.credential);
        optional(0xDF03, self.preview.then_some(&[1]));
        optional(0xDF04, self.chosen_benefit.map(u32::to_be_bytes).as_ref().map(|id| &id[..]));
        optional(0xDF05, self.request_id.as_ref().map(|id| &id[..]));
        tags.finish()
    }
}

impl<'a> IntegrityAnswer<'a> {
    /// Reads an answer's field 57.
    pub fn decode(field: &'a [u8]) -> Result<Self, FaultKind> {
        check(field)?;
        let mut answer = Self {
            benefits: Ids::Tagged { field, tag: 0xDF18 },
            waivers: Ids::Tagged { field, tag: 0xDF1E },
            ..Self::default()
        };
        for tlv in Tlvs::new(field).flatten() {
            let byte = tlv.value.first().copied();
            match tlv.tag {
                0xDF11 => answer.star = byte,
                0xDF13 => answer.discount_bp = tlv.value.try_into().ok().map(u16::from_be_bytes),
                0xDF14 => answer.original_fen = fen(tlv.value),
                0xDF15 => answer.payable_fen = fen(tlv.value),
                0xDF16 => answer.off_fen = fen(tlv.value),
                0xDF17 => answer.priority = byte,
                0xDF19 => answer.rule_book = number(tlv.value),
                0xDF1A => answer.text = Some(tlv.value),
                0xDF1B => answer.decision_id = tlv.value.try_into().ok(),
                0xDF1C => answer.days = byte,
                0xDF1D => answer.source = byte,
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Writes it, in the order of its tags; `None` where it doesn't fit.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let money = |fen: Option<u64>| fen.map_or(Some(None), |fen| pack_fen(fen).map(Some));
        let (original, payable, off) = (money(self.original_fen)?, money(self.payable_fen)?, money(self.off_fen)?);
        let mut tags = TlvWriter::new(buffer);
        let mut optional = |tag, value: Option<&[u8]>| value.into_iter().for_each(|value| tags.tag(tag, value));
        optional(0xDF11, self.star.as_ref().map(core::slice::from_ref));
        optional(0xDF13, self.discount_bp.map(u16::to_be_bytes).as_ref().map(|bp| &bp[..]));
        optional(0xDF14, original.as_ref().map(|fen| &fen[..]));
        optional(0xDF15, payable.as_ref().map(|fen| &fen[..]));
        optional(0xDF16, off.as_ref().map(|fen| &fen[..]));
        optional(0xDF17, self.priority.as_ref().map(core::slice::from_ref));
        self.benefits.iter().for_each(|id| optional(0xDF18, Some(&id.to_be_bytes())));
        optional(0xDF19, self.rule_book.map(u32::to_be_bytes).as_ref().map(|version| &version[..]));
        optional(0xDF1A, self.text);
        optional(0xDF1B, self.decision_id.as_ref().map(|id| &id[..]));
        optional(0xDF1C, self.days.as_ref().map(core::slice::from_ref));
        optional(0xDF1D, self.source.as_ref().map(core::slice::from_ref));
        self.waivers.iter().for_each(|id| optional(0xDF1E, Some(&id.to_be_bytes())));
        tags.finish()
    }
}

/// Checks a field 55.
pub(crate) fn check_emv(field: &[u8]) -> Result<(), FaultKind> {
    tlv::check(field, tlv::emv_may_repeat)
}
