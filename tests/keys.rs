//! Terminals' keys as an operator handles them: components, key blocks, a token that keeps the
//! master key. What is given on standard input is never shown again.

mod support;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use support::{Deployment, Till, pan, terminals};
use xingka_security::key_block::{Header, wrap};
use xingka_security::{Cipher, check_value};
use xingka_terminal::{Profile, Terminal};
use xingka_wire::dialect::CUP;
use xingka_wire::session_keys::Tmk;

const ONE: &str = "0123456789ABCDEFFEDCBA9876543210";
const TWO: &str = "A0B0C0D0E0F00010203040506070809F";

fn kcv(hex: &str) -> String {
    hex::encode_upper(&check_value(Cipher::Tdes, &hex::decode(hex).unwrap()).unwrap()[..3])
}

fn combined() -> [u8; 16] {
    let (one, two) = (hex::decode(ONE).unwrap(), hex::decode(TWO).unwrap());
    std::array::from_fn(|at| one[at] ^ two[at])
}

/// Runs a command on a deployment with something on standard input.
fn run(deployment: &Deployment, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xingka"));
    command.args(args).arg("--config").arg(deployment.config());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// A till whose terminal has this master key.
fn till(deployment: &support::Serving, tmk: [u8; 16]) -> Till {
    let (id, place, mac) = terminals()[0].clone();
    let profile = Profile::new(id.as_bytes().try_into().unwrap(), place.as_bytes().try_into().unwrap(), &CUP, mac);
    Till { terminal: Terminal::new(profile, Tmk::new(tmk), 1), stream: support::connect(deployment.address) }
}

fn swipes(till: &mut Till) -> String {
    till.sign_in();
    let (sent, frame) = till.purchase(&pan(1), 100);
    till.ask(&sent, &frame).code
}

#[test]
fn a_key_in_components_is_the_terminals_from_the_next_sign_in_on() {
    let deployment = Deployment::with_city();
    let set = ["terminal", "set-key", "QZ000000"];
    let components = format!("{ONE} {}\n\n{} {}\n", kcv(ONE), TWO.to_lowercase(), kcv(TWO).to_lowercase());
    let output = run(&deployment, &set, &components);
    let whole = kcv(&hex::encode(combined()));
    assert!(output.status.success() && said(&output).contains(&whole), "{}", said(&output));
    assert_eq!(swipes(&mut till(&deployment.serve(), combined())), "00");

    let slips = [
        (format!("{ONE} {}\n{TWO} 000000\n", kcv(ONE)), "component 2 has not the check value 000000"),
        (format!("{ONE} {}\n", kcv(ONE)), "two or three components, not 1"),
        (format!("{ONE}\n{TWO}\n"), "line 1 must hold a component"),
        (format!("{ONE} {0}\n{ONE} {0}\n", kcv(ONE)), "components 1 and 2 are the same"),
        (format!("{} {}\n{TWO} {}\n", &ONE[..30], kcv(ONE), kcv(TWO)), "component 1 must have as many"),
    ];
    for (input, words) in slips {
        let output = run(&deployment, &set, &input);
        let said = said(&output);
        assert!(output.status.code() == Some(1) && said.contains(words), "{said}");
        assert!(!said.contains(&ONE[..12]) && !said.contains(&TWO[..12]), "{said}");
    }
    let output = run(&deployment, &["terminal", "set-key", "ZZ000000"], &components);
    assert!(said(&output).contains("there is no terminal ZZ000000"), "{}", said(&output));
    let output = run(&deployment, &[&set[..], &["--check-value", "000000"]].concat(), &components);
    assert!(said(&output).contains("together they have not the check value 000000"), "{}", said(&output));
}

#[test]
fn a_key_in_a_block_is_taken_where_it_is_a_terminals() {
    let deployment = Deployment::with_city();
    let kbpk = deployment.folder.path().join("kbpk");
    std::fs::write(&kbpk, hex::encode([0x77; 32])).unwrap();
    let source = format!("file:{}", kbpk.display());
    let set = ["terminal", "set-key", "QZ000000", "--kbpk", &source];
    let block = |header: &Header| wrap(&[0x77; 32], header, &combined(), &[5; 48]).unwrap();
    let output = run(&deployment, &set, &(block(&Header::TERMINAL_MASTER_KEY) + "\n"));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(swipes(&mut till(&deployment.serve(), combined())), "00");
    let pin_key = Header { usage: *b"P0", ..Header::TERMINAL_MASTER_KEY };
    let output = run(&deployment, &set, &block(&pin_key));
    assert!(said(&output).contains("a key for P0T, not a terminal's master key"), "{}", said(&output));
    let changed = block(&Header::TERMINAL_MASTER_KEY).replacen("K0", "D0", 1);
    let output = run(&deployment, &set, &changed);
    assert!(said(&output).contains("the key block was changed"), "{}", said(&output));
}

fn library() -> PathBuf {
    let known = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let named = std::env::var_os("XINGKA_PKCS11_LIBRARY").map(PathBuf::from);
    let found = named.into_iter().chain(known.map(PathBuf::from)).find(|path| path.exists());
    found.expect("SoftHSM2 is needed: apt-get install softhsm2, or name a library in XINGKA_PKCS11_LIBRARY")
}

/// The whole program with its master key in a token: import, serve, sign-in, restart.
#[test]
fn the_master_key_is_kept_in_a_token() {
    let deployment = Deployment::new();
    let folder = deployment.folder.path().join("tokens");
    std::fs::create_dir(&folder).unwrap();
    let softhsm = folder.join("softhsm2.conf");
    std::fs::write(&softhsm, format!("directories.tokendir = {}\nlog.level = ERROR\n", folder.display())).unwrap();
    std::fs::write(deployment.dir().join("token.pin"), "271828\n").unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "city", "--so-pin", "314159", "--pin", "271828"])
        .env("SOFTHSM2_CONF", &softhsm)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let keys = format!("[keys]\nmaster = \"pkcs11:{}?token=city&pin=file:token.pin\"\n", library().display());
    deployment.configure(&format!("{}{keys}", support::PORTS));
    let in_token = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xingka"));
        command.args(args).arg("--config").arg(deployment.config()).env("SOFTHSM2_CONF", &softhsm);
        command
    };
    let city = deployment.city();
    support::write_city(&city);
    let import = ["import", city.to_str().unwrap()];
    let output = in_token(&import).output().unwrap();
    assert!(said(&output).contains("xingka token provision"), "{}", said(&output));
    let output = in_token(&["token", "provision"]).output().unwrap();
    assert!(said(&output).contains("master keys made"), "{}", said(&output));
    let output = in_token(&import).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let again = in_token(&[&import[..], &["--json"]].concat()).output().unwrap();
    assert!(said(&again).contains("\"unchanged\":9"), "an import again changes nothing: {}", said(&again));
    let doctor = in_token(&["doctor"]).output().unwrap();
    assert!(said(&doctor).contains("the token works with every terminal's master key"), "{}", said(&doctor));

    let serve = || support::Serving::of(in_token(&["serve"]));
    let serving = serve();
    let mut first = till(&serving, support::tmk(0));
    assert_eq!(swipes(&mut first), "00");
    let log = serving.kill().concat();
    let serving = serve();
    first.stream = support::connect(serving.address);
    let (sent, frame) = first.purchase(&pan(1), 100);
    assert_eq!(first.ask(&sent, &frame).code, "00", "the session survived, its keys wrapped by the token");
    let log = log + &serving.kill().concat();
    assert!(!log.contains("271828") && !log.contains(&hex::encode(support::tmk(0))), "{log}");
    // Whoever would play a terminal here is told why that can't be.
    let output = in_token(&["swipe", "--terminal", "QZ000000", "--pan", &pan(1)]).output().unwrap();
    assert!(said(&output).contains("doesn't leave the token"), "{}", said(&output));
    // Another PIN, no token: said before anything starts.
    std::fs::write(deployment.dir().join("token.pin"), "999999\n").unwrap();
    let output = in_token(&["serve"]).output().unwrap();
    assert!(output.status.code() == Some(1) && said(&output).contains("opening the token"), "{}", said(&output));
}
