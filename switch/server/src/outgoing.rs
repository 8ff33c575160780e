//! Answers on their way out, and what they wait for.

use std::sync::Arc;

use tokio::time::{Instant, timeout};
use xingka_core::answer::RequestView;
use xingka_core::ids::Place;
use xingka_core::planted::{self, Bug};
use xingka_core::record::{Pending, Recorded};
use xingka_core::respond::{refuse, respond};
use xingka_core::session::SessionKey;
use xingka_core::verdict::Refusal;
use xingka_store::journal::{Durability, Ticket};
use xingka_wire::decode;
use xingka_wire::dialect::Dialect;
use xingka_wire::frame::Frame;
use xingka_wire::mti::{Command, Head, Mti};
use zeroize::Zeroizing;

use crate::home::{PATIENCE, ROUNDS};
use crate::newcomers::Peer;
use crate::node::Node;

/// An answer on its way out.
pub(crate) enum Outgoing {
    /// A whole frame.
    Ready(Vec<u8>),
    /// Waits for its record's commit.
    Recorded { ticket: Ticket, pending: Pending, envelope: Envelope },
    /// The answer of an earlier record, which may not be committed yet itself.
    Repeat { place: Place, ticket: Option<Ticket>, envelope: Envelope },
    /// Nothing can be said.
    Nothing,
    /// Nothing more is said to this peer.
    HangUp,
}

/// What an answer needs to be sealed once its record is there.
pub(crate) struct Envelope {
    dialect: &'static Dialect,
    head: Head,
    /// What the terminal is to do next.
    command: Command,
    mti: Mti,
    key: Option<Arc<SessionKey>>,
    /// Until when it may leave as what was decided.
    deadline: Instant,
    /// The request, to say 96 to when the record doesn't come.
    request: Zeroizing<Vec<u8>>,
}

impl Envelope {
    /// For the answer to a message that came in `frame`.
    pub(crate) fn new(frame: &Frame<'_>, key: Option<Arc<SessionKey>>, deadline: Instant) -> Self {
        let request = Zeroizing::new(frame.body.to_vec());
        let Frame { dialect, head, mti, .. } = *frame;
        Self { dialect, head, command: Command::None, mti, key, deadline, request }
    }

    /// With a command in the answer's header.
    pub(crate) fn telling(self, command: Command) -> Self {
        Self { command, ..self }
    }

    fn frame(&self) -> Frame<'_> {
        Frame { dialect: self.dialect, head: self.head, mti: self.mti, body: &self.request }
    }
}

impl Outgoing {
    /// Waits until it can leave: its record is committed, or the journal has given up on it.
    pub(crate) async fn ready(&self) {
        if let Some(ticket) = self.ticket() {
            // Which of the two it was, `respond` looks up.
            let _ = ticket.committed().await;
        }
    }

    /// Whether it can leave now.
    pub(crate) fn is_ready(&self) -> bool {
        self.ticket().is_none_or(|ticket| ticket.outcome().is_some())
    }

    fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Recorded { ticket, .. } => Some(ticket),
            Self::Repeat { ticket, .. } => ticket.as_ref(),
            Self::Ready(_) | Self::Nothing | Self::HangUp => None,
        }
    }
}

impl Node {
    /// Appends the answer's frame to `bytes`. Where its record turns out not to stand, the request is decided
    /// again.
    pub(crate) async fn respond(&self, outgoing: Outgoing, peer: &Peer, bytes: &mut Vec<u8>) {
        let mut outgoing = outgoing;
        for _ in 0..ROUNDS {
            let Some(envelope) = self.respond_once(outgoing, bytes).await else { return };
            let arrived = envelope.deadline - self.settings.answer_deadline;
            outgoing = self.handle(&envelope.frame(), arrived, peer).await;
            outgoing.ready().await;
        }
        // The last round's is given as it is, or not at all.
        if let Some(envelope) = self.respond_once(outgoing, bytes).await {
            self.send(&self.malfunction(&envelope), bytes);
        }
    }

