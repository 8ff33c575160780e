//! Codecs and ciphers that share nothing with ours: what can't be a test of the workspace.
//!
//! The crate `iso8583_rs` drags in dependencies of 2020, so it has a lock file of its own;
//! pyiso8583, psec, gmssl and cryptography live in a virtual environment under `target`.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{needs, root, run};

/// Runs all of them.
pub fn check() -> Result<(), String> {
    panicking()?;
    python()
}

fn panicking() -> Result<(), String> {
    let manifest = ["--manifest-path", "tests/peers/panicking/Cargo.toml", "--target-dir", "target/peers"];
    run(Command::new("cargo").args(["run", "--quiet", "--locked"]).args(manifest))
}

fn python() -> Result<(), String> {
    let environment = root().join("target/peers-venv");
    prepare(&environment)?;
    let cases = root().join("target/peers-cases.jsonl");
    let file = File::create(&cases).map_err(|error| format!("{}: {error}", cases.display()))?;
    run(Command::new("cargo").args(["run", "--quiet", "--locked", "--package", "xingka-peers"]).stdout(file))?;
    let cases = File::open(&cases).map_err(|error| format!("{}: {error}", cases.display()))?;
    let mut check = Command::new(environment.join("bin/python"));
    // 3DES is deprecated; that is known, and what is checked.
    run(check.args(["-W", "ignore", "tests/peers/python/check.py"]).stdin(Stdio::from(cases)))
}

/// The virtual environment, made where it isn't there or wants other packages.
fn prepare(environment: &Path) -> Result<(), String> {
    let wanted = root().join("tests/peers/python/requirements.txt");
    let (installed, read) = (environment.join("installed.txt"), |path: &Path| std::fs::read(path).ok());
    if read(&installed).is_some_and(|there| Some(there) == read(&wanted)) {
        return Ok(());
    }
    needs(
        "python3",
        "Python 3 with venv and pip (Debian: python3-venv): other codecs and ciphers are held against ours",
    )?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&wanted))?;
    std::fs::copy(&wanted, &installed).map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(())
}
