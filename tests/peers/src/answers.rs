//! Answers: what wire.md says an answer repeats and adds, beside what the crate writes.

use fastrand::Rng;
use xingka_wire::answer::{AnswerParts, write_answer};
use xingka_wire::code::ResponseCode;
use xingka_wire::encode::MAX_FRAME_BYTES;
use xingka_wire::fields::Fields;
use xingka_wire::integrity::{Ids, IntegrityAnswer};
use xingka_wire::mti::Mti;

use crate::random::{alphanumeric, array, bytes, digits, text, tlv};
use crate::requests::Kind;
use crate::{Said, Values};

/// What an answer adds to what it repeats.
#[derive(Debug, Clone)]
pub struct Added {
    code: &'static [u8; 2],
    time: u32,
    date: u32,
    reference: Vec<u8>,
    auth_code: Option<Vec<u8>>,
    totals: Option<Vec<u8>>,
    integrity: Option<Integrity>,
    keys: Option<Vec<u8>>,
    mac: Option<Vec<u8>>,
}

/// Field 57 of an answer.
#[derive(Debug, Clone)]
struct Integrity {
    star: u8,
    discount_bp: u16,
    off_fen: u64,
    priority: u8,
    benefits: Vec<u32>,
    rule_book: u32,
    text: Vec<u8>,
    decision_id: [u8; 16],
}

impl Integrity {
    fn random(rng: &mut Rng) -> Self {
        let (benefits, length) = (rng.usize(..5), rng.usize(1..=80));
        Self {
            star: rng.u8(..=5),
            discount_bp: rng.u16(..=10_000),
            off_fen: rng.u64(..1_000_000_000_000),
            priority: rng.u8(..=2),
            benefits: (0..benefits).map(|_| rng.u32(..)).collect(),
            rule_book: rng.u32(..),
            text: text(rng, length),
            decision_id: array(rng),
        }
    }

    fn value(&self) -> Vec<u8> {
        let packed = hex::decode(format!("{:012}", self.off_fen)).unwrap_or_default();
        let mut tags = vec![
            tlv(0xDF11, &[self.star]),
            tlv(0xDF13, &self.discount_bp.to_be_bytes()),
            tlv(0xDF16, &packed),
            tlv(0xDF17, &[self.priority]),
        ];
        tags.extend(self.benefits.iter().map(|id| tlv(0xDF18, &id.to_be_bytes())));
        tags.extend([
            tlv(0xDF19, &self.rule_book.to_be_bytes()),
            tlv(0xDF1A, &self.text),
            tlv(0xDF1B, &self.decision_id),
        ]);
        tags.concat()
    }

    fn answer(&self) -> IntegrityAnswer<'_> {
        IntegrityAnswer {
            star: Some(self.star),
            discount_bp: Some(self.discount_bp),
            off_fen: Some(self.off_fen),
            priority: Some(self.priority),
            benefits: Ids::List(&self.benefits),
            rule_book: Some(self.rule_book),
            text: Some(&self.text),
            decision_id: Some(self.decision_id),
            ..IntegrityAnswer::default()
        }
    }
}

impl Added {
    /// What is added to the answer to a request of this kind.
    pub fn random(rng: &mut Rng, kind: Kind) -> Self {
        let code = rng.choice([b"00", b"11", b"14", b"A0"]).unwrap_or(b"00");
        let approved = ResponseCode(*code).approves();
        let totals = matches!(kind, Kind::Settlement | Kind::BatchUploadEnd);
        let integrity = matches!(kind, Kind::StarInquiry | Kind::Purchase | Kind::CounterService | Kind::OfflineUpload);
        let key_bytes = rng.choice([24, 40, 60]).unwrap_or(24);
        Self {
            code,
            time: rng.u32(..1_000_000),
            date: rng.u32(..10_000),
            reference: alphanumeric(rng, 12),
            auth_code: approved.then(|| alphanumeric(rng, 6)),
            totals: totals.then(|| digits(rng, 62)),
            integrity: integrity.then(|| Integrity::random(rng)),
            keys: (kind == Kind::SignIn && approved).then(|| bytes(rng, key_bytes)),
            mac: (!kind.is_housekeeping()).then(|| bytes(rng, 8)),
        }
    }

    /// The answer by wire.md: 3, 4, 11, 25, 41, 42, 49 and 60 of the request, and the rest.
    pub fn to(&self, request: &Said) -> Said {
        let repeated = |field: &u8| matches!(field, 3 | 4 | 11 | 25 | 41 | 42 | 49 | 60);
        let kept = request.values.iter().filter(|(field, _)| repeated(field));
        let mut values: Values = kept.map(|(field, value)| (*field, value.clone())).collect();
        values.extend([
            (12, format!("{:06}", self.time).into_bytes()),
            (13, format!("{:04}", self.date).into_bytes()),
            (37, self.reference.clone()),
            (39, self.code.to_vec()),
        ]);
        let mac_field = if request.values.contains_key(&128) { 128 } else { 64 };
        let optional = [
            (38, self.auth_code.clone()),
            (48, self.totals.clone()),
            (57, self.integrity.as_ref().map(Integrity::value)),
            (62, self.keys.clone()),
            (mac_field, self.mac.clone()),
        ];
        values.extend(optional.into_iter().filter_map(|(field, value)| Some((field, value?))));
        Said { mti: request.mti + 10, values }
    }

    /// The answer by the crate, as a message from its MTI on.
    pub fn written(&self, request: &Fields<'_>, mti: Mti) -> Result<Vec<u8>, String> {
        let integrity = self.integrity.as_ref().map(Integrity::answer);
        let parts = AnswerParts {
            code: ResponseCode(*self.code),
            local_time: self.time,
            local_date: self.date,
            reference: fixed(&self.reference)?,
            auth_code: self.auth_code.as_deref().map(fixed).transpose()?,
            amount_fen: None,
            batch: None,
            totals: self.totals.as_deref(),
            integrity: integrity.as_ref(),
            keys: self.keys.as_deref(),
        };
        let mut buffer = vec![0; MAX_FRAME_BYTES];
        let mab = write_answer(mti, request, self.mac.is_some(), &parts, &mut buffer);
        let mab = mab.map_err(|fault| fault.to_string())?;
        Ok([mab, self.mac.as_deref().unwrap_or_default()].concat())
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("not {N} bytes"))
}
