//! Record: the step from a verdict to an entry of the journal, and the proof that it is there.

use alloc::boxed::Box;
use alloc::vec::Vec;
use xingka_wire::encode::EncodeFault;

use crate::answer::{self, Number, Source, Stamp};
use crate::authenticate::{Admitted, Identified};
use crate::capsule::{Capsule, Effects, Given, Offline, Record, Reversal, SignIn, SignOff, Swipe};
use crate::ids::Place;
use crate::time::Moment;
use crate::verdict::Verdict;

/// A journal's word that it is durable through a place. Made by journals, after the
/// commit and by nothing else; `cargo xtask tidy` holds that line.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    through: u64,
}

impl Receipt {
    /// For journals: everything up to and including this place survives a power cut.
    pub const fn durable_through(sequence: u64) -> Self {
        Self { through: sequence }
    }
}

/// An answer whose record is on its way into the journal. Nothing but a receipt opens it.
#[derive(Debug)]
#[must_use = "an answer that is never committed is never given"]
pub struct Pending {
    place: Place,
    answer: Vec<u8>,
}

impl Pending {
    fn new(place: Place, record: &Record) -> Self {
        Self { place, answer: record.answer().to_vec() }
    }

    /// Its record's place.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The proof, once the journal is durable that far; `None` while it isn't.
    pub fn committed(self, receipt: Receipt) -> Option<Recorded> {
        (self.place.sequence() <= receipt.through).then_some(Recorded { answer: self.answer })
    }
}

/// Proof that an answer is in the journal: [`crate::respond`] gives no other.
#[derive(Debug)]
pub struct Recorded {
    pub(crate) answer: Vec<u8>,
}

impl Recorded {
    /// The answer of a record that was read back from the journal.
    pub fn read_back(record: &Record) -> Self {
        Self { answer: record.answer().to_vec() }
    }
}

/// A record, and the answer that waits for it.
pub type Prepared = (Record, Pending);

pub(crate) fn prepare(place: Place, record: Record) -> Prepared {
    let pending = Pending::new(place, &record);
    (record, pending)
}

pub(crate) fn stamp(at: Moment, place: Place) -> Stamp {
    Stamp { at, number: Number::Recorded(place), source: Source::Live }
}

impl Admitted<'_> {
    pub(crate) fn stamp(&self, at: Moment, place: Place) -> Stamp {
        Stamp { source: self.source(), ..stamp(at, place) }
    }

    pub(crate) fn prepare(&self, place: Place, record: Record) -> Prepared {
        match self.source() {
            Source::Live => prepare(place, record),
            Source::StandIn => prepare(place, Record::StandIn(Box::new(record))),
        }
    }
}

/// A record made while other nodes couldn't be asked.
pub fn standing_in((record, pending): Prepared) -> Prepared {
    (Record::StandIn(Box::new(record)), pending)
}

/// Records a decision at a place in the journal.
pub fn record_swipe(
    admitted: &Admitted<'_>,
    capsule: Capsule,
    verdict: Verdict,
    place: Place,
) -> Result<Prepared, EncodeFault> {
    let (stamp, encoding) = (admitted.stamp(capsule.at, place), admitted.authentic().terminal().profile.text);
    let answer = answer::compose_swipe(admitted.answering(), encoding, stamp, &capsule, &verdict)?;
    let swipe = Swipe { asked: *admitted.asked(), capsule, verdict, answer };
    Ok(admitted.prepare(place, Record::Swipe(Box::new(swipe))))
}

/// Records a purchase that the terminal decided, as it is judged now that it has arrived.
pub fn record_offline(
    admitted: &Admitted<'_>,
    (capsule, verdict): (Capsule, Verdict),
    given: Given,
    received: Moment,
    place: Place,
) -> Result<Prepared, EncodeFault> {
    let (stamp, encoding) = (admitted.stamp(received, place), admitted.authentic().terminal().profile.text);
    let answer = answer::compose_swipe(admitted.answering(), encoding, stamp, &capsule, &verdict)?;
    let differs = given.differs(&verdict);
    let swipe = Swipe { asked: *admitted.asked(), capsule, verdict, answer };
    Ok(admitted.prepare(place, Record::Offline(Box::new(Offline { swipe, received, given, differs }))))
}

/// Records a reversal, and what it undoes.
pub fn record_reversal(
    admitted: &Admitted<'_>,
    at: Moment,
    (originals, returned): (Vec<Place>, Vec<Effects>),
    place: Place,
) -> Result<Prepared, EncodeFault> {
    let answer = answer::compose_plain(admitted.answering(), true, admitted.stamp(at, place))?;
    let reversal = Reversal { asked: *admitted.asked(), at, originals, returned, answer };
    Ok(admitted.prepare(place, Record::Reversal(Box::new(reversal))))
}

/// New session keys: as the terminal gets them, and as the deployment keeps them.
#[derive(Debug, Clone)]
pub struct NewKeys {
    /// Counts the terminal's sign-ins.
    pub serial: u32,
    /// The network code of their layout.
    pub network_code: u16,
    /// Field 62: under the terminal's master key.
    pub for_terminal: Vec<u8>,
    /// Under the deployment's master key.
    pub wrapped: Vec<u8>,
}

/// Records a sign-in.
pub fn record_sign_in(
    identified: &Identified<'_>,
    at: Moment,
    batch: u32,
    keys: NewKeys,
    place: Place,
) -> Result<Prepared, EncodeFault> {
    let stamp = stamp(at, place);
    let answer = answer::compose_sign_in(identified.answering(), stamp, batch, &keys.for_terminal)?;
    let NewKeys { serial: key_serial, network_code, wrapped: wrapped_keys, .. } = keys;
    let terminal = identified.terminal().id;
    let sign_in = SignIn { terminal, at, key_serial, network_code, wrapped_keys, answer };
    Ok(prepare(place, Record::SignIn(Box::new(sign_in))))
}

/// Records a sign-off.
pub fn record_sign_off(identified: &Identified<'_>, at: Moment, place: Place) -> Result<Prepared, EncodeFault> {
    let answer = answer::compose_plain(identified.answering(), false, stamp(at, place))?;
    let sign_off = SignOff { terminal: identified.terminal().id, at, answer };
    Ok(prepare(place, Record::SignOff(Box::new(sign_off))))
}
