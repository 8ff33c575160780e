//! Authenticate: a message becomes [`Authentic`], or is refused.
//!
//! In wire.md's order: the terminal is known and belongs to the merchant it names, may
//! do this at its kind of place, has signed in, and its MAC is right. `Authentic` can't be
//! made anywhere else. [`Authentic::admit`] asks the ledger whether the request came
//! before, and makes it [`Admitted`], which is what the record demands.

use alloc::sync::Arc;
use xingka_wire::Message;
use xingka_wire::messages::Request;

use crate::answer::{RequestView, Source};
use crate::capsule::{Asked, RequestKey};
use crate::city::{MerchantKind, Terminal};
use crate::ids::{MerchantId, Place, TerminalId};
use crate::ledger::{Ledger, Seen};
use crate::pan::CardHasher;
use crate::session::{Session, SessionKey};
use crate::verdict::Refusal;

/// A message from a terminal that is who it says.
#[derive(Debug)]
pub struct Authentic<'m> {
    message: Message<'m>,
    terminal: Terminal,
    key: Arc<SessionKey>,
}

/// A housekeeping message (08xx) of a known terminal: these carry no MAC, so they prove
/// nothing about who sent them.
#[derive(Debug)]
pub struct Identified<'m> {
    message: Message<'m>,
    terminal: Terminal,
}

/// A refusal, and whose newest key seals it, if anybody's.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What its answer is sealed with.
    pub key: Option<Arc<SessionKey>>,
}

impl<'m> Authentic<'m> {
    /// What it says.
    pub fn message(&self) -> &Message<'m> {
        &self.message
    }

    /// Where it comes from.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// The key that verified it, which also seals the answer.
    pub fn key(&self) -> &Arc<SessionKey> {
        &self.key
    }
}

/// An authentic request that did not come before and is in step.
#[derive(Debug)]
pub struct Admitted<'m> {
    authentic: Authentic<'m>,
    asked: Asked,
    source: Source,
}

/// What the ledger says to an authentic request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "taken apart where it is made; a box would allocate at every request")]
pub enum Admission<'m> {
    /// Decide it.
    New(Admitted<'m>),
    /// It came before: give the answer of the record at this place.
    Repeat(Place),
    /// It can't be decided.
    Refused(Refusal),
}

impl<'m> Authentic<'m> {
    /// Repeat, then batch, then deadline, as wire.md orders them. `asked` is the request's
    /// own, from [`Self::asked`]: made before the ledger is locked.
    pub fn admit(self, asked: Asked, ledger: &Ledger, too_late: bool) -> Admission<'m> {
        let reversal = matches!(self.message.request, Request::Reversal(_));
        match ledger.seen(&asked.key, &asked.content) {
            Seen::Repeat(place) => return Admission::Repeat(place),
            // A second reversal is answered like the first, whatever it says.
            Seen::OtherContent if !reversal => return Admission::Refused(Refusal::KeyReused),
            Seen::OtherContent | Seen::New => {}
        }
        // A reversal carries its original's batch, which may be an earlier one.
        if !reversal && asked.key.batch != ledger.open_batch(self.terminal.id) {
            return Admission::Refused(Refusal::BatchOutOfStep);
        }
        if too_late {
            return Admission::Refused(Refusal::DeadlinePassed);
        }
        Admission::New(Admitted { authentic: self, asked, source: Source::Live })
    }

    /// What makes this request the same one when it comes again.
    pub fn asked(&self, hasher: &CardHasher) -> Asked {
        let origin = self.message.request.origin();
        let key = RequestKey {
            merchant: self.terminal.merchant.id,
            terminal: self.terminal.id,
            batch: origin.batch,
            stan: origin.stan,
            mti: self.message.mti.0,
        };
        Asked {
            key,
            content: hasher.content_of(self.message.mab()),
            key_serial: self.key.serial,
            request_id: self.message.request.integrity().and_then(|integrity| integrity.request_id),
        }
    }
}

impl<'m> Admitted<'m> {
    /// The request it was.
    pub fn authentic(&self) -> &Authentic<'m> {
        &self.authentic
    }

    /// What makes it the same when it comes again.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// What its answer will be decided with.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The request, to be decided with what is known here.
    pub fn decided_with(self, source: Source) -> Self {
        Self { source, ..self }
    }

    pub(crate) fn answering(&self) -> RequestView<'_, 'm> {
        RequestView { mti: self.authentic.message.mti, fields: &self.authentic.message.fields }
    }
}

impl<'m> Identified<'m> {
    pub(crate) fn answering(&self) -> RequestView<'_, 'm> {
        RequestView { mti: self.message.mti, fields: &self.message.fields }
    }

    /// What it says.
    pub fn message(&self) -> &Message<'m> {
        &self.message
    }

    /// Where it says it comes from.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }
}

/// Checks a message that carries a MAC. `certified` is whose certificate the line showed, where it
/// had to show one: nobody else's requests come on it.
pub fn authenticate<'m>(
    message: Message<'m>,
    (terminal, certified): (Option<Terminal>, Option<&TerminalId>),
    session: Option<&Session>,
    now_ms: i64,
) -> Result<Authentic<'m>, Refused> {
    let newest = session.map(|session| session.newest().clone());
    let refuse = |refusal, key| Err(Refused { refusal, key });
    let terminal = match known(&message, terminal, certified) {
        Ok(terminal) => terminal,
        Err(Refusal::UnknownTerminal) => return refuse(Refusal::UnknownTerminal, None),
        Err(refusal) => return refuse(refusal, newest),
    };
    let Some(session) = session else {
        return refuse(Refusal::NotSignedIn, None);
    };
    let verified = message.mac().and_then(|mac| session.verify(message.mab(), &mac, now_ms).cloned());
    match verified {
        Some(key) => Ok(Authentic { message, terminal, key }),
        None => refuse(Refusal::WrongMac, newest),
    }
}

/// Checks a housekeeping message: only that the terminal exists, names its merchant, and that the
/// line is its own where that can be known.
pub fn identify<'m>(
    message: Message<'m>,
    (terminal, certified): (Option<Terminal>, Option<&TerminalId>),
) -> Result<Identified<'m>, Refused> {
    match known(&message, terminal, certified) {
        Ok(terminal) => Ok(Identified { message, terminal }),
        Err(refusal) => Err(Refused { refusal, key: None }),
    }
}

fn known(
    message: &Message<'_>,
    terminal: Option<Terminal>,
    certified: Option<&TerminalId>,
) -> Result<Terminal, Refusal> {
    let terminal = terminal.filter(|terminal| terminal.id == TerminalId(message.request.origin().terminal));
    let terminal = terminal.ok_or(Refusal::UnknownTerminal)?;
    if terminal.merchant.id != MerchantId(message.request.origin().merchant) {
        return Err(Refusal::WrongMerchant);
    }
    if certified.is_some_and(|certified| *certified != terminal.id) {
        return Err(Refusal::NotPermitted);
    }
    if !permitted(&message.request, terminal.merchant.kind) {
        return Err(Refusal::NotPermitted);
    }
    Ok(terminal)
}

/// Purchases, and what undoes or settles them, only at shops; counter services only at
/// halls and banks; everything else anywhere.
fn permitted(request: &Request<'_>, kind: MerchantKind) -> bool {
    match request {
        Request::Purchase(_) | Request::Void(_) | Request::Refund(_) | Request::OfflineUpload(_) => {
            kind == MerchantKind::Merchant
        }
        Request::CounterService(_) => kind != MerchantKind::Merchant,
        _ => true,
    }
}
