//! Printing results. The one place that writes to standard output.
#![allow(clippy::print_stdout, reason = "this is what commands print with")]

use anyhow::Result;
use serde::Serialize;

/// One JSON object, on one line.
pub fn json(result: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}

/// A line for people.
pub fn line(text: impl std::fmt::Display) {
    println!("{text}");
}
