//! Redis.

use std::sync::OnceLock;

use tempfile::TempDir;

use crate::free_port;
use crate::keeper::{Kept, find, until_listening};

/// A Redis server that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    port: u16,
    kept: Option<Kept>,
}

impl Redis {
    /// One that this whole process shares.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("xingka-redis").tempdir().expect("a temporary folder");
        let mut server = Self { folder, port: free_port(), kept: None };
        server.start_again();
        server
    }

    /// Starts it, empty, on its port after it was stopped or killed.
    pub fn start_again(&mut self) {
        let server = find("redis-server", &[], "redis-server");
        let (port, folder) = (self.port.to_string(), self.folder.path());
        let arguments = [&server, "--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        self.kept = Some(Kept::start(folder, None, "TERM", &arguments));
        until_listening(self.port, folder);
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops it.
    pub fn stop(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.stop();
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.signal("KILL");
            kept.stop();
        }
    }

    /// Stops it in its tracks.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        if let Some(kept) = &self.kept {
            kept.signal(signal);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
