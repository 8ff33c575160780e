//! The token's room against SoftHSM2, which `cargo xtask test` installs from the distribution's packages.
//!
//! SoftHSM reads where its tokens are from an environment variable, so the test runs itself
//! again with that set: one process, one folder of tokens.

use std::path::{Path, PathBuf};
use std::process::Command;

use xingka_security::room::{Room, RoomFault, SoftwareRoom};
use xingka_security::token::Token;
use xingka_security::{Cipher, check_value};

const PIN: &str = "271828";

fn library() -> PathBuf {
    let named = std::env::var_os("XINGKA_PKCS11_LIBRARY").map(PathBuf::from);
    let known = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let found = named.into_iter().chain(known.map(PathBuf::from)).find(|path| path.exists());
    found.expect("SoftHSM2 is needed: apt-get install softhsm2, or name a library in XINGKA_PKCS11_LIBRARY")
}

/// Runs one of the tests below in a process of its own, whose tokens are in a new folder.
fn in_own_process(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("softhsm2.conf");
    std::fs::write(&config, format!("directories.tokendir = {}\nlog.level = ERROR\n", folder.path().display()))
        .unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "xingka", "--so-pin", "314159", "--pin", PIN])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .expect("softhsm2-util comes with SoftHSM2: apt-get install softhsm2");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("SOFTHSM2_CONF", &config);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_nothing_in_clear(folder.path());
}

/// The keys of these tests are in no file of the token.
fn assert_nothing_in_clear(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            assert_nothing_in_clear(&entry);
        } else {
            let bytes = std::fs::read(&entry).unwrap();
            assert!(!bytes.windows(16).any(|window| window == TMK), "{}", entry.display());
        }
    }
}

const TMK: [u8; 16] = *b"\x31\x31\x31\x31\x32\x32\x32\x32\xB5\xB5\xB5\xB5\xC6\xC6\xC6\xC6";

fn opened() -> Token {
    let token = Token::open(&library(), "xingka", PIN).unwrap();
    token.provision().unwrap();
    token
}

#[test]
fn a_token_does_what_the_software_room_does() {
    in_own_process("token_does_what_the_software_room_does");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn token_does_what_the_software_room_does() {
    let token = opened();
    assert_eq!(token.provision(), Ok(false), "it has its keys");
    let rooms: [&dyn Room; 2] = [&token, &SoftwareRoom::new([7; 32])];
    for room in rooms {
        let wrapped = room.wrap("session QZ000001 1", b"forty-eight bytes of session keys, more or less..").unwrap();
        assert_eq!(
            room.wrap("session QZ000001 1", b"forty-eight bytes of session keys, more or less..").unwrap(),
            wrapped
        );
        let opened = room.unwrap("session QZ000001 1", &wrapped).unwrap();
        assert_eq!(opened.as_slice(), b"forty-eight bytes of session keys, more or less..");
        assert_eq!(room.unwrap("session QZ000001 2", &wrapped).unwrap_err(), RoomFault::Key, "{room:?}");
        for at in 1..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(room.unwrap("session QZ000001 1", &changed).unwrap_err(), RoomFault::Key, "{room:?} {at}");
        }
        assert_eq!(room.unwrap("session QZ000001 1", &[]).unwrap_err(), RoomFault::Form);
        assert_ne!(room.derive("a").unwrap(), room.derive("b").unwrap());
        assert_eq!(room.derive("a").unwrap(), room.derive("a").unwrap());

        let key = room.wrap_key("tmk QZ000001", &TMK).unwrap();
        assert_eq!(room.wrap_key("tmk QZ000001", &TMK).unwrap(), key, "an import again changes nothing");
        assert_ne!(room.wrap_key("tmk QZ000002", &TMK).unwrap(), key);
        let mut zeros = [0; 8];
        room.encrypt_under("tmk QZ000001", &key, Cipher::Tdes, &mut zeros).unwrap();
        assert_eq!(zeros[..4], check_value(Cipher::Tdes, &TMK).unwrap());
        assert_eq!(room.encrypt_under("tmk QZ000002", &key, Cipher::Tdes, &mut zeros).unwrap_err(), RoomFault::Key);
        for at in 1..key.len() {
            let mut changed = key.clone();
            changed[at] ^= 1;
            let fault = room.encrypt_under("tmk QZ000001", &changed, Cipher::Tdes, &mut zeros).unwrap_err();
            assert_eq!(fault, RoomFault::Key, "{room:?} {at}");
        }
        let shown = format!("{room:?}");
        assert!(!shown.contains(PIN) && !shown.contains('7'), "{shown}");
    }
}

#[test]
fn a_token_gives_no_key_away() {
    in_own_process("token_gives_no_key_away");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn token_gives_no_key_away() {
    let token = opened();
    let key = token.wrap_key("tmk QZ000001", &TMK).unwrap();
    assert!(matches!(token.reveal_key("tmk QZ000001", &key), Err(RoomFault::Unsupported(_))));
    assert!(matches!(
        token.encrypt_under("tmk QZ000001", &key, Cipher::Sm4, &mut [0; 16]),
        Err(RoomFault::Unsupported(_))
    ));
    // Many at once, from several threads.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut blocks = [0; 32];
                    token.encrypt_under("tmk QZ000001", &key, Cipher::Tdes, &mut blocks).unwrap();
                    assert_eq!(blocks[..4], check_value(Cipher::Tdes, &TMK).unwrap());
                }
            });
        }
    });
    let fault = |label, pin| Token::open(&library(), label, pin).map(drop).unwrap_err().to_string();
    assert!(fault("another", PIN).contains("there is none with the label \"another\""));
    let missing = Token::open(Path::new("/no/such/library.so"), "xingka", PIN).map(drop).unwrap_err().to_string();
    assert!(missing.contains("/no/such/library.so"), "{missing}");
}
