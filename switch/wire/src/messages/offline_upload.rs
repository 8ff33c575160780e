//! Offline upload, 0220: a purchase that the terminal decided itself while its line was away.

use crate::encode::Writer;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::integrity::{IntegrityAnswer, MAX_INTEGRITY_BYTES};
use crate::mti::Mti;

use super::parts::{Extra, Kind, Presented, day_of_year, time_of_day};

pub(super) const KIND: Kind = (0, 0, 36);

/// Offline upload, 0220: a purchase that the terminal decided itself.
#[derive(Debug, Clone)]
pub struct OfflineUpload<'a> {
    /// The card, where and how.
    pub presented: Presented<'a>,
    /// Field 12: when, hhmmss.
    pub local_time: u32,
    /// Field 13: when, MMDD.
    pub local_date: u32,
    /// What the terminal gave: DF14 to DF16 and DF18.
    pub given: IntegrityAnswer<'a>,
}

impl<'a> OfflineUpload<'a> {
    /// Its message type.
    pub const MTI: Mti = Mti(220);

    pub(super) fn decode(fields: &Fields<'a>) -> Result<Self, Fault> {
        let field_57 = fields.bytes(57).ok_or(Fault::missing(57))?;
        Ok(Self {
            presented: Presented::decode(fields)?,
            local_time: time_of_day(fields)?,
            local_date: day_of_year(fields)?,
            given: IntegrityAnswer::decode(field_57).map_err(|kind| Fault::new(57, kind))?,
        })
    }

    /// Writes its fields, as a terminal does.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        let mut buffer = [0; MAX_INTEGRITY_BYTES];
        // Too much to fit comes out as too much for the field.
        let given = self.given.encode(&mut buffer).unwrap_or(&[0; MAX_INTEGRITY_BYTES + 1]);
        let local_time = Some((self.local_time, self.local_date));
        self.presented.write(KIND, &Extra { local_time, given, ..Extra::default() }, writer);
    }
}
