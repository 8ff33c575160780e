//! Certifies a terminal: plays a switch to it, provokes it, and watches what it does.
//!
//! Somebody stands at the terminal and does what each case asks for; `ask` tells them. The switch
//! played here decides nothing: it approves at the bench's price, or misbehaves as the case wants, and
//! compares what the terminal then sends with what wire.md asks of terminals.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use xingka_wire::mac::MacKey;
use xingka_wire::messages::Totals;
use xingka_wire::mti::Command;
use xingka_wire::session_keys::{KeyLayout, MAX_KEY_FIELD_BYTES, SessionKeys, Tmk};

use crate::bench::{BadBench, Bench, Checked};
use crate::message::{Message, Seen};
use crate::report::{CaseReport, Finding, Report, Step};

mod cases;

/// What somebody is to do at the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Have it sign in.
    SignIn,
    /// Buy for so much with the bench's good card.
    Buy {
        /// The price before the discount, fen.
        fen: u64,
    },
    /// Void the latest purchase.
    Void,
    /// Settle the batch.
    Settle,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn => f.write_str("sign the terminal in"),
            Self::Buy { fen } => write!(f, "buy for {}.{:02} yuan with the bench's good card", fen / 100, fen % 100),
            Self::Void => f.write_str("void the latest purchase"),
            Self::Settle => f.write_str("settle the batch"),
        }
    }
}

/// Certifies the terminal that connects to `listener`: it is to be the bench's shop terminal.
///
/// `ask` tells somebody what to do there; `patience` is how long they and the terminal may take.
pub fn certify(
    bench: &Bench,
    listener: &TcpListener,
    random: &[[u8; 16]; 3],
    patience: Duration,
    ask: &mut dyn FnMut(&Action),
) -> Result<Report, BadBench> {
    let checked = bench.shop.check("shop")?;
    let about = format!("{}, {}, {}", bench.shop.terminal, bench.shop.profile, bench.shop.mac);
    let mut desk = Desk {
        bench,
        checked,
        listener,
        random: *random,
        patience,
        ask,
        line: None,
        key: None,
        batch: 1,
        last_stan: None,
        charged: Vec::new(),
        given_back: Vec::new(),
        steps: Vec::new(),
        answers: 0,
    };
    let cases = cases::CASES.iter().map(|case| desk.run(case)).collect();
    Ok(Report::new("terminal", about, cases))
}

/// A case ends at its first wrong move.
struct Stop;

type Go<T = ()> = Result<T, Stop>;

struct Case {
    id: &'static str,
    title: &'static str,
    run: fn(&mut Desk<'_>) -> Go,
}

/// The switch that is played.
struct Desk<'d> {
    bench: &'d Bench,
    checked: Checked,
    listener: &'d TcpListener,
    random: [[u8; 16]; 3],
    patience: Duration,
    ask: &'d mut dyn FnMut(&Action),
    line: Option<TcpStream>,
    key: Option<MacKey>,
    batch: u32,
    last_stan: Option<u32>,
    charged: Vec<u64>,
    given_back: Vec<u64>,
    steps: Vec<Step>,
    answers: u64,
}

/// How an answer is spoilt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoil {
    No,
    Mac,
    Stan,
}

