//! The spine: frame, decode, authenticate, decide, record, respond.
//!
//! One request's way, in these words and this order. `frame` happened in the connection;
//! what is left here ends in an [`Outgoing`]: an answer that can leave, or one that waits for
//! its record's commit.

use std::mem;
use std::sync::Arc;

use tokio::time::Instant;
use xingka_core::answer::{RequestView, Source};
use xingka_core::authenticate::{Admission, Authentic, Identified, Refused, authenticate, identify};
use xingka_core::capsule::{Asked, Record};
use xingka_core::city::Terminal;
use xingka_core::ids::{Place, TerminalId};
use xingka_core::ledger::Ledger;
use xingka_core::record::{Prepared, record_sign_in, record_sign_off, standing_in};
use xingka_core::respond::{echo, refuse};
use xingka_core::session::{Session, SessionKey};
use xingka_core::time::Moment;
use xingka_core::verdict::{Outcome, Refusal};
use xingka_wire::code::ResponseCode;
use xingka_wire::encode::EncodeFault;
use xingka_wire::fields::Fields;
use xingka_wire::frame::Frame;
use xingka_wire::messages::{Echo, Request, SignIn};
use xingka_wire::mti::{Command, Head};
use xingka_wire::parameters::MAX_PARAMETER_BYTES;
use xingka_wire::{Malformed, Message, decode};

use crate::errand::Errand;
use crate::home::{Known, Need};
use crate::limits::OverLimit;
use crate::newcomers::Peer;
use crate::node::Node;
use crate::outgoing::{Envelope, Outgoing};
use crate::pressure::Class;
use crate::terminal_keys::TerminalKeys;

/// A request that gets no record, and what its answer is sealed with.
enum Unrecorded {
    /// It is what it says, but can't be served.
    Refused(Refusal, Option<Arc<SessionKey>>),
    /// Anybody could have sent it: charged to the address it came from.
    Noise(Refusal, Option<Arc<SessionKey>>),
    /// More than the address's share.
    OverLimit,
    /// Something has to be asked for first.
    Needs(Need),
}

impl From<Refused> for Unrecorded {
    fn from(Refused { refusal, key }: Refused) -> Self {
        Self::Noise(refusal, key)
    }
}

impl From<Need> for Unrecorded {
    fn from(need: Need) -> Self {
        Self::Needs(need)
    }
}

impl From<OverLimit> for Unrecorded {
    fn from(OverLimit: OverLimit) -> Self {
        Self::OverLimit
    }
}

impl Unrecorded {
    fn new(refusal: Refusal, key: &Arc<SessionKey>) -> Self {
        Self::Refused(refusal, Some(key.clone()))
    }
}

impl Node {
    /// Takes one frame to its answer, with what is known; or says what isn't.
    pub(crate) fn answer(
        &self,
        frame: &Frame<'_>,
        arrived: Instant,
        peer: &Peer,
        known: &mut Known,
    ) -> Result<Outgoing, Need> {
        let message = match decode(frame) {
            Ok(message) => message,
            Err(malformed) => return self.refuse_malformed(&malformed, peer, known),
        };
        let (mti, head, fields) = (message.mti, message.head, message.fields);
        let asked = RequestView { mti, fields: &fields };
        let handled = if message.request.is_housekeeping() {
            self.housekeeping(message, frame, peer, known)
        } else {
            self.transaction(message, frame, (arrived, peer), known)
        };
        Ok(match handled {
            Ok(outgoing) => outgoing,
            Err(Unrecorded::Refused(refusal, key)) => self.refuse(asked, head, refusal, key.as_deref()),
            Err(Unrecorded::Noise(refusal, key)) => self.noise(asked, head, (refusal, key.as_deref()), peer),
            Err(Unrecorded::OverLimit) => self.over_limit(asked, head, None, peer),
            Err(Unrecorded::Needs(need)) => return Err(need),
        })
    }

