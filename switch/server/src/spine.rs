//! The spine: frame, decode, authenticate, decide, record, respond.
//!
//! One request's way, in these words and this order. `frame` happened in the connection;
//! what is left here ends in an [`Outgoing`]: an answer that can leave, or one that waits for
//! its record's commit.

use std::sync::Arc;

use tokio::time::Instant;
use xingka_core::answer::RequestView;
use xingka_core::authenticate::{Admission, Authentic, Identified, Refused, authenticate, identify};
use xingka_core::city::Terminal;
use xingka_core::ids::TerminalId;
use xingka_core::record::{Prepared, record_sign_in, record_sign_off};
use xingka_core::respond::{echo, refuse};
use xingka_core::session::SessionKey;
use xingka_core::time::Moment;
use xingka_core::verdict::Refusal;
use xingka_wire::code::ResponseCode;
use xingka_wire::encode::EncodeFault;
use xingka_wire::fields::Fields;
use xingka_wire::frame::Frame;
use xingka_wire::messages::{Echo, Request, SignIn};
use xingka_wire::mti::{Command, Head};
use xingka_wire::parameters::MAX_PARAMETER_BYTES;
use xingka_wire::{Malformed, Message, decode};

use crate::errand::Errand;
use crate::limits::OverLimit;
use crate::newcomers::Peer;
use crate::node::Node;
use crate::outgoing::{Envelope, Outgoing};
use crate::pressure::Class;

/// A request that gets no record, and what its answer is sealed with.
enum Unrecorded {
    /// It is what it says, but can't be served.
    Refused(Refusal, Option<Arc<SessionKey>>),
    /// Anybody could have sent it: charged to the address it came from.
    Noise(Refusal, Option<Arc<SessionKey>>),
    /// More than the address's share.
    OverLimit,
}

