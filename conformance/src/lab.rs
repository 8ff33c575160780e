//! Where cases are run: the bench's terminals, and the notes of what was sent and seen.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use xingka_wire::messages::Totals;
use xingka_wire::session_keys::KeyLayout;

use crate::bench::{BadBench, Bench, Place};
use crate::expect::Want;
use crate::message::{Message, Seen};
use crate::report::{CaseReport, Finding, Step};
use crate::station::{Dial, Station};

/// A place of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    Shop,
    ShopTwo,
    Hall,
    Bank,
}

/// A case ends at its first wrong answer: what would follow is about something else.
#[derive(Debug)]
pub(crate) struct Stop;

/// How a case goes on.
pub(crate) type Go<T = ()> = Result<T, Stop>;

/// One case.
pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn(&mut Lab<'_>) -> Go,
}

/// Where cases are run.
pub struct Lab<'d> {
    pub(crate) bench: &'d Bench,
    dial: &'d Dial<'d>,
    stations: BTreeMap<At, Station>,
    first_stan: u32,
    steps: Vec<Step>,
}

impl<'d> Lab<'d> {
    pub(crate) fn new(bench: &'d Bench, dial: &'d Dial<'d>, first_stan: u32) -> Self {
        Self { bench, dial, stations: BTreeMap::new(), first_stan, steps: Vec::new() }
    }

    /// Runs a case to its report.
    pub(crate) fn run(&mut self, case: &Case) -> CaseReport {
        let ended = (case.run)(self);
        let steps = std::mem::take(&mut self.steps);
        let passed = ended.is_ok() && !steps.is_empty() && steps.iter().all(|step| step.findings.is_empty());
        if !passed {
            // A line may be out of step now, or closed.
            self.stations.clear();
        }
        CaseReport { id: case.id, title: case.title, passed, steps }
    }

    fn place(&self, at: At) -> (&'static str, &'d Place) {
        match at {
            At::Shop => ("shop", &self.bench.shop),
            At::ShopTwo => ("shop_two", &self.bench.shop_two),
            At::Hall => ("hall", &self.bench.hall),
            At::Bank => ("bank", &self.bench.bank),
        }
    }

    /// A terminal on a new line, not signed in.
    pub(crate) fn connect(&mut self, at: At) -> Go<Station> {
        let (name, place) = self.place(at);
        let connected = place.check(name).map_err(|error: BadBench| error.to_string());
        let connected = connected.and_then(|checked| {
            let line = (self.dial)(&place.terminal).map_err(|error| error.to_string())?;
            Ok(Station::new(checked, line, self.first_stan))
        });
        connected.map_err(|error| self.fail("connecting", "line", "a connection", &error))
    }

    /// A terminal that has signed in; once it has, the same one again.
    pub(crate) fn station(&mut self, at: At) -> Go<&mut Station> {
        if !self.stations.contains_key(&at) {
            let mut station = self.connect(at)?;
            let layout = station.layout();
            self.sign_in(&mut station, layout)?;
            self.stations.insert(at, station);
        }
        self.stations.get_mut(&at).ok_or(Stop)
    }

    /// Signs in for the keys of a layout, and checks them.
    pub(crate) fn sign_in(&mut self, station: &mut Station, layout: KeyLayout) -> Go {
        let network_code = u32::from(layout.network_code());
        let message = station.message(800, (0, network_code));
        let want = Want::code("00").unsealed().has(60).has(62);
        let seen = self.exchange(station, &format!("sign-in {network_code:03}"), &message, None, &want)?;
        let keys = seen.fields.get(&62).map(Vec::as_slice).unwrap_or_default();
        if let Err(fault) = station.take_keys(layout, keys) {
            return Err(self.note("F62", &format!("session keys of {network_code:03} under the bench's TMK"), &fault));
        }
        let private = seen.text(60);
        let (kind, rest) = (private.get(..2), private.get(8..));
        if kind != Some("00") || rest != message.text(60).get(8..) {
            return Err(self.note("F60", "the request's, with the open batch", &private));
        }
        station.batch = private.get(2..8).and_then(|batch| batch.parse().ok()).unwrap_or_default();
        // The trace numbers of this run begin here; batch and number together are the key.
        self.first_stan = station.stan;
        Ok(())
    }

