//! What several messages have in common.

use crate::digits::write_number;
use crate::encode::Writer;
use crate::fault::{Fault, FaultKind};
use crate::fields::Fields;
use crate::integrity::{IntegrityRequest, MAX_INTEGRITY_BYTES};
use crate::pan::{CardRef, Pan};

/// Who asks, and which of its requests this is: part of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Field 41.
    pub terminal: [u8; 8],
    /// Field 42.
    pub merchant: [u8; 15],
    /// Field 11.
    pub stan: u32,
    /// Of field 60.
    pub batch: u32,
}

/// The largest batch or STAN: six digits.
const LAST_NUMBER: u32 = 999_999;

/// First two digits of field 3, field 25, and the type in field 60.
pub(super) type Kind = (u64, u64, u64);

/// The kind of a message with a card.
pub(super) fn kind(fields: &Fields<'_>) -> Result<Kind, Fault> {
    let processing = fields.digits(3).and_then(|digits| digits.number_at(0, 2));
    let condition = fields.number(25);
    let private = fields.digits(60).ok_or(Fault::missing(60))?;
    let message_type = private.number_at(0, 2).ok_or(Fault::new(60, FaultKind::Value))?;
    Ok((processing.ok_or(Fault::missing(3))?, condition.ok_or(Fault::missing(25))?, message_type))
}

impl Origin {
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Self, Fault> {
        let private = fields.digits(60).ok_or(Fault::missing(60))?;
        let batch = private.number_at(2, 6).ok_or(Fault::new(60, FaultKind::Value))?;
        Ok(Self {
            terminal: fixed(fields, 41)?,
            merchant: fixed(fields, 42)?,
            stan: number(fields, 11)?,
            batch: batch as u32,
        })
    }

    /// Field 60: type, batch, network code, read capability 6, chip condition 0.
    pub(super) fn write_private(&self, message_type: u64, network_code: u64, writer: &mut Writer<'_>) {
        if self.batch > LAST_NUMBER {
            return writer.refuse(60);
        }
        let value = ((message_type * 1_000_000 + u64::from(self.batch)) * 1_000 + network_code) * 100 + 60;
        let mut ascii = [0; 13];
        write_number(value, &mut ascii);
        writer.digits(60, &ascii);
    }

    /// A message without a card: fields 11, 41, 42 and 60.
    pub(super) fn write_housekeeping(&self, network_code: u64, writer: &mut Writer<'_>) {
        writer.number(11, u64::from(self.stan));
        writer.bytes(41, &self.terminal);
        writer.bytes(42, &self.merchant);
        self.write_private(0, network_code, writer);
    }
}

/// A card presented at a terminal: what inquiries, purchases, counter services and all
/// that follows from them carry.
#[derive(Debug, Clone)]
pub struct Presented<'a> {
    /// Who asks.
    pub origin: Origin,
    /// Field 2, else track 2 up to its separator, else DF02.
    pub card: CardRef<'a>,
    /// Field 4, fen.
    pub amount_fen: Option<u64>,
    /// Field 22.
    pub entry_mode: u16,
    /// Field 49.
    pub currency: [u8; 3],
    /// Field 57.
    pub integrity: IntegrityRequest<'a>,
}

impl<'a> Presented<'a> {
    pub(super) fn decode(fields: &Fields<'a>) -> Result<Self, Fault> {
        let origin = Origin::decode(fields)?;
        let field_57 = fields.bytes(57).unwrap_or_default();
        let integrity = IntegrityRequest::decode(field_57).map_err(|kind| Fault::new(57, kind))?;
        Ok(Self {
            origin,
            card: card(fields, &integrity)?,
            amount_fen: fields.number(4),
            entry_mode: number(fields, 22)? as u16,
            currency: fixed(fields, 49)?,
            integrity,
        })
    }

    /// Writes the fields of a message of this kind, in order.
    pub(super) fn write(&self, kind: Kind, extra: &Extra<'_>, writer: &mut Writer<'_>) {
        let (processing, condition, message_type) = kind;
        if let CardRef::Pan(pan) = &self.card {
            writer.digits(2, pan.as_ascii());
        }
        writer.number(3, processing * 10_000);
        if let Some(amount) = self.amount_fen {
            writer.number(4, amount);
        }
        writer.number(11, u64::from(self.origin.stan));
        if let Some((time, date)) = extra.local_time {
            writer.number(12, u64::from(time));
            writer.number(13, u64::from(date));
        }
        writer.number(22, u64::from(self.entry_mode));
        writer.number(25, condition);
        if let Some(reason) = extra.reason {
            writer.bytes(39, &reason);
        }
        writer.bytes(41, &self.origin.terminal);
        writer.bytes(42, &self.origin.merchant);
        writer.bytes(49, &self.currency);
        self.write_integrity(extra, writer);
        self.origin.write_private(message_type, 0, writer);
        if let Some(original) = extra.original {
            original.write(writer);
        }
    }

