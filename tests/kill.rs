//! kill -9 at random moments under load: every answer that had left comes back the same.

mod support;

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::{Deployment, Serving, Till, Told, pan, read_frame};
use xingka_terminal::Sent;

const KILLS: u64 = 20;

/// A request, and the answer to it that arrived, if one did.
struct Exchange {
    sent: Sent,
    frame: Vec<u8>,
    told: Option<Told>,
}

#[test]
fn every_answer_that_had_left_comes_back_the_same() {
    let deployment = Deployment::with_city();
    let mut random = fastrand::Rng::with_seed(8583);
    let mut next_stans = [1; TILLS];
    let mut answered = 0;
    for round in 0..KILLS {
        let serving = deployment.serve();
        let exchanges = swipe_until_killed(serving, &mut next_stans, random.u64(1..400));
        answered += exchanges.iter().flatten().filter(|exchange| exchange.told.is_some()).count();
        let again = deployment.serve();
        std::thread::scope(|scope| {
            for (index, exchanges) in exchanges.iter().enumerate() {
                scope.spawn(move || ask_again(again.address, index, exchanges, round));
            }
        });
        again.kill();
    }
    assert!(answered > 500, "only {answered} answers left before the kills: they show little");
    let verified = deployment.json(&["audit", "verify"]);
    assert!(verified["records"].as_u64().unwrap() >= answered as u64);
    assert_eq!(deployment.json(&["replay"])["differences"], serde_json::json!([]));
}

/// The shop's terminals: one a MAC.
const TILLS: usize = 6;

/// Six terminals swipe without pause; after so many answers in all, the switch is killed.
fn swipe_until_killed(serving: Serving, next_stans: &mut [u32; TILLS], answers: u64) -> Vec<Vec<Exchange>> {
    let (address, seen, all_signed_in) = (serving.address, AtomicU64::new(0), Barrier::new(TILLS));
    std::thread::scope(|scope| {
        let tills: Vec<_> = next_stans
            .iter_mut()
            .enumerate()
            .map(|(index, next_stan)| {
                scope.spawn({
                    let shared = (&seen, &all_signed_in);
                    move || swipe(address, index, next_stan, shared)
                })
            })
            .collect();
        // The kill comes in the middle of whatever is happening then.
        while seen.load(Ordering::Relaxed) < answers {
            std::thread::yield_now();
        }
        serving.kill();
        tills.into_iter().map(|till| till.join().unwrap()).collect()
    })
}

fn swipe(
    address: SocketAddr,
    index: usize,
    next_stan: &mut u32,
    (seen, all_signed_in): (&AtomicU64, &Barrier),
) -> Vec<Exchange> {
    let mut till = Till::signed_in(address, index);
    till.terminal.set_next_stan(*next_stan);
    all_signed_in.wait();
    let mut exchanges = Vec::new();
    loop {
        let (sent, frame) = till.purchase(&pan(5 - (*next_stan % 6) as u8), 1_000 + u64::from(*next_stan));
        *next_stan += 1;
        let answer = std::io::Write::write_all(&mut till.stream, &frame).and_then(|()| read_frame(&mut till.stream));
        let told = answer.ok().map(|answer| Told::read(&till.terminal, &sent, &answer));
        let killed = told.is_none();
        exchanges.push(Exchange { sent, frame, told });
        if killed {
            return exchanges;
        }
        seen.fetch_add(1, Ordering::Relaxed);
    }
}

/// The terminal resends with its old keys: sessions survive the restart as well.
fn ask_again(address: SocketAddr, index: usize, exchanges: &[Exchange], round: u64) {
    let mut stream = support::connect(address);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut till = Till::signed_in(address, index);
    for Exchange { sent, frame, told } in exchanges {
        let answer = support::exchange(&mut stream, frame);
        match told {
            // Sealed under the key it was asked with, so only its fields are compared.
            Some(told) => assert_eq!(&fields(&answer), told, "round {round}, terminal {index}, {sent:?}"),
            // Recorded or not, it has one answer now, and the same one when it is asked again.
            None => assert_eq!(fields(&answer), fields(&support::exchange(&mut stream, frame))),
        }
    }
    let (sent, frame) = {
        till.terminal.set_next_stan(900_000 + u32::try_from(round).unwrap());
        till.purchase(&pan(4), 1_000)
    };
    assert_eq!(till.ask(&sent, &frame).code, "00");
}

fn fields(frame: &[u8]) -> Told {
    let dialects = &[&xingka_wire::dialect::CUP];
    let xingka_wire::frame::Step::Frame(frame, _) = xingka_wire::frame::next_frame(dialects, frame) else {
        panic!("not a frame")
    };
    Told::of(&xingka_wire::answer::Answer::decode(&frame).unwrap())
}
