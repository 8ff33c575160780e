//! Rules that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that may stand in some places only, and why.
const BOUNDARIES: &[(&str, &[&str], &str)] = &[
    (
        "Receipt::durable_through",
        &["switch/core/src/record.rs", "switch/core/tests", "switch/store/src/journal", "tests/life_of_a_swipe.rs"],
        "only a journal may say that a record is durable",
    ),
    (
        "SystemTime::now",
        &["switch/store/src/journal", "switch/store/src", "switch/server/src", "src", "tests", "xtask"],
        "wire, core and the terminal's side are handed the time",
    ),
];

/// The longest a source file may be before it stops being one thing.
const MAX_LINES: usize = 600;

/// Checks the tree under `root`.
pub fn check(root: &Path) -> Result<(), String> {
    let mut faults = Vec::new();
    for path in sources(root)? {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        check_file(&name, &text, &mut faults);
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("tidy:\n  {}", faults.join("\n  "))) }
}

fn check_file(name: &str, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{name}: {lines} lines; is it still one thing? (at most {MAX_LINES})"));
    }
    if name.starts_with("xtask/") {
        return;
    }
    for (word, places, reason) in BOUNDARIES {
        if text.contains(word) && !places.iter().any(|place| name.starts_with(place)) {
            faults.push(format!("{name}: `{word}` has no place here: {reason}"));
        }
    }
    if name.ends_with(".rs") && is_module(name) && !text.trim_start().starts_with("//!") {
        faults.push(format!("{name}: a module begins with its docs (//!)"));
    }
}

fn is_module(name: &str) -> bool {
    !name.contains("/target/")
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden && name != "target" {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