    /// Sends a message under the session's key and checks its answer.
    pub(crate) fn ask(&mut self, at: At, what: &str, message: &Message, want: &Want) -> Go<Seen> {
        let mut station = self.take(at)?;
        let asked = self.ask_with(&mut station, what, message, want);
        self.stations.insert(at, station);
        asked
    }

    /// The same for a terminal that isn't one of the usual ones.
    pub(crate) fn ask_with(&mut self, station: &mut Station, what: &str, message: &Message, want: &Want) -> Go<Seen> {
        let frame = message
            .frame(station.dialect(), station.key())
            .map_err(|fault| self.fail(what, "request", "one that can be written", &fault.to_string()))?;
        self.exchange(station, what, message, Some(frame), want)
    }

    /// Sends a frame as it is, or the message unsealed, and checks the answer.
    pub(crate) fn exchange(
        &mut self,
        station: &mut Station,
        what: &str,
        message: &Message,
        frame: Option<Vec<u8>>,
        want: &Want,
    ) -> Go<Seen> {
        let unsealed = || message.frame(station.dialect(), None).unwrap_or_default();
        let frame = frame.unwrap_or_else(unsealed);
        match station.exchange(&frame) {
            Ok((answer, took)) => self.answered(station, what, message, &frame, (answer, took), want),
            Err(error) => Err(self.unanswered(what, &frame, &error)),
        }
    }

    /// Checks an answer that has come.
    pub(crate) fn answered(
        &mut self,
        station: &Station,
        what: &str,
        message: &Message,
        frame: &[u8],
        (answer, took): (Vec<u8>, Duration),
        want: &Want,
    ) -> Go<Seen> {
        let read = station.read(&answer);
        let mut findings = match &read {
            Ok(seen) => want.compare(message, seen, station),
            Err(fault) => vec![finding("frame", "one answer, well-formed", fault)],
        };
        if took > Duration::from_millis(self.bench.answer_within_ms) {
            let (within, took) =
                (format!("within {} ms", self.bench.answer_within_ms), format!("{} ms", took.as_millis()));
            findings.push(finding("time", &within, &took));
        }
        let passed = findings.is_empty();
        self.steps.push(Step {
            what: what.to_owned(),
            sent: hex::encode_upper(frame),
            seen: Some(hex::encode_upper(&answer)),
            micros: u64::try_from(took.as_micros()).ok(),
            findings,
        });
        read.ok().filter(|_| passed).ok_or(Stop)
    }

    fn unanswered(&mut self, what: &str, frame: &[u8], error: &io::Error) -> Stop {
        let slow = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        let seen = if slow { "nothing in time".to_owned() } else { format!("the line ended: {error}") };
        let findings = vec![finding("answer", "an answer", &seen)];
        let sent = hex::encode_upper(frame);
        self.steps.push(Step { what: what.to_owned(), sent, seen: None, micros: None, findings });
        Stop
    }

    /// A finding about the latest step.
    pub(crate) fn note(&mut self, place: &str, expected: &str, seen: &str) -> Stop {
        if let Some(step) = self.steps.last_mut() {
            step.findings.push(finding(place, expected, seen));
        }
        Stop
    }

    /// A finding about the latest step, with what it looks like.
    pub(crate) fn note_because(&mut self, place: &str, expected: &str, seen: &str, why: &str) -> Stop {
        if let Some(step) = self.steps.last_mut() {
            step.findings.push(Finding { explanation: Some(why.to_owned()), ..finding(place, expected, seen) });
        }
        Stop
    }

    fn fail(&mut self, what: &str, place: &str, expected: &str, seen: &str) -> Stop {
        let findings = vec![finding(place, expected, seen)];
        self.steps.push(Step { what: what.to_owned(), sent: String::new(), seen: None, micros: None, findings });
        Stop
    }

    /// Takes a signed-in terminal out; to be put back by [`Self::put_back`].
    pub(crate) fn take(&mut self, at: At) -> Go<Station> {
        self.station(at)?;
        self.stations.remove(&at).ok_or(Stop)
    }

