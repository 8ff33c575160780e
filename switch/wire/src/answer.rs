//! Answers: what the switch writes, and how a terminal reads it.

use crate::code::ResponseCode;
use crate::encode::{EncodeFault, Seal, Writer};
use crate::fault::{Fault, FaultKind};
use crate::fields::Fields;
use crate::frame::Frame;
use crate::integrity::{IntegrityAnswer, MAX_INTEGRITY_BYTES};
use crate::messages::Totals;
use crate::mti::{Head, Mti};

/// Everything an answer adds to what it repeats.
#[derive(Debug, Clone, Copy)]
pub struct AnswerParts<'p> {
    /// Field 39.
    pub code: ResponseCode,
    /// Field 12, hhmmss.
    pub local_time: u32,
    /// Field 13, MMDD.
    pub local_date: u32,
    /// Field 37.
    pub reference: [u8; 12],
    /// Field 38, where approved.
    pub auth_code: Option<[u8; 6]>,
    /// What field 4 says instead of the request's, where the request has one; fen.
    pub amount_fen: Option<u64>,
    /// The batch that field 60 says instead of the request's.
    pub batch: Option<u32>,
    /// Field 48, ASCII digits.
    pub totals: Option<&'p [u8]>,
    /// Field 57.
    pub integrity: Option<&'p IntegrityAnswer<'p>>,
    /// Field 62: session keys, or parameters.
    pub keys: Option<&'p [u8]>,
}

/// Writes the answer to a request whose fields were read, as far as they could be: from
/// its MTI to before its MAC field.
///
/// It repeats 3, 4, 11, 25, 41, 42, 49 and 60 where the request had them, and never 2, 35,
/// 36 or 52.
pub fn write_answer<'b>(
    mti: Mti,
    request: &Fields<'_>,
    sealed: bool,
    parts: &AnswerParts<'_>,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], EncodeFault> {
    let seal = match (sealed, request.wide()) {
        (false, _) => Seal::None,
        (true, false) => Seal::Narrow,
        (true, true) => Seal::Wide,
    };
    let mut writer = Writer::new(request.dialect(), mti.answer(), seal, buffer);
    writer.copy(request, 3);
    match parts.amount_fen {
        Some(amount) if request.has(4) => writer.number(4, amount),
        _ => writer.copy(request, 4),
    }
    writer.copy(request, 11);
    writer.number(12, u64::from(parts.local_time));
    writer.number(13, u64::from(parts.local_date));
    writer.copy(request, 25);
    writer.bytes(37, &parts.reference);
    parts.auth_code.iter().for_each(|code| writer.bytes(38, code));
    writer.bytes(39, parts.code.as_bytes());
    writer.copy(request, 41);
    writer.copy(request, 42);
    parts.totals.iter().for_each(|totals| writer.digits(48, totals));
    writer.copy(request, 49);
    write_integrity(parts.integrity, &mut writer);
    write_private(request, parts.batch, &mut writer);
    parts.keys.iter().for_each(|keys| writer.bytes(62, keys));
    writer.finish()
}

fn write_integrity(integrity: Option<&IntegrityAnswer<'_>>, writer: &mut Writer<'_>) {
    let Some(integrity) = integrity else { return };
    let mut buffer = [0; MAX_INTEGRITY_BYTES];
    // What is too long for its buffer is too long for the field, which says so.
    writer.bytes(57, integrity.encode(&mut buffer).unwrap_or(&[0; MAX_INTEGRITY_BYTES + 1]));
}

/// Field 60 as the request had it, with another batch where one is given.
fn write_private(request: &Fields<'_>, batch: Option<u32>, writer: &mut Writer<'_>) {
    if batch.is_some_and(|batch| batch > 999_999) {
        return writer.refuse(60);
    }
    let Some((batch, digits)) = batch.zip(request.digits(60)).filter(|(_, digits)| digits.len() >= 8) else {
        return writer.copy(request, 60);
    };
    let mut ascii = [0; 17];
    for (place, (to, value)) in ascii.iter_mut().zip(digits.values()).enumerate() {
        let of_batch = place.checked_sub(2).filter(|place| *place < 6);
        let value = of_batch.map_or(value, |place| (batch / 10_u32.pow(5 - place as u32) % 10) as u8);
        *to = b'0' + value;
    }
    writer.digits(60, ascii.get(..digits.len()).unwrap_or_default());
}

/// An answer, as a terminal reads it.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// TPDU and header.
    pub head: Head,
    /// The message type.
    pub mti: Mti,
    /// All fields.
    pub fields: Fields<'a>,
    /// Field 39.
    pub code: ResponseCode,
    /// Field 57.
    pub integrity: IntegrityAnswer<'a>,
}

impl<'a> Answer<'a> {
    /// Reads an answer. Whether its MAC is right is asked of [`Fields::mab`] and
    /// [`Fields::mac`] with the session's key.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, Fault> {
        let Frame { head, mti, .. } = *frame;
        let fields = Fields::of(frame)?;
        let code = fields.bytes(39).ok_or(Fault::missing(39))?;
        let code = ResponseCode(code.try_into().map_err(|_| Fault::new(39, FaultKind::Value))?);
        let field_57 = fields.bytes(57).unwrap_or_default();
        let integrity = IntegrityAnswer::decode(field_57).map_err(|kind| Fault::new(57, kind))?;
        Ok(Self { head, mti, fields, code, integrity })
    }

    /// Field 48, of domestic cards and of foreign ones.
    pub fn totals(&self) -> Option<(Totals, Totals)> {
        Totals::decode(&self.fields).ok()
    }

    /// The open batch that a sign-in's answer tells.
    pub fn batch(&self) -> Option<u32> {
        let batch = self.fields.digits(60)?.number_at(2, 6)?;
        u32::try_from(batch).ok()
    }
}
