//! Coverage-guided fuzzing: short in CI, long on request.
//!
//! cargo-fuzz builds the targets (`RUSTC_BOOTSTRAP` lends a stable compiler what it needs);
//! they are then run directly, so that their output can be read. CI has the address sanitizer
//! on; long runs go without, several times as fast, because nothing here is unsafe.
//!
//! What earlier runs found worth keeping is `fuzz/corpus.tar.gz`: two thousand small files that
//! nobody would read one by one. Each run begins with them; `--keep` packs them anew.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{needs, root, run};

/// What libFuzzer is given of each, in bytes; longer ones find nothing more.
const TARGETS: &[(&str, u32)] = &[
    ("frame", 1_200),
    ("message_cup", 1_200),
    ("message_cup_gbk", 1_200),
    ("message_ascii87", 1_200),
    ("tlv", 600),
    ("session_keys", 200),
    ("peers", 1_200),
    ("connection", 4_000),
];

const CARGO_FUZZ: &str = "0.13.2";

/// Where runs leave what they find worth trying.
const WORK: &str = "target/fuzz-work";
/// The corpus, packed and unpacked.
const PACKED: &str = "fuzz/corpus.tar.gz";
const CORPUS: &str = "target/fuzz-corpus";

/// One target's figures.
struct Figures {
    executions: u64,
    per_s: u64,
    edges: u64,
    instrumented: u64,
    corpus: u64,
}

/// How much is run.
enum Bound {
    Runs(u64),
    Seconds(u64),
}

/// What CI runs: every seed and corpus file, then a bounded count.
pub fn check() -> Result<(), String> {
    fuzz(true, &Bound::Runs(100_000), None)
}

/// `cargo xtask fuzz [--minutes N | --runs N] [--target NAME]`, or `--keep`.
pub fn command() -> Result<(), String> {
    let args: Vec<String> = env::args().skip(2).collect();
    if args.iter().any(|arg| arg == "--keep") {
        return keep();
    }
    let value = |name: &str| args.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no whole number"));
    let target = value("--target");
    let share = if target.is_some() { 1 } else { TARGETS.len() as u64 };
    let bound = match (value("--minutes"), value("--runs")) {
        (Some(minutes), _) => Bound::Seconds(number(minutes)? * 60 / share),
        (None, Some(runs)) => Bound::Runs(number(runs)?),
        (None, None) => return check(),
    };
    fuzz(false, &bound, target)
}

fn fuzz(sanitized: bool, bound: &Bound, only: Option<&str>) -> Result<(), String> {
    let chosen: Vec<_> = TARGETS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        return Err(format!(
            "no such target; there are {:?}",
            TARGETS.iter().map(|(name, _)| name).collect::<Vec<_>>()
        ));
    }
    let binaries = build(sanitized)?;
    unpack()?;
    println!("{:16} {:>12} {:>9} {:>13} {:>7}", "target", "executions", "a second", "edges", "corpus");
    for (name, max_len) in chosen {
        let figures = one(&binaries, name, *max_len, bound)?;
        let Figures { executions, per_s, edges, instrumented, corpus } = figures;
        // Less than a second has no rate.
        let per_s = if per_s == 0 { "-".to_owned() } else { per_s.to_string() };
        println!("{name:16} {executions:>12} {per_s:>9} {edges:>6} of {instrumented:>4} {corpus:>7}");
    }
    println!("no findings");
    Ok(())
}

