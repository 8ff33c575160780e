//! A terminal and whoever works at it: buys, voids, refunds, repeats, reverses, settles.
//!
//! It keeps what it was told, as slips: the checks go by these, not by what nodes say of themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use xingka_terminal::{Profile, Reversible, Sent, Swipe, Terminal, TerminalFault};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::CUP;
use xingka_wire::messages::{Original, Totals};
use xingka_wire::session_keys::Tmk;

use crate::people;
use crate::stage::Stage;

/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// So often it tries what has to be done before anything else.
const MAX_ATTEMPTS: usize = 100;

/// Enough for any request here.
const MAX_REQUEST_BYTES: usize = 1_024;

/// What an answer told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Field 39.
    pub code: String,
    /// Field 4.
    pub amount_fen: Option<u64>,
    /// DF1B.
    pub decision_id: Option<[u8; 16]>,
    /// DF18.
    pub benefits: Vec<u32>,
    /// DF1D.
    pub stand_in: bool,
    /// DF19.
    pub rule_book: Option<u32>,
    /// Field 37.
    pub reference: [u8; 12],
    /// Field 13, MMDD.
    pub mmdd: u16,
}

impl Told {
    fn of(answer: &Answer<'_>) -> Self {
        let reference = answer.fields.bytes(37).and_then(|bytes| bytes.try_into().ok());
        Self {
            code: answer.code.to_string(),
            amount_fen: answer.fields.number(4),
            decision_id: answer.integrity.decision_id,
            benefits: answer.integrity.benefits.iter().collect(),
            stand_in: answer.integrity.source == Some(1),
            rule_book: answer.integrity.rule_book,
            reference: reference.unwrap_or_default(),
            mmdd: answer.fields.number(13).and_then(|mmdd| u16::try_from(mmdd).ok()).unwrap_or_default(),
        }
    }
}

/// A request as it went out.
#[derive(Clone)]
struct Letter {
    sent: Sent,
    frame: Vec<u8>,
    /// Whose keys read its answer.
    reader: Terminal,
    /// The sign-ins before it.
    sign_ins: u32,
}

/// A purchase.
#[derive(Clone)]
pub struct Slip {
    /// Whose.
    pub holder: u32,
    /// Its answer.
    pub told: Told,
    /// What it charged.
    pub charged_fen: u64,
    /// Neither voided nor reversed, as far as the till knows.
    pub stands: bool,
    /// It may stand or not: what was to undo it had no clear answer.
    pub unclear: bool,
    refunded_fen: u64,
    letter: Letter,
}

impl Slip {
    /// Its batch and STAN.
    pub fn place(&self) -> (u32, u32) {
        (self.letter.sent.batch, self.letter.sent.stan)
    }
}

/// An answered request, as somebody who only saw the line would note it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// At which terminal.
    pub terminal: usize,
    /// In which batch.
    pub batch: u32,
    /// Its STAN.
    pub stan: u32,
    /// Its MTI.
    pub mti: u16,
    /// What it was told.
    pub told: Told,
    /// When.
    pub at: Instant,
}

/// A terminal at work.
pub struct Till {
    number: usize,
    stage: Arc<Stage>,
    terminal: Terminal,
    /// The node it is at.
    node: usize,
    /// Purchases, of all batches.
    pub slips: Vec<Slip>,
    /// Requests of this batch that were answered, to be repeated.
    answered: Vec<(Letter, Told)>,
    batch: Totals,
    last_refusal: Option<Told>,
    sign_ins: u32,
    /// It couldn't read an answer.
    locked_out: bool,
}

/// How a request ended.
enum Ended {
    Told(Told),
    /// No answer that says anything.
    Unclear,
}

impl Till {
    /// At some node.
    pub fn new(number: usize, stage: &Arc<Stage>) -> Self {
        let (id, shop) = (people::terminal_id(number), *people::shop_of(number));
        let profile = Profile::new(id, shop, &CUP, people::mac_of(number));
        Self {
            number,
            stage: stage.clone(),
            terminal: Terminal::new(profile, Tmk::new(people::tmk(number)), 1),
            node: number % stage.lines.nodes(),
            slips: Vec::new(),
            answered: Vec::new(),
            batch: Totals::default(),
            last_refusal: None,
            sign_ins: 0,
            locked_out: false,
        }
    }

