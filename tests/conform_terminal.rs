//! The conformance kit as a switch: a terminal that behaves passes, each bad habit is found.
//!
//! The terminal is a small one made of the terminal SDK: it keeps its batch, reverses what got no
//! good answer, and signs in when it is told to. Its bad habits are switched on one by one.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use xingka_conform::bench::Bench;
use xingka_conform::report::Report;
use xingka_conform::terminal::{Action, certify};
use xingka_terminal::{Original, Profile, Reversible, Sent, Swipe, Terminal, TerminalFault, Totals, Transaction};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::CUP;
use xingka_wire::mac::MacAlgorithm;
use xingka_wire::mti::Command;
use xingka_wire::pan::Pan;
use xingka_wire::session_keys::Tmk;

/// What a terminal does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    None,
    NeverReverses,
    ReversesUnderANewNumber,
    ReversesOnlyOnce,
    ReversesWithoutAReason,
    TakesAnyMac,
    TakesForeignAnswers,
    ReversesRefusals,
    IgnoresCommands,
    NumbersTwice,
    VoidsTheFullPrice,
    SettlesFullPrices,
    StaysInItsBatch,
    UploadsNothing,
}

/// How long it waits for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_millis(600);

/// A sale, as the terminal's memory has it.
#[derive(Clone)]
struct Sale {
    sent: Sent,
    amount_fen: u64,
    time: u32,
    date: u32,
    reference: [u8; 12],
}

struct Till {
    habit: Habit,
    terminal: Terminal,
    stream: TcpStream,
    card: Pan,
    prices: Vec<u64>,
    sales: Vec<Sale>,
    voids: Vec<Sale>,
}

/// What came of waiting for an answer.
enum Got {
    Taken(Sale, String, Command),
    /// Nothing, or nothing that may be taken; the reason for a reversal.
    Nothing([u8; 2]),
}

