//! A whole connection: the real switch in this process, its journal one that answers at once,
//! and a stranger's bytes on a real line.
//!
//! An input is a list of moves: bytes as they are, a message in a right frame, a message
//! sealed with a session's key (a terminal that has gone mad), or a right purchase. Whatever it
//! says, each answer is a well-formed one, the line ends when the stranger's end does, and an
//! honest terminal is served before, meanwhile and after. Panics anywhere end the process.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use xingka_core::pan::CardHasher;
use xingka_server::{LimitSettings, Service, Settings};
use xingka_store::Store;
use xingka_store::city_folder::{ImportKeys, import};
use xingka_store::journal::Durability;
use xingka_store::register::SqlRegister;
use xingka_store::vault::MasterKey;
use xingka_terminal::{Profile, Swipe, Terminal};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::{ASCII87, CUP};
use xingka_wire::encode::seal_frame;
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::mti::Head;
use xingka_wire::pan::Pan;
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};

const SHOP: [u8; 15] = *b"999520153990001";
const PAN: &[u8] = b"6299990000000000012";
const TMK: [u8; 16] = [0x31; 16];

/// The honest terminal is asked for every so many strangers.
const HONEST_EVERY: u64 = 50;

/// A switch that lives as long as the process.
pub struct City {
    _runtime: Runtime,
    _service: Service,
    _folder: tempfile::TempDir,
    address: SocketAddr,
    /// The mad terminal and its session key.
    mad: Terminal,
    key: MacKey,
    honest: Mutex<(Terminal, TcpStream)>,
    strangers: AtomicU64,
}

static CITY: OnceLock<City> = OnceLock::new();

/// Lets a stranger at it.
pub fn check(moves: &[u8]) {
    let city = CITY.get_or_init(City::open);
    city.receive(moves);
    if city.strangers.fetch_add(1, Ordering::Relaxed).is_multiple_of(HONEST_EVERY) {
        city.serve_the_honest();
    }
}

impl City {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let service = runtime.block_on(start(folder.path()));
        let address = service.address().expect("plain TCP");
        let (mad, _, key) = signed_in(address, *b"QZ000001");
        let (honest, line, _) = signed_in(address, *b"QZ000002");
        let honest = Mutex::new((honest, line));
        Self {
            _runtime: runtime,
            _service: service,
            _folder: folder,
            address,
            mad,
            key,
            honest,
            strangers: AtomicU64::new(0),
        }
    }

    fn receive(&self, moves: &[u8]) {
        let mut line = connect(self.address);
        let mut rest = moves;
        while let Some((bytes, after)) = self.next_move(rest) {
            rest = after;
            // The switch may have hung up already.
            if line.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = line.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        // Cut off after garbage, there is nothing more to read.
        if let Err(error) = line.read_to_end(&mut answers) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the line doesn't end: {error}");
        }
        well_formed(&answers);
    }

    /// The bytes of the first move, and the other moves.
    fn next_move<'m>(&self, moves: &'m [u8]) -> Option<(Vec<u8>, &'m [u8])> {
        let (front, rest) = moves.split_first_chunk::<3>()?;
        let [kind, high, low] = *front;
        let length = usize::from(u16::from_be_bytes([high, low]) % 1_024).min(rest.len());
        let (said, rest) = rest.split_at(length);
        let bytes = match kind % 4 {
            0 => said.to_vec(),
            1 => framed(said, None),
            2 => framed(said, Some(self.key.mac(said))),
            _ => self.purchase(said),
        };
        Some((bytes, rest))
    }

    /// A right purchase of the mad terminal's, its STAN and amount from the input.
    fn purchase(&self, said: &[u8]) -> Vec<u8> {
        let number = said.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let mut frame = vec![0; 512];
        let mut terminal = self.mad.clone();
        terminal.set_next_stan(number % 1_000 + 1);
        let swipe = Swipe::of(Pan::from_ascii(PAN).expect("a card number"));
        let sent = terminal.purchase(&swipe, u64::from(number) + 1, &mut frame).expect("a purchase");
        frame.truncate(sent.length);
        frame
    }

    fn serve_the_honest(&self) {
        let mut honest = self.honest.lock().expect("nobody panicked");
        let (terminal, line) = &mut *honest;
        let mut frame = [0; 512];
        let swipe = Swipe::of(Pan::from_ascii(PAN).expect("a card number"));
        let sent = terminal.purchase(&swipe, 10_000, &mut frame).expect("a purchase");
        line.write_all(&frame[..sent.length]).expect("the honest line stands");
        let answer = read_frame(line);
        let answer = terminal.read(&sent, &answer).expect("an answer to what was asked");
        assert_eq!(answer.code.to_string(), "00");
    }
}