    /// A working day: some requests, and a settlement at the end.
    pub async fn work(mut self, requests: usize) -> Self {
        self.sign_in().await;
        for _ in 0..requests {
            sleep(self.stage.chance.millis(0, 600)).await;
            if self.stage.chance.happens(12) {
                self.node = self.stage.chance.number(0..self.stage.lines.nodes());
            }
            self.do_something().await;
        }
        self.stage.until_healed().await;
        self.settle().await;
        self
    }

    /// The same, as long as anything goes wrong.
    pub async fn work_until_healed(mut self) -> Self {
        self.sign_in().await;
        while !self.stage.is_healed() {
            sleep(self.stage.chance.millis(0, 400)).await;
            if self.stage.chance.happens(3) {
                self.node = self.stage.chance.number(0..self.stage.lines.nodes());
            }
            self.do_something().await;
        }
        self.settle().await;
        self
    }

    async fn do_something(&mut self) {
        match self.stage.chance.number(0..100) {
            0..50 => self.buy().await,
            50..62 => self.inquire().await,
            62..72 => self.give_back(true).await,
            72..78 => self.give_back(false).await,
            78..90 => self.repeat().await,
            90..95 => self.settle().await,
            _ => self.sign_in().await,
        }
    }

    fn write(&mut self, write: impl FnOnce(&mut Terminal, &mut [u8]) -> Result<Sent, TerminalFault>) -> Option<Letter> {
        let mut frame = vec![0; MAX_REQUEST_BYTES];
        match write(&mut self.terminal, &mut frame) {
            Ok(sent) => {
                frame.truncate(sent.length);
                Some(Letter { sent, frame, reader: self.terminal.clone(), sign_ins: self.sign_ins })
            }
            Err(fault) => {
                self.stage.violated(format!("terminal {} can't write a request: {fault}", self.number));
                None
            }
        }
    }

    /// Sends a request and reads what comes, once.
    async fn send(&mut self, letter: &Letter) -> Option<Told> {
        let exchange = self.stage.lines.carry(self.node, letter.frame.clone(), false);
        let bytes = timeout(PATIENCE, exchange).await.ok()??;
        match letter.reader.read(&letter.sent, &bytes) {
            Ok(answer) => Some(Told::of(&answer)),
            Err(fault) => {
                // Sealed with keys that it doesn't have: it needs new ones.
                self.locked_out = true;
                if !self.stage.was_ever_alone() {
                    self.stage.violated(format!("terminal {} can't read an answer: {fault}", self.number));
                }
                None
            }
        }
    }

    /// Sends a request until it is answered, or so often.
    async fn ask(&mut self, letter: &Letter, attempts: usize) -> Ended {
        for attempt in 0..attempts {
            if attempt > 0 {
                sleep(self.stage.chance.millis(50, 400)).await;
                if self.stage.chance.happens(40) {
                    self.node = self.stage.chance.number(0..self.stage.lines.nodes());
                }
            }
            match self.send(letter).await {
                // What became of it isn't said.
                Some(told) if matches!(told.code.as_str(), "68" | "91" | "96") => self.stage.count_refused(&told.code),
                Some(told) if matches!(told.code.as_str(), "77" | "A0") => {
                    self.stage.count_refused(&told.code);
                    if !self.stage.was_ever_alone() {
                        let said = format!("terminal {} was told {} for {:?}", self.number, told.code, letter.sent.mti);
                        self.stage.violated(said);
                    }
                    self.last_refusal = Some(told);
                    Box::pin(self.sign_in()).await;
                    return Ended::Unclear;
                }
                Some(told) => {
                    self.note(letter, &told);
                    return Ended::Told(told);
                }
                None => self.stage.count_unanswered(),
            }
            if std::mem::take(&mut self.locked_out) {
                Box::pin(self.sign_in()).await;
                return Ended::Unclear;
            }
        }
        Ended::Unclear
    }

    fn note(&mut self, letter: &Letter, told: &Told) {
        self.stage.seen(Seen {
            terminal: self.number,
            batch: letter.sent.batch,
            stan: letter.sent.stan,
            mti: letter.sent.mti.0,
            told: told.clone(),
            at: Instant::now(),
        });
        self.answered.push((letter.clone(), told.clone()));
    }

