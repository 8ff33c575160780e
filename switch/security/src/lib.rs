//! The security module's parts: keys in components ([`components`]) and in key blocks
//! ([`key_block`]), PIN blocks ([`pin_block`]), and the rooms in which keys are kept ([`room`]).
//!
//! Clear keys and PINs exist in here only, in memory that is wiped after use; errors and debug output
//! say nothing of them.

pub mod components;
pub mod key_block;
pub mod pin_block;
pub mod room;
pub mod token;
mod block_cipher;

pub use block_cipher::{Cipher, check_value};
