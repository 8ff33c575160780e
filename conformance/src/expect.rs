//! What an answer must be, and where it is not.
//!
//! What wire.md asks of every answer is checked of every answer: a case says only what is its own.

use std::collections::BTreeMap;

use xingka_wire::mti::{Command, Head};

use crate::explain;
use crate::message::{Message, Seen, shown};
use crate::report::Finding;
use crate::station::Station;

/// What one answer must be.
#[derive(Debug, Clone)]
pub struct Want {
    codes: Vec<&'static str>,
    fields: BTreeMap<u8, Value>,
    tags: BTreeMap<u16, Value>,
    sealed: Sealed,
    command: Option<Command>,
}

/// What a field or tag must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Just this.
    Is(Vec<u8>),
    /// Anything.
    There,
    /// Not there at all.
    Absent,
}

/// Whether an answer must have a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealed {
    Session,
    Unsealed,
}

/// Fields that an answer repeats where the request has them.
const REPEATED: [u8; 7] = [3, 11, 25, 41, 42, 49, 60];

/// Fields that an answer adds.
const ADDED: [u8; 4] = [12, 13, 37, 39];

/// Fields that no answer has.
const NEVER: [u8; 4] = [2, 35, 36, 52];

/// Tags of every answer with field 57.
const ALWAYS: [u16; 4] = [0xDF19, 0xDF1A, 0xDF1B, 0xDF1D];

/// Tags that only approved answers have.
const WHEN_APPROVED: [u16; 9] = [0xDF11, 0xDF13, 0xDF14, 0xDF15, 0xDF16, 0xDF17, 0xDF18, 0xDF1C, 0xDF1E];

impl Want {
    /// An answer with this code, sealed, without field 57.
    pub fn code(code: &'static str) -> Self {
        Self::one_of(&[code])
    }