impl From<Refused> for Unrecorded {
    fn from(Refused { refusal, key }: Refused) -> Self {
        Self::Noise(refusal, key)
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
    /// Takes one frame to its answer.
    pub(crate) fn answer(&self, frame: &Frame<'_>, arrived: Instant, peer: &Peer) -> Outgoing {
        let message = match decode(frame) {
            Ok(message) => message,
            Err(malformed) => return self.refuse_malformed(&malformed, peer),
        };
        let (mti, head, fields) = (message.mti, message.head, message.fields);
        let asked = RequestView { mti, fields: &fields };
        let handled = if message.request.is_housekeeping() {
            self.housekeeping(message, frame, peer)
        } else {
            self.transaction(message, frame, arrived, peer)
        };
        match handled {
            Ok(outgoing) => outgoing,
            Err(Unrecorded::Refused(refusal, key)) => self.refuse(asked, head, refusal, key.as_deref()),
            Err(Unrecorded::Noise(refusal, key)) => self.noise(asked, head, (refusal, key.as_deref()), peer),
            Err(Unrecorded::OverLimit) => self.over_limit(asked, head, None, peer),
        }
    }

    /// A message with a MAC.
    fn transaction(
        &self,
        message: Message<'_>,
        frame: &Frame<'_>,
        arrived: Instant,
        peer: &Peer,
    ) -> Result<Outgoing, Unrecorded> {
        let now = self.clock.now();
        let deadline = arrived + self.settings.answer_deadline;
        let (authentic, command) = self.authenticate(message, peer, now)?;
        let key = authentic.key().clone();
        peer.prove();
        let (terminal, limited) = (authentic.terminal(), &self.metrics.limited);
        let within = self.limits.authentic(&terminal.id, &terminal.merchant.id, limited);
        within.map_err(|OverLimit| Unrecorded::new(Refusal::Malfunction, &key))?;
        let class = Class::of(&authentic.message().request, terminal.merchant.kind);
        if self.pressure.sheds(class, self.settings.answer_deadline) {
            self.metrics.shed(class);
            return Err(Unrecorded::new(Refusal::Overloaded, &key));
        }
        let errand = Errand::of(self, &authentic, now).ok_or(Unrecorded::new(Refusal::NotServed, &key))?;
        let asked = authentic.asked(&self.hasher);

        let mut ledger = self.ledger();
        let too_late = Instant::now() > deadline;
        let admitted = match authentic.admit(asked, &ledger, too_late) {
            Admission::New(admitted) => admitted,
            Admission::Repeat(sequence) => {
                drop(ledger);
                let envelope = Envelope::new(frame, Some(key), deadline).telling(command);
                return Ok(self.repeat(sequence, envelope));
            }
            Admission::Refused(refusal) => return Err(Unrecorded::new(refusal, &key)),
        };
        let mut journal = self.journal.appender();
        let broken = |_| Unrecorded::new(Refusal::Malfunction, &key);
        journal.ready().map_err(|_| broken(()))?;
        let at = (now, journal.next_sequence());
        let (record, pending) = errand.run(self, &admitted, &ledger, at).map_err(|_| broken(()))?;
        let ticket = journal.append(&record).map_err(|_| broken(()))?;
        ledger.apply(pending.sequence(), &record);
        drop((journal, ledger));
        self.metrics.recorded(&record);

        let envelope = Envelope::new(frame, Some(key), deadline).telling(command);
        Ok(Outgoing::Recorded { ticket, pending, envelope })
    }

    /// The message, if it is what it says, and what its terminal is to do next.
    fn authenticate<'m>(
        &self,
        message: Message<'m>,
        peer: &Peer,
        now: Moment,
    ) -> Result<(Authentic<'m>, Command), Unrecorded> {
        let (id, head) = (TerminalId(message.request.origin().terminal), message.head);
        let (known, session) = (self.city.terminal(&id), self.session(&id));
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

    fn repeat(&self, sequence: u64, envelope: Envelope) -> Outgoing {
        self.metrics.repeats.increment(1);
        let ticket = self.journal.appender().ticket(sequence);
        Outgoing::Repeat { sequence, ticket, envelope }
    }

    /// 08xx: no MAC, no repeats, no batch.
    fn housekeeping(&self, message: Message<'_>, frame: &Frame<'_>, peer: &Peer) -> Result<Outgoing, Unrecorded> {
        self.limits.housekeeping(peer.address, &self.metrics.limited)?;
        let id = TerminalId(message.request.origin().terminal);
        let request = message.request.clone();
        let identified = identify(message, (self.terminal(&id), peer.certified()))?;
        match request {
            Request::SignIn(sign_in) => self.sign_in(&identified, &sign_in, frame),
            Request::SignOff(_) => self.sign_off(&identified, frame),
            Request::Echo(Echo { holds, .. }) => Ok(self.echo(&identified, holds.is_some(), peer)),
            _ => Err(Unrecorded::Refused(Refusal::UnknownMessage, None)),
        }
    }

    fn sign_in(
        &self,
        identified: &Identified<'_>,
        sign_in: &SignIn,
        frame: &Frame<'_>,
    ) -> Result<Outgoing, Unrecorded> {
        let refused = |refusal| Unrecorded::Refused(refusal, None);
        let id = identified.terminal().id;
        self.limits.sign_in(&id, &self.metrics.limited)?;
        let known = self.city.terminal(&id).ok_or(refused(Refusal::UnknownTerminal))?;
        if sign_in.layout.mac_key_bytes(known.terminal.mac).is_none() {
            return Err(refused(Refusal::NotPermitted));
        }
        let now = self.clock.now();
        let ledger = self.ledger();
        let made = self.security.make_session_keys(&known, sign_in.layout, (self.next_serial(&id), now.epoch_ms));
        let (keys, session_key) = made.map_err(|fault| {
            tracing::error!(terminal = %id, %fault, "no session keys could be made");
            refused(Refusal::Malfunction)
        })?;
        let batch = ledger.open_batch(id);
        let outgoing = self.record(frame, |sequence| record_sign_in(identified, now, batch, keys, sequence))?;
        self.signed_in(id, session_key);
        Ok(outgoing)
    }

    fn sign_off(&self, identified: &Identified<'_>, frame: &Frame<'_>) -> Result<Outgoing, Unrecorded> {
        let now = self.clock.now();
        let _ledger = self.ledger();
        let outgoing = self.record(frame, |sequence| record_sign_off(identified, now, sequence))?;
        self.signed_off(identified.terminal().id);
        Ok(outgoing)
    }

    /// Puts a housekeeping record into the journal.
    fn record(
        &self,
        frame: &Frame<'_>,
        prepare: impl FnOnce(u64) -> Result<Prepared, EncodeFault>,
    ) -> Result<Outgoing, Unrecorded> {
        let broken = Unrecorded::Refused(Refusal::Malfunction, None);
        let mut journal = self.journal.appender();
        let Ok((record, pending)) = prepare(journal.next_sequence()) else {
            return Err(broken);
        };
        let Ok(ticket) = journal.append(&record) else {
            return Err(broken);
        };
        self.metrics.recorded(&record);
        let deadline = Instant::now() + self.settings.answer_deadline;
        Ok(Outgoing::Recorded { ticket, pending, envelope: Envelope::new(frame, None, deadline) })
    }

    fn echo(&self, identified: &Identified<'_>, asks_for_parameters: bool, peer: &Peer) -> Outgoing {
        self.metrics.echoes.increment(1);
        let (message, id) = (identified.message(), identified.terminal().id);
        let session = self.session(&id);
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
        self.ready(echo(asked, (message.head, command), self.unrecorded_stamp(), parameters))
    }

    fn refuse_malformed(&self, malformed: &Malformed<'_>, peer: &Peer) -> Outgoing {
        let Malformed { head, mti, fields, fault } = malformed;
        let unknown = fault.code() == ResponseCode::UNKNOWN_MESSAGE;
        let refusal = if unknown { Refusal::UnknownMessage } else { Refusal::Format };
        tracing::debug!(mti = %mti, %fault, "refused");
        let key = self.key_for_malformed(mti.0, fields);
        self.noise(RequestView { mti: *mti, fields }, *head, (refusal, key.as_deref()), peer)
    }

    /// The newest key of the terminal that sent it, where that could be read; housekeeping
    /// is never sealed.
    fn key_for_malformed(&self, mti: u16, fields: &Fields<'_>) -> Option<Arc<SessionKey>> {
        let terminal = TerminalId(fields.bytes(41)?.try_into().ok()?);
        self.terminal(&terminal).filter(|_| mti / 100 != HOUSEKEEPING)?;
        Some(self.session(&terminal)?.newest().clone())
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

/// The first digits of housekeeping's message types.
const HOUSEKEEPING: u16 = 8;
