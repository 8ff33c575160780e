//! Keeps one server: starts it, stops it, and sees to it that it ends with this process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says its server's process id, waits for the pipe's end, ends the server; removes the folder unless it was
/// told to keep it. The first argument is the signal that ends the server.
const KEEP: &str = r#"signal=$1; shift
"$@" >>server.log 2>&1 </dev/null & pid=$!
echo $pid
while read -r line; do keep=$line; done
kill -CONT $pid 2>/dev/null; kill -"$signal" $pid 2>/dev/null
wait $pid
[ "$keep" = keep ] || rm -rf "$PWD""#;

/// A server under its keeper.
#[derive(Debug)]
pub(crate) struct Kept {
    keeper: Child,
    pub(crate) pid: u32,
}

impl Kept {
    /// Starts a server in a folder. `user` is who it runs as, where not as we do.
    pub(crate) fn start(folder: &Path, user: Option<&str>, signal: &str, server: &[&str]) -> Self {
        let mut command = match user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "sh"]);
                command
            }
            None => Command::new("sh"),
        };
        command.args(["-c", KEEP, "keeper", signal]).args(server).current_dir(folder);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut line = String::new();
        let stdout = keeper.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the keeper's word");
        let pid = line.trim().parse().expect("a process id");
        Self { keeper, pid }
    }

    /// Ends the server, as its signal says, and waits until it has.
    pub(crate) fn stop(mut self) {
        if let Some(mut pipe) = self.keeper.stdin.take() {
            // A keeper that is gone keeps it anyway.
            let _ = pipe.write_all(b"keep\n");
        }
        self.keeper.wait().expect("the keeper's end");
    }

    /// Sends the server, and whatever it has started, a signal.
    pub(crate) fn signal(&self, signal: &str) {
        for pid in with_children(self.pid) {
            // One that has ended meanwhile needs none.
            let _ = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
        }
    }
}

/// A process and its children, the parent first.
fn with_children(parent: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    std::iter::once(parent).chain(children.flat_map(with_children)).collect()
}

/// Waits until somebody listens; what is said while nobody does is in the folder's log.
pub(crate) fn until_listening(port: u16, folder: &Path) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
        assert!(began.elapsed() < PATIENCE, "nobody listens on port {port}: {}", log());
        std::thread::yield_now();
    }
}

/// Whether we are root, whom some servers refuse.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// A program in PATH, or in one of these folders.
pub(crate) fn find(program: &str, folders: &[std::path::PathBuf], package: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(folders.iter().cloned());
    let found = places.find(|folder| folder.join(program).is_file());
    let found = found.unwrap_or_else(|| panic!("`{program}` is missing: install it with `apt-get install {package}`"));
    found.join(program).display().to_string()
}
