//! What the program's tests share: a deployment in a temporary folder, the real program,
//! and a terminal on a plain blocking socket.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use xingka_terminal::{Profile, Sent, Swipe, Terminal, TerminalFault};
use xingka_testbed::Postgres;
use xingka_wire::answer::Answer;
use xingka_wire::dialect::CUP;
use xingka_wire::mac::MacAlgorithm;
use xingka_wire::pan::Pan;
use xingka_wire::session_keys::Tmk;

/// A shop with all scopes, a hall, a shop outside the circle, and a card each star.
pub const SHOP: &str = "999520153990001";
pub const HALL: &str = "999520193990001";
pub const BANK: &str = "999520160120001";

/// A card number of the test city, by its holder's star.
pub fn pan(star: u8) -> String {
    with_check_digit(&format!("62999900000000000{star}"))
}

pub fn with_check_digit(digits: &str) -> String {
    let mut candidates = (0..10).map(|check| format!("{digits}{check}"));
    candidates.find(|pan| xingka_core::pan::luhn_ok(pan.as_bytes())).unwrap()
}

/// A configuration with ports that nobody else has.
pub const PORTS: &str = "[api]\nlisten = \"127.0.0.1:0\"\n[switch]\nlisten = \"127.0.0.1:0\"\n";

/// The index of the terminal with GBK.
pub const GBK: usize = 8;

/// A terminal's master key: its index, sixteen times.
pub fn tmk(index: usize) -> [u8; 16] {
    [0x31 + index as u8; 16]
}

/// The city's terminals: one a MAC at the shop, then one at the hall, one at the bank, and one
/// at the shop whose display knows GBK only.
pub fn terminals() -> Vec<(String, &'static str, MacAlgorithm)> {
    let at_shop = MacAlgorithm::ALL.iter().enumerate().map(|(index, mac)| (format!("QZ00000{index}"), SHOP, *mac));
    let others = [("QZ000006", HALL), ("QZ000007", BANK), ("QZ000008", SHOP)];
    at_shop.chain(others.map(|(id, place)| (id.to_owned(), place, MacAlgorithm::AesCmac))).collect()
}

/// Writes the test city.
pub fn write_city(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let mut holders = String::from("holder_id,category,star,status\n");
    let mut cards = String::from("pan,holder_id,status,expires\n");
    for star in 0..=5 {
        holders += &format!("H{star},farmer,{star},active\n");
        cards += &format!("{},H{star},active,2039-12\n", pan(star));
    }
    cards += &format!("{},H5,lost,2039-12\n{},H5,active,2020-01\n", pan(6), pan(7));
    let mut machines = String::from("terminal_id,merchant_id,profile,mac,tmk,scope\n");
    for (index, (id, place, mac)) in terminals().iter().enumerate() {
        let profile = if index == GBK { "cup-gbk" } else { "cup" };
        machines += &format!("{id},{place},{profile},{mac},{},discount+priority+star\n", hex::encode(tmk(index)));
    }
    let merchants = format!(
        "merchant_id,name,kind,mcc,circle,region\n{SHOP},星光书店,merchant,5399,member,520181\n\
         {HALL},政务大厅,hall,9399,none,520181\n{BANK},农商银行,bank,6012,none,520181\n"
    );
    let benefits = format!(
        "benefit_id,provider,title,kind,service,audience,s1,s2,s3,s4,s5,valid_from,valid_to,weekdays,hours,min_amount,\
         max_off,budget,per_day,per_month,per_holder,group,stack,legal_basis\n\
         1,{SHOP},八折,discount,,,0,0,500,1000,2000,2020-01-01,2039-12-31,,,,,,,,,,,清诚信办〔2026〕1号\n\
         2,{SHOP},一次立减,amount_off,,,0,0,0,0,300,2020-01-01,2039-12-31,,,,,,,,1,,yes,清诚信办〔2026〕1号\n\
         3,{HALL},绿色通道,priority,,,0,0,1,1,2,2020-01-01,2039-12-31,,,,,,,,,,,清诚信办〔2026〕1号\n\
         4,{HALL},缩短时限,faster,,,1,2,3,4,5,2020-01-01,2039-12-31,,,,,,,,,,,清诚信办〔2026〕1号\n"
    );
    let files = [
        ("holders", holders),
        ("cards", cards),
        ("merchants", merchants),
        ("terminals", machines),
        ("benefits", benefits),
    ];
    files.iter().for_each(|(name, text)| fs::write(dir.join(format!("{name}.csv")), text).unwrap());
}

