//! Hostile lines: every kind of bad peer at once, for as long as honest terminals swipe.
//!
//! Nothing a peer sends may make the node panic, restart, grow without bound or stall the
//! honest. `cargo xtask hostile` runs the same with a million frames; what the honest
//! terminals' latencies become meanwhile is printed, never asserted.

#[path = "../support/mod.rs"]
mod support;
mod attackers;

use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use attackers::{ATTACKERS, Sent};
use serde_json::{Value, json};
use support::{Deployment, Serving};

/// Small enough that the attackers run into every one of them.
const LIMITS: &str = "[api]\nlisten = \"127.0.0.1:0\"\n\
    [limits]\naddress_per_s = 100\nterminal_per_s = 200\nsign_in_per_s = 20\n\
    [switch]\nlisten = \"127.0.0.1:0\"\nmax_connections = 250\n";

/// Honest terminals: those with the first four numbers. The attackers have the others.
const HONEST: &str = "4";
const HONEST_PER_S: &str = "300";

/// More would mean that something never happens.
const MAX_ROUNDS: usize = 30;

/// How much the node may grow under attack: connections' buffers, answers on their way, and
/// the records of what was authentic.
const MAX_GROWTH_BYTES: u64 = 400 * 1024 * 1024;

#[test]
fn honest_terminals_are_served_whatever_the_others_do() {
    let frames = setting("XINGKA_HOSTILE_FRAMES", 20_000.0) as u64;
    let per_s = setting("XINGKA_HOSTILE_PER_S", 20_000.0);
    let deployment = Deployment::with_city();
    deployment.configure(LIMITS);
    let serving = deployment.serve();
    let seconds = if frames > 100_000 { "10" } else { "2" };
    let quiet = honest(&deployment, &serving, seconds);
    let before = serving.resident_bytes();

    let sent = Sent::new(per_s);
    let stop = AtomicBool::new(false);
    let mut attacked = Vec::new();
    let mut peak = before;
    thread::scope(|scope| {
        for (number, attack) in ATTACKERS.iter().enumerate() {
            let (sent, stop, address) = (&sent, &stop, serving.address);
            scope.spawn(move || attack(address, number as u64, sent, stop));
        }
        let _stopped = StopWhenDropped(&stop);
        // On a slow machine it takes a while until everything has happened once.
        let unfinished = |rounds| rounds < MAX_ROUNDS && (sent.frames() < frames || !uncounted(&serving).is_empty());
        while attacked.is_empty() || unfinished(attacked.len()) {
            attacked.push(honest(&deployment, &serving, seconds));
            peak = peak.max(serving.resident_bytes());
        }
    });
    let sent_per_s = sent.frames_per_s();
    let afterwards = honest(&deployment, &serving, seconds);

    let grown = peak.saturating_sub(before);
    eprintln!("{}", report(&sent, sent_per_s, &quiet, &attacked, &afterwards, grown));
    let (_, metrics) = serving.get("/metrics");
    let lines = metrics.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !line.ends_with(" 0"));
    lines.for_each(|line| eprintln!("  {line}"));
    for (count, what) in sent.kinds() {
        assert!(count > 0, "no {what}");
    }
    assert_eq!(uncounted(&serving), [""; 0]);
    assert!(sent.frames() >= frames);
    assert!(grown < MAX_GROWTH_BYTES, "grew by {grown} bytes");
    let (code, log) = serving.terminate();
    assert_eq!(code, Some(0), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
    deployment.json(&["audit", "verify"]);
    assert_eq!(deployment.json(&["replay"])["differences"], json!([]));
}

fn setting(name: &str, otherwise: f64) -> f64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Honest terminals for a while: every request of theirs is answered, and rightly.
fn honest(deployment: &Deployment, serving: &Serving, seconds: &str) -> Value {
    let cards = deployment.city().join("cards.csv");
    let host = serving.address.to_string();
    let args = ["load", "--terminals", HONEST, "--rate", HONEST_PER_S, "--seconds", seconds];
    let outcome = deployment.json(&[&args[..], &["--host", &host, "--cards", cards.to_str().unwrap()]].concat());
    assert_eq!((&outcome["errors"], &outcome["sent"]), (&json!(0), &outcome["answered"]), "{outcome}");
    outcome
}

/// What the attacks must have been counted as.
const COUNTED: &[&str] = &[
    "xingka_frames_dropped_total{fault=\"length\"}",
    "xingka_frames_dropped_total{fault=\"dialect\"}",
    "xingka_frames_dropped_total{fault=\"tpdu\"}",
    "xingka_frames_dropped_total{fault=\"mti\"}",
    "xingka_limited_total{by=\"address\"}",
    "xingka_limited_total{by=\"terminal\"}",
    "xingka_limited_total{by=\"sign-in\"}",
    "xingka_connections_ended_total{by=\"unframed\"}",
    "xingka_connections_ended_total{by=\"limited\"}",
    "xingka_connections_ended_total{by=\"closed\"}",
    "xingka_newcomers_put_out_total",
    "xingka_repeats_total",
    "xingka_outcomes_total{code=\"30\"}",
    "xingka_outcomes_total{code=\"40\"}",
    "xingka_outcomes_total{code=\"96\"}",
    "xingka_outcomes_total{code=\"97\"}",
    "xingka_outcomes_total{code=\"A0\"}",
];

/// What hasn't been counted yet.
fn uncounted(serving: &Serving) -> Vec<&'static str> {
    let (_, metrics) = serving.get("/metrics");
    let count = |name: &str| -> f64 {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
    };
    COUNTED.iter().copied().filter(|name| count(name) == 0.0).collect()
}

fn report(sent: &Sent, per_s: f64, quiet: &Value, attacked: &[Value], afterwards: &Value, grown: u64) -> String {
    let p999 = |outcome: &Value| outcome["p999_us"].as_u64().unwrap();
    let mut under_attack: Vec<u64> = attacked.iter().map(p999).collect();
    under_attack.sort_unstable();
    let median = under_attack[under_attack.len() / 2];
    let (before, after) = (p999(quiet), p999(afterwards));
    let kinds = sent.kinds().map(|(count, what)| format!("  {count:>9} {what}\n")).concat();
    format!(
        "{} hostile frames, {per_s:.0} a second:\n{kinds}\
         honest terminals, \u{b5}s within which 99.9 % were answered:\n  \
         {before:>9} before, {after} after\n  \
         {median:>9} under attack, median of {} runs: {under_attack:?}\n  \
         ratio {:.2}\n\
         the node grew by {:.1} MiB",
        sent.frames(),
        under_attack.len(),
        median as f64 / before.max(after) as f64,
        grown as f64 / 1_048_576.0
    )
}

/// Stops the attackers also when the test fails.
struct StopWhenDropped<'s>(&'s AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A counter that threads share.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
