//! A terminal's parameters: what the switch tells it in field 62 of an echo's answer.
//!
//! The wire's published part says that field 62 carries "keys, parameters" and that an answer's
//! header may tell a terminal to fetch parameters; how, it leaves open. Here: an echo with `DF41`
//! in field 62 asks, its answer's field 62 gives. The tags are private-class BER-TLV like field
//! 57's, so that a terminal has one reader for both, and one that knows nothing of this is never
//! sent any. 08xx carries no MAC, so the parameters bring their own seal, `DF4F`, under the session's
//! MAC key; see docs/terminal-parameters.md.
//!
//! Refused: a message type of its own (terminals in the field know none), parameters behind the
//! keys in a sign-in's answer (their length is fixed by the network code).

use crate::mac::MacKey;
use crate::tlv::{TlvWriter, Tlvs, check};

/// The most bytes that parameters take, with their seal.
pub const MAX_PARAMETER_BYTES: usize = 96;

const VERSION: u32 = 0xDF41;
const HEARTBEAT: u32 = 0xDF42;
const DEADLINE: u32 = 0xDF43;
const OFFLINE_FEN: u32 = 0xDF44;
const OFFLINE_COUNT: u32 = 0xDF45;
const SESSION_HOURS: u32 = 0xDF46;
const SOFTWARE: u32 = 0xDF47;
const SEAL: u32 = 0xDF4F;

/// A terminal's software, as its header has it: version n2, sub-version n6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Software {
    /// Two digits, packed.
    pub version: u8,
    /// Six digits, packed.
    pub sub_version: [u8; 3],
}

/// What a terminal is told to be like. What is `None` it decides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters {
    /// DF42: an echo after so many seconds of silence.
    pub heartbeat_s: Option<u16>,
    /// DF43: how long to wait for an answer before reversing, in milliseconds.
    pub deadline_ms: Option<u32>,
    /// DF44: the most that may be decided offline in one purchase, fen; 0 is nothing.
    pub offline_max_fen: Option<u32>,
    /// DF45: purchases that may be decided offline before they are uploaded.
    pub offline_max_count: Option<u16>,
    /// DF46: how long session keys are used, in hours.
    pub session_hours: Option<u16>,
    /// DF47: the software to run.
    pub software: Option<Software>,
}

/// Parameters as a terminal reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// DF41: names these parameters; ask with it next time.
    pub version: u32,
    /// They.
    pub parameters: Parameters,
    /// Whether their seal is right: `None` where there is none.
    pub sealed: Option<bool>,
}

impl Parameters {
    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Field 62 of the answer to an echo with this STAN.
    pub fn encode<'b>(
        &self,
        version: u32,
        origin: (&[u8; 8], u32),
        key: Option<&MacKey>,
        buffer: &'b mut [u8; MAX_PARAMETER_BYTES],
    ) -> &'b [u8] {
        let mut plain = [0; MAX_PARAMETER_BYTES];
        let plain = self.tags(version, &mut plain);
        let seal = key.map(|key| seal(key, origin, plain));
        let length = plain.len();
        buffer.iter_mut().zip(plain).for_each(|(to, from)| *to = *from);
        let (_, rest) = buffer.split_at_mut(length);
        let mut tags = TlvWriter::new(rest);
        seal.iter().for_each(|seal| tags.tag(SEAL, seal));
        let sealed = tags.finish().map_or(0, <[u8]>::len);
        buffer.get(..length + sealed).unwrap_or_default()
    }

    fn tags<'b>(&self, version: u32, buffer: &'b mut [u8]) -> &'b [u8] {
        let mut tags = TlvWriter::new(buffer);
        tags.tag(VERSION, &version.to_be_bytes());
        let mut optional = |tag, value: Option<&[u8]>| value.into_iter().for_each(|value| tags.tag(tag, value));
        optional(HEARTBEAT, self.heartbeat_s.map(u16::to_be_bytes).as_ref().map(|it| &it[..]));
        optional(DEADLINE, self.deadline_ms.map(u32::to_be_bytes).as_ref().map(|it| &it[..]));
        optional(OFFLINE_FEN, self.offline_max_fen.map(u32::to_be_bytes).as_ref().map(|it| &it[..]));
        optional(OFFLINE_COUNT, self.offline_max_count.map(u16::to_be_bytes).as_ref().map(|it| &it[..]));
        optional(SESSION_HOURS, self.session_hours.map(u16::to_be_bytes).as_ref().map(|it| &it[..]));
        let software = self.software.map(|Software { version, sub_version: [a, b, c] }| [version, a, b, c]);
        optional(SOFTWARE, software.as_ref().map(|it| &it[..]));
        // The buffer holds them all: 7 + 5 + 7 + 7 + 5 + 5 + 7 bytes.
        tags.finish().unwrap_or_default()
    }
}