/// A deployment, and how to run the program on it.
pub struct Deployment {
    pub folder: TempDir,
}

impl Deployment {
    /// With keys and an empty store.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let deployment = Self { folder };
        let made = xingka(["init".as_ref(), deployment.dir().as_os_str()]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        deployment.configure(PORTS);
        deployment
    }

    /// With the test city.
    pub fn with_city() -> Self {
        let deployment = Self::new();
        write_city(&deployment.city());
        let imported = deployment.run(&["import", deployment.city().to_str().unwrap()]);
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        deployment
    }

    /// So many, with one store in PostgreSQL, one set of keys, and the test city: nodes of one deployment.
    pub fn cluster(nodes: usize) -> Vec<Self> {
        Self::cluster_at(nodes, &Postgres::shared().database())
    }

    /// The same at a given database.
    pub fn cluster_at(nodes: usize, url: &str) -> Vec<Self> {
        let nodes: Vec<Self> = (0..nodes).map(|_| Self::new()).collect();
        for node in &nodes {
            node.configure(&format!("{PORTS}[store]\nurl = \"{url}\"\n"));
        }
        for (key, node) in
            ["master.key", "card-hash.key"].iter().flat_map(|key| nodes[1..].iter().map(move |node| (key, node)))
        {
            fs::copy(nodes[0].dir().join(key), node.dir().join(key)).unwrap();
        }
        write_city(&nodes[0].city());
        let imported = nodes[0].run(&["import", nodes[0].city().to_str().unwrap()]);
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        nodes
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("deployment")
    }

    pub fn city(&self) -> PathBuf {
        self.folder.path().join("city")
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("xingka.toml")
    }

    /// Replaces the configuration.
    pub fn configure(&self, text: &str) {
        fs::write(self.config(), text).unwrap();
    }

    /// Runs a command on this deployment.
    pub fn run(&self, args: &[&str]) -> Output {
        let config = self.config();
        xingka(args.iter().map(AsRef::as_ref).chain(["--config".as_ref(), config.as_os_str()]))
    }

    /// Runs a command with `--json` and reads what it prints: one object and nothing else.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(value.is_object(), "{value}");
        value
    }

    /// Starts `serve` and waits for its ready line.
    pub fn serve(&self) -> Serving {
        self.serve_saying("info")
    }

    /// The same, logging all there is.
    pub fn serve_loudly(&self) -> Serving {
        self.serve_saying("trace")
    }

    fn serve_saying(&self, level: &str) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xingka"));
        command.args(["serve", "--config"]).arg(self.config()).env("XINGKA_LOG", level);
        Serving::of(command)
    }
}

/// Runs the program.
pub fn xingka<'a>(args: impl IntoIterator<Item = &'a std::ffi::OsStr>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xingka")).args(args).output().unwrap()
}

/// A running `xingka serve`; killed when dropped.
pub struct Serving {
    pub child: Child,
    pub address: SocketAddr,
    /// Where its API is, if it has one.
    pub api: Option<SocketAddr>,
    /// Where terminals connect with TLS, if elsewhere.
    pub tls: Option<SocketAddr>,
    log: Receiver<String>,
}