impl Till {
    fn act(&mut self, action: Action) -> io::Result<()> {
        match action {
            Action::SignIn => self.sign_in(),
            Action::Buy { fen } => self.buy(fen),
            Action::Void => self.void(),
            Action::Settle => self.settle(),
        }
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut Terminal, &mut [u8]) -> Result<Sent, TerminalFault>,
    ) -> (Sent, Vec<u8>) {
        let mut frame = vec![0; 1_024];
        let sent = write(&mut self.terminal, &mut frame).unwrap();
        frame.truncate(sent.length);
        (sent, frame)
    }

    fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length)?;
        let mut frame = length.to_vec();
        frame.resize(2 + usize::from(u16::from_be_bytes(length)), 0);
        self.stream.read_exact(&mut frame[2..])?;
        Ok(frame)
    }

    fn sign_in(&mut self) -> io::Result<()> {
        let batch = self.terminal.batch();
        let (sent, frame) = self.write(|terminal, frame| terminal.sign_in(frame));
        self.stream.write_all(&frame)?;
        let answer = self.frame()?;
        self.terminal.signed_in(&sent, &answer).unwrap();
        assert!(batch == 0 || batch == self.terminal.batch() || self.habit == Habit::StaysInItsBatch);
        Ok(())
    }

    /// Sends and waits; whether the answer may be taken.
    fn exchange(&mut self, sent: &Sent, frame: &[u8]) -> io::Result<Got> {
        self.stream.write_all(frame)?;
        let answer = match self.frame() {
            Ok(answer) => answer,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(Got::Nothing(*b"98"));
            }
            Err(error) => return Err(error),
        };
        let read = self.terminal.read(sent, &answer);
        let lenient = match &read {
            Err(TerminalFault::WrongMac) => self.habit == Habit::TakesAnyMac,
            Err(TerminalFault::AnotherAnswer) => self.habit == Habit::TakesForeignAnswers,
            _ => false,
        };
        let taken = match read {
            Ok(answer) => answer,
            Err(_) if lenient => {
                let (framed, _) = framed(&answer);
                Answer::decode(&framed).unwrap()
            }
            Err(TerminalFault::WrongMac) => return Ok(Got::Nothing(*b"A0")),
            Err(_) => return Ok(Got::Nothing(*b"98")),
        };
        let number = |field| taken.fields.number(field).unwrap_or_default();
        let sale = Sale {
            sent: *sent,
            amount_fen: number(4),
            time: number(12) as u32,
            date: number(13) as u32,
            reference: taken.fields.bytes(37).unwrap().try_into().unwrap(),
        };
        Ok(Got::Taken(sale, taken.code.to_string(), taken.head.command().unwrap()))
    }

    fn swipe(&self) -> Swipe<'static> {
        Swipe::of(self.card.clone())
    }

    fn buy(&mut self, fen: u64) -> io::Result<()> {
        let card = self.swipe();
        let (sent, frame) = self.write(|terminal, frame| terminal.purchase(&card, fen, frame));
        if self.habit == Habit::NumbersTwice {
            self.terminal.set_next_stan(sent.stan);
        }
        match self.exchange(&sent, &frame)? {
            Got::Taken(sale, code, command) => {
                if code == "00" {
                    self.prices.push(fen);
                    self.sales.push(sale);
                }
                if code == "41" && self.habit == Habit::ReversesRefusals {
                    self.reverse(&sent, fen, *b"96")?;
                }
                if (command == Command::SignIn || code == "77") && self.habit != Habit::IgnoresCommands {
                    self.sign_in()?;
                }
                Ok(())
            }
            Got::Nothing(_) if self.habit == Habit::NeverReverses => Ok(()),
            Got::Nothing(reason) => self.reverse(&sent, fen, reason),
        }
    }

    /// Until it is answered.
    fn reverse(&mut self, original: &Sent, fen: u64, reason: [u8; 2]) -> io::Result<()> {
        let card = self.swipe();
        let reason = if self.habit == Habit::ReversesWithoutAReason { *b"00" } else { reason };
        let mut original = *original;
        original.stan += u32::from(self.habit == Habit::ReversesUnderANewNumber);
        let of = (&original, Reversible::Purchase);
        for _ in 0..20 {
            let (sent, frame) = self.write(|terminal, frame| terminal.reverse(of, &card, Some(fen), reason, frame));
            let got = self.exchange(&sent, &frame)?;
            if matches!(got, Got::Taken(..)) || self.habit == Habit::ReversesOnlyOnce {
                break;
            }
        }
        Ok(())
    }

    fn void(&mut self) -> io::Result<()> {
        let sale = self.sales.last().unwrap().clone();
        let original = Original { batch: sale.sent.batch, stan: sale.sent.stan, date: sale.date as u16 };
        let card = self.swipe();
        let full = *self.prices.last().unwrap();
        let fen = if self.habit == Habit::VoidsTheFullPrice { full } else { sale.amount_fen };
        let (sent, frame) = self.write(|terminal, frame| terminal.void(&card, fen, original, frame));
        if let Got::Taken(void, _, _) = self.exchange(&sent, &frame)? {
            self.voids.push(void);
        }
        Ok(())
    }

    fn totals(&self) -> Totals {
        let sum = |sales: &[Sale]| sales.iter().map(|sale| sale.amount_fen).sum();
        let debit_fen =
            if self.habit == Habit::SettlesFullPrices { self.prices.iter().sum() } else { sum(&self.sales) };
        let (debits, credits) = (self.sales.len() as u32, self.voids.len() as u32);
        Totals { debit_fen, debits, credit_fen: sum(&self.voids), credits, flag: 0 }
    }

    fn settle(&mut self) -> io::Result<()> {
        let totals = self.totals();
        let (sent, frame) = self.write(|terminal, frame| terminal.settle(totals, frame));
        self.stream.write_all(&frame)?;
        let answer = self.frame()?;
        let before = self.terminal.clone();
        let settled = self.terminal.settled(&sent, &answer).unwrap();
        if self.habit == Habit::StaysInItsBatch {
            self.terminal = before;
        }
        if !settled.balanced && self.habit != Habit::UploadsNothing {
            self.upload(totals)?;
        }
        self.sales.clear();
        self.voids.clear();
        self.prices.clear();
        Ok(())
    }

    fn upload(&mut self, totals: Totals) -> io::Result<()> {
        for sale in [self.sales.clone(), self.voids.clone()].concat() {
            let transaction = Transaction {
                stan: sale.sent.stan,
                pan: self.card.clone(),
                amount_fen: sale.amount_fen,
                local_time: sale.time,
                local_date: sale.date,
                reference: sale.reference,
            };
            let (_, frame) = self.write(|terminal, frame| terminal.upload(&transaction, frame));
            self.stream.write_all(&frame)?;
            self.frame()?;
        }
        let (sent, frame) = self.write(|terminal, frame| terminal.upload_end(totals, frame));
        self.stream.write_all(&frame)?;
        let answer = self.frame()?;
        self.terminal.settled(&sent, &answer).unwrap();
        Ok(())
    }
}

