//! All benchmarks, and `benches/REPORT.md` of what they measured.
//!
//! Ratios within one run are what counts: machines differ, and have neighbours.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{root, run};

const GUNGRAUN: &str = "0.20.0";
const BENCHES: [&str; 5] = ["codec", "mac", "decide", "card_table", "journal"];

/// Means in nanoseconds, by group and name.
type Times = BTreeMap<(String, String), f64>;

/// `cargo xtask bench [--quick]`.
pub fn command() -> Result<(), String> {
    let quick = env::args().any(|arg| arg == "--quick");
    let notes = criterion(quick)?;
    let times = times(&root().join("target/criterion"))?;
    let counts = instructions()?;
    let ratios = end_to_end(quick)?;
    let report = render(&times, &notes, &counts, &ratios)?;
    let path = root().join("benches/REPORT.md");
    fs::write(&path, report).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Runs criterion; the lines that benchmarks themselves print.
fn criterion(quick: bool) -> Result<Vec<String>, String> {
    let (warm, measured) = if quick { ("0.3", "0.6") } else { ("1", "3") };
    let mut notes = Vec::new();
    for bench in BENCHES {
        let mut command = Command::new("cargo");
        command.args(["bench", "--locked", "--package", "xingka-benches", "--bench", bench, "--"]);
        command.args(["--warm-up-time", warm, "--measurement-time", measured, "--noplot"]);
        let output = said(&mut command)?;
        notes.extend(output.lines().filter(|line| line.contains("bytes a card")).map(str::to_owned));
    }
    Ok(notes)
}

/// What a command said on both of its outputs, shown as it comes to an end.
fn said(command: &mut Command) -> Result<String, String> {
    println!("> {command:?}");
    let output = command.current_dir(root()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(format!("{command:?}: {}\n{text}", output.status)) }
}

/// Reads every `GROUP/NAME/new/estimates.json`.
fn times(folder: &Path) -> Result<Times, String> {
    let mut times = Times::new();
    for (group, path) in folders(folder)? {
        for (name, path) in folders(&path)? {
            let Ok(text) = fs::read_to_string(path.join("new/estimates.json")) else { continue };
            let estimates: Value =
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            if let Some(mean) = estimates["mean"]["point_estimate"].as_f64() {
                times.insert((group.clone(), name), mean);
            }
        }
    }
    Ok(times)
}

fn folders(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    Ok(folders.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect())
}

/// Instruction counts, by benchmark.
fn instructions() -> Result<Vec<(String, u64)>, String> {
    crate::needs("valgrind", "valgrind (Debian: valgrind): it counts instructions")?;
    let tools = root().join("target/tools");
    let runner = tools.join("bin/gungraun-runner");
    if !runner.exists() {
        let install = ["install", "gungraun-runner", "--locked", "--version", GUNGRAUN, "--root"];
        run(Command::new("cargo").args(install).arg(&tools))?;
    }
    let mut command = Command::new("cargo");
    command.args(["bench", "--locked", "--package", "xingka-benches", "--bench", "instructions"]);
    let output = said(command.env("GUNGRAUN_RUNNER", runner).env("GUNGRAUN_COLOR", "never"))?;
    Ok(counted(&output))
}

/// `instructions::all::fields cup:(…)`, and a line further on `Instructions: 1662|…`.
fn counted(output: &str) -> Vec<(String, u64)> {
    let (mut name, mut counts) = (None, Vec::new());
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("instructions::all::") {
            name = rest.split_once(":(").map(|(name, _)| name.to_owned());
        } else if let Some(count) = line.trim_start().strip_prefix("Instructions:") {
            let count = count.trim().split('|').next().and_then(|count| count.parse().ok());
            counts.extend(name.take().zip(count));
        }
    }
    counts
}

/// The switch beside a bare echo of the same frames.
fn end_to_end(quick: bool) -> Result<Vec<(String, Value)>, String> {
    run(Command::new("cargo").args(["build", "--release", "--locked"]))?;
    let mut ratios = Vec::new();
    for mac in ["aes-cmac", "aes-cmac", "aes-cmac", "all"] {
        let seconds = if quick { "2" } else { "5" };
        let load = ["load", "--terminals", "1000", "--seconds", seconds, "--mac", mac, "--beside-echo", "--json"];
        let mut command = Command::new(root().join("target/release/xingka"));
        println!("> {command:?} {load:?}");
        let output = command.args(load).output().map_err(|error| error.to_string())?;
        let outcome: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("load: {error}"))?;
        ratios.push((mac.to_owned(), outcome));
    }
    Ok(ratios)
}

fn render(
    times: &Times,
    notes: &[String],
    counts: &[(String, u64)],
    ratios: &[(String, Value)],
) -> Result<String, String> {
    let mut text = String::from(
        "# What was measured\n\nMade by `cargo xtask bench`. Compare within one run only: times are this machine's, at that \
         moment, with its neighbours.\n\n",
    );
    text += &machine();
    text += &codec(times)?;
    text += &others(times, notes)?;
    text += &instruction_table(counts);
    text += &end_to_end_table(ratios);
    Ok(text)
}

fn machine() -> String {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "Machine: {}, {cores} cores, {} of memory, Linux {}; {rustc}.\n\n",
        first("/proc/cpuinfo", "model name"),
        first("/proc/meminfo", "MemTotal"),
        kernel.trim(),
    )
}

fn time(times: &Times, group: &str, name: &str) -> Result<f64, String> {
    let found = times.get(&(group.to_owned(), name.to_owned()));
    found.copied().ok_or_else(|| format!("criterion has no {group}/{name}"))
}