    fn write_integrity(&self, extra: &Extra<'_>, writer: &mut Writer<'_>) {
        let mut buffer = [0; MAX_INTEGRITY_BYTES];
        let asked = match &self.card {
            CardRef::Credential(credential) => IntegrityRequest { credential: Some(credential), ..self.integrity },
            CardRef::Pan(_) => self.integrity,
        };
        // What doesn't fit in its own buffer doesn't fit in the field either.
        let asked = asked.encode(&mut buffer).map_or(usize::MAX, <[u8]>::len);
        let given = extra.given.len();
        let Some(whole) = asked.checked_add(given).and_then(|whole| buffer.get_mut(..whole)) else {
            return writer.bytes(57, &[0; MAX_INTEGRITY_BYTES + 1]);
        };
        whole.iter_mut().skip(asked).zip(extra.given).for_each(|(to, from)| *to = *from);
        if !whole.is_empty() {
            writer.bytes(57, whole);
        }
    }
}

/// What some messages carry beyond a presented card.
#[derive(Default)]
pub(super) struct Extra<'m> {
    /// Fields 12 and 13.
    pub(super) local_time: Option<(u32, u32)>,
    /// Field 39.
    pub(super) reason: Option<[u8; 2]>,
    /// Tags for field 57, written already.
    pub(super) given: &'m [u8],
    /// Field 61.
    pub(super) original: Option<Original>,
}

fn card<'a>(fields: &Fields<'a>, integrity: &IntegrityRequest<'a>) -> Result<CardRef<'a>, Fault> {
    if let Some(digits) = fields.digits(2) {
        let pan = Pan::from_digits(digits).ok_or(Fault::new(2, FaultKind::Value))?;
        return Ok(CardRef::Pan(pan));
    }
    if let Some(track) = fields.digits(35) {
        let pan = Pan::from_track2(track).ok_or(Fault::new(35, FaultKind::Value))?;
        return Ok(CardRef::Pan(pan));
    }
    integrity.credential.map(CardRef::Credential).ok_or(Fault::missing(2))
}

/// Field 61: which earlier request is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    /// Its batch.
    pub batch: u32,
    /// Its STAN.
    pub stan: u32,
    /// Its date, MMDD.
    pub date: u16,
}

impl Original {
    /// `None` where the field isn't there.
    pub(super) fn decode(fields: &Fields<'_>) -> Result<Option<Self>, Fault> {
        let Some(digits) = fields.digits(61) else {
            return Ok(None);
        };
        let part = |from, count| digits.number_at(from, count).ok_or(Fault::new(61, FaultKind::Value));
        Ok(Some(Self { batch: part(0, 6)? as u32, stan: part(6, 6)? as u32, date: part(12, 4)? as u16 }))
    }

    fn write(self, writer: &mut Writer<'_>) {
        if self.batch > LAST_NUMBER || self.stan > LAST_NUMBER || self.date > 9_999 {
            return writer.refuse(61);
        }
        let value = (u64::from(self.batch) * 1_000_000 + u64::from(self.stan)) * 10_000 + u64::from(self.date);
        let mut ascii = [0; 16];
        write_number(value, &mut ascii);
        writer.digits(61, &ascii);
    }
}

pub(super) fn fixed<const N: usize>(fields: &Fields<'_>, field: u8) -> Result<[u8; N], Fault> {
    let bytes = fields.bytes(field).ok_or(Fault::missing(field))?;
    bytes.try_into().map_err(|_| Fault::new(field, FaultKind::Value))
}

pub(super) fn number(fields: &Fields<'_>, field: u8) -> Result<u32, Fault> {
    let number = fields.number(field).ok_or(Fault::missing(field))?;
    u32::try_from(number).map_err(|_| Fault::new(field, FaultKind::Value))
}

/// Field 12: hhmmss, a time that there is.
pub(super) fn time_of_day(fields: &Fields<'_>) -> Result<u32, Fault> {
    let time = number(fields, 12)?;
    let exists = time / 10_000 < 24 && time / 100 % 100 < 60 && time % 100 < 60;
    if exists { Ok(time) } else { Err(Fault::new(12, FaultKind::Value)) }
}

/// Field 13: MMDD, a day that some year has.
pub(super) fn day_of_year(fields: &Fields<'_>) -> Result<u32, Fault> {
    let date = number(fields, 13)?;
    let days = match date / 100 {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    if (1..=days).contains(&(date % 100)) { Ok(date) } else { Err(Fault::new(13, FaultKind::Value)) }
}