    /// Until it is signed in.
    async fn sign_in(&mut self) {
        // Of a sign-in whose answer got lost there are keys as well.
        loop {
            self.sign_ins += 1;
            let Some(letter) = self.write(|terminal, frame| terminal.sign_in(frame)) else { return };
            // A line doesn't double it: each would make keys of its own.
            let exchange = self.stage.lines.carry(self.node, letter.frame.clone(), true);
            if let Ok(Some(bytes)) = timeout(PATIENCE, exchange).await
                && self.terminal.signed_in(&letter.sent, &bytes).is_ok()
            {
                return;
            }
            sleep(self.stage.chance.millis(100, 900)).await;
            self.node = self.stage.chance.number(0..self.stage.lines.nodes());
        }
    }

    async fn buy(&mut self) {
        let holder = self.stage.chance.number(0..people::HOLDERS as usize) as u32;
        let amount_fen = 1_000 + 10 * self.stage.chance.number(0..50) as u64;
        let Some(pan) = people::pan(holder) else { return };
        let swipe = Swipe::of(pan);
        let Some(letter) = self.write(|terminal, frame| terminal.purchase(&swipe, amount_fen, frame)) else { return };
        let attempts = self.stage.chance.number(1..=4);
        match self.ask(&letter, attempts).await {
            Ended::Told(told) if told.code == "00" => {
                let charged_fen = told.amount_fen.unwrap_or(amount_fen);
                self.batch.debit_fen += charged_fen;
                self.batch.debits += 1;
                let (stands, unclear) = (true, false);
                self.slips.push(Slip { holder, told, charged_fen, stands, unclear, refunded_fen: 0, letter });
            }
            Ended::Told(_) => {}
            Ended::Unclear => {
                self.reverse((&letter, Reversible::Purchase), &swipe, amount_fen).await;
            }
        }
    }

    /// Until it is answered: a terminal does nothing else before.
    async fn reverse(&mut self, original: (&Letter, Reversible), swipe: &Swipe<'_>, amount_fen: u64) {
        let (original, kind) = original;
        for _ in 0..MAX_ATTEMPTS {
            let letter = self.write(|terminal, frame| {
                terminal.reverse((&original.sent, kind), swipe, Some(amount_fen), *b"98", frame)
            });
            let Some(letter) = letter else { return };
            if let Ended::Told(told) = self.ask(&letter, 8).await {
                if !matches!(told.code.as_str(), "00" | "25") {
                    self.stage.violated(format!("terminal {}: a reversal was told {}", self.number, told.code));
                }
                return;
            }
            sleep(self.stage.chance.millis(100, 900)).await;
        }
        let of = &original.sent;
        self.stage.violated(format!(
            "terminal {} can't reverse {:?} of batch {}, STAN {}; it is in batch {}: {:?}",
            self.number,
            of.mti,
            of.batch,
            of.stan,
            self.terminal.batch(),
            self.last_refusal
        ));
    }

    async fn inquire(&mut self) {
        let holder = self.stage.chance.number(0..people::HOLDERS as usize) as u32;
        let Some(pan) = people::pan(holder) else { return };
        let swipe = Swipe::of(pan);
        let Some(letter) = self.write(|terminal, frame| terminal.star_inquiry(&swipe, Some(1_000), frame)) else {
            return;
        };
        if let Ended::Told(told) = self.ask(&letter, 2).await
            && !matches!(told.code.as_str(), "00")
        {
            self.stage.violated(format!("terminal {}: an inquiry was told {}", self.number, told.code));
        }
    }