    /// Refuses a request because what it needs couldn't be had.
    pub(crate) fn refuse_unasked(&self, frame: &Frame<'_>) -> Outgoing {
        let Ok(message) = decode(frame) else { return Outgoing::Nothing };
        let asked = RequestView { mti: message.mti, fields: &message.fields };
        let id = TerminalId(message.request.origin().terminal);
        let session = self.keys(&id).and_then(|keys| keys.session);
        let key = session.as_deref().map(Session::newest).filter(|_| !message.request.is_housekeeping());
        self.refuse(asked, message.head, Refusal::RegisterAway, key.map(|key| &**key))
    }

    /// The keys of a terminal: as they are here where it is at home here, else as they were asked for.
    fn keys_of(&self, terminal: &TerminalId, known: &Known) -> Result<TerminalKeys, Unrecorded> {
        if let Some(keys) = self.keys(terminal).or_else(|| known.keys.clone()) {
            return Ok(keys);
        }
        if self.city.terminal(terminal).is_none() {
            return Ok(TerminalKeys::default());
        }
        if known.away {
            return Err(Unrecorded::Refused(Refusal::RegisterAway, None));
        }
        Err(Need::Keys(*terminal).into())
    }

    /// A message with a MAC.
    fn transaction(
        &self,
        message: Message<'_>,
        frame: &Frame<'_>,
        (arrived, peer): (Instant, &Peer),
        known: &mut Known,
    ) -> Result<Outgoing, Unrecorded> {
        let now = self.clock.now();
        let deadline = arrived + self.settings.answer_deadline;
        let id = TerminalId(message.request.origin().terminal);
        let (authentic, command) = self.authenticate(message, peer, now, known).map_err(|refused| match refused {
            Unrecorded::Noise(Refusal::NotSignedIn | Refusal::WrongMac, _) if self.may_have_moved(&id, known) => {
                Unrecorded::Needs(Need::StillHome(id))
            }
            refused => refused,
        })?;
        let key = authentic.key().clone();
        peer.prove();
        if !mem::replace(&mut known.charged, true) {
            self.charge(&authentic)?;
        }
        let errand = Errand::of(self, &authentic, now).ok_or(Unrecorded::new(Refusal::NotServed, &key))?;
        let asked = authentic.asked(&self.hasher);

        let mut ledger = self.ledger();
        let source = self.missing(&authentic, &asked, &errand, &ledger, known)?;
        let too_late = Instant::now() > deadline;
        let admitted = match authentic.admit(asked, &ledger, too_late) {
            Admission::New(admitted) => admitted.decided_with(source),
            Admission::Repeat(place) => {
                drop(ledger);
                let envelope = Envelope::new(frame, Some(key), deadline).telling(command);
                return Ok(self.repeat(place, envelope));
            }
            Admission::Refused(Refusal::BatchOutOfStep) if self.may_have_moved(&id, known) => {
                return Err(Need::StillHome(id).into());
            }
            Admission::Refused(refusal) => return Err(Unrecorded::new(refusal, &key)),
        };
        let mut journal = self.journal.appender();
        let broken = |_| Unrecorded::new(Refusal::Malfunction, &key);
        journal.ready().map_err(|_| broken(()))?;
        let sequence = journal.next_sequence();
        if sequence.saturating_sub(self.reach.shipped()) > MAX_UNSHIPPED {
            return Err(Unrecorded::new(Refusal::RegisterAway, &key));
        }
        let at = (now, self.place(sequence));
        let (record, pending) = errand.run(&admitted, &ledger, at).map_err(|_| broken(()))?;
        if is_guess(&record) {
            return Err(Unrecorded::new(Refusal::RegisterAway, &key));
        }
        let ticket = journal.append(&record).map_err(|_| broken(()))?;
        ledger.apply(pending.place(), &record);
        self.await_confirmation(pending.place(), &record);
        drop((journal, ledger));
        self.metrics.recorded(&record);

        let envelope = Envelope::new(frame, Some(key), deadline).telling(command);
        Ok(Outgoing::Recorded { ticket, pending, envelope })
    }

    /// Whether a terminal that counts as at home here may have moved without this node knowing it yet.
    fn may_have_moved(&self, terminal: &TerminalId, known: &Known) -> bool {
        self.is_shared() && !known.still_home && !known.away && self.keys(terminal).is_some()
    }

