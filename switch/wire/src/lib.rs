//! The terminal wire: frames, fields, messages and MACs of UnionPay-style POS terminals.
//!
//! Bytes in, bytes out. No socket, no clock, no allocation; the same code runs in the
//! switch and in a terminal. Reading is total: any bytes give a message or a fault that
//! names the field, and one message has one spelling.
//!
//! The way of a request: [`frame::next_frame`] finds it, [`decode`] reads it with its
//! dialect's table, [`mac::MacKey`] verifies it, [`answer::write_answer`] and
//! [`encode::seal_frame`] answer it.
//!
//! * [`dialect`]: the tables; a new dialect is a new table and no code.
//! * [`frame`], [`mti`], [`fields`], [`digits`]: the layers of a message.
//! * [`messages`]: the typed messages, one to a file.
//! * [`tlv`], [`integrity`]: fields 55 and 57.
//! * [`mac`], [`session_keys`]: what seals messages.
//! * [`encode`], [`answer`], [`text`]: writing.
//! * [`code`], [`fault`], [`pan`], and masking.

#![no_std]

pub mod dialect;
pub mod frame;
pub mod mti;
mod classes;
pub mod digits;
pub mod fields;
pub mod fault;
pub mod message;
pub mod messages;
pub mod tlv;
pub mod integrity;
pub mod pan;
pub mod code;
pub mod mac;
pub mod session_keys;
pub mod parameters;
pub mod encode;
pub mod answer;
pub mod text;
mod mask;

pub use message::{Malformed, Message, decode};
