//! One terminal at work: it takes its turns, asks, and does what it is told.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::time::{Instant, sleep_until};
use xingka_terminal::TerminalFault;
use xingka_wire::mti::Command;

use super::cards::Cards;
use super::link::{Link, NoAnswer, PATIENCE};
use super::mix::{Deck, Kind, Mix};
use super::pace::{Schedule, Turns};
use super::record::{Count, Recorder};
use super::request::{Asked, Clerk};
use super::{Loader, Peer, Plan};
use xingka_core::city::MerchantKind;

/// Enough for any request here.
const MAX_REQUEST_BYTES: usize = 512;

/// What all terminals of a run share.
pub struct Shared {
    pub plan: Plan,
    pub cards: Arc<Cards>,
    pub recorder: Arc<Recorder>,
    pub deck: Mutex<Deck>,
    /// At a rate.
    pub pace: Option<(Schedule, Turns)>,
}

/// A terminal with its line.
pub struct Till {
    number: usize,
    clerk: Clerk,
    link: Link,
    random: fastrand::Rng,
    shared: Arc<Shared>,
    frame: Vec<u8>,
    answer: Vec<u8>,
}

impl Till {
    /// Signs in where that hasn't happened yet.
    pub async fn open(number: usize, loader: Loader, mut link: Link, shared: Arc<Shared>) -> Result<Self> {
        let Loader { mut terminal, kind, .. } = loader;
        if let Some(line) = link.line().filter(|_| !terminal.is_signed_in()) {
            line.sign_in(&mut terminal).await?;
        }
        let random = fastrand::Rng::with_seed(shared.plan.seed ^ number as u64);
        let (frame, answer) = (vec![0; MAX_REQUEST_BYTES], Vec::new());
        Ok(Self { number, clerk: Clerk::new(terminal, kind), link, random, shared, frame, answer })
    }

    /// Works until the end, and gives the terminal back.
    pub async fn work(mut self, started: Instant) -> Loader {
        let mut turn = 0;
        while let Some(intended) = self.turn(turn, started).await {
            turn += 1;
            let kind = self.choose();
            self.ask(kind, intended).await;
        }
        // With an echo, which follows, there is no TLS.
        Loader { terminal: self.clerk.terminal, kind: self.clerk.place, certificate: None }
    }

    /// Waits for the next turn; gives its intended start. A storm is weathered meanwhile.
    async fn turn(&mut self, turn: u64, started: Instant) -> Option<Instant> {
        let shared = self.shared.clone();
        let end = started + shared.plan.duration;
        let Some((schedule, turns)) = &shared.pace else {
            if self.link.is_in_storm() {
                self.come_back().await;
            }
            return Some(Instant::now()).filter(|now| *now < end);
        };
        let intended = started + schedule.intended(self.number, turn);
        loop {
            let its_turn = async {
                if intended >= end {
                    // Stays on its line until the end: so many terminals are connected.
                    sleep_until(end).await;
                } else if let Ok(permit) = turns[self.number].acquire().await {
                    permit.forget();
                }
            };
            tokio::select! {
                () = its_turn => return Some(intended).filter(|intended| *intended < end),
                () = self.link.storm() => {}
            }
            self.come_back().await;
        }
    }

    fn choose(&mut self) -> Kind {
        match (self.shared.plan.mix, self.clerk.place) {
            (Mix::Lookup, _) => {
                let seat = self.clerk.seat();
                self.shared.deck.lock().unwrap_or_else(PoisonError::into_inner).deal(seat)
            }
            (Mix::Swipe, MerchantKind::Merchant) if self.random.u8(..10) < 7 => Kind::Purchase,
            (Mix::Swipe, MerchantKind::Hall | MerchantKind::Bank) => Kind::Counter,
            (Mix::Swipe | Mix::Inquiry, _) => Kind::Inquiry,
        }
    }

    /// After a storm, a terminal without a request of its own asks at once.
    async fn come_back(&mut self) {
        self.ask(Kind::Return, Instant::now()).await;
    }

    async fn ask(&mut self, kind: Kind, intended: Instant) {
        let shared = self.shared.clone();
        let pick = if shared.plan.mix == Mix::Lookup { Cards::popular } else { Cards::any };
        shared.recorder.sent(kind);
        let asked = self.clerk.write(kind, &shared.cards, pick, &mut self.random, &mut self.frame);
        let told = self.answered(kind, asked).await;
        match told {
            Ok(_) if kind == Kind::Return => {}
            Ok(_) => shared.recorder.answered(self.number, kind, intended.elapsed()),
            Err(what) => return shared.recorder.error(what),
        }
        if told == Ok(Command::SignIn) {
            self.sign_in_again().await;
        }
    }

    /// Sends a request and judges its answer.
    async fn answered(&mut self, kind: Kind, asked: Result<Asked, TerminalFault>) -> Result<Command, String> {
        let asked = asked.map_err(|fault| format!("{}: not written: {fault}", kind.name()))?;
        self.exchange(asked.length).await.map_err(|NoAnswer| format!("{}: {}", kind.name(), no_answer()))?;
        match self.shared.plan.peer {
            Peer::Switch => self.clerk.judge(asked, &self.answer),
            Peer::Echo => {
                let same = self.frame.get(..asked.length) == Some(&self.answer);
                let right = same && self.clerk.terminal.verifies(&self.answer) == Ok(true);
                if right { Ok(Command::None) } else { Err("the echo sent something else".to_owned()) }
            }
        }
    }

    /// On the same line, before the next request.
    async fn sign_in_again(&mut self) {
        let signed_in = match self.clerk.terminal.sign_in(&mut self.frame) {
            Err(fault) => Err(format!("sign-in: not written: {fault}")),
            Ok(sent) => match self.exchange(sent.length).await {
                Err(NoAnswer) => Err(format!("sign-in: {}", no_answer())),
                Ok(()) => self.clerk.signed_in(&sent, &self.answer),
            },
        };
        match signed_in {
            Ok(()) => self.shared.recorder.count(Count::SignIn),
            Err(what) => self.shared.recorder.error(what),
        }
    }

    async fn exchange(&mut self, length: usize) -> Result<(), NoAnswer> {
        let frame = self.frame.get(..length).unwrap_or_default();
        self.link.exchange(frame, &mut self.answer).await?;
        // Whatever was asked: the terminal has had an answer again.
        if let Some(since) = self.link.away_since.take() {
            self.shared.recorder.answered(self.number, Kind::Return, since.elapsed());
        }
        Ok(())
    }
}

fn no_answer() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}
