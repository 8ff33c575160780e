//! The conformance kit: it passes against the switch, and finds what is planted.
//!
//! Between kit and switch stands a proxy that knows the bench's keys, changes answers as one faulty
//! implementation would, and seals them again. Each fault must be found, and explained.

mod support;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::{Deployment, read_frame};
use xingka_conform::bench::Bench;
use xingka_conform::message::{Message, Seen};
use xingka_conform::report::Report;
use xingka_conform::switch::{Line, certify};
use xingka_wire::dialect::CUP;
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};

const MAC: MacAlgorithm = MacAlgorithm::AesCmac;

/// A switch with the bench's city.
fn served() -> (Deployment, support::Serving, Bench) {
    let deployment = Deployment::new();
    let folder = deployment.folder.path().join("bench");
    let written = deployment_free(&["conform", "--write-bench", folder.to_str().unwrap()]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let imported = deployment.run(&["import", folder.join("city").to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let bench = Bench::from_toml(&std::fs::read_to_string(folder.join("aes-cmac.toml")).unwrap()).unwrap();
    let serving = deployment.serve();
    (deployment, serving, bench)
}

fn deployment_free(args: &[&str]) -> std::process::Output {
    support::xingka(args.iter().map(AsRef::as_ref))
}

fn certified(bench: &Bench, address: SocketAddr, first_stan: u32) -> Report {
    certify(bench, "here".into(), first_stan, &|_| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Box::new(stream) as Box<dyn Line>)
    })
}

/// What a faulty switch does to its answers. The request comes along.
#[derive(Clone, Copy)]
enum Fault {
    /// Changes fields; sealed again.
    Fields(fn(&Seen, &mut Message, u32)),
    /// Seals otherwise.
    Seal(Seal),
    /// Doesn't pass such requests on; an answer is made up from another one's.
    Swallow(fn(&Seen) -> bool),
    /// Answers such requests late.
    Delay(fn(&Seen) -> bool, Duration),
}

/// The MAC of a MAB, by the session's keys.
type Seal = fn(&SessionKeys, &[u8]) -> [u8; 8];

/// Keys of all sign-ins, by terminal, newest last.
type Keys = Arc<Mutex<HashMap<Vec<u8>, Vec<SessionKeys>>>>;

struct Proxy {
    switch: SocketAddr,
    fault: Fault,
    keys: Keys,
    tmks: Arc<HashMap<Vec<u8>, [u8; 16]>>,
}

impl Proxy {
    /// Listens until the test ends.
    fn start(switch: SocketAddr, bench: &Bench, fault: Fault) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let places = [&bench.shop, &bench.shop_two, &bench.hall, &bench.bank];
        let tmk = |hex: &str| <[u8; 16]>::try_from(hex::decode(hex).unwrap()).unwrap();
        let tmks = places.map(|place| (place.terminal.clone().into_bytes(), tmk(&place.tmk)));
        let proxy = Arc::new(Self { switch, fault, keys: Keys::default(), tmks: Arc::new(HashMap::from(tmks)) });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let proxy = proxy.clone();
                thread::spawn(move || proxy.serve(stream));
            }
        });
        address
    }

    /// One line; it ends when either side does.
    fn serve(&self, mut kit: TcpStream) -> io::Result<()> {
        let mut switch = TcpStream::connect(self.switch)?;
        switch.set_nodelay(true)?;
        kit.set_nodelay(true)?;
        let mut count = 0;
        loop {
            let frame = read_frame(&mut kit)?;
            let Ok(request) = Seen::read(&CUP, &frame) else {
                // Not for this proxy: pass it on, with whatever comes back.
                switch.write_all(&frame)?;
                if frame.len() >= 23 {
                    kit.write_all(&read_frame(&mut switch)?)?;
                }
                continue;
            };
            count += 1;
            let answer = self.answer(&request, &frame, &mut switch, count)?;
            kit.write_all(&answer)?;
        }
    }

    fn answer(&self, request: &Seen, frame: &[u8], switch: &mut TcpStream, count: u32) -> io::Result<Vec<u8>> {
        match self.fault {
            Fault::Swallow(which) if which(request) => {
                // An approved reversal of nothing, to have an answer to copy.
                let mut other = message(request);
                other.fields.insert(11, b"999999".to_vec());
                switch.write_all(&self.sealed(request, &other, None))?;
                let mut answer = message(&Seen::read(&CUP, &read_frame(switch)?).unwrap());
                answer.fields.insert(11, request.fields[&11].clone());
                return Ok(self.sealed(request, &answer, None));
            }
            Fault::Delay(which, by) if which(request) => thread::sleep(by),
            _ => {}
        }
        switch.write_all(frame)?;
        let bytes = read_frame(switch)?;
        let answer = Seen::read(&CUP, &bytes).unwrap();
        self.learn(request, &answer);
        let mut changed = message(&answer);
        match self.fault {
            Fault::Fields(change) => change(request, &mut changed, count),
            Fault::Seal(seal) if answer.mac.is_some() => return Ok(self.sealed(request, &changed, Some(seal))),
            _ => return Ok(bytes),
        }
        Ok(match answer.mac {
            Some(_) => self.sealed(request, &changed, None),
            None => changed.frame(&CUP, None).unwrap(),
        })
    }

    fn learn(&self, request: &Seen, answer: &Seen) {
        let (Some(field), Some(layout)) = (answer.fields.get(&62), layout(request)) else { return };
        let terminal = request.fields[&41].clone();
        let keys = SessionKeys::unwrap(layout, MAC, &Tmk::new(self.tmks[&terminal]), field).unwrap();
        self.keys.lock().unwrap().entry(terminal).or_default().push(keys);
    }

    /// With the keys that verify the request, or the newest.
    fn sealed(&self, request: &Seen, answer: &Message, seal: Option<Seal>) -> Vec<u8> {
        let keys = self.keys.lock().unwrap();
        let of_terminal = &keys[&request.fields[&41]];
        let mac = |keys: &SessionKeys| MacKey::new(MAC, keys.mac_key()).unwrap();
        let verifies = |keys: &&SessionKeys| Some(mac(keys).mac(&request.mab)) == request.mac;
        let keys = of_terminal.iter().find(verifies).or(of_terminal.last()).unwrap();
        let mut frame = answer.frame(&CUP, Some(&mac(keys))).unwrap();
        if let Some(seal) = seal {
            let end = frame.len() - 8;
            let mab = frame[13..end].to_vec();
            let mac = seal(keys, &mab);
            frame[end..].copy_from_slice(&mac);
        }
        frame
    }
}

