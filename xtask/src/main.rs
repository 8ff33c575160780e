//! `cargo xtask`: one command for what a laptop and CI both do.
#![allow(clippy::print_stdout, reason = "a build tool talks to its terminal")]

mod bench;
mod fuzz;
mod packages;
mod peers;
mod sim;
mod tidy;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask COMMAND

  test         build the program and run every test (the README's second command)
  ci           format, lints, docs, then test: what .ci/run calls
  tidy         the project's own rules, as far as no compiler checks them
  peers        the codec beside independent libraries, in Rust and in Python (part of test)
  fuzz         coverage-guided fuzzing: --minutes N or --runs N, --target NAME; --keep (a short run is part of test)
  sim          the city in one process: --seeds N, --from N, --trace, --plant BUG (a thousand seeds and every planted
               bug are part of test)
  hostile      a million hostile frames over real connections beside honest terminals, in release
  bench        every benchmark, into benches/REPORT.md; --quick for a short look
";

fn main() -> ExitCode {
    let command = env::args().nth(1).unwrap_or_default();
    let done = match command.as_str() {
        "test" => test(),
        "ci" => ci(),
        "tidy" => tidy::check(&root()),
        "peers" => peers::check(),
        "fuzz" => fuzz::command(),
        "sim" => sim::command(),
        "hostile" => hostile(),
        "bench" => bench::command(),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("xtask: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The project's root, from wherever it is run.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| ".".into(), Path::to_path_buf)
}

fn test() -> Result<(), String> {
    needs("cc", "a C compiler: SQLite is built from source")?;
    packages::install()?;
    tidy::check(&root())?;
    cargo(&["test", "--workspace", "--locked"])?;
    sim::check()?;
    peers::check()?;
    fuzz::check()
}

fn ci() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    documented()?;
    test()
}

/// Docs build without a warning: every link leads somewhere.
fn documented() -> Result<(), String> {
    let args = ["doc", "--workspace", "--no-deps", "--locked"];
    run(Command::new("cargo").args(args).env("RUSTDOCFLAGS", "-D warnings"))
}

/// What `cargo xtask test` does with twenty thousand frames, with a million: at a pace that
/// leaves the machine room for the honest terminals, then as fast as the attackers can.
fn hostile() -> Result<(), String> {
    let args = ["test", "--release", "--locked", "--package", "xingka", "--test", "hostile", "--", "--nocapture"];
    ["20000", "1e9"].iter().try_for_each(|per_s| {
        let mut command = Command::new("cargo");
        run(command.args(args).env("XINGKA_HOSTILE_FRAMES", "1000000").env("XINGKA_HOSTILE_PER_S", per_s))
    })
}

fn cargo(args: &[&str]) -> Result<(), String> {
    run(Command::new("cargo").args(args))
}

fn run(command: &mut Command) -> Result<(), String> {
    println!("> {command:?}");
    let status = command.current_dir(root()).status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

/// Says what is missing and what it is for, instead of failing somewhere in the middle.
fn needs(program: &str, what_for: &str) -> Result<(), String> {
    let found = Command::new(program).arg("--version").output().is_ok();
    if found { Ok(()) } else { Err(format!("`{program}` is missing: install {what_for}")) }
}
