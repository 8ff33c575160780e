//! Real nodes, each a process with a folder of its own, and the lines to them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use xingka_simulation::people;
use xingka_simulation::stage::Lines;

use crate::proxy::Proxy;

/// How long a node may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Room for a node's journal and then some, in MiB: small enough to be filled.
const DISK_MIB: u32 = 384;

/// A node.
pub struct RealNode {
    program: PathBuf,
    /// Its configuration and data.
    pub folder: PathBuf,
    /// Tills come by here.
    pub front: Proxy,
    /// It goes to the store by here.
    pub back: Proxy,
    /// Whether its folder is a small file system of its own.
    pub small: bool,
    child: Mutex<Option<Child>>,
}

/// A port that nobody has just now.
pub fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Runs the program.
pub fn run(program: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program).args(args).output().with_context(|| format!("running {}", program.display()))?;
    ensure!(output.status.success(), "xingka {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

impl RealNode {
    /// A deployment of its own, at a database behind a line of its own; keys as the first one's.
    pub async fn new(
        (program, under): (&Path, &Path),
        number: usize,
        (store, database): (SocketAddr, &str),
        first: Option<&Self>,
    ) -> Result<Self> {
        let mount = under.join(format!("node-{number}"));
        fs::create_dir_all(&mount)?;
        let small = mount_small(&mount);
        let folder = mount.join("deployment");
        run(program, &["init", &folder.display().to_string()])?;
        let port = xingka_testbed::free_port();
        let (front, back) = (Proxy::to(at(port)).await?, Proxy::to(store).await?);
        let url = format!("postgres://postgres@{}/{database}", back.address);
        let text = format!(
            "[api]\nlisten = \"127.0.0.1:0\"\n[switch]\nlisten = \"127.0.0.1:{port}\"\n[store]\nurl = \"{url}\"\n"
        );
        fs::write(folder.join("xingka.toml"), text)?;
        for key in first.iter().flat_map(|_| ["master.key", "card-hash.key"]) {
            let from = first.map(|first| first.folder.join(key)).unwrap_or_default();
            fs::copy(from, folder.join(key))?;
        }
        Ok(Self { program: program.to_owned(), folder, front, back, small, child: Mutex::default() })
    }

    /// Its configuration.
    pub fn config(&self) -> String {
        self.folder.join("xingka.toml").display().to_string()
    }

    /// Starts it, as often as it takes until it is ready.
    pub fn start(&self) -> Result<()> {
        let began = std::time::Instant::now();
        while began.elapsed() < READY_WITHIN {
            let mut command = Command::new(&self.program);
            command.args(["serve", "--config", &self.config()]).env("XINGKA_LOG", "warn");
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
            let stderr = child.stderr.take().context("a pipe")?;
            let mut log = fs::OpenOptions::new().create(true).append(true).open(self.folder.with_extension("log"))?;
            let (ready, is_ready) = std::sync::mpsc::channel();
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if line.starts_with("ready ") {
                        // Whoever waited may have given up.
                        let _ = ready.send(());
                    }
                    let _ = std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes());
                }
            });
            if is_ready.recv_timeout(READY_WITHIN).is_ok() {
                *self.child.lock() = Some(child);
                return Ok(());
            }
            // It ended, because its store is away, say; or it hangs.
            let _ = child.kill();
            child.wait()?;
        }
        anyhow::bail!("node in {} isn't ready after {READY_WITHIN:?}", self.folder.display())
    }

    /// kill -9.
    pub fn kill(&self) -> Result<()> {
        if let Some(mut child) = self.child.lock().take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.child.lock().as_ref().map(Child::id);
        if let Some(pid) = pid {
            ensure!(Command::new("kill").args([signal, &pid.to_string()]).status()?.success(), "kill {signal} {pid}");
        }
        Ok(())
    }

    /// Stops it as an operator does, and waits.
    pub fn stop(&self) -> Result<()> {
        self.signal("-TERM")?;
        if let Some(mut child) = self.child.lock().take() {
            let status = child.wait()?;
            ensure!(status.success(), "a node ended with {status}");
        }
        Ok(())
    }

    /// Leaves no room on its disk.
    pub fn fill(&self) -> Result<()> {
        let chunk = vec![0; 1 << 20];
        let mut filler = fs::File::create(self.filler())?;
        while std::io::Write::write_all(&mut filler, &chunk).is_ok() {}
        Ok(())
    }

    /// Gives the room back.
    pub fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.folder.with_file_name("filler")
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        // At the end there is nobody left to tell.
        let _ = self.kill();
        if self.small
            && let Some(mount) = self.folder.parent()
        {
            let _ = Command::new("umount").arg("-l").arg(mount).status();
        }
    }
}

/// Makes a folder a small file system, where we may.
fn mount_small(folder: &Path) -> bool {
    let size = format!("size={DISK_MIB}m");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
    mounted.is_ok_and(|output| output.status.success())
}

/// Lines of tills to real nodes: a few connections each, that come and go.
pub struct RealLines {
    nodes: Vec<SocketAddr>,
    idle: Vec<Mutex<Vec<TcpStream>>>,
    /// Whether a node may be without the store.
    pub alone: AtomicBool,
}

impl RealLines {
    /// To these.
    pub fn to(nodes: &[Arc<RealNode>]) -> Self {
        let idle = nodes.iter().map(|_| Mutex::default()).collect();
        Self { nodes: nodes.iter().map(|node| node.front.address).collect(), idle, alone: AtomicBool::new(false) }
    }

    async fn exchange(&self, node: usize, frame: Vec<u8>) -> Option<Vec<u8>> {
        let idle = self.idle.get(node)?;
        let waiting = idle.lock().pop();
        let mut stream = match waiting {
            Some(stream) => stream,
            None => TcpStream::connect(self.nodes.get(node)?).await.ok()?,
        };
        stream.write_all(&frame).await.ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).await.ok()?;
        let mut answer = vec![0; 2 + usize::from(u16::from_be_bytes(length))];
        let (head, body) = answer.split_at_mut(2);
        head.copy_from_slice(&length);
        stream.read_exact(body).await.ok()?;
        idle.lock().push(stream);
        Some(answer)
    }
}

impl Lines for RealLines {
    fn nodes(&self) -> usize {
        self.nodes.len()
    }

    fn carry(&self, node: usize, frame: Vec<u8>, _: bool) -> BoxFuture<'_, Option<Vec<u8>>> {
        // A line that broke is thrown away with its exchange.
        async move { timeout(Duration::from_secs(6), self.exchange(node, frame)).await.ok().flatten() }.boxed()
    }

    fn is_any_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }
}

/// The city's folder, imported through a node.
pub fn import(node: &RealNode, program: &Path, under: &Path, terminals: usize) -> Result<()> {
    let city = under.join("city");
    people::write_folder(&city, terminals)?;
    run(program, &["import", &city.display().to_string(), "--config", &node.config()])?;
    Ok(())
}