fn framed(bytes: &[u8]) -> (xingka_wire::frame::Frame<'_>, usize) {
    match xingka_wire::frame::next_frame(&[&CUP], bytes) {
        xingka_wire::frame::Step::Frame(frame, length) => (frame, length),
        step => panic!("no frame: {step:?}"),
    }
}

/// A terminal that does what it is told, until nobody tells it anything more or its line breaks.
fn run(bench: &Bench, address: SocketAddr, habit: Habit, actions: &Receiver<Action>) {
    let place = &bench.shop;
    let id = |text: &str| text.as_bytes().to_vec();
    let (terminal, merchant) = (id(&place.terminal).try_into().unwrap(), id(&place.merchant).try_into().unwrap());
    let profile = Profile::new(terminal, merchant, &CUP, MacAlgorithm::AesCmac);
    let tmk = Tmk::new(hex::decode(&place.tmk).unwrap().try_into().unwrap());
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).unwrap();
    let card = Pan::from_ascii(bench.cards.good.as_bytes()).unwrap();
    let terminal = Terminal::new(profile, tmk, 1);
    let (prices, sales, voids) = (Vec::new(), Vec::new(), Vec::new());
    let mut till = Till { habit, terminal, stream, card, prices, sales, voids };
    for action in actions {
        // A kit that has seen enough doesn't answer any more.
        let _ = till.act(action);
    }
}

fn certified(habit: Habit) -> Report {
    let bench = Bench::made_for(MacAlgorithm::AesCmac, &CUP);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        let bench = &bench;
        scope.spawn(move || run(bench, address, habit, &told));
        // Far more than the terminal's own patience, so that a slow machine is no fault of its.
        let patience = if habit == Habit::None { Duration::from_secs(30) } else { Duration::from_secs(3) };
        let report = certify(bench, &listener, &[[7; 16], [8; 16], [9; 16]], patience, &mut |action| {
            drop(tell.send(action.clone()));
        });
        drop(tell);
        report.unwrap()
    })
}

#[test]
fn a_terminal_that_behaves_passes() {
    let report = certified(Habit::None);
    assert!(report.passed, "{:#?}", report.findings().collect::<Vec<_>>());
}

#[test]
fn every_bad_habit_is_found_and_explained() {
    let cases = [
        (Habit::NeverReverses, "terminal-no-answer", "nothing within"),
        (Habit::ReversesUnderANewNumber, "terminal-no-answer", "a reversal carries its original's fields"),
        (Habit::ReversesOnlyOnce, "terminal-no-answer", "nothing within"),
        (Habit::ReversesWithoutAReason, "terminal-no-answer", "98 no answer, A0 bad MAC, 96 other"),
        (Habit::TakesAnyMac, "terminal-wrong-mac", "nothing within"),
        (Habit::TakesForeignAnswers, "terminal-foreign-answer", "nothing within"),
        (Habit::ReversesRefusals, "terminal-declined", "under the number of the one before"),
        (Habit::IgnoresCommands, "terminal-told-to-sign-in", "nothing within"),
        (Habit::NumbersTwice, "terminal-purchase", "under the number of the one before is a repeat"),
        (Habit::VoidsTheFullPrice, "terminal-void", "a void is for what was charged"),
        (Habit::SettlesFullPrices, "terminal-settlement", "debit is field 4 of approved purchases' answers"),
        (Habit::StaysInItsBatch, "terminal-settlement", "F60 batch 000001, the switch is at 000002"),
        (Habit::UploadsNothing, "terminal-upload", "nothing within"),
    ];
    std::thread::scope(|scope| {
        for (habit, case, words) in cases {
            scope.spawn(move || {
                let report = certified(habit);
                let found = report.findings().any(|(of, _, finding)| {
                    let said = [finding.explanation.as_deref().unwrap_or_default(), &finding.seen].join(" ");
                    of.id == case && said.contains(words)
                });
                assert!(found && !report.passed, "{habit:?}: {:#?}", report.findings().collect::<Vec<_>>());
            });
        }
    });
}
