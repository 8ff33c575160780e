//! The load generator: its mix, what it says of wrong answers, and lines that are lost.
//!
//! A proxy stands between it and the switch where something must happen to a line: it loses
//! answers together with their line, or tells terminals to sign in again.

mod support;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::{Value, json};
use support::{Deployment, pan, xingka};
use xingka_wire::dialect::CUP;
use xingka_wire::frame::{Step, next_frame};

/// The kinds of the mix and what per cent of the requests each is.
const SHARES: [(&str, f64); 7] = [
    ("inquiry", 85.0),
    ("purchase", 8.0),
    ("reversal", 1.5),
    ("void", 1.5),
    ("counter", 2.0),
    ("housekeeping", 1.0),
    ("malformed", 1.0),
];

/// Runs `load` and reads what it prints.
fn load(args: &[&str]) -> (bool, Value) {
    let output = xingka(["load", "--json"].iter().chain(args).map(AsRef::as_ref));
    let printed = serde_json::from_slice(&output.stdout);
    (output.status.success(), printed.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// The same, where nothing may go wrong.
fn load_well(args: &[&str]) -> Value {
    let (success, outcome) = load(args);
    assert_eq!((&outcome["errors"], &outcome["error_kinds"]), (&json!(0), &json!({})), "{outcome}");
    assert!(success);
    assert_eq!(outcome["sent"], outcome["answered"]);
    outcome
}

#[test]
fn the_mix_has_its_shares_and_its_histograms_are_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.hlog");
    let hdr = file.to_str().unwrap();
    let args = ["--terminals", "40", "--rate", "1000", "--seconds", "2", "--mix", "lookup", "--hdr", hdr];
    let outcome = load_well(&[&args[..], &["--star-changes", "20", "--mac", "all"]].concat());
    let sent = outcome["sent"].as_f64().unwrap();
    assert_eq!(sent, 2_000.0);
    for (kind, per_cent) in SHARES {
        let (count, expected) = (outcome["kinds"][kind]["count"].as_f64().unwrap(), sent * per_cent / 100.0);
        assert!((count - expected).abs() <= 0.3 * expected + 2.0, "{kind}: {count} of {sent}");
    }
    assert!(outcome["star_changes"].as_u64().unwrap() > 0, "{outcome}");
    let logged = answers_in(&file);
    for (kind, _) in SHARES {
        assert_eq!(logged.get(kind), outcome["kinds"][kind]["answered"].as_u64().as_ref(), "{kind}");
    }
}

/// How many values a histogram log has of each tag.
fn answers_in(file: &Path) -> HashMap<String, u64> {
    let bytes = fs::read(file).unwrap();
    let mut counts = HashMap::new();
    for entry in IntervalLogIterator::new(&bytes) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let compressed = base64(interval.encoded_histogram());
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut compressed.as_slice()).unwrap();
        let tag = interval.tag().unwrap().as_str().to_owned();
        *counts.entry(tag).or_default() += histogram.len();
    }
    counts
}

/// The log's encoding of bytes, read without a crate: six bits a character, `=` at the end.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for character in text.bytes().filter(|character| *character != b'=') {
        bits = bits << 6 | ALPHABET.iter().position(|other| *other == character).unwrap() as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

#[test]
fn all_terminals_come_back_after_a_storm() {
    for pace in [&["--rate", "400"][..], &[]] {
        let args = ["--terminals", "40", "--seconds", "2", "--mix", "lookup", "--reconnect-storm-at", "1"];
        let outcome = load_well(&[&args, pace].concat());
        assert!(outcome["storm_back_us"].as_u64().unwrap() > 0, "{outcome}");
        assert!(outcome.as_object().unwrap().contains_key("storm_calm_us"));
        assert_eq!((&outcome["reconnects"], &outcome["kinds"]["return"]["count"]), (&json!(40), &json!(40)));
    }
}

#[test]
fn what_was_lost_with_its_line_is_asked_again_and_answered_the_same() {
    let deployment = Deployment::with_city();
    let serving = deployment.serve();
    let lost = Arc::new(Lost::default());
    let keeper = lost.clone();
    let proxy = proxy(serving.address, move |request, answer| keeper.judge(request, answer));
    let outcome = at(&deployment, proxy, &["--seconds", "2", "--rate", "400"]);
    assert_eq!(outcome["errors"], 0, "{outcome}");
    assert!(outcome["reconnects"].as_u64().unwrap() > 0 && outcome["repeats"].as_u64().unwrap() > 0, "{outcome}");
    assert_eq!(lost.differed.load(Ordering::SeqCst), 0);
    assert!(lost.found_again.load(Ordering::SeqCst) > 0);
    assert!(serving.metric("xingka_repeats_total") > 0.0);
}

#[test]
fn a_terminal_signs_in_again_when_it_is_told_to() {
    let deployment = Deployment::with_city();
    let serving = deployment.serve();
    let told = AtomicUsize::new(0);
    let proxy = proxy(serving.address, move |request, answer| {
        // Not in answers to sign-ins: a terminal that was told so there would never end.
        if !is_housekeeping(request) && told.fetch_add(1, Ordering::SeqCst).is_multiple_of(50) {
            answer[PROCESSING] |= 3;
        }
        true
    });
    let outcome = at(&deployment, proxy, &["--seconds", "1", "--rate", "300"]);
    assert_eq!(outcome["errors"], 0, "{outcome}");
    // Of some 300 answers every fiftieth said so.
    assert!((5..=7).contains(&outcome["sign_ins"].as_u64().unwrap()), "{outcome}");
}