/// Nanoseconds, as a person reads them.
fn shown(nanoseconds: f64) -> String {
    match nanoseconds {
        time if time < 1e3 => format!("{time:.1} ns"),
        time if time < 1e6 => format!("{:.2} µs", time / 1e3),
        time => format!("{:.2} ms", time / 1e6),
    }
}

fn codec(times: &Times) -> Result<String, String> {
    let mut text = String::from(
        "## Codec: wire.md's star inquiry\n\n\
         `fields` is what the peers do: every field found, every character checked. `decode` goes on to the typed request; \
         `frame` comes before. The ratios are to `iso_8583_rs`, which makes no typed request; one row has what it takes to make the \
         same one of its fields by hand.\n\n\
         | | frame | fields | ratio | decode | ratio | encode | ratio |\n|---|---|---|---|---|---|---|---|\n",
    );
    let (read, written) = (time(times, "decode", "iso_8583_rs")?, time(times, "encode", "iso_8583_rs")?);
    for name in ["cup", "ascii87", "ascii87-hex"] {
        let [frame, fields, decode, encode] =
            ["frame", "fields", "decode", "encode"].map(|group| time(times, group, name));
        let (frame, fields, decode, encode) = (frame?, fields?, decode?, encode?);
        let (fields_ratio, decode_ratio, encode_ratio) = (fields / read, decode / read, encode / written);
        let _ = writeln!(
            text,
            "| ours, `{name}` | {} | {} | {fields_ratio:.2} | {} | {decode_ratio:.2} | {} | {encode_ratio:.2} |",
            shown(frame),
            shown(fields),
            shown(decode),
            shown(encode)
        );
    }
    let typed = time(times, "decode", "iso_8583_rs typed")?;
    let typed_ratio = typed / read;
    let _ = writeln!(
        text,
        "| iso_8583_rs, the typed request made by hand | | | | {} | {typed_ratio:.2} | | |",
        shown(typed)
    );
    for name in ["iso_8583_rs", "iso8583-codec", "iso8583-msg"] {
        let (decode, encode) = (time(times, "decode", name)?, time(times, "encode", name)?);
        let (fields_ratio, encode_ratio) = (decode / read, encode / written);
        let (decode, encode) = (shown(decode), shown(encode));
        let _ = writeln!(text, "| {name} | | {decode} | {fields_ratio:.2} | | | {encode} | {encode_ratio:.2} |");
    }
    Ok(text + "\n")
}

fn others(times: &Times, notes: &[String]) -> Result<String, String> {
    let mut text = String::from("## MACs over 65 bytes\n\n| | MAC | making the key |\n|---|---|---|\n");
    for (_, name) in times.keys().filter(|(group, _)| group == "mac") {
        let (mac, key) = (time(times, "mac", name)?, time(times, "mac key", name)?);
        let _ = writeln!(text, "| {name} | {} | {} |", shown(mac), shown(key));
    }
    let (ours, peer) = (time(times, "decode", "cup")?, time(times, "decode", "iso_8583_rs")?);
    text += "\n## Decisions\n\nBy how many benefits the provider has: of every kind, and the worst case, where all apply one on \
             top of the other. The ratios are to decoding the inquiry: ours as `cup`, and `iso_8583_rs`.\n\n\
             | benefits | mixed | to our decode | to the peer's | all apply |\n|---|---|---|---|---|\n";
    for count in ["1", "10", "100", "300", "1000", "5000"] {
        let (mixed, all) = (time(times, "decide mixed", count)?, time(times, "decide all-apply", count)?);
        let (to_ours, to_peer) = (mixed / ours, mixed / peer);
        let _ = writeln!(text, "| {count} | {} | {to_ours:.1} | {to_peer:.1} | {} |", shown(mixed), shown(all));
    }
    text += "\n## Card table\n\n| cards | known | unknown |\n|---|---|---|\n";
    for cards in ["10000", "100000", "1000000", "10000000"] {
        let look_up = |what: &str| time(times, "card_table", &format!("{what} {cards}"));
        let _ = writeln!(text, "| {cards} | {} | {} |", shown(look_up("known")?), shown(look_up("unknown")?));
    }
    text += "\n";
    for note in notes {
        let _ = writeln!(text, "* {note}");
    }
    text += "\n## Journal\n\n| records in a commit | a commit | a record |\n|---|---|---|\n";
    for records in [1_u32, 16, 256] {
        let commit = time(times, "journal", &records.to_string())?;
        let _ = writeln!(text, "| {records} | {} | {} |", shown(commit), shown(commit / f64::from(records)));
    }
    Ok(text + "\n")
}

fn instruction_table(counts: &[(String, u64)]) -> String {
    let mut text = String::from(
        "## Instructions\n\nUnder valgrind: the same whatever else the machine does. `fields` and `decode` include `frame`.\n\n\
         | | instructions |\n|---|---|\n",
    );
    for (name, count) in counts {
        let _ = writeln!(text, "| {name} | {count} |");
    }
    text + "\n"
}

fn end_to_end_table(ratios: &[(String, Value)]) -> String {
    let mut text = String::from(
        "## End to end\n\nA thousand terminals, one swipe outstanding each, MAC both ways, recorded before the answer, beside a \
         bare echo of the same frames with the same client.\n\n| MAC | swipes a second | echoes a second | ratio |\n|---|---|---|---|\n",
    );
    for (mac, outcome) in ratios {
        let number = |key: &str| outcome[key].as_f64().unwrap_or_default();
        let (swipes, echoes, ratio) = (number("per_s"), number("echo_per_s"), number("ratio_to_echo"));
        let _ = writeln!(text, "| {mac} | {swipes:.0} | {echoes:.0} | {ratio:.2} |");
    }
    text
}
