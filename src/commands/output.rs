//! Printing results. The one place that writes to standard output.

use std::io::{self, ErrorKind, Write};

use anyhow::Result;
use serde::Serialize;

/// One JSON object, on one line.
pub fn json(result: &impl Serialize) -> Result<()> {
    line(serde_json::to_string(result)?);
    Ok(())
}

/// A line for people. Whoever reads may have read enough (`… | head`): then there is nobody left to print
/// for, and the command ends.
pub fn line(text: impl std::fmt::Display) {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("xingka: standard output can't be written: {error}");
            std::process::exit(1);
        }
    }
}
