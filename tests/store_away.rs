//! PostgreSQL stops or stalls under a running node: terminals are answered all along, limited benefits
//! aren't given, and everything is in the register when it is back.

mod support;

use support::{Deployment, Serving, Till, Told, exchange, pan};
use xingka_terminal::Swipe;
use xingka_testbed::Postgres;
use xingka_wire::pan::Pan;

/// What became of a purchase: code, benefits, DF1D.
fn buy(till: &mut Till, star: u8) -> (String, Vec<u32>, Option<u8>) {
    let (sent, frame) = till.purchase(&pan(star), 1_000);
    let answer = exchange(&mut till.stream, &frame);
    let answer = till.terminal.read(&sent, &answer).unwrap();
    (answer.code.to_string(), answer.integrity.benefits.iter().collect(), answer.integrity.source)
}

fn inquire(till: &mut Till) -> String {
    let card = pan(5);
    let swipe = Swipe::of(Pan::from_ascii(card.as_bytes()).unwrap());
    let (sent, frame) = till.write(|terminal, frame| terminal.star_inquiry(&swipe, None, frame));
    till.ask(&sent, &frame).code
}

/// Swipes until the node answers live again.
fn until_live(till: &mut Till) {
    while buy(till, 1).2 != Some(0) {
        std::thread::yield_now();
    }
}

/// Everything that two nodes were told while their store was away.
fn away(go: impl FnOnce(&mut Postgres), come_back: impl FnOnce(&mut Postgres)) {
    let mut postgres = Postgres::start(true);
    let nodes = Deployment::cluster_at(2, &postgres.database());
    let serving: Vec<Serving> = nodes.iter().map(Deployment::serve).collect();
    let mut tills: Vec<Till> = (0..2).map(|index| Till::signed_in(serving[index].address, index)).collect();
    tills.iter_mut().for_each(|till| assert_eq!(buy(till, 4), ("00".into(), vec![1], Some(0))));

    go(&mut postgres);
    let mut told = Vec::new();
    for till in &mut tills {
        assert_eq!(inquire(till), "00");
        for _ in 0..20 {
            // Benefit 2 can be used once, which nobody can be asked about now.
            assert_eq!(buy(till, 5), ("00".into(), vec![1], Some(1)));
        }
        let (sent, frame) = till.purchase(&pan(4), 5_000);
        told.push((sent, frame.clone(), till.ask(&sent, &frame)));
        assert_eq!(inquire(till), "00");
    }
    assert_eq!(serving[0].metric("xingka_register_reachable"), 0.0);
    // A terminal of another node's can't be known here; it is told to try again.
    let mut stranger = Till::connect(serving[1].address, 0);
    let mut frame = [0; 512];
    let sent = stranger.terminal.sign_in(&mut frame).unwrap();
    let answer = exchange(&mut stranger.stream, &frame[..sent.length]);
    assert_eq!(Told::read(&stranger.terminal, &sent, &answer).code, "91");

    come_back(&mut postgres);
    tills.iter_mut().for_each(until_live);
    assert_eq!(serving[0].metric("xingka_register_reachable"), 1.0);
    // What was answered meanwhile is known to both, and the one use is still there, once.
    for (at, (till, (sent, frame, told))) in tills.iter_mut().zip(&told).enumerate() {
        till.stream = support::connect(serving[1 - at].address);
        assert_eq!(till.ask(sent, frame), *told, "a stand-in's answer, asked for at the other node");
    }
    let used: Vec<Vec<u32>> = tills.iter_mut().map(|till| buy(till, 5).1).collect();
    assert_eq!(used, [vec![1, 2], vec![1]]);
    assert_eq!(serving.iter().map(|node| node.metric("xingka_register_doubled_total")).sum::<f64>(), 0.0);
}

#[test]
fn it_is_stopped_and_started() {
    away(Postgres::stop, Postgres::start_again);
}

#[test]
fn it_is_killed_and_started() {
    away(Postgres::kill, Postgres::start_again);
}

#[test]
fn it_stalls_and_goes_on() {
    away(|postgres| postgres.pause(), |postgres| postgres.resume());
}

#[test]
fn a_node_that_cannot_reach_it_says_so() {
    let deployment = Deployment::new();
    let text = format!("{}[store]\nurl = \"postgres://somebody:secret@127.0.0.1:1/city\"\n", support::PORTS);
    deployment.configure(&text);
    let output = deployment.run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("127.0.0.1:1 can't be reached") && !said.contains("secret"), "{said}");
}