impl Told {
    /// Reads field 62 of the answer to an echo with this STAN; `None` where it holds no parameters.
    pub fn decode(field: &[u8], origin: (&[u8; 8], u32), key: Option<&MacKey>) -> Option<Self> {
        let version = asked_for(field)?;
        let mut told = Self { version, parameters: Parameters::default(), sealed: None };
        let mut before = 0;
        for tlv in Tlvs::new(field).flatten() {
            let parameters = &mut told.parameters;
            match tlv.tag {
                HEARTBEAT => parameters.heartbeat_s = tlv.value.try_into().ok().map(u16::from_be_bytes),
                DEADLINE => parameters.deadline_ms = number(tlv.value),
                OFFLINE_FEN => parameters.offline_max_fen = number(tlv.value),
                OFFLINE_COUNT => parameters.offline_max_count = tlv.value.try_into().ok().map(u16::from_be_bytes),
                SESSION_HOURS => parameters.session_hours = tlv.value.try_into().ok().map(u16::from_be_bytes),
                SOFTWARE => parameters.software = software(tlv.value),
                SEAL => {
                    let plain = field.get(..before).unwrap_or_default();
                    let is = key.map(|key| subtle::ConstantTimeEq::ct_eq(&seal(key, origin, plain)[..], tlv.value));
                    told.sealed = Some(is.is_some_and(bool::from));
                }
                _ => {}
            }
            // Tags here have two bytes and values less than 128: 3 + value.
            before += 3 + tlv.value.len();
        }
        Some(told)
    }
}

/// The version that a field 62 speaks of: of a request the one the terminal holds, 0 for none.
pub(crate) fn asked_for(field: &[u8]) -> Option<u32> {
    check(field, |_| false).ok()?;
    let mut tlvs = Tlvs::new(field).flatten();
    number(tlvs.find(|tlv| tlv.tag == VERSION)?.value)
}

/// Field 62 of an echo that asks for parameters.
pub(crate) fn ask(holds: u32) -> [u8; 7] {
    let [a, b, c, d] = holds.to_be_bytes();
    [0xDF, 0x41, 4, a, b, c, d]
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn software(value: &[u8]) -> Option<Software> {
    let [version, sub_version @ ..] = value else { return None };
    Some(Software { version: *version, sub_version: sub_version.try_into().ok()? })
}

/// The MAC of terminal, STAN (four bytes) and the tags before the seal: an answer to another
/// terminal, or to an earlier echo, doesn't pass for this one.
fn seal(key: &MacKey, (terminal, stan): (&[u8; 8], u32), plain: &[u8]) -> [u8; 8] {
    let mut sealed = [0; 12 + MAX_PARAMETER_BYTES];
    let stan = stan.to_be_bytes();
    let parts = terminal.iter().chain(&stan).chain(plain);
    sealed.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    key.mac(sealed.get(..12 + plain.len()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::MacAlgorithm;

    const ALL: Parameters = Parameters {
        heartbeat_s: Some(60),
        deadline_ms: Some(3_000),
        offline_max_fen: Some(20_000),
        offline_max_count: Some(10),
        session_hours: Some(24),
        software: Some(Software { version: 0x31, sub_version: [0x31, 0x01, 0x00] }),
    };

    #[test]
    fn what_is_told_is_read_and_only_under_its_own_seal() {
        let key = |byte| MacKey::new(MacAlgorithm::AesCmac, &[byte; 16]).unwrap();
        let origin = (b"QZ000001", 7);
        let mut buffer = [0; MAX_PARAMETER_BYTES];
        let field = ALL.encode(9, origin, Some(&key(1)), &mut buffer);
        let told = |origin, key: Option<&MacKey>| Told::decode(field, origin, key).unwrap();
        assert_eq!(told(origin, Some(&key(1))), Told { version: 9, parameters: ALL, sealed: Some(true) });
        assert_eq!(told(origin, Some(&key(2))).sealed, Some(false));
        assert_eq!(told((b"QZ000001", 8), Some(&key(1))).sealed, Some(false));
        assert_eq!(told((b"QZ000002", 7), Some(&key(1))).sealed, Some(false));
        let mut buffer = [0; MAX_PARAMETER_BYTES];
        let field = Parameters::default().encode(3, origin, None, &mut buffer);
        let nothing = Told { version: 3, parameters: Parameters::default(), sealed: None };
        assert_eq!(Told::decode(field, origin, Some(&key(1))), Some(nothing));
    }

    #[test]
    fn other_bytes_are_no_parameters() {
        for field in [&[][..], &[0xDF], &[0xDF, 0x41, 3, 0, 0, 0], &[0xDF, 0x42, 2, 0, 1], &[1, 2, 3, 4, 5, 6, 7]] {
            assert_eq!(asked_for(field), None, "{field:02x?}");
        }
        assert_eq!(asked_for(&ask(77)), Some(77));
    }
}
