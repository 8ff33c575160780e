//! What must hold for any bytes: the body of each fuzz target, callable from anywhere.

pub mod frames;
pub mod messages;
pub mod fields;
pub mod peers;
pub mod connection;
