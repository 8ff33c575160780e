//! One request of a terminal: written, and its answer judged.
//!
//! Every answer is judged by what this very request must get: type, STAN, terminal and MAC
//! by the terminal itself, the code by what the card and the kind of request are. What
//! isn't right becomes a few words, so that a report can say how often which thing went wrong.

use std::collections::VecDeque;

use xingka_core::city::MerchantKind;
use xingka_terminal::{Original, Reversible, Sent, Swipe, Terminal, TerminalFault};
use xingka_wire::answer::Answer;
use xingka_wire::code::ResponseCode;
use xingka_wire::integrity::IntegrityRequest;
use xingka_wire::mti::Command;

use super::cards::{Card, Cards};
use super::mix::{Kind, Seat};
use super::spoil::{self, SERVICE, Spoilt};

/// Purchases a terminal remembers in order to void or reverse them: more would only take room.
const REMEMBERED: usize = 4;

/// The largest amount of a purchase.
const MOST_FEN: u64 = 50_000;

/// One in so many requests of housekeeping is a sign-in, the others are echoes.
const ECHOES_TO_A_SIGN_IN: u8 = 10;

/// A purchase, approved and neither voided nor reversed.
#[derive(Debug, Clone)]
struct Standing {
    card: Card,
    amount_fen: u64,
    charged_fen: u64,
    sent: Sent,
    /// Field 13 of its answer, MMDD.
    date: u16,
}

/// What a request was, for its answer.
#[derive(Debug)]
pub struct Asked {
    /// What is counted.
    pub kind: Kind,
    /// How long the frame is.
    pub length: usize,
    sent: Sent,
    what: What,
}

#[derive(Debug)]
enum What {
    /// An inquiry or a counter service.
    About(Card),
    Purchase(Card, u64),
    Reversal,
    /// Of a purchase with this date.
    Void(u16),
    Echo,
    SignIn,
    Malformed,
}

/// A terminal at work.
pub struct Clerk {
    /// Signed in.
    pub terminal: Terminal,
    /// What it may ask.
    pub place: MerchantKind,
    standing: VecDeque<Standing>,
}

impl Clerk {
    /// Without a purchase yet.
    pub fn new(terminal: Terminal, place: MerchantKind) -> Self {
        Self { terminal, place, standing: VecDeque::new() }
    }

    /// What it can ask now.
    pub fn seat(&self) -> Seat {
        let can_spoil = spoil::can_spoil(self.terminal.profile().dialect);
        Seat { place: self.place, has_standing: !self.standing.is_empty(), can_spoil }
    }

    /// Writes a request; where it is about a card, about one that `pick` gives.
    pub fn write<'c>(
        &mut self,
        kind: Kind,
        cards: &'c Cards,
        pick: impl FnOnce(&'c Cards, &mut fastrand::Rng) -> &'c Card,
        random: &mut fastrand::Rng,
        frame: &mut [u8],
    ) -> Result<Asked, TerminalFault> {
        let terminal = &mut self.terminal;
        let (sent, what) = match kind {
            Kind::Inquiry | Kind::Return => {
                let card = pick(cards, random).clone();
                (terminal.star_inquiry(&Swipe::of(card.pan.clone()), None, frame)?, What::About(card))
            }
            Kind::Counter => {
                let card = pick(cards, random).clone();
                (terminal.counter_service(&Swipe::of(card.pan.clone()), frame)?, What::About(card))
            }
            Kind::Purchase => {
                let (card, amount) = (pick(cards, random).clone(), random.u64(1..=MOST_FEN));
                (terminal.purchase(&Swipe::of(card.pan.clone()), amount, frame)?, What::Purchase(card, amount))
            }
            Kind::Reversal | Kind::Void => return self.undo(kind, frame),
            Kind::Housekeeping if random.u8(..ECHOES_TO_A_SIGN_IN) == 0 => (terminal.sign_in(frame)?, What::SignIn),
            Kind::Housekeeping => (terminal.echo(frame)?, What::Echo),
            Kind::Malformed => {
                let integrity = IntegrityRequest { service: Some(SERVICE), ..IntegrityRequest::default() };
                let swipe = Swipe { integrity, ..Swipe::of(pick(cards, random).pan.clone()) };
                let sent = terminal.star_inquiry(&swipe, None, frame)?;
                let how = *random.choice(&Spoilt::ALL).unwrap_or(&Spoilt::TrailingByte);
                let length = spoil::spoil(frame, sent.length, how);
                return Ok(Asked { kind, length, sent, what: What::Malformed });
            }
        };
        Ok(Asked { kind, length: sent.length, sent, what })
    }