    /// One of these codes.
    pub fn one_of(codes: &[&'static str]) -> Self {
        Self {
            codes: codes.to_vec(),
            fields: BTreeMap::from([(57, Value::Absent)]),
            tags: BTreeMap::new(),
            sealed: Sealed::Session,
            command: None,
        }
    }

    /// With field 57 and the tags that it always has.
    pub(crate) fn told(mut self) -> Self {
        self.fields.remove(&57);
        self.tags.extend(ALWAYS.map(|tag| (tag, Value::There)));
        if self.codes.iter().all(|code| !approves(code)) {
            self.tags.extend(WHEN_APPROVED.map(|tag| (tag, Value::Absent)));
        }
        self
    }

    /// Without a MAC.
    pub(crate) fn unsealed(mut self) -> Self {
        self.sealed = Sealed::Unsealed;
        self
    }

    pub(crate) fn field(mut self, field: u8, value: impl AsRef<[u8]>) -> Self {
        self.fields.insert(field, Value::Is(value.as_ref().to_vec()));
        self
    }

    pub(crate) fn has(mut self, field: u8) -> Self {
        self.fields.insert(field, Value::There);
        self
    }

    pub(crate) fn tag(mut self, tag: u16, value: impl AsRef<[u8]>) -> Self {
        self.tags.insert(tag, Value::Is(value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without_tag(mut self, tag: u16) -> Self {
        self.tags.insert(tag, Value::Absent);
        self
    }

    /// With this in its header's processing digit.
    pub(crate) fn commanding(mut self, command: Command) -> Self {
        self.command = Some(command);
        self
    }

    /// Everything that is not as it must be.
    pub(crate) fn compare(&self, request: &Message, seen: &Seen, station: &Station) -> Vec<Finding> {
        let mut check = Check { request, seen, station, findings: Vec::new() };
        check.head(self.command);
        check.kind();
        check.code(&self.codes);
        check.repeated(&self.fields);
        check.added();
        self.fields.iter().for_each(|(field, value)| check.field(*field, value));
        self.tags.iter().for_each(|(tag, value)| check.tag(*tag, value));
        check.arithmetic();
        check.seal(self.sealed == Sealed::Session);
        check.findings
    }
}

pub(crate) fn approves(code: &str) -> bool {
    matches!(code, "00" | "11")
}

/// One comparison under way.
struct Check<'c> {
    request: &'c Message,
    seen: &'c Seen,
    station: &'c Station,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn find(&mut self, place: impl Into<String>, expected: String, seen: String, explanation: Option<String>) {
        self.findings.push(Finding { place: place.into(), expected, seen, explanation });
    }

    fn head(&mut self, command: Option<Command>) {
        if !self.station.dialect().framing.tpdu {
            return;
        }
        let Head { tpdu, header } = self.seen.head;
        let expected = self.request.head.answer(Command::None);
        if tpdu != expected.tpdu {
            let why = (tpdu == self.request.head.tpdu)
                .then(|| "it is the request's: destination and source must be swapped".into());
            self.find("TPDU", hex::encode_upper(expected.tpdu), hex::encode_upper(tpdu), why);
        }
        let without_command = |mut header: [u8; 6]| {
            header[2] &= 0xF0;
            header
        };
        if without_command(header) != without_command(expected.header) {
            let why = "the request's header comes back, but for its processing digit".to_owned();
            self.find("header", hex::encode_upper(expected.header), hex::encode_upper(header), Some(why));
        }
        if let Some(command) = command.filter(|command| self.seen.head.command() != Some(*command)) {
            let digit = format!("{:X}", header[2] & 0x0F);
            self.find("processing digit", format!("{command:?}"), digit, None);
        }
    }

    fn kind(&mut self) {
        let expected = self.request.mti + 10;
        if self.seen.mti != expected {
            self.find("MTI", format!("{expected:04}"), format!("{:04}", self.seen.mti), None);
        }
    }

    fn code(&mut self, codes: &[&str]) {
        let seen = self.seen.text(39);
        if !codes.contains(&seen.as_str()) {
            let why = explain::code(codes, &seen, self.request, self.station);
            self.find("F39", codes.join(" or "), seen, why);
        }
    }

    /// What the request had comes back, unless the case says what else.
    fn repeated(&mut self, own: &BTreeMap<u8, Value>) {
        let fields = REPEATED.iter().chain(&[4]).filter(|field| !own.contains_key(field));
        for field in fields.copied().collect::<Vec<_>>() {
            match self.request.fields.get(&field).cloned() {
                Some(value) => self.field(field, &Value::Is(value)),
                None => self.field(field, &Value::Absent),
            }
        }
    }

    fn added(&mut self) {
        ADDED.iter().for_each(|field| self.field(*field, &Value::There));
        NEVER.iter().for_each(|field| self.field(*field, &Value::Absent));
        let code = self.seen.text(39);
        self.field(38, if approves(&code) { &Value::There } else { &Value::Absent });
    }

    fn field(&mut self, field: u8, value: &Value) {
        let seen = self.seen.fields.get(&field);
        let right = match value {
            Value::Is(expected) => seen == Some(expected),
            Value::There => seen.is_some(),
            Value::Absent => seen.is_none(),
        };
        if right {
            return;
        }
        let why = explain::field(field, value, seen.map(Vec::as_slice), self.request, self.station);
        // A card number that shouldn't be here needn't be repeated here.
        let hidden = NEVER.contains(&field).then(|| "there".to_owned());
        let seen = hidden.unwrap_or_else(|| seen.map_or("nothing".into(), |seen| shown(seen)));
        self.find(format!("F{field}"), expected(value), seen, why);
    }

    fn tag(&mut self, tag: u16, value: &Value) {
        let seen = self.seen.tags.get(&u32::from(tag)).map(|values| values.concat());
        let right = match value {
            Value::Is(expected) => seen.as_ref() == Some(expected),
            Value::There => seen.is_some(),
            Value::Absent => seen.is_none(),
        };
        if !right {
            let why = explain::tag(tag, value, seen.as_deref(), self.request);
            let shown_tag = |value: &[u8]| hex::encode_upper(value);
            let expected = match value {
                Value::Is(value) => shown_tag(value),
                other => expected(other),
            };
            self.find(
                format!("DF{:02X}", tag & 0xFF),
                expected,
                seen.map_or("nothing".into(), |it| shown_tag(&it)),
                why,
            );
        }
    }

    /// What the tags say of money must agree with each other and with field 4.
    fn arithmetic(&mut self) {
        let fen = |tag: u32| self.seen.tag(tag).and_then(|value| hex::encode(value).parse::<u64>().ok());
        let (Some(original), Some(payable), Some(off)) = (fen(0xDF14), fen(0xDF15), fen(0xDF16)) else { return };
        if original.checked_sub(off) != Some(payable) {
            let why = format!("{original} less {off} is {}", original.saturating_sub(off));
            self.find("DF15", "DF14 less DF16".into(), payable.to_string(), Some(why));
        }
        let rate = (2 * off * 10_000 + original).checked_div(2 * original);
        let told = self.seen.tag(0xDF13).and_then(|value| Some(u64::from(u16::from_be_bytes(value.try_into().ok()?))));
        if told != rate {
            let down = off.checked_mul(10_000).and_then(|it| it.checked_div(original));
            let why = (told == down).then(|| "it is rounded down; half is rounded up".to_owned());
            let shown = |rate: Option<u64>| rate.map_or("nothing".into(), |rate| rate.to_string());
            self.find("DF13", shown(rate), shown(told), why);
        }
        let purchase = self.request.mti != 400 && self.request.text(3) == "000000";
        let preview =
            self.request.fields.get(&57).is_some_and(|field| field.windows(4).any(|it| it == [0xDF, 3, 1, 1]));
        let charged = self.seen.number(4);
        if purchase && charged != Some(payable) {
            let why = if preview {
                "a preview of a purchase answers as that purchase would"
            } else {
                "what is charged is what is payable"
            };
            self.find(
                "F4",
                payable.to_string(),
                charged.map_or("nothing".into(), |it| it.to_string()),
                Some(why.into()),
            );
        }
    }

    fn seal(&mut self, sealed: bool) {
        match (sealed, self.seen.mac) {
            (false, None) => {}
            (false, Some(mac)) => self.find("MAC", "nothing".into(), hex::encode_upper(mac), None),
            (true, None) => self.find("MAC", "a MAC".into(), "nothing".into(), None),
            (true, Some(mac)) => {
                let right = self.station.keys().first().map(|keys| keys.mac.mac(&self.seen.mab));
                if right != Some(mac) {
                    let why = explain::mac(&mac, self.seen, self.station);
                    let expected = right.map_or("no session".into(), hex::encode_upper);
                    self.find("MAC", expected, hex::encode_upper(mac), why);
                }
            }
        }
    }
}

fn expected(value: &Value) -> String {
    match value {
        Value::Is(value) => shown(value),
        Value::There => "anything".into(),
        Value::Absent => "nothing".into(),
    }
}