impl Serving {
    /// Starts a `serve` that was put together elsewhere, and waits for its ready line.
    pub fn of(mut command: Command) -> Self {
        Self::wait(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn wait(mut child: Child) -> Self {
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        // Reads on, so that the program never waits for somebody to read its log.
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut before = Vec::new();
        loop {
            let line = log.recv().unwrap_or_else(|_| panic!("it ended before it was ready: {before:#?}"));
            if let Some(rest) = line.strip_prefix("ready switch=") {
                let (address, rest) = rest.split_once(" api=").unwrap();
                let (api, tls) = rest.split_once(" tls=").unwrap_or((rest, ""));
                return Self {
                    child,
                    address: address.parse().unwrap(),
                    api: api.parse().ok(),
                    tls: tls.parse().ok(),
                    log,
                };
            }
            before.push(line);
        }
    }

    /// What `GET` answers: the status and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = connect(self.api.unwrap());
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// A metric's value, by its name with labels as `/metrics` writes it.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        lines.next().unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// The process's resident memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// SIGTERM, as an operator stops it; its exit code and what it logged.
    pub fn terminate(mut self) -> (Option<i32>, Vec<String>) {
        signal("-TERM", &self.child);
        let status = self.child.wait().unwrap();
        (status.code(), self.log.iter().collect())
    }

    /// kill -9; what it had logged.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.iter().collect()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(which: &str, child: &Child) {
    assert!(Command::new("kill").args([which, &child.id().to_string()]).status().unwrap().success());
}

/// A terminal of the test city on a blocking socket.
pub struct Till {
    pub terminal: Terminal,
    pub stream: TcpStream,
}

impl Till {
    /// Connected, not signed in.
    pub fn connect(address: SocketAddr, index: usize) -> Self {
        let (id, place, mac) = terminals()[index].clone();
        let profile = Profile::new(id.as_bytes().try_into().unwrap(), place.as_bytes().try_into().unwrap(), &CUP, mac);
        Self { terminal: Terminal::new(profile, Tmk::new(tmk(index)), 1), stream: connect(address) }
    }

    /// Connected and signed in.
    pub fn signed_in(address: SocketAddr, index: usize) -> Self {
        let mut till = Self::connect(address, index);
        till.sign_in();
        till
    }

    pub fn sign_in(&mut self) {
        let mut frame = [0; 512];
        let sent = self.terminal.sign_in(&mut frame).unwrap();
        let answer = exchange(&mut self.stream, &frame[..sent.length]);
        self.terminal.signed_in(&sent, &answer).unwrap();
    }

    /// Writes a request and returns its frame.
    pub fn write(
        &mut self,
        write: impl FnOnce(&mut Terminal, &mut [u8]) -> Result<Sent, TerminalFault>,
    ) -> (Sent, Vec<u8>) {
        let mut frame = vec![0; 1024];
        let sent = write(&mut self.terminal, &mut frame).unwrap();
        frame.truncate(sent.length);
        (sent, frame)
    }

    pub fn purchase(&mut self, pan: &str, fen: u64) -> (Sent, Vec<u8>) {
        let swipe = Swipe::of(Pan::from_ascii(pan.as_bytes()).unwrap());
        self.write(|terminal, frame| terminal.purchase(&swipe, fen, frame))
    }

    /// Sends a frame, and the answer checked by the terminal: code, amount, decision.
    pub fn ask(&mut self, sent: &Sent, frame: &[u8]) -> Told {
        let answer = exchange(&mut self.stream, frame);
        Told::read(&self.terminal, sent, &answer)
    }
}

/// What an answer told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub code: String,
    pub amount_fen: Option<u64>,
    pub decision_id: Option<[u8; 16]>,
    pub benefits: Vec<u32>,
    pub reference: Vec<u8>,
}

impl Told {
    /// Checked by the terminal.
    pub fn read(terminal: &Terminal, sent: &Sent, answer: &[u8]) -> Self {
        Self::of(&terminal.read(sent, answer).unwrap())
    }

    pub fn of(answer: &Answer<'_>) -> Self {
        Self {
            code: answer.code.to_string(),
            amount_fen: answer.fields.number(4),
            decision_id: answer.integrity.decision_id,
            benefits: answer.integrity.benefits.iter().collect(),
            reference: answer.fields.bytes(37).unwrap_or_default().to_vec(),
        }
    }
}

/// A till, signed in, where the switch lets it.
pub fn try_sign_in(address: SocketAddr, index: usize) -> io::Result<Till> {
    let mut till = Till::connect(address, index);
    let mut frame = [0; 512];
    let sent = till.terminal.sign_in(&mut frame).unwrap();
    till.stream.write_all(&frame[..sent.length])?;
    let answer = read_frame(&mut till.stream)?;
    till.terminal.signed_in(&sent, &answer).unwrap();
    Ok(till)
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    // A test that waits for what never comes fails instead of hanging.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends a frame and reads the next one.
pub fn exchange(stream: &mut TcpStream, frame: &[u8]) -> Vec<u8> {
    stream.write_all(frame).unwrap();
    read_frame(stream).unwrap()
}

pub fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    read_frame_from(stream)
}

/// The next frame, of whatever comes over whatever line.
pub fn read_frame_from(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; 2 + usize::from(u16::from_be_bytes(length))];
    frame[..2].copy_from_slice(&length);
    stream.read_exact(&mut frame[2..])?;
    Ok(frame)
}