    /// The latest purchase reversed, or the one remembered longest voided.
    fn undo(&mut self, kind: Kind, frame: &mut [u8]) -> Result<Asked, TerminalFault> {
        let taken = if kind == Kind::Void { self.standing.pop_front() } else { self.standing.pop_back() };
        // The deck deals these to terminals that have one; nothing was sent if this one hasn't.
        let Standing { card, amount_fen, charged_fen, sent, date } = taken.ok_or(TerminalFault::NotSignedIn)?;
        let swipe = Swipe::of(card.pan);
        let (sent, what) = if kind == Kind::Void {
            let original = Original { batch: sent.batch, stan: sent.stan, date };
            (self.terminal.void(&swipe, charged_fen, original, frame)?, What::Void(date))
        } else {
            let original = (&sent, Reversible::Purchase);
            (self.terminal.reverse(original, &swipe, Some(amount_fen), *b"96", frame)?, What::Reversal)
        };
        Ok(Asked { kind, length: sent.length, sent, what })
    }

    /// Judges an answer and remembers what is worth it; gives what the switch tells the
    /// terminal to do, or what is wrong in a few words.
    pub fn judge(&mut self, asked: Asked, frame: &[u8]) -> Result<Command, String> {
        let kind = asked.kind.name();
        if let What::SignIn = asked.what {
            return self.signed_in(&asked.sent, frame).map(|()| Command::None);
        }
        let answer = self.terminal.read(&asked.sent, frame).map_err(|fault| format!("{kind}: {fault}"))?;
        let date = answer.fields.number(13).and_then(|date| u16::try_from(date).ok()).unwrap_or_default();
        let code = answer.code;
        if !asked.what.may_get(code, self.place, date) {
            return Err(format!("{kind}: answered {code}"));
        }
        let command = answer.head.command().unwrap_or_default();
        self.remember(asked, code, date, charged(&answer));
        Ok(command)
    }

    /// Takes a sign-in's answer.
    pub fn signed_in(&mut self, sent: &Sent, frame: &[u8]) -> Result<(), String> {
        let batch = self.terminal.batch();
        self.terminal.signed_in(sent, frame).map_err(|fault| format!("sign-in: {fault}"))?;
        if self.terminal.batch() != batch {
            self.standing.clear();
        }
        Ok(())
    }

    /// Remembers a purchase that was approved, and forgets those of another day: they can be
    /// voided no more.
    fn remember(&mut self, asked: Asked, code: ResponseCode, date: u16, charged_fen: u64) {
        if date != 0 && self.standing.front().is_some_and(|oldest| oldest.date != date) {
            self.standing.clear();
        }
        let What::Purchase(card, amount_fen) = asked.what else { return };
        if !code.approves() || charged_fen == 0 {
            return;
        }
        if self.standing.len() == REMEMBERED {
            self.standing.pop_front();
        }
        self.standing.push_back(Standing { card, amount_fen, charged_fen, sent: asked.sent, date });
    }
}

fn charged(answer: &Answer<'_>) -> u64 {
    answer.fields.number(4).unwrap_or_default()
}

impl What {
    /// Whether this may be answered so, at such a place and on such a day (MMDD).
    fn may_get(&self, code: ResponseCode, place: MerchantKind, today: u16) -> bool {
        let approved = code == ResponseCode::APPROVED;
        match self {
            // A good card may be a VIP's, which is told at a hall's counter only.
            Self::About(card) if code == ResponseCode::APPROVED_VIP => {
                place == MerchantKind::Hall && card.code == ResponseCode::APPROVED
            }
            Self::About(card) | Self::Purchase(card, _) => code == card.code,
            // The day ended between the two.
            Self::Void(date) if code == ResponseCode::NO_ORIGINAL => *date != today,
            Self::Malformed => code == ResponseCode::FORMAT_ERROR,
            Self::Void(_) | Self::Reversal | Self::Echo | Self::SignIn => approved,
        }
    }
}
