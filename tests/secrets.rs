//! No log line, metric, error, answer, record or file holds a card number, a track, a PIN
//! block or a key, whatever was asked and however badly.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use support::{Deployment, GBK, Serving, Till, connect, pan, read_frame, terminals, tmk, with_check_digit};
use xingka_terminal::{Offline, Original, Reversible, Sent, Swipe, Totals, Transaction};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::CUP;
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::integrity::IntegrityAnswer;
use xingka_wire::mac::MacKey;
use xingka_wire::mti::{Head, Mti};
use xingka_wire::pan::Pan;
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};

const PIN_BLOCK: [u8; 8] = [0x9C, 0x41, 0xE7, 0x5A, 0xD3, 0x08, 0xB6, 0x2F];
const CREDENTIAL: &[u8] = b"e-card:7fK2-qq9Z-mmX1-80Lr";
/// A slip of the hand: its check digit is wrong, and still it is somebody's number but one digit.
const MISTYPED: &str = "6299991234567890128";

/// What was shown or written, and where.
#[derive(Default)]
struct Shown(Vec<(String, Vec<u8>)>);

impl Shown {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    fn output(&mut self, args: &[&str], output: Output) {
        self.add(format!("output of {args:?}"), output.stdout);
        self.add(format!("errors of {args:?}"), output.stderr);
    }