async fn start(folder: &Path) -> Service {
    let (master, hasher) = (MasterKey::new([1; 32]), CardHasher::new(&[2; 32]));
    let store = Store::open(&format!("sqlite:{}", folder.join("store.db").display()), true).await.expect("a store");
    let city = folder.join("city");
    write_city(&city);
    let keys = ImportKeys { master: &master, card_hash: &hasher };
    let report = import(&store, &city, &keys, &folder.join("rejects"), &mut |_| {}).await.expect("a city");
    assert!(report.files.iter().all(|file| file.rejected == 0));
    let settings = Settings {
        node: 0,
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        tls: None,
        journal: folder.join("journal.db"),
        // Answers leave at once: what is fuzzed is the spine, not the disk.
        durability: Durability::Interval(Duration::from_millis(200)),
        zone: jiff::tz::TimeZone::UTC,
        max_connections: 100,
        idle_timeout: Duration::from_secs(60),
        answer_deadline: Duration::from_secs(3),
        limits: LimitSettings { address_per_s: None, terminal_per_s: None, merchant_per_s: None, sign_in_per_s: None },
        terminals: xingka_server::TerminalSettings::default(),
    };
    let register = Arc::new(SqlRegister::new(store.clone()));
    Service::start(settings, (store, register), master, hasher).await.expect("a switch")
}

fn write_city(folder: &Path) {
    let shop = String::from_utf8_lossy(&SHOP).into_owned();
    let tmk = hex::encode(TMK);
    let files = [
        ("holders", "holder_id,category,star,status\nH1,farmer,5,active\n".to_owned()),
        ("cards", format!("pan,holder_id,status,expires\n{},H1,active,2039-12\n", String::from_utf8_lossy(PAN))),
        ("merchants", format!("merchant_id,name,kind,mcc,circle,region\n{shop},shop,merchant,5399,member,520181\n")),
        (
            "terminals",
            format!(
                "terminal_id,merchant_id,profile,mac,tmk,scope\nQZ000001,{shop},cup,aes-cmac,{tmk},discount+priority+star\n\
                 QZ000002,{shop},cup,aes-cmac,{tmk},discount\n"
            ),
        ),
        (
            "benefits",
            format!(
                "benefit_id,provider,title,kind,service,audience,s1,s2,s3,s4,s5,valid_from,valid_to,weekdays,hours,min_amount,\
                 max_off,budget,per_day,per_month,per_holder,group,stack,legal_basis\n\
                 1,{shop},t,discount,,,0,0,500,1000,2000,2020-01-01,2039-12-31,,,,,,,,,,,l\n\
                 2,{shop},t,amount_off,,,0,0,0,0,300,2020-01-01,2039-12-31,,,,,,3,,,,yes,l\n"
            ),
        ),
    ];
    fs::create_dir_all(folder).expect("a folder");
    files.iter().for_each(|(name, text)| fs::write(folder.join(format!("{name}.csv")), text).expect("a file"));
}

fn terminal(id: [u8; 8]) -> Terminal {
    Terminal::new(Profile::new(id, SHOP, &CUP, MacAlgorithm::AesCmac), Tmk::new(TMK), 1)
}

fn signed_in(address: SocketAddr, id: [u8; 8]) -> (Terminal, TcpStream, MacKey) {
    let (mut terminal, mut line) = (terminal(id), connect(address));
    let mut frame = [0; 512];
    let sent = terminal.sign_in(&mut frame).expect("a sign-in");
    line.write_all(&frame[..sent.length]).expect("a line");
    let answer = read_frame(&mut line);
    terminal.signed_in(&sent, &answer).expect("session keys");
    let key = session_key(&answer);
    (terminal, line, key)
}

fn session_key(answer: &[u8]) -> MacKey {
    let Step::Frame(frame, _) = next_frame(&[&CUP], answer) else { panic!("no frame") };
    let answer = Answer::decode(&frame).expect("an answer");
    let field = answer.fields.bytes(62).expect("keys");
    let layout = [1, 3, 4, 5, 6].into_iter().filter_map(KeyLayout::by_network_code);
    let keys =
        layout.filter_map(|layout| SessionKeys::unwrap(layout, MacAlgorithm::AesCmac, &Tmk::new(TMK), field).ok());
    let keys: Vec<_> = keys.collect();
    MacKey::new(MacAlgorithm::AesCmac, keys.first().expect("one of the layouts").mac_key()).expect("a key")
}

fn connect(address: SocketAddr) -> TcpStream {
    let line = TcpStream::connect(address).expect("the switch accepts");
    // A line that doesn't end is a finding, not a hang.
    line.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    line.set_nodelay(true).expect("an option");
    line
}

fn framed(body: &[u8], mac: Option<[u8; 8]>) -> Vec<u8> {
    let mut frame = vec![0; body.len() + 64];
    let length = seal_frame(&CUP, Head::of_terminal([0, 3], [0, 0]), body, mac, &mut frame).expect("room");
    frame.truncate(length);
    frame
}

fn read_frame(line: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; 2];
    line.read_exact(&mut frame).expect("an answer");
    let length = usize::from(u16::from_be_bytes([frame[0], frame[1]]));
    frame.resize(2 + length, 0);
    line.read_exact(&mut frame[2..]).expect("a whole answer");
    frame
}

fn well_formed(mut answers: &[u8]) {
    while !answers.is_empty() {
        // 10 more than 099x opens no dialect; nobody asks so, but it is answered.
        if let [high, low, b'1', rest @ ..] = answers {
            answers = &rest[usize::from(u16::from_be_bytes([*high, *low])) - 1..];
            continue;
        }
        let Step::Frame(frame, taken) = next_frame(&[&CUP, &ASCII87], answers) else {
            panic!("not an answer: {answers:02X?}");
        };
        let answer = Answer::decode(&frame);
        assert!(answer.is_ok(), "{:?}: {:02X?}", answer.err(), frame.body);
        answers = &answers[taken..];
    }
}