    /// Gives back what has to be decided again.
    async fn respond_once(&self, outgoing: Outgoing, bytes: &mut Vec<u8>) -> Option<Envelope> {
        let (recorded, envelope) = match outgoing {
            Outgoing::Ready(frame) => {
                self.send(&frame, bytes);
                return None;
            }
            Outgoing::Nothing | Outgoing::HangUp => return None,
            Outgoing::Recorded { ticket, pending, envelope } => {
                if self.reach.lost(pending.place()).is_some() {
                    return Some(envelope);
                }
                if self.must_wait(pending.place()) {
                    self.send(&self.refusal(&envelope, Refusal::RegisterAway), bytes);
                    return None;
                }
                let receipt = ticket.outcome().and_then(Result::ok);
                (receipt.and_then(|receipt| pending.committed(receipt)), envelope)
            }
            Outgoing::Repeat { place, ticket, envelope } => {
                if place.node() == self.settings.node && self.reach.lost(place).is_some() {
                    return Some(envelope);
                }
                if self.must_wait(place) {
                    self.send(&self.refusal(&envelope, Refusal::RegisterAway), bytes);
                    return None;
                }
                let committed = ticket.is_none_or(|ticket| matches!(ticket.outcome(), Some(Ok(_))));
                (if committed { self.read_back(place).await } else { None }, envelope)
            }
        };
        let in_time = recorded.filter(|_| Instant::now() <= envelope.deadline);
        let sealed = in_time.and_then(|recorded| {
            let head = (envelope.head, envelope.command);
            respond(&recorded, envelope.dialect, head, envelope.key.as_deref()).ok()
        });
        match sealed {
            Some(frame) => self.send(&frame, bytes),
            None => {
                self.metrics.unrecorded.increment(1);
                self.send(&self.malfunction(&envelope), bytes);
            }
        }
        None
    }

    /// Whether an answer can't leave though nobody waits for the register any more: it may not stand.
    fn must_wait(&self, place: Place) -> bool {
        let at_once = matches!(self.settings.durability, Durability::Interval(_));
        let planted = [Bug::AnswerBeforeCommit, Bug::AnswerBeforeRegister, Bug::AnswerUnconfirmed];
        if planted.into_iter().any(planted::has) {
            return false;
        }
        place.node() == self.settings.node && !at_once && self.reach.is_unconfirmed(place)
    }

    fn send(&self, frame: &[u8], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(frame);
    }

    /// 96: what became of the request, the terminal learns by repeating or reversing it.
    fn malfunction(&self, envelope: &Envelope) -> Vec<u8> {
        self.refusal(envelope, Refusal::Malfunction)
    }

    fn refusal(&self, envelope: &Envelope, refusal: Refusal) -> Vec<u8> {
        let frame = envelope.frame();
        // It was decoded before; if it can't be now, there is nothing left to say.
        let Ok(message) = decode(&frame) else {
            return Vec::new();
        };
        let asked = RequestView { mti: message.mti, fields: &message.fields };
        let key = envelope.key.as_deref();
        refuse(asked, message.head, refusal, self.unrecorded_stamp(), key).unwrap_or_default()
    }

    async fn read_back(&self, place: Place) -> Option<Recorded> {
        let found = if place.node() == self.settings.node {
            self.reader().await.record(place.sequence()).await.map_err(|error| error.to_string())
        } else {
            match timeout(PATIENCE, self.register.record(place)).await {
                Ok(found) => found.map_err(|error| error.to_string()),
                Err(_) => Err("the register takes too long to answer".to_owned()),
            }
        };
        match found {
            Ok(record) => record.as_ref().map(Recorded::read_back),
            Err(error) => {
                tracing::error!(%place, %error, "a repeat's answer can't be read back");
                None
            }
        }
    }
}