    fn files(&mut self, folder: &Path, except: &[PathBuf]) {
        for path in files_in(folder).into_iter().filter(|path| !except.contains(path)) {
            let bytes = fs::read(&path).unwrap();
            self.add(path.display().to_string(), bytes);
        }
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

/// What nobody may see, in every spelling it could have, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, Vec<u8>>);

impl Secrets {
    fn bytes(&mut self, what: &str, bytes: &[u8]) {
        self.0.insert(format!("{what} as it is"), bytes.to_vec());
        self.0.insert(format!("{what} in hexadecimal"), hex::encode(bytes).into_bytes());
        self.0.insert(format!("{what} in capital hexadecimal"), hex::encode_upper(bytes).into_bytes());
        self.list(what, bytes);
    }

    /// As a debugger prints bytes.
    fn list(&mut self, what: &str, bytes: &[u8]) {
        self.0.insert(format!("{what} as a list"), format!("{bytes:?}").trim_matches(['[', ']']).into());
    }

    fn digits(&mut self, what: &str, digits: &str) {
        self.0.insert(format!("{what} in ASCII"), digits.into());
        let packed = digits.replace('=', "D");
        let even = hex::decode(&packed[..packed.len() / 2 * 2]).unwrap();
        let shifted = hex::decode(&packed[1..=(packed.len() - 1) / 2 * 2]).unwrap();
        self.list(what, digits.as_bytes());
        self.list(&format!("{what} packed"), &even);
        self.list(&format!("{what} packed, shifted"), &shifted);
        self.0.insert(format!("{what} packed"), even);
        self.0.insert(format!("{what} packed, shifted"), shifted);
    }

    fn assert_absent(&self, shown: &Shown) {
        let mut found = Vec::new();
        for (place, text) in &shown.0 {
            for (what, secret) in &self.0 {
                if text.windows(secret.len()).any(|window| window == secret) {
                    found.push(format!("{place}: {what}"));
                }
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// One terminal with its session key, on a line of its own.
struct Line {
    till: Till,
    key: MacKey,
    stan: u32,
}

impl Line {
    fn sign_in(serving: &Serving, index: usize, secrets: &mut Secrets, shown: &mut Shown) -> Self {
        let mut till = Till::connect(serving.address, index);
        let (sent, frame) = till.write(|terminal, frame| terminal.sign_in(frame));
        till.stream.write_all(&frame).unwrap();
        let answer = read_frame(&mut till.stream).unwrap();
        till.terminal.signed_in(&sent, &answer).unwrap();
        let (_, _, algorithm) = &terminals()[index];
        let field = field_62(&answer);
        let layouts = [1, 3, 4, 5, 6].into_iter().filter_map(KeyLayout::by_network_code);
        let mut opened = layouts
            .filter_map(|layout| SessionKeys::unwrap(layout, *algorithm, &Tmk::new(tmk(index)), &field).ok())
            .filter(|keys| MacKey::new(*algorithm, keys.mac_key()).is_ok());
        let keys = opened.next().unwrap();
        secrets.bytes(&format!("the MAC key of {algorithm:?}"), keys.mac_key());
        secrets.bytes(&format!("the PIN key of {algorithm:?}"), keys.pin_key());
        let key = MacKey::new(*algorithm, keys.mac_key()).unwrap();
        shown.add(format!("answer to {algorithm:?}'s sign-in"), answer);
        Self { till, key, stan: 500 }
    }

    /// A purchase with whatever fields; sealed rightly, or not at all rightly.
    fn ask(&mut self, fields: &[(u8, Value)], seal: bool, shown: &mut Shown) -> String {
        self.stan += 1;
        let profile = *self.till.terminal.profile();
        let stan = self.stan.to_string();
        let stan = format!("{stan:0>6}");
        let fixed: [(u8, Value); 7] = [
            (3, Value::Digits("000000")),
            (4, Value::Digits("000000010000")),
            (11, Value::Digits(&stan)),
            (22, Value::Digits("072")),
            (25, Value::Digits("00")),
            (49, Value::Bytes(b"156")),
            (60, Value::Digits("2200000100060")),
        ];
        let ids = [(41, Value::Bytes(&profile.terminal)), (42, Value::Bytes(&profile.merchant))];
        let all: BTreeMap<u8, Value> = fixed.iter().chain(&ids).chain(fields).copied().collect();
        let mut buffer = [0; 1_024];
        let mut writer = Writer::new(&CUP, Mti(200), Seal::Narrow, &mut buffer);
        for (field, value) in &all {
            match value {
                Value::Digits(digits) => writer.digits(*field, digits.as_bytes()),
                Value::Bytes(bytes) => writer.bytes(*field, bytes),
            }
        }
        let mab = writer.finish().unwrap();
        let mac = if seal { self.key.mac(mab) } else { [0; 8] };
        let mut frame = [0; 1_024];
        let length = seal_frame(&CUP, Head::of_terminal([0, 3], [0, 0]), mab, Some(mac), &mut frame).unwrap();
        self.send(&frame[..length], shown)
    }

    /// Sends a frame; the answer's code.
    fn send(&mut self, frame: &[u8], shown: &mut Shown) -> String {
        self.till.stream.write_all(frame).unwrap();
        let answer = read_frame(&mut self.till.stream).unwrap();
        shown.add("an answer", answer.clone());
        code(&answer)
    }
}

#[derive(Clone, Copy)]
enum Value<'v> {
    Digits(&'v str),
    Bytes(&'v [u8]),
}

fn field_62(answer: &[u8]) -> Vec<u8> {
    let Step::Frame(frame, _) = next_frame(&[&CUP], answer) else { panic!("no frame") };
    Answer::decode(&frame).unwrap().fields.bytes(62).unwrap().to_vec()
}

fn code(answer: &[u8]) -> String {
    let Step::Frame(frame, _) = next_frame(&[&CUP], answer) else { panic!("no frame") };
    Answer::decode(&frame).unwrap().code.to_string()
}

/// Everything that may be asked of a card, and most of what may go wrong.
fn swipe_in_every_way(line: &mut Line, card: &str, shown: &mut Shown) {
    let (track2, track3) = (format!("{card}=3912201123456789"), format!("59{card}=1561560000000000000300"));
    let ask = |line: &mut Line, fields: &[(u8, Value)], shown: &mut Shown| line.ask(fields, true, shown);
    let credential = [&[0xDF, 0x02, CREDENTIAL.len() as u8], CREDENTIAL].concat();
    assert_eq!(ask(line, &[(2, Value::Digits(card))], shown), "00");
    let tracks = [(35, Value::Digits(&track2)), (36, Value::Digits(&track3)), (52, Value::Bytes(&PIN_BLOCK))];
    assert_eq!(ask(line, &tracks, shown), "00");
    assert_eq!(ask(line, &[&[(2, Value::Digits(card))], &tracks[..]].concat(), shown), "00");
    assert_eq!(ask(line, &[(57, Value::Bytes(&credential))], shown), "14");
    // In another currency, for nothing, mistyped, unknown; out of step; with a wrong MAC.
    assert_eq!(ask(line, &[(2, Value::Digits(card)), (49, Value::Bytes(b"840"))], shown), "12");
    assert_eq!(ask(line, &[(2, Value::Digits(card)), (4, Value::Digits("000000000000"))], shown), "13");
    assert_eq!(ask(line, &[(2, Value::Digits(MISTYPED))], shown), "14");
    assert_eq!(ask(line, &[(2, Value::Digits(&with_check_digit("629999777777777777")))], shown), "14");
    assert_eq!(ask(line, &[(2, Value::Digits(card)), (60, Value::Digits("2200000900060"))], shown), "77");
    assert_eq!(line.ask(&[(2, Value::Digits(card)), tracks[2]], false, shown), "A0");
    // Malformed: TLV, a track without a separator, a field nobody knows after a good one.
    let torn = &credential[..credential.len() - 1];
    assert_eq!(ask(line, &[(2, Value::Digits(card)), (57, Value::Bytes(torn))], shown), "30");
    assert_eq!(ask(line, &[(35, Value::Digits(&track2.replace('=', "0")))], shown), "30");
    assert_eq!(ask(line, &[(2, Value::Digits(card)), (60, Value::Digits("2"))], shown), "30");
    assert_eq!(ask(line, &[(2, Value::Digits(card)), (60, Value::Digits("7700000100060"))], shown), "40");
}

/// All that follows swipes, well and badly.
fn follow_up_in_every_way(line: &mut Line, card: &str, shown: &mut Shown) {
    let swipe = Swipe::of(Pan::from_ascii(card.as_bytes()).unwrap());
    let lost = Swipe::of(Pan::from_ascii(pan(6).as_bytes()).unwrap());
    let mut codes = Vec::new();
    let mut ask = |line: &mut Line, (_, frame): (Sent, Vec<u8>)| codes.push(line.send(&frame, shown));
    let purchase = line.till.purchase(card, 700);
    let original = Original { batch: purchase.0.batch, stan: purchase.0.stan, date: 101 };
    let of = purchase.0;
    ask(line, purchase);
    let given = IntegrityAnswer { payable_fen: Some(700), ..IntegrityAnswer::default() };
    for card in [&swipe, &lost] {
        let request = line.till.write(|terminal, frame| terminal.void(card, 700, original, frame));
        ask(line, request);
        let request = line.till.write(|terminal, frame| terminal.refund(card, 7, original, frame));
        ask(line, request);
        let offline = Offline { local_time: 101_112, local_date: 101, given };
        let request = line.till.write(|terminal, frame| terminal.offline_upload(card, 700, offline, frame));
        ask(line, request);
        let reversed = (&of, Reversible::Purchase);
        let request = line.till.write(|terminal, frame| terminal.reverse(reversed, card, Some(700), *b"98", frame));
        ask(line, request);
        let transaction = Transaction {
            stan: of.stan,
            pan: Pan::from_ascii(pan(6).as_bytes()).unwrap(),
            amount_fen: 700,
            local_time: 101_112,
            local_date: 101,
            reference: *b"000000000001",
        };
        let request = line.till.write(|terminal, frame| terminal.upload(&transaction, frame));
        ask(line, request);
    }
    let request = line.till.write(|terminal, frame| terminal.settle(Totals::default(), frame));
    ask(line, request);
    assert!(codes.iter().all(|code| matches!(code.as_str(), "00" | "25" | "41" | "94")), "{codes:?}");
}

#[test]
fn nothing_secret_is_said_or_written_anywhere() {
    let deployment = Deployment::with_city();
    let (mut shown, mut secrets) = (Shown::default(), Secrets::default());
    let card = pan(5);
    secrets.digits("the card", &card);
    secrets.digits("the mistyped card", MISTYPED);
    secrets.digits("the unknown card", &with_check_digit("629999777777777777"));
    secrets.digits("the lost card", &pan(6));
    secrets.digits("track 2", &format!("{card}=3912201123456789"));
    secrets.digits("track 3", &format!("59{card}=1561560000000000000300"));
    secrets.bytes("the PIN block", &PIN_BLOCK);
    secrets.bytes("the credential", CREDENTIAL);
    (0..terminals().len()).for_each(|index| secrets.bytes(&format!("TMK {index}"), &tmk(index)));
    let key_files = ["master.key", "card-hash.key"].map(|name| deployment.dir().join(name));
    for file in &key_files {
        let key = hex::decode(fs::read_to_string(file).unwrap().trim()).unwrap();
        secrets.bytes(&file.display().to_string(), &key);
    }

    let serving = deployment.serve_loudly();
    for index in (0..6).chain([GBK]) {
        let mut line = Line::sign_in(&serving, index, &mut secrets, &mut shown);
        swipe_in_every_way(&mut line, &card, &mut shown);
        follow_up_in_every_way(&mut line, &card, &mut shown);
        let (_, purchase) = line.till.purchase(&pan(6), 100);
        line.send(&purchase, &mut shown);
        line.send(&purchase, &mut shown);
        // The same key with other content, its header's digits, and garbage behind it.
        let mut other = purchase.clone();
        other[20] ^= 1;
        line.send(&other, &mut shown);
        let mut dropped = purchase.clone();
        dropped[3] = 0xFA;
        line.till.stream.write_all(&dropped).unwrap();
        line.till.stream.write_all(&purchase[..40]).unwrap();
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "a crash writes no memory to a disk: {core}");
    let mut stranger = connect(serving.address);
    stranger.write_all(card.as_bytes()).unwrap();
    stranger.write_all(&[0, 30, 0x60]).unwrap();
    stranger.write_all(card.as_bytes()).unwrap();
    for path in ["/metrics", "/readyz", "/healthz", "/nowhere"] {
        shown.add(path, serving.get(path).1);
    }
    let (host, city) = (serving.address.to_string(), deployment.city());
    let mistype = fs::read_to_string(city.join("cards.csv")).unwrap().replacen(&card, MISTYPED, 1);
    let bad = deployment.folder.path().join("bad");
    fs::create_dir(&bad).unwrap();
    fs::write(bad.join("cards.csv"), mistype).unwrap();
    let exported = deployment.folder.path().join("exported");
    for args in [
        &["swipe", "--terminal", "QZ000000", "--pan", &card, "--amount", "1", "--host", &host][..],
        &["swipe", "--terminal", "QZ000000", "--pan", MISTYPED, "--amount", "1", "--host", &host],
        &["swipe", "--terminal", "QZ000000", "--pan", "62999912345678901x8", "--host", &host],
        &["import", bad.to_str().unwrap()],
        &["import", city.to_str().unwrap()],
        &["export", exported.to_str().unwrap()],
        &["audit", "verify"],
        &["replay"],
        &["doctor"],
        &["explain", "01a20831-5484-7000-8000-000000000002"],
    ] {
        shown.output(&[args[0]], deployment.run(args));
    }
    // As they are now, as a crash leaves them, and as a stop does.
    shown.files(&deployment.dir(), &key_files);
    let log = serving.kill();
    assert!(log.len() > 20 && log.iter().any(|line| line.contains("DEBUG")), "{log:#?}");
    shown.add("the log", log.join("\n"));
    shown.files(&deployment.dir(), &key_files);
    let serving = deployment.serve_loudly();
    let (code, log) = serving.terminate();
    assert_eq!(code, Some(0));
    shown.add("the log after the crash", log.join("\n"));
    shown.files(&deployment.dir(), &key_files);
    shown.files(&exported, &[]);
    secrets.assert_absent(&shown);
    assert!(shown.0.len() > 100, "{} places were looked at", shown.0.len());
}

#[test]
fn what_is_looked_for_would_be_found() {
    let mut secrets = Secrets::default();
    secrets.digits("the card", &pan(5));
    secrets.bytes("the PIN block", &PIN_BLOCK);
    for text in [
        format!("swiped {}", pan(5)).into_bytes(),
        hex::decode(format!("02{}0", pan(5))).unwrap(),
        hex::decode(format!("021{}", pan(5))).unwrap(),
        format!("{:?}", pan(5).as_bytes()).into_bytes(),
        format!("pin={}", hex::encode(PIN_BLOCK)).into_bytes(),
    ] {
        let mut shown = Shown::default();
        shown.add("here", text.clone());
        let found = std::panic::catch_unwind(|| secrets.assert_absent(&shown));
        assert!(found.is_err(), "{text:02X?}");
    }
}