#[test]
fn wrong_answers_are_told_apart() {
    let deployment = Deployment::with_city();
    let serving = deployment.serve();
    let cards = deployment.city().join("cards.csv");
    let claimed = fs::read_to_string(&cards).unwrap().replace("lost", "active");
    fs::write(&cards, claimed).unwrap();
    let args = common(&deployment, serving.address);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--seconds", "1", "--rate", "300"]).collect();
    let (success, outcome) = load(&args);
    assert!(!success, "{outcome}");
    assert_eq!(
        outcome["sent"].as_u64(),
        outcome["answered"].as_u64().zip(outcome["errors"].as_u64()).map(|(a, b)| a + b)
    );
    let kinds = outcome["error_kinds"].as_object().unwrap();
    assert!(kinds.contains_key("inquiry: answered 41"), "{outcome}");
    assert!(kinds.keys().all(|kind| kind.ends_with("answered 41")), "{outcome}");
    assert!(!outcome.to_string().contains(&pan(6)));
}

#[test]
fn a_city_can_be_made_for_later_runs() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("big");
    let args = ["--make-city", dir.to_str().unwrap(), "--terminals", "30", "--holders", "50"];
    let (success, made) = load(&args);
    assert!(success && made["terminals"].as_u64().unwrap() >= 30, "{made}");
    assert!(fs::read_to_string(made["cards"].as_str().unwrap()).unwrap().lines().count() == 51);
    assert!(Path::new(made["config"].as_str().unwrap()).is_file());
    // Nothing that is there is touched.
    let again = xingka(["load"].iter().chain(&args).map(AsRef::as_ref));
    assert!(String::from_utf8(again.stderr).unwrap().contains("exists already"));
}

/// The arguments of a load of the mix at a deployment, through something else.
fn common(deployment: &Deployment, address: SocketAddr) -> Vec<String> {
    let (config, cards) = (deployment.config(), deployment.city().join("cards.csv"));
    let (config, cards, address) = (config.to_str().unwrap(), cards.to_str().unwrap(), address.to_string());
    let args = ["--config", config, "--cards", cards, "--host", &address, "--terminals", "9", "--mix", "lookup"];
    args.map(str::to_owned).to_vec()
}

fn at(deployment: &Deployment, address: SocketAddr, more: &[&str]) -> Value {
    let args = common(deployment, address);
    load(&args.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>()).1
}

/// Where the message type stands in a frame.
const TYPE: usize = 13;
/// Where the processing digit of the header stands.
const PROCESSING: usize = 9;

fn is_housekeeping(frame: &[u8]) -> bool {
    frame[TYPE] == 0x08
}

/// Answers that were lost with their line, by request.
#[derive(Default)]
struct Lost {
    answers: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    frames: AtomicUsize,
    found_again: AtomicUsize,
    differed: AtomicUsize,
}

impl Lost {
    /// Whether an answer gets through: each twentieth doesn't, and must come again as it was.
    fn judge(&self, request: &[u8], answer: &[u8]) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = answers.remove(request) {
            // What was never recorded may be answered otherwise.
            if !is_housekeeping(request) && is_well_formed(request) {
                let count = if former == answer { &self.found_again } else { &self.differed };
                count.fetch_add(1, Ordering::SeqCst);
            }
            return true;
        }
        // Where the very first sign-in is lost, the load doesn't begin.
        let passes = is_housekeeping(request) || self.frames.fetch_add(1, Ordering::SeqCst) % 20 != 19;
        if !passes {
            answers.insert(request.to_vec(), answer.to_vec());
        }
        passes
    }
}

fn is_well_formed(frame: &[u8]) -> bool {
    let Step::Frame(frame, _) = next_frame(&[&CUP], frame) else { return false };
    xingka_wire::decode(&frame).is_ok()
}

/// A proxy in front of a switch. `judge` sees each request and may change its answer; where
/// it says no, the answer is lost, and the line with it.
fn proxy(switch: SocketAddr, judge: impl Fn(&[u8], &mut [u8]) -> bool + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let judge = Arc::new(judge);
    std::thread::spawn(move || {
        for terminal in listener.incoming().map_while(Result::ok) {
            let judge = judge.clone();
            std::thread::spawn(move || drop(pass(terminal, switch, &*judge)));
        }
    });
    address
}

fn pass(mut terminal: TcpStream, switch: SocketAddr, judge: &dyn Fn(&[u8], &mut [u8]) -> bool) -> io::Result<()> {
    let mut switch = TcpStream::connect(switch)?;
    terminal.set_nodelay(true)?;
    switch.set_nodelay(true)?;
    loop {
        let request = read_frame(&mut terminal)?;
        switch.write_all(&request)?;
        let mut answer = read_frame(&mut switch)?;
        if !judge(&request, &mut answer) {
            return Ok(());
        }
        terminal.write_all(&answer)?;
    }
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame)?;
    frame.resize(2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])), 0);
    stream.read_exact(&mut frame[2..])?;
    Ok(frame)
}