fn message(seen: &Seen) -> Message {
    Message { mti: seen.mti, fields: seen.fields.clone(), tail: Vec::new(), head: seen.head }
}

fn layout(request: &Seen) -> Option<KeyLayout> {
    let code = request.text(60).get(8..11)?.parse().ok()?;
    (request.mti == 800).then(|| KeyLayout::by_network_code(code)).flatten()
}

fn is_purchase(request: &Seen) -> bool {
    request.mti == 200 && request.text(3) == "000000"
}

fn set(message: &mut Message, field: u8, value: &str) {
    message.fields.insert(field, value.as_bytes().to_vec());
}

/// Replaces the value of a two-byte tag in field 57.
fn set_tag(message: &mut Message, tag: [u8; 2], value: &[u8]) {
    let Some(field) = message.fields.get_mut(&57) else { return };
    if let Some(at) = field.windows(3).position(|it| it == [tag[0], tag[1], value.len() as u8]) {
        field[at + 3..at + 3 + value.len()].copy_from_slice(value);
    }
}

const PURCHASE_OFF: [u8; 2] = [0xDF, 0x13];

/// A fault's name, what the switch does, and what the kit must say: where, and in which words.
fn planted() -> Vec<(&'static str, Fault, &'static str, &'static str)> {
    vec![
        (
            "another MAC",
            Fault::Seal(|keys, mab| MacKey::new(MacAlgorithm::X919, keys.mac_key()).unwrap().mac(mab)),
            "MAC",
            "it is the x9.19 of the same bytes; this terminal is set to aes-cmac",
        ),
        (
            "the PIN key",
            Fault::Seal(|keys, mab| MacKey::new(MAC, keys.pin_key()).unwrap().mac(mab)),
            "MAC",
            "made with the PIN key",
        ),
        (
            "a MAC without the MTI",
            Fault::Seal(|keys, mab| MacKey::new(MAC, keys.mac_key()).unwrap().mac(&mab[2..])),
            "MAC",
            "it leaves the MTI out",
        ),
        (
            "the TPDU as it came",
            Fault::Fields(|request, answer, _| answer.head.tpdu = request.head.tpdu),
            "TPDU",
            "destination and source must be swapped",
        ),
        (
            "the header's class lost",
            Fault::Fields(|_, answer, _| answer.head.header[0] = 0),
            "header",
            "the request's header comes back",
        ),
        (
            "another batch",
            Fault::Fields(|request, answer, _| {
                if request.mti == 200 {
                    let said = request.text(60);
                    let batch: u32 = said[2..8].parse().unwrap();
                    set(answer, 60, &format!("{}{:06}{}", &said[..2], batch + 3, &said[8..]));
                }
            }),
            "F60",
            ", the open one is 0000",
        ),
        (
            "the full price",
            Fault::Fields(|request, answer, _| {
                if is_purchase(request) && request.fields.contains_key(&4) {
                    set(answer, 4, &request.text(4))
                }
            }),
            "F4",
            "it repeats the request's amount",
        ),
        (
            "no authorisation code",
            Fault::Fields(|_, answer, _| drop(answer.fields.remove(&38))),
            "F38",
            "every approved answer has an authorisation code",
        ),
        (
            "the card number comes back",
            Fault::Fields(|request, answer, _| {
                if let Some(pan) = request.fields.get(&2) {
                    answer.fields.insert(2, pan.clone());
                }
            }),
            "F2",
            "an answer never repeats the card",
        ),
        (
            "another request's number",
            Fault::Fields(|request, answer, _| set(answer, 11, &format!("{:06}", request.number(11).unwrap_or(0) / 2))),
            "F11",
            "it answers request",
        ),
        (
            "repeats decided again",
            Fault::Fields(|request, answer, count| {
                if request.mti == 200 {
                    set(answer, 37, &format!("{count:012}"))
                }
            }),
            "F37",
            "a repeat gets the stored answer",
        ),
        (
            "lost cards unknown",
            Fault::Fields(|_, answer, _| {
                if answer.fields[&39] == b"41" {
                    set(answer, 39, "14")
                }
            }),
            "F39",
            "the switch doesn't have this card",
        ),
        (
            "rates rounded down",
            Fault::Fields(|request, answer, _| {
                if request.text(4) == "000000010001" {
                    set_tag(answer, PURCHASE_OFF, &1_999_u16.to_be_bytes())
                }
            }),
            "DF13",
            "it is rounded down",
        ),
        (
            "every settlement balanced",
            Fault::Fields(|request, answer, _| {
                if request.mti == 500
                    && let Some(totals) = answer.fields.get_mut(&48)
                {
                    totals[30] = b'1'
                }
            }),
            "F60",
            "a batch that balances opens the next one",
        ),
        (
            "reversals lost",
            Fault::Swallow(|request| request.mti == 400),
            "F39",
            "its original doesn't exist, was undone",
        ),
        (
            "no decision id",
            Fault::Fields(|_, answer, _| {
                if let Some(field) = answer.fields.get_mut(&57)
                    && let Some(at) = field.windows(3).position(|it| it == [0xDF, 0x1B, 16])
                {
                    field.drain(at..at + 19);
                }
            }),
            "DF1B",
            "field 57 lacks it",
        ),
        ("echoes late", Fault::Delay(|request| request.mti == 820, Duration::from_millis(1_500)), "time", ""),
    ]
}

