//! The city in one process, by its program in `tests/simulation`.

use std::env;

/// As its arguments say.
pub fn command() -> Result<(), String> {
    let args: Vec<String> = env::args().skip(2).collect();
    simulate(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A thousand seeds, of which none may end badly; then each planted bug, which has to be found.
pub fn check() -> Result<(), String> {
    simulate(&["--seeds", "1000"])?;
    simulate(&["--seeds", "1000", "--plant", "all"])
}

fn simulate(args: &[&str]) -> Result<(), String> {
    let run = ["run", "--locked", "--package", "xingka-simulation", "--features", "planted", "--"];
    crate::cargo(&[&run[..], args].concat())
}
