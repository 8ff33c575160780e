//! PostgreSQL.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::free_port;
use crate::keeper::{Kept, find, is_root, until_listening};

/// Who runs the server where we are root.
const USER: &str = "postgres";

/// A PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    port: u16,
    /// Whether commits wait for the disk.
    durable: bool,
    kept: Option<Kept>,
    databases: AtomicU32,
}

impl Postgres {
    /// One that this whole process shares.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(false))
    }

    /// A server of one's own; `durable` where crashes are what is tested.
    pub fn start(durable: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("xingka-postgres").tempdir().expect("a temporary folder");
        if is_root() {
            run(Command::new("chown").arg(USER).arg(folder.path()));
        }
        let data = folder.path().join("data");
        let initialise = ["-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"];
        run(as_user(&program("initdb")).args(initialise).arg(&data).current_dir(folder.path()));
        let mut server = Self { folder, port: free_port(), durable, kept: None, databases: AtomicU32::new(0) };
        server.start_again();
        server
    }

    /// Starts it on its folder and port after it was stopped or killed.
    pub fn start_again(&mut self) {
        let folder = self.folder.path();
        let (port, folder_text) = (self.port.to_string(), folder.display().to_string());
        let data = folder.join("data").display().to_string();
        let socket = format!("unix_socket_directories={folder_text}");
        let sync = if self.durable { "fsync=on" } else { "fsync=off" };
        let server = program("postgres");
        let settings = ["listen_addresses=127.0.0.1", &socket, sync, "max_connections=300"];
        let mut arguments = vec![server.as_str(), "-D", &data, "-p", &port];
        arguments.extend(settings.iter().flat_map(|setting| ["-c", setting]));
        let user = is_root().then_some(USER);
        self.kept = Some(Kept::start(folder, user, "INT", &arguments));
        until_listening(self.port, folder);
        self.until_ready();
    }

    /// It listens before it can be asked.
    fn until_ready(&self) {
        let ready = || {
            let port = self.port.to_string();
            let mut ask = Command::new(program("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port]).status().is_ok_and(|status| status.success())
        };
        while !ready() {
            std::thread::yield_now();
        }
    }

    /// A second server that takes over everything from this one as it is written, and can take its place.
    pub fn replica(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("xingka-postgres").tempdir().expect("a temporary folder");
        if is_root() {
            run(Command::new("chown").arg(USER).arg(folder.path()));
        }
        let (port, data) = (self.port.to_string(), folder.path().join("data"));
        let copy = ["-h", "127.0.0.1", "-p", &port, "-U", USER, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"];
        run(as_user(&program("pg_basebackup")).args(copy).arg(&data).current_dir(folder.path()));
        let mut server =
            Self { folder, port: free_port(), durable: self.durable, kept: None, databases: AtomicU32::new(0) };
        server.start_again();
        server
    }

    /// Makes a replica a server of its own, for good.
    pub fn promote(&self) {
        self.ask("SELECT pg_promote(true, 60)");
    }

    /// Whether commits wait until a replica has them as well.
    pub fn wait_for_replica(&self, waits: bool) {
        let names = if waits { "*" } else { "" };
        self.ask(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        self.ask("SELECT pg_reload_conf()");
    }

    /// Has it do something.
    fn ask(&self, sql: &str) {
        let port = self.port.to_string();
        let place = ["-h", "127.0.0.1", "-p", &port, "-U", USER, "-d", USER, "-q", "-c", sql];
        run(Command::new(program("psql")).args(place));
    }

    /// A new, empty database's URL.
    pub fn database(&self) -> String {
        let name = format!("city_{}_{}", std::process::id(), self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let place = ["-h", "127.0.0.1", "-p", &port, "-U", USER, "--strategy=file_copy", &name];
        run(Command::new(program("createdb")).args(place));
        self.url(&name)
    }

    /// A database's URL.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops it as an operator would, cutting connections.
    pub fn stop(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.stop();
        }
    }

    /// kill -9, of all its processes.
    pub fn kill(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.signal("KILL");
            kept.stop();
            // What it leaves behind keeps the next one from starting only if a process of this number lives.
            let _ = std::fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        }
    }

    /// Stops all its processes in their tracks.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        if let Some(kept) = &self.kept {
            kept.signal(signal);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program of the distribution's PostgreSQL, which isn't in PATH.
fn program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    // The newest first.
    folders.sort_unstable_by(|a, b| b.cmp(a));
    find(name, &folders, "postgresql")
}

fn as_user(program: &str) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--", program]);
        command
    } else {
        Command::new(program)
    }
}

fn run(command: &mut Command) {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = || [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(status.success(), "{command:?}: {}", said());
}