#[test]
fn the_kit_passes_against_the_switch_with_each_mac_and_dialect() {
    for profile in ["cup", "ascii87"] {
        let output = deployment_free(&["conform", "--profile", profile, "--json"]);
        let outcome: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings: Vec<String> = outcome["reports"].as_array().unwrap().iter().map(failures).collect();
        assert_eq!((outcome["passed"].as_bool(), findings.concat()), (Some(true), String::new()));
        assert_eq!(findings.len(), 2 * MacAlgorithm::ALL.len(), "plain and TLS");
        assert_eq!(output.status.code(), Some(0));
    }
}

fn failures(report: &serde_json::Value) -> String {
    let cases = report["cases"].as_array().unwrap().iter().filter(|case| case["passed"] != true);
    cases.map(|case| format!("{}: {case}\n", report["about"])).collect()
}

#[test]
fn every_planted_fault_is_found_and_explained() {
    let (_deployment, serving, mut bench) = served();
    // So that a late answer is told from a slow machine: the proxy delays by far more.
    bench.answer_within_ms = 1_000;
    for (number, (name, fault, place, words)) in planted().into_iter().enumerate() {
        let address = Proxy::start(serving.address, &bench, fault);
        let report = certified(&bench, address, 1 + number as u32 * 2_000);
        let fits = |finding: &xingka_conform::report::Finding| {
            finding.place == place && finding.explanation.as_deref().unwrap_or_default().contains(words)
        };
        let all: Vec<_> = report.findings().map(|(case, _, finding)| (case.id, finding)).collect();
        assert!(!report.passed && all.iter().any(|(_, finding)| fits(finding)), "{name}: {all:#?}");
        assert!(report.to_html().contains(place), "{name}");
    }
}

#[test]
fn without_a_fault_the_proxy_changes_nothing() {
    let (deployment, serving, bench) = served();
    let address = Proxy::start(serving.address, &bench, Fault::Fields(|_, _, _| {}));
    let report = certified(&bench, address, 1);
    assert!(report.passed, "{:#?}", report.findings().collect::<Vec<_>>());
    // A second run goes on behind the first one, also against the switch itself.
    let file = deployment.folder.path().join("bench/x9.19.toml");
    let html = deployment.folder.path().join("report.html");
    let host = serving.address.to_string();
    let args = ["conform", "--host", &host, "--bench", file.to_str().unwrap(), "--html", html.to_str().unwrap()];
    for _ in 0..2 {
        let output = deployment_free(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // Without a bench it is the one that was written.
    let output = deployment_free(&["conform", "--host", &host, "--mac", "sm4-cbc"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(std::fs::read_to_string(html).unwrap().contains("passed: 47 of 47 cases passed"));
}