    /// Counts an authentic request against its terminal's and merchant's shares, and sees whether there is
    /// time for it.
    fn charge(&self, authentic: &Authentic<'_>) -> Result<(), Unrecorded> {
        let (terminal, limited) = (authentic.terminal(), &self.metrics.limited);
        let within = self.limits.authentic(&terminal.id, &terminal.merchant.id, limited);
        within.map_err(|OverLimit| Unrecorded::new(Refusal::Malfunction, authentic.key()))?;
        let class = Class::of(&authentic.message().request, terminal.merchant.kind);
        if self.pressure.sheds(class, self.settings.answer_deadline) {
            self.metrics.shed(class);
            return Err(Unrecorded::new(Refusal::Overloaded, authentic.key()));
        }
        Ok(())
    }

    /// What the decision can be made with, if all that it needs is there or can be done without.
    fn missing(
        &self,
        authentic: &Authentic<'_>,
        asked: &Asked,
        errand: &Errand,
        ledger: &Ledger,
        known: &Known,
    ) -> Result<Source, Unrecorded> {
        let merchant = asked.key.merchant;
        if let Some(missing) = ledger.missing(&asked.key) {
            // A batch that was never opened is like one that isn't known.
            return Err(if known.away {
                Unrecorded::new(Refusal::RegisterAway, authentic.key())
            } else {
                Need::of(missing, merchant).into()
            });
        }
        let alone = self.stands_in();
        if alone && !errand.may_stand_in() {
            return Err(Unrecorded::new(Refusal::RegisterAway, authentic.key()));
        }
        let need = if alone { None } else { errand.needs(self, ledger, &asked.key, known) };
        match need {
            Some(need) if !known.away => Err(need.into()),
            Some(_) if !errand.may_stand_in() => Err(Unrecorded::new(Refusal::RegisterAway, authentic.key())),
            Some(_) => Ok(Source::StandIn),
            None if alone => Ok(Source::StandIn),
            None => Ok(Source::Live),
        }
    }

    fn place(&self, sequence: u64) -> Place {
        Place::new(self.settings.node, sequence)
    }

