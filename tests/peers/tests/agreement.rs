//! The same message has the same bytes and the same fields, whoever writes and reads it.

use std::collections::BTreeMap;

use fastrand::Rng;
use xingka_peers::sample::{KINDS, message};
use xingka_peers::{Peer, Plain, all, decode, encode};
use xingka_wire::dialect::{ASCII87, Content, FIELDS};

const MESSAGES: u64 = 3_000;

fn for_each_message(mut check: impl FnMut(&dyn Peer, &str, &Plain)) {
    for peer in all() {
        for seed in 0..MESSAGES {
            let mut random = Rng::with_seed(seed);
            let kind = (seed % KINDS.len() as u64) as usize;
            check(peer.as_ref(), KINDS[kind].0, &message(kind, &mut random));
        }
    }
}

#[test]
fn every_peer_writes_the_bytes_that_we_write() {
    for_each_message(|peer, kind, message| {
        let ours = encode(peer.dialect(), message).unwrap();
        assert_eq!(peer.encode(message), Ok(ours), "{}: {kind} {message:?}", peer.name());
    });
}

#[test]
fn every_peer_reads_what_we_wrote_and_we_read_what_it_wrote() {
    for_each_message(|peer, kind, message| {
        let ours = encode(peer.dialect(), message).unwrap();
        assert_eq!(peer.decode(&ours).as_ref(), Ok(message), "{}: {kind}", peer.name());
        let theirs = peer.encode(message).unwrap();
        assert_eq!(decode(peer.dialect(), &theirs).as_ref(), Ok(message), "{}: {kind}", peer.name());
    });
}

#[test]
fn every_kind_is_a_message_of_ours() {
    for (kind, (name, ..)) in KINDS.iter().enumerate() {
        let message = message(kind, &mut Rng::with_seed(kind as u64));
        let body = encode(&ASCII87, &message).unwrap();
        let framed = [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat();
        let xingka_wire::frame::Step::Frame(frame, _) = xingka_wire::frame::next_frame(&[&ASCII87], &framed) else {
            panic!("{name}: no frame");
        };
        assert!(xingka_wire::decode(&frame).is_ok(), "{name}: {message:?}");
    }
}

/// What somebody may send, changed a little: where both accept it, both see the same fields;
/// where one doesn't, DISAGREEMENTS.md says why.
#[test]
fn of_changed_messages_nobody_reads_other_fields_than_we_do() {
    let mut both = 0;
    let mut only_they = BTreeMap::<(&str, String), u32>::new();
    for_each_message(|peer, _, message| {
        let mut body = encode(peer.dialect(), message).unwrap();
        let mut random = Rng::with_seed(body.len() as u64 ^ u64::from(body[body.len() - 1]) << 8);
        for _ in 0..random.usize(1..=3) {
            let place = random.usize(4..body.len());
            match random.u8(0..3) {
                0 => body[place] = random.u8(b' '..=b'~'),
                1 => body[place] ^= 1 << random.u8(0..8),
                _ => drop(body.remove(place)),
            }
        }
        match (decode(peer.dialect(), &body), peer.decode(&body)) {
            (Ok(ours), Ok(theirs)) if comparable(&ours) => {
                both += 1;
                assert_eq!(ours, theirs, "{}: {body:02X?}", peer.name());
            }
            (Err(fault), Ok(_)) => *only_they.entry((peer.name(), reason(&fault))).or_default() += 1,
            _ => {}
        }
    });
    assert!(both > 1_000, "{both} changed messages were accepted by both");
    for ((peer, reason), count) in &only_they {
        let known = STRICTER.iter().any(|(who, why)| peer.contains(who) && reason.contains(why));
        assert!(known, "{peer} accepts {count} messages that we refuse: {reason}");
    }
}

/// What we refuse and a peer lets pass, by our fault: none of them looks into TLV, each lets
/// some character pass that its field may not have.
const STRICTER: &[(&str, &str)] = &[
    ("", "a tag"),
    ("", "it has a character, digit or pad that does not belong there"),
    ("iso8583-msg", "its length prefix is not digits"),
];

/// The fault without the field's number.
fn reason(fault: &str) -> String {
    fault.rsplit(": ").next().unwrap_or_default().to_owned()
}

/// One of them replaces what isn't UTF-8 as it reads; that has a test of its own.
fn comparable(ours: &Plain) -> bool {
    let is_text = |field: &u8| FIELDS[usize::from(*field)].is_some_and(|row| row.content != Content::B);
    ours.fields.iter().filter(|(field, _)| is_text(field)).all(|(_, content)| content.is_ascii())
}