/// Builds all targets, and cargo-fuzz where it is missing; the folder they are in.
fn build(sanitized: bool) -> Result<PathBuf, String> {
    needs("c++", "a C++ compiler (Debian: g++): libFuzzer is built from source")?;
    let tools = root().join("target/tools");
    let cargo_fuzz = tools.join("bin/cargo-fuzz");
    if !cargo_fuzz.exists() {
        let install = ["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ, "--root"];
        run(Command::new("cargo").args(install).arg(&tools))?;
    }
    let (sanitizer, target) = if sanitized { ("address", "target/fuzz-asan") } else { ("none", "target/fuzz") };
    let args = ["build", "--fuzz-dir", "fuzz", "--sanitizer", sanitizer, "--target-dir", target];
    run(Command::new(cargo_fuzz).args(args).env("RUSTC_BOOTSTRAP", "1"))?;
    let built = fs::read_dir(root().join(target)).map_err(|error| error.to_string())?;
    // Named by the machine's own triple.
    let folders = built.flatten().map(|entry| entry.path().join("release"));
    let mut folders = folders.filter(|folder| folder.join(TARGETS[0].0).exists());
    folders.next().ok_or_else(|| format!("no fuzz targets under {target}"))
}

/// Runs one target from its seeds and corpus; what it finds on the way stays under `target`.
fn one(binaries: &Path, name: &str, max_len: u32, bound: &Bound) -> Result<Figures, String> {
    let work = root().join(WORK).join(name);
    fs::create_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
    let artifacts = format!("-artifact_prefix={}/finding-", work.parent().unwrap_or(&work).display());
    let limit = match bound {
        Bound::Runs(runs) => format!("-runs={runs}"),
        Bound::Seconds(seconds) => format!("-max_total_time={}", seconds.max(&1)),
    };
    let mut command = Command::new(binaries.join(name));
    command.args([&limit, &format!("-max_len={max_len}"), &artifacts, "-print_final_stats=1"]).arg(&work);
    command.args(kept(name));
    let output = command.current_dir(root()).output().map_err(|error| format!("{name}: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last: Vec<&str> = log.lines().rev().take(40).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Err(format!("{name} found something:\n{}\nreproduce: {command:?} FINDING", last.join("\n")));
    }
    figures(&log).ok_or_else(|| format!("{name}: libFuzzer's output isn't as expected:\n{log}"))
}

/// The seeds of a target, and its part of the corpus.
fn kept(name: &str) -> impl Iterator<Item = PathBuf> {
    let folders = ["fuzz/seeds", CORPUS].map(|folder| root().join(folder).join(name));
    folders.into_iter().filter(|folder| folder.exists())
}

/// Unpacks the corpus.
fn unpack() -> Result<(), String> {
    let folder = root().join(CORPUS);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    run(Command::new("tar").args(["-xzf", PACKED, "-C"]).arg(&folder))
}

/// Takes into the corpus what long runs found, leaves out what finds nothing more, packs it.
fn keep() -> Result<(), String> {
    let binaries = build(false)?;
    unpack()?;
    let merged = root().join("target/fuzz-merged");
    for (name, max_len) in TARGETS {
        let (into, work) = (merged.join(name), root().join(WORK).join(name));
        for folder in [&into, &work] {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let mut merge = Command::new(binaries.join(name));
        merge.args(["-merge=1", &format!("-max_len={max_len}")]).arg(&into).args(kept(name)).arg(&work);
        run(merge.stderr(std::process::Stdio::null()))?;
    }
    // The same corpus is the same file.
    let same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    run(Command::new("tar").args(same).args(["-czf", PACKED, "-C"]).arg(&merged).arg("."))
}

/// Reads `#100000 DONE cov: 967 ft: 2113 corp: 364/48Kb …` and what stands around it.
fn figures(log: &str) -> Option<Figures> {
    let after = |line: &str, word: &str| -> Option<u64> {
        let rest = line.split_once(word)?.1.trim_start();
        rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
    };
    let done = log.lines().rfind(|line| line.contains("DONE"))?;
    let loaded = log.lines().find(|line| line.contains("inline 8-bit counters"))?;
    Some(Figures {
        executions: after(log, "stat::number_of_executed_units:")?,
        per_s: after(log, "stat::average_exec_per_sec:")?,
        edges: after(done, "cov:")?,
        instrumented: after(loaded, "(")?,
        corpus: after(done, "corp:")?,
    })
}