    /// A void, or a refund of a part.
    async fn give_back(&mut self, void: bool) {
        let batch = self.terminal.batch();
        let of_batch = |slip: &Slip| !void || slip.letter.sent.batch == batch && slip.refunded_fen == 0;
        let open: Vec<usize> = (0..self.slips.len())
            .filter(|at| self.slips.get(*at).is_some_and(|slip| slip.stands && !slip.unclear && of_batch(slip)))
            .collect();
        let Some(at) = self.stage.chance.one_of(&open).copied() else { return };
        let Some(slip) = self.slips.get(at).cloned() else { return };
        let Some(pan) = people::pan(slip.holder) else { return };
        let swipe = Swipe::of(pan);
        let original = Original { batch: slip.letter.sent.batch, stan: slip.letter.sent.stan, date: slip.told.mmdd };
        let fen = if void { slip.charged_fen } else { (slip.charged_fen - slip.refunded_fen).min(100) };
        if fen == 0 {
            return;
        }
        let letter = self.write(|terminal, frame| match void {
            true => terminal.void(&swipe, fen, original, frame),
            false => terminal.refund(&swipe, fen, original, frame),
        });
        let Some(letter) = letter else { return };
        match self.ask(&letter, 3).await {
            Ended::Told(told) if told.code == "00" => {
                self.batch.credit_fen += fen;
                self.batch.credits += 1;
                if let Some(slip) = self.slips.get_mut(at) {
                    slip.stands &= !void;
                    slip.refunded_fen += if void { 0 } else { fen };
                }
            }
            Ended::Told(told) => {
                // A purchase answered by a stand-in may have been answered elsewhere as well.
                if !slip.told.stand_in && !self.stage.was_alone_lately() {
                    let said = if void { "void" } else { "refund" };
                    self.stage.violated(format!("terminal {}: a {said} was told {}", self.number, told.code));
                }
            }
            Ended::Unclear => {
                let kind = if void { Reversible::Void } else { Reversible::Refund };
                self.reverse((&letter, kind), &swipe, fen).await;
                // Undone, the void takes its purchase's unit again, though another may have had it meanwhile:
                // there is no refusing a reversal.
                if let Some(slip) = self.slips.get_mut(at) {
                    slip.unclear = true;
                }
            }
        }
    }

    /// Asks again what was answered before.
    async fn repeat(&mut self) {
        // Older keys aren't kept.
        let newest = self.sign_ins;
        self.answered.retain(|(letter, _)| letter.sign_ins + 1 >= newest);
        let Some((letter, first)) = self.stage.chance.one_of(&self.answered).cloned() else { return };
        let Some(again) = self.send(&letter).await else { return };
        if !matches!(again.code.as_str(), "91" | "96" | "77" | "A0") && again != first {
            let doubled = first.stand_in || again.stand_in || self.stage.was_alone_lately();
            if doubled {
                self.stage.count_doubled();
            } else {
                self.stage.violated(format!("terminal {}: a repeat was told {again:?}, first {first:?}", self.number));
            }
        }
    }

    /// Until the batch is closed.
    async fn settle(&mut self) {
        let totals = self.batch;
        let mut attempts = 0;
        loop {
            let Some(letter) = self.write(|terminal, frame| terminal.settle(totals, frame)) else { return };
            loop {
                attempts += 1;
                let exchange = self.stage.lines.carry(self.node, letter.frame.clone(), false);
                let bytes = timeout(PATIENCE, exchange).await.ok().flatten();
                let settled = bytes.map(|bytes| {
                    let settled = self.terminal.settled(&letter.sent, &bytes);
                    let read = letter.reader.read(&letter.sent, &bytes);
                    (settled, read.map(|answer| Told::of(&answer)).ok())
                });
                match settled {
                    Some((Ok(settled), told)) => {
                        told.iter().for_each(|told| self.note(&letter, told));
                        if !settled.balanced {
                            self.unbalanced(&totals, &settled.totals);
                        }
                        self.answered.clear();
                        self.batch = Totals::default();
                        return;
                    }
                    Some((Err(_), Some(told))) if matches!(told.code.as_str(), "77" | "A0") => {
                        self.stage.count_refused(&told.code);
                        if !self.stage.was_ever_alone() {
                            let said = format!("terminal {}: a settlement was told {}", self.number, told.code);
                            self.stage.violated(said);
                        }
                        self.sign_in().await;
                        break;
                    }
                    // Sealed with keys that it doesn't have: it needs new ones.
                    Some((Err(_), None)) => {
                        self.sign_in().await;
                        break;
                    }
                    other => {
                        self.stage.count_unanswered();
                        if attempts > 10 * MAX_ATTEMPTS {
                            return self.stage.violated(format!("terminal {} can't settle: {other:?}", self.number));
                        }
                    }
                }
                sleep(self.stage.chance.millis(100, 900)).await;
                self.node = self.stage.chance.number(0..self.stage.lines.nodes());
            }
        }
    }

    /// The totals disagree: the till gives up its own, as after an upload of nothing.
    fn unbalanced(&mut self, own: &Totals, theirs: &Totals) {
        let said = format!("terminal {}: its batch is {own:?}, the switch has {theirs:?}", self.number);
        if self.stage.count_unbalanced() {
            self.stage.violated(said)
        }
    }
}