    /// The message, if it is what it says, and what its terminal is to do next.
    fn authenticate<'m>(
        &self,
        message: Message<'m>,
        peer: &Peer,
        now: Moment,
        asked_for: &Known,
    ) -> Result<(Authentic<'m>, Command), Unrecorded> {
        let (id, head) = (TerminalId(message.request.origin().terminal), message.head);
        let (known, session) = (self.city.terminal(&id), self.keys_of(&id, asked_for)?.session);
        let terminal = known.as_deref().map(|known| known.terminal);
        let authentic = authenticate(message, (terminal, peer.certified()), session.as_deref(), now.epoch_ms)?;
        if let Some(session) = &session {
            self.confirm(&id, session, authentic.key().serial, now);
        }
        let newest = session.as_deref().map(|session| &**session.newest());
        let command = known.map_or(Command::None, |known| self.command(&known, newest, head, now));
        Ok((authentic, command))
    }

    fn terminal(&self, id: &TerminalId) -> Option<Terminal> {
        self.city.terminal(id).map(|known| known.terminal)
    }

    fn repeat(&self, place: Place, envelope: Envelope) -> Outgoing {
        self.metrics.repeats.increment(1);
        let own = place.node() == self.settings.node;
        let ticket = if own { self.journal.appender().ticket(place.sequence()) } else { None };
        Outgoing::Repeat { place, ticket, envelope }
    }

    /// 08xx: no MAC, no repeats, no batch.
    fn housekeeping(
        &self,
        message: Message<'_>,
        frame: &Frame<'_>,
        peer: &Peer,
        known: &mut Known,
    ) -> Result<Outgoing, Unrecorded> {
        let first = !mem::replace(&mut known.charged, true);
        if first {
            self.limits.housekeeping(peer.address, &self.metrics.limited)?;
        }
        let id = TerminalId(message.request.origin().terminal);
        let request = message.request.clone();
        let identified = identify(message, (self.terminal(&id), peer.certified()))?;
        match request {
            Request::SignIn(sign_in) => {
                if first {
                    self.limits.sign_in(&id, &self.metrics.limited)?;
                }
                self.sign_in(&identified, &sign_in, frame, known)
            }
            Request::SignOff(_) => self.sign_off(&identified, frame, known),
            Request::Echo(Echo { holds, .. }) => self.echo(&identified, holds.is_some(), peer, known),
            _ => Err(Unrecorded::Refused(Refusal::UnknownMessage, None)),
        }
    }

    fn sign_in(
        &self,
        identified: &Identified<'_>,
        sign_in: &SignIn,
        frame: &Frame<'_>,
        asked_for: &Known,
    ) -> Result<Outgoing, Unrecorded> {
        let refused = |refusal| Unrecorded::Refused(refusal, None);
        let id = identified.terminal().id;
        let known = self.city.terminal(&id).ok_or(refused(Refusal::UnknownTerminal))?;
        if sign_in.layout.mac_key_bytes(known.terminal.mac).is_none() {
            return Err(refused(Refusal::NotPermitted));
        }
        let now = self.clock.now();
        let ledger = self.ledger();
        self.at_home(identified, &ledger, asked_for)?;
        let made = self.security.make_session_keys(&known, sign_in.layout, (self.next_serial(&id), now.epoch_ms));
        let (keys, session_key) = made.map_err(|fault| {
            tracing::error!(terminal = %id, %fault, "no session keys could be made");
            refused(Refusal::Malfunction)
        })?;
        let batch = ledger.open_batch(id);
        let outgoing = self.record(frame, |place| record_sign_in(identified, now, batch, keys, place))?;
        self.signed_in(id, session_key);
        Ok(outgoing)
    }

    /// Whether a housekeeping message's terminal is at home here.
    fn at_home(&self, identified: &Identified<'_>, ledger: &Ledger, known: &Known) -> Result<(), Unrecorded> {
        let Terminal { id, merchant, .. } = *identified.terminal();
        match ledger.knows(&id) {
            true => Ok(()),
            false if known.away => Err(Unrecorded::Refused(Refusal::RegisterAway, None)),
            false => Err(Need::Home(id, merchant.id).into()),
        }
    }

    fn sign_off(&self, identified: &Identified<'_>, frame: &Frame<'_>, known: &Known) -> Result<Outgoing, Unrecorded> {
        let now = self.clock.now();
        let ledger = self.ledger();
        self.at_home(identified, &ledger, known)?;
        let outgoing = self.record(frame, |place| record_sign_off(identified, now, place))?;
        self.signed_off(identified.terminal().id);
        Ok(outgoing)
    }

    /// Puts a housekeeping record into the journal.
    fn record(
        &self,
        frame: &Frame<'_>,
        prepare: impl FnOnce(Place) -> Result<Prepared, EncodeFault>,
    ) -> Result<Outgoing, Unrecorded> {
        let broken = Unrecorded::Refused(Refusal::Malfunction, None);
        let mut journal = self.journal.appender();
        let Ok(prepared) = prepare(self.place(journal.next_sequence())) else {
            return Err(broken);
        };
        let (record, pending) = if self.stands_in() { standing_in(prepared) } else { prepared };
        let Ok(ticket) = journal.append(&record) else {
            return Err(broken);
        };
        self.await_confirmation(pending.place(), &record);
        self.metrics.recorded(&record);
        let deadline = Instant::now() + self.settings.answer_deadline;
        Ok(Outgoing::Recorded { ticket, pending, envelope: Envelope::new(frame, None, deadline) })
    }

    fn echo(
        &self,
        identified: &Identified<'_>,
        asks_for_parameters: bool,
        peer: &Peer,
        known: &Known,
    ) -> Result<Outgoing, Unrecorded> {
        let (message, id) = (identified.message(), identified.terminal().id);
        let session = match self.keys_of(&id, known) {
            Ok(keys) => keys.session,
            // The line is there, which is what an echo asks.
            Err(Unrecorded::Refused(..)) => None,
            Err(needs) => return Err(needs),
        };
        self.metrics.echoes.increment(1);
        let newest = session.as_deref().map(|session| &**session.newest());
        let mut buffer = [0; MAX_PARAMETER_BYTES];
        let offered = self.offered.as_ref().filter(|_| asks_for_parameters);
        let stan = message.request.origin().stan;
        let parameters = offered.map(|offered| {
            // Anybody can send an echo in a terminal's name.
            if peer.is_proven() {
                offered.note_fetched(id);
            }
            offered.field(id, stan, newest, &mut buffer)
        });
        let known = self.city.terminal(&id);
        let now = self.clock.now();
        let command = known.map_or(Command::None, |known| self.command(&known, newest, message.head, now));
        let asked = RequestView { mti: message.mti, fields: &message.fields };
        Ok(self.ready(echo(asked, (message.head, command), self.unrecorded_stamp(), parameters)))
    }

    fn refuse_malformed(&self, malformed: &Malformed<'_>, peer: &Peer, known: &Known) -> Result<Outgoing, Need> {
        let Malformed { head, mti, fields, fault } = malformed;
        let unknown = fault.code() == ResponseCode::UNKNOWN_MESSAGE;
        let refusal = if unknown { Refusal::UnknownMessage } else { Refusal::Format };
        let key = self.key_for_malformed(mti.0, fields, known)?;
        tracing::debug!(mti = %mti, %fault, "refused");
        Ok(self.noise(RequestView { mti: *mti, fields }, *head, (refusal, key.as_deref()), peer))
    }

    /// The newest key of the terminal that sent it, where that could be read; housekeeping
    /// is never sealed.
    fn key_for_malformed(&self, mti: u16, fields: &Fields<'_>, known: &Known) -> Result<Option<Arc<SessionKey>>, Need> {
        let terminal = fields.bytes(41).and_then(|id| Some(TerminalId(id.try_into().ok()?)));
        let Some(terminal) = terminal.filter(|id| mti / 100 != HOUSEKEEPING && self.terminal(id).is_some()) else {
            return Ok(None);
        };
        match self.keys_of(&terminal, known) {
            Ok(keys) => Ok(keys.session.map(|session| session.newest().clone())),
            Err(Unrecorded::Needs(need)) => Err(need),
            Err(_) => Ok(None),
        }
    }

    /// Refuses what anybody could have sent.
    fn noise(
        &self,
        asked: RequestView<'_, '_>,
        head: Head,
        (refusal, key): (Refusal, Option<&SessionKey>),
        peer: &Peer,
    ) -> Outgoing {
        match self.limits.noise(peer.address, &self.metrics.limited) {
            Ok(()) => self.refuse(asked, head, refusal, key),
            Err(OverLimit) => self.over_limit(asked, head, key, peer),
        }
    }

    /// A stranger who sends too much is left; a terminal that proved itself on this line may
    /// only share its address with one, and is told to try again.
    fn over_limit(&self, asked: RequestView<'_, '_>, head: Head, key: Option<&SessionKey>, peer: &Peer) -> Outgoing {
        if !peer.is_proven() {
            return Outgoing::HangUp;
        }
        self.refuse(asked, head, Refusal::Malfunction, key)
    }

    fn refuse(&self, asked: RequestView<'_, '_>, head: Head, refusal: Refusal, key: Option<&SessionKey>) -> Outgoing {
        self.metrics.refused(refusal);
        self.ready(refuse(asked, head, refusal, self.unrecorded_stamp(), key))
    }

    fn ready(&self, frame: Result<Vec<u8>, EncodeFault>) -> Outgoing {
        match frame {
            Ok(frame) => Outgoing::Ready(frame),
            Err(fault) => {
                tracing::error!(%fault, "an answer can't be written");
                Outgoing::Nothing
            }
        }
    }
}

/// A node that is alone and doesn't find a purchase can't say that there is none.
fn is_guess(record: &Record) -> bool {
    let Record::StandIn(record) = record else { return false };
    matches!(&**record, Record::GiveBack(give_back) if give_back.outcome != Outcome::Approved)
}

/// Records that the register needn't have yet; past that nothing more is decided. Half an hour of a whole
/// city's swipes, and a few GB of journal; `xingka_register_lag_records` shows it coming.
const MAX_UNSHIPPED: u64 = 10_000_000;

/// The first digits of housekeeping's message types.
const HOUSEKEEPING: u16 = 8;