impl Desk<'_> {
    fn run(&mut self, case: &Case) -> CaseReport {
        let ended = (case.run)(self);
        let steps = std::mem::take(&mut self.steps);
        let passed = ended.is_ok() && steps.iter().all(|step| step.findings.is_empty());
        CaseReport { id: case.id, title: case.title, passed, steps }
    }

    fn ask(&mut self, action: &Action) {
        (self.ask)(action);
    }

    /// The next request, whatever it is; its form is checked.
    fn next(&mut self, what: &str) -> Go<Seen> {
        let seen = self.receive(what)?;
        let findings = self.check_form(&seen);
        let fine = findings.is_empty();
        self.steps.push(Step {
            what: what.to_owned(),
            sent: String::new(),
            seen: Some(hex::encode_upper(&seen.frame)),
            micros: None,
            findings,
        });
        if fine { Ok(seen) } else { Err(Stop) }
    }

    fn receive(&mut self, what: &str) -> Go<Seen> {
        let until = Instant::now() + self.patience;
        loop {
            let read = self.read_frame(until);
            match read {
                Ok(frame) => {
                    return Seen::read(self.checked.dialect, &frame)
                        .map_err(|fault| self.fault(what, "request", "a well-formed message", &fault, None));
                }
                // It may come back on another line.
                Err(error) if error.kind() != io::ErrorKind::TimedOut && Instant::now() < until => self.line = None,
                Err(_) => {
                    let waited = format!("nothing within {} s", self.patience.as_secs());
                    return Err(self.fault(what, "request", what, &waited, None));
                }
            }
        }
    }

    fn read_frame(&mut self, until: Instant) -> io::Result<Vec<u8>> {
        let line = self.line(until)?;
        let mut length = [0; 2];
        read_until(line, &mut length, until)?;
        let mut frame = length.to_vec();
        frame.resize(2 + usize::from(u16::from_be_bytes(length)), 0);
        read_until(line, frame.get_mut(2..).unwrap_or_default(), until)?;
        Ok(frame)
    }

    fn line(&mut self, until: Instant) -> io::Result<&mut TcpStream> {
        if self.line.is_none() {
            self.listener.set_nonblocking(true)?;
            let stream = loop {
                match self.listener.accept() {
                    Ok((stream, _)) => break stream,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    Err(error) => return Err(error),
                }
            };
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            self.line = Some(stream);
        }
        self.line.as_mut().ok_or(io::ErrorKind::NotConnected.into())
    }

    /// What every request must be.
    fn check_form(&self, seen: &Seen) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |place: &str, expected: String, seen: String, why: Option<&str>| {
            findings.push(Finding { place: place.into(), expected, seen, explanation: why.map(str::to_owned) });
        };
        for (field, expected) in [(41, &self.checked.terminal[..]), (42, &self.checked.merchant[..])] {
            if seen.fields.get(&field).map(Vec::as_slice) != Some(expected) {
                find(&format!("F{field}"), crate::message::shown(expected), seen.text(field), None);
            }
        }
        let needed: &[u8] = match seen.mti {
            800 | 820 => &[11, 60],
            100 | 200 | 220 => &[3, 11, 22, 25, 49, 60],
            400 => &[3, 11, 22, 25, 39, 49, 60],
            500 => &[11, 48, 49, 60],
            _ => &[11, 60],
        };
        for field in needed.iter().filter(|field| !seen.fields.contains_key(field)) {
            find(
                &format!("F{field}"),
                "there".into(),
                "nothing".into(),
                Some("a needed field is missing: a switch answers 30"),
            );
        }
        let private = seen.text(60);
        let batch = private.get(2..8).unwrap_or_default();
        if !matches!(seen.mti, 400 | 800 | 820) && batch != format!("{:06}", self.batch) {
            let why = format!("F60 batch {batch}, the switch is at {:06}", self.batch);
            find("F60", format!("batch {:06}", self.batch), format!("batch {batch}"), Some(&why));
        }
        if !matches!(seen.mti, 800 | 820) {
            let right = self.key.as_ref().map(|key| key.mac(&seen.mab));
            if right.is_none() || right != seen.mac {
                let shown = |mac: Option<[u8; 8]>| mac.map_or("nothing".into(), hex::encode_upper);
                find(
                    "MAC",
                    shown(right),
                    shown(seen.mac),
                    Some("compare the bytes that it is over, and the key that the sign-in gave"),
                );
            }
        }
        findings
    }

    /// A new request: its trace number goes on from the one before.
    fn fresh(&mut self, what: &str) -> Go<Seen> {
        let seen = self.next(what)?;
        let stan = seen.number(11).unwrap_or_default() as u32;
        if let Some(last) = self.last_stan.filter(|last| stan != last % 999_999 + 1) {
            let why = if stan == last {
                "a new request under the number of the one before is a repeat of that one"
            } else {
                "trace numbers count on, one by one"
            };
            return Err(self.note("F11", &format!("{:06}", last % 999_999 + 1), &format!("{stan:06}"), Some(why)));
        }
        self.last_stan = Some(stan);
        Ok(seen)
    }

    /// The next request must be of this type; `why` says what the rule is.
    fn expect(&mut self, seen: &Seen, mti: u16, why: &str) -> Go {
        if seen.mti == mti {
            return Ok(());
        }
        Err(self.note("MTI", &format!("{mti:04}"), &format!("{:04}", seen.mti), Some(why)))
    }

    /// Answers a request with a code, and fields beyond those that come back.
    fn answer(&mut self, request: &Seen, code: &str, own: &[(u8, Vec<u8>)], command: Command, spoil: Spoil) -> Go {
        self.answers += 1;
        let mut answer = Message::new(request.mti + 10, request.head.answer(command));
        for field in [3, 4, 11, 25, 41, 42, 49, 60] {
            if let Some(value) = request.fields.get(&field) {
                answer = answer.with(field, value);
            }
        }
        answer = answer.with(12, "101112").with(13, "1123").with(37, format!("{:012}", self.answers)).with(39, code);
        if code == "00" {
            answer = answer.with(38, format!("{:06}", self.answers));
        }
        for (field, value) in own {
            answer = answer.with(*field, value);
        }
        if spoil == Spoil::Stan {
            let other = (request.number(11).unwrap_or_default() + 500_000) % 999_999 + 1;
            answer = answer.with(11, format!("{other:06}"));
        }
        let key = self.key.as_ref().filter(|_| !matches!(request.mti, 800 | 820));
        let Ok(mut frame) = answer.frame(self.checked.dialect, key) else {
            return Err(self.note("answer", "one that can be written", "none", None));
        };
        if let Some(last) = frame.last_mut().filter(|_| spoil == Spoil::Mac) {
            *last ^= 1;
        }
        if let Some(step) = self.steps.last_mut() {
            step.sent = hex::encode_upper(&frame);
        }
        let sent = self.line.as_mut().map(|line| io::Write::write_all(line, &frame));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(self.note("line", "open", "closed", None)),
        }
    }

    /// Approves a request as it stands.
    fn approve(&mut self, request: &Seen) -> Go {
        self.answer(request, "00", &[], Command::None, Spoil::No)
    }

    /// Field 4 of an approved purchase, by the bench's rate.
    fn payable(&self, request: &Seen) -> u64 {
        let price = self.bench.price;
        let fen = request.number(4).unwrap_or_default();
        fen - fen * (price.amount_fen - price.payable_fen) / price.amount_fen.max(1)
    }

    /// Answers a sign-in with new keys and the open batch.
    fn give_keys(&mut self, request: &Seen) -> Go {
        let private = request.text(60);
        let code = private.get(8..11).and_then(|code| code.parse().ok()).unwrap_or_default();
        let Checked { mac, tmk, .. } = self.checked;
        let layout = KeyLayout::by_network_code(code);
        let made = layout.and_then(|layout| Some((layout, SessionKeys::from_random(layout, mac, &self.random).ok()?)));
        let Some((layout, keys)) = made else {
            let why = "the keys of this network code can't serve the terminal's MAC";
            return Err(self.note("F60", "a network code that serves the MAC", &private, Some(why)));
        };
        let mut field = [0; MAX_KEY_FIELD_BYTES];
        let length = keys.wrap(layout, &Tmk::new(tmk), &mut field);
        self.key = MacKey::new(mac, keys.mac_key()).ok();
        // The next sign-in gets others.
        self.random.as_flattened_mut().iter_mut().for_each(|byte| *byte = byte.wrapping_mul(5).wrapping_add(7));
        let rest = private.get(8..).unwrap_or_default();
        let batch = format!("00{:06}{rest}", self.batch);
        let own = [(60, batch.into_bytes()), (62, field.get(..length).unwrap_or_default().to_vec())];
        self.answer(request, "00", &own, Command::None, Spoil::No)
    }

    /// Field 48 as this side has it.
    fn totals(&self, flag: u8) -> Vec<u8> {
        let sum = |amounts: &[u64]| amounts.iter().sum();
        let totals = Totals {
            debit_fen: sum(&self.charged),
            debits: self.charged.len() as u32,
            credit_fen: sum(&self.given_back),
            credits: self.given_back.len() as u32,
            flag,
        };
        Totals::ascii(&totals, &Totals { flag: flag.min(1), ..Totals::default() }).map(Vec::from).unwrap_or_default()
    }

    fn note(&mut self, place: &str, expected: &str, seen: &str, why: Option<&str>) -> Stop {
        let finding = Finding {
            place: place.into(),
            expected: expected.into(),
            seen: seen.into(),
            explanation: why.map(str::to_owned),
        };
        if let Some(step) = self.steps.last_mut() {
            step.findings.push(finding);
        }
        Stop
    }

    fn fault(&mut self, what: &str, place: &str, expected: &str, seen: &str, why: Option<&str>) -> Stop {
        self.steps.push(Step { what: what.into(), sent: String::new(), seen: None, micros: None, findings: vec![] });
        self.note(place, expected, seen, why)
    }
}

fn read_until(line: &mut TcpStream, mut bytes: &mut [u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        line.set_read_timeout(Some(left))?;
        match io::Read::read(line, bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes = bytes.get_mut(count..).unwrap_or_default(),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
