//! The same fields and the same bytes, whoever reads and whoever writes: thousands of
//! requests and answers of every kind, from seeds that a failure names.

use fastrand::Rng;
use xingka_peers::answers::Added;
use xingka_peers::ours::{self, LENGTH_BYTES};
use xingka_peers::requests::{Fill, KINDS, Kind, request};
use xingka_peers::{PEERS, Peer, Said};
use xingka_wire::decode;
use xingka_wire::dialect::ASCII87;
use xingka_wire::encode::Writer;
use xingka_wire::messages::Request;

/// Of each kind, with each fill.
const REQUESTS: u64 = 400;

/// Every request there is to try, what its answer is made from, and the words that find it
/// again.
fn each(fill: Fill, mut look: impl FnMut(Kind, &Said, &mut Rng, &str)) {
    for kind in KINDS {
        for seed in 0..REQUESTS {
            let mut rng = Rng::with_seed(seed);
            let said = request(&mut rng, kind, fill);
            look(kind, &said, &mut rng, &format!("{kind:?}, {fill:?}, seed {seed}"));
        }
    }
}

fn each_of_both(mut look: impl FnMut(Kind, &Said, &mut Rng, &str)) {
    each(Fill::Typed, &mut look);
    each(Fill::Full, look);
}

/// A peer reads these bytes as this, and writes this as these bytes.
fn assert_agrees(peer: &Peer, said: &Said, message: &[u8], which: &str) {
    let read = (peer.decode)(message).unwrap_or_else(|fault| panic!("{} reads {which}: {fault}", peer.name));
    assert_eq!(&read, said, "{} reads {which}: {}", peer.name, hex::encode(message));
    let written = (peer.encode)(said).unwrap_or_else(|fault| panic!("{} writes {which}: {fault}", peer.name));
    assert_eq!(hex::encode(written), hex::encode(message), "{} writes {which}", peer.name);
}

#[test]
fn peers_read_and_write_requests_as_we_do() {
    each_of_both(|_, said, _, which| {
        let frame = ours::encode(&ASCII87, said).unwrap_or_else(|fault| panic!("{which}: {fault}"));
        PEERS.iter().for_each(|peer| assert_agrees(peer, said, &frame[LENGTH_BYTES..], which));
    });
}

#[test]
fn we_read_the_requests_that_peers_write() {
    each_of_both(|kind, said, _, which| {
        for peer in &PEERS {
            let message = (peer.encode)(said).unwrap();
            let read = ours::read_request(&ours::around(&ASCII87, &message).unwrap(), Kind::of);
            assert_eq!(read, Ok((said.clone(), kind)), "of {}, {which}", peer.name);
        }
    });
}

/// Writes a request again by what its type says.
fn write_typed(request: &Request<'_>, writer: &mut Writer<'_>) {
    match request {
        Request::StarInquiry(request) => request.encode(writer),
        Request::Purchase(request) => request.encode(writer),
        Request::Void(request) => request.encode(writer),
        Request::Refund(request) => request.encode(writer),
        Request::OfflineUpload(request) => request.encode(writer),
        Request::CounterService(request) => request.encode(writer),
        Request::Reversal(request) => request.encode(writer),
        Request::Settlement(request) => request.encode(writer),
        Request::BatchUpload(request) => request.encode(writer),
        Request::BatchUploadEnd(request) => request.encode(writer),
        Request::SignIn(request) => request.encode(writer),
        Request::SignOff(request) => request.encode(writer),
        Request::Echo(request) => request.encode(writer),
    }
}

#[test]
fn typed_requests_come_out_as_the_bytes_that_peers_wrote() {
    each(Fill::Typed, |_, said, _, which| {
        let message = (PEERS[0].encode)(said).unwrap();
        let typed = |request: &Request<'_>| ours::sealed(&ASCII87, said, |writer| write_typed(request, writer));
        let (_, again) = ours::read_request(&ours::around(&ASCII87, &message).unwrap(), typed).unwrap();
        assert_eq!(hex::encode(&again.unwrap()[LENGTH_BYTES..]), hex::encode(message), "{which}");
    });
}

#[test]
fn peers_read_and_write_answers_as_we_do() {
    each_of_both(|kind, said, rng, which| {
        let added = Added::random(rng, kind);
        let expected = added.to(said);
        let frame = ours::encode(&ASCII87, said).unwrap();
        let framed = ours::whole(&ASCII87, &frame).unwrap();
        let asked = decode(&framed).unwrap();
        let message = added.written(&asked.fields, asked.mti).unwrap();
        for peer in &PEERS {
            assert_agrees(peer, &expected, &message, &format!("answer to {which}"));
            let read = ours::read_answer(&ours::around(&ASCII87, &(peer.encode)(&expected).unwrap()).unwrap());
            assert_eq!(read.as_ref(), Ok(&expected), "of {}, answer to {which}", peer.name);
        }
    });
}
