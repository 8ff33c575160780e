//! Throw-away servers for tests, on free loopback ports and in temporary folders.
//!
//! Whatever is started here ends with the process that started it, however that ends: each server runs under
//! a small shell, its keeper, that reads a pipe from us; when the pipe closes the keeper stops the
//! server and removes its folder. (A static is never dropped, and a killed test drops nothing.)
//!
//! Nothing is skipped where a server is missing: that is a panic that says what to install.

mod keeper;
mod postgres;
mod redis;

pub use postgres::Postgres;
pub use redis::Redis;

use std::net::TcpListener;

/// A port that nobody has just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