    pub(crate) fn put_back(&mut self, at: At, station: Station) {
        self.stations.insert(at, station);
    }

    /// A new line for a terminal.
    pub(crate) fn redial(&mut self, at: At, station: &mut Station) -> Go {
        let (_, place) = self.place(at);
        match (self.dial)(&place.terminal) {
            Ok(line) => station.replace_line(line),
            Err(error) => return Err(self.fail("connecting again", "line", "a connection", &error.to_string())),
        }
        Ok(())
    }
}

/// Messages with a card, as the bench's terminals send them.
impl Lab<'_> {
    /// A message with a card; `fen` is field 4.
    pub(crate) fn presented(
        &mut self,
        at: At,
        (mti, processing, kind): Kind,
        pan: &str,
        fen: Option<u64>,
    ) -> Go<Message> {
        let message = self.station(at)?.message(mti, (kind, 0));
        let message = message.with(2, pan).with(3, processing).with(22, "072").with(25, "00").with(49, "156");
        Ok(match fen {
            Some(fen) => message.with(4, format!("{fen:012}")),
            None => message,
        })
    }

    pub(crate) fn purchase(&mut self, at: At, fen: u64) -> Go<Message> {
        let pan = self.bench.cards.good.clone();
        self.presented(at, PURCHASE, &pan, Some(fen))
    }

    /// A purchase at the bench's price, approved: the request and its answer.
    pub(crate) fn bought(&mut self, at: At) -> Go<(Message, Seen)> {
        let price = self.bench.price;
        let message = self.purchase(at, price.amount_fen)?;
        let want = approved_purchase(price.amount_fen, price.payable_fen);
        let seen = self.ask(at, "a purchase", &message, &want)?;
        Ok((message, seen))
    }

    /// A follow-up of a purchase: void or refund.
    pub(crate) fn follow_up(&mut self, at: At, kind: Kind, of: (&Message, &Seen), fen: u64) -> Go<Message> {
        let (original, answer) = of;
        let message = self.presented(at, kind, &original.text(2), Some(fen))?;
        let batch = original.text(60);
        let reference = format!("{}{}{}", batch.get(2..8).unwrap_or_default(), original.text(11), answer.text(13));
        Ok(message.with(61, reference))
    }

    /// The reversal of a request: its fields, and a reason.
    pub(crate) fn reversal(original: &Message) -> Message {
        let mut message = original.clone();
        message.mti = 400;
        message.fields.remove(&57);
        message.with(39, "98")
    }

    /// A settlement (500, 201) or a batch upload's end (320, 202).
    pub(crate) fn totals(&mut self, at: At, (mti, network_code): (u16, u32), totals: Totals) -> Go<Message> {
        let message = self.station(at)?.message(mti, (0, network_code));
        let digits = Totals::ascii(&totals, &Totals::default()).unwrap_or([b'0'; 62]);
        Ok(message.with(48, digits).with(49, "156"))
    }
}

/// MTI, field 3 and field 60's type.
pub(crate) type Kind = (u16, &'static str, u32);

pub(crate) const INQUIRY: Kind = (200, "310000", 1);
pub(crate) const PURCHASE: Kind = (200, "000000", 22);
pub(crate) const VOID: Kind = (200, "200000", 23);
pub(crate) const REFUND: Kind = (220, "200000", 25);
pub(crate) const OFFLINE: Kind = (220, "000000", 36);
pub(crate) const COUNTER: Kind = (100, "310000", 1);

/// Twelve packed digits.
pub(crate) fn packed(fen: u64) -> Vec<u8> {
    hex::decode(format!("{fen:012}")).unwrap_or_default()
}

/// The answer to a purchase at the bench's price.
pub(crate) fn approved_purchase(amount_fen: u64, payable_fen: u64) -> Want {
    Want::code("00")
        .told()
        .field(4, format!("{payable_fen:012}"))
        .tag(0xDF14, packed(amount_fen))
        .tag(0xDF15, packed(payable_fen))
        .tag(0xDF16, packed(amount_fen - payable_fen))
}

fn finding(place: &str, expected: &str, seen: &str) -> Finding {
    Finding { place: place.to_owned(), expected: expected.to_owned(), seen: seen.to_owned(), explanation: None }
}
