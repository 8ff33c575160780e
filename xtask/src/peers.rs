//! The codec beside libraries that other people wrote: four in Rust, and in Python three
//! more, for packed digits, MACs and session keys.
//!
//! None is in the workspace: a peer's dependencies are nothing the product depends on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{cargo, root, run};

const MANIFEST: &str = "tests/peers/Cargo.toml";
const TARGET: &str = "target/peers";
const REQUIREMENTS: &str = "tests/peers/python/requirements.txt";
const CHECK: &str = "tests/peers/python/check.py";

/// Compares with the Rust peers, then lets the Python ones check the same and more.
pub fn check() -> Result<(), String> {
    cargo(&["test", "--locked", "--manifest-path", MANIFEST, "--target-dir", TARGET])?;
    let python = venv(&root().join("target/peers-venv"))?;
    check_cases(&python)
}

/// The Python of a virtual environment with what `requirements.txt` names; made where there
/// is none, and made anew where that file has changed.
fn venv(folder: &Path) -> Result<PathBuf, String> {
    let python = folder.join("bin/python");
    let wanted = read(&root().join(REQUIREMENTS))?;
    let installed = folder.join("installed.txt");
    if python.exists() && read(&installed).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    make_venv(folder)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS];
    run(Command::new(&python).args(pip))
        .map_err(|fault| format!("{fault}: pip needs its package index, or a mirror"))?;
    fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(python)
}

fn make_venv(folder: &Path) -> Result<(), String> {
    if Command::new("python3").arg("--version").output().is_err() {
        return Err("`python3` is missing: install Python 3.9 or newer with its venv module \
             (Debian: apt-get install python3 python3-venv)"
            .into());
    }
    let venv = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    venv.map_err(|fault| format!("{fault}: install Python's venv module (Debian: apt-get install python3-venv)"))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// `cases | check.py`; both have to end well.
fn check_cases(python: &Path) -> Result<(), String> {
    let args = ["run", "--locked", "--quiet", "--manifest-path", MANIFEST, "--target-dir", TARGET, "--bin", "cases"];
    let mut cases = Command::new("cargo");
    let mut cases = cases.args(args).current_dir(root()).stdout(Stdio::piped()).spawn().map_err(told)?;
    let lines = cases.stdout.take().ok_or("cases: no output")?;
    let checked = run(Command::new(python).arg(CHECK).stdin(lines));
    let printed = cases.wait().map_err(told)?;
    checked?;
    if printed.success() { Ok(()) } else { Err(format!("cases: {printed}")) }
}

fn told(error: std::io::Error) -> String {
    format!("cases: {error}")
}
