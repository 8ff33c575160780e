//! The conformance kit: a terminal maker's certification of a switch, and a switch's of a terminal.
//!
//! [`switch`] plays terminals against a switch, case by case, and compares every answer field by
//! field with what wire.md asks for. [`terminal`] plays a switch against a terminal, provokes it, and
//! watches what it does. Both make a [`report::Report`]: what was expected and what was seen, in bytes,
//! with the near miss explained where there is one.
//!
//! It knows nothing of this switch but the wire: the codec of `xingka-wire` writes and reads the
//! messages, and what must be in them is written down here a second time, by hand. What can't be
//! provoked from outside (68, 90, 91, 96) is named in the report as not covered.

pub mod bench;
pub mod message;
pub mod expect;
mod explain;
pub mod report;
mod station;
pub mod lab;
mod cases;
pub mod switch;
pub mod terminal;
