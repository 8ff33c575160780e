//! Peers that are slow, silent or many, a journal that can't be written, and a node that stops.

mod support;

use std::io::{Read, Write};

use sqlx::{Connection, Executor, SqliteConnection};
use support::{Deployment, PORTS, Till, Told, pan, read_frame};

fn serve_with(switch: &str) -> (Deployment, support::Serving) {
    let deployment = Deployment::with_city();
    deployment.configure(&format!("{PORTS}{switch}"));
    let serving = deployment.serve();
    (deployment, serving)
}

#[test]
fn a_silent_connection_is_closed_and_others_are_not() {
    let (_deployment, serving) = serve_with("idle_timeout_s = 1\n");
    let mut silent = support::connect(serving.address);
    let mut till = Till::signed_in(serving.address, 0);
    let mut rest = Vec::new();
    // Blocks until the switch closes it.
    assert_eq!(silent.read_to_end(&mut rest).unwrap(), 0);
    // Whoever was silent meanwhile connects again, with the same session.
    till.stream = support::connect(serving.address);
    let (sent, frame) = till.purchase(&pan(1), 100);
    assert_eq!(till.ask(&sent, &frame).code, "00");
}

/// A till that has swiped once: its connection is proven.
fn proven(serving: &support::Serving, index: usize) -> Till {
    let mut till = Till::signed_in(serving.address, index);
    let (sent, frame) = till.purchase(&pan(1), 100);
    assert_eq!(till.ask(&sent, &frame).code, "00");
    till
}

#[test]
fn more_connections_than_may_be_are_closed_at_once() {
    let (_deployment, serving) = serve_with("max_connections = 2\n");
    let mut tills = [proven(&serving, 0), proven(&serving, 1)];
    let mut third = support::connect(serving.address);
    let mut rest = Vec::new();
    assert_eq!(third.read_to_end(&mut rest).unwrap(), 0);
    for till in &mut tills {
        let (sent, frame) = till.purchase(&pan(1), 100);
        assert_eq!(till.ask(&sent, &frame).code, "00");
    }
    assert!(serving.metric("xingka_connections_ended_total{by=\"refused\"}") >= 1.0);
}

#[test]
fn who_opens_connections_and_leaves_them_makes_room_for_terminals() {
    let (_deployment, serving) = serve_with("max_connections = 20\n");
    let mut till = proven(&serving, 0);
    let mut left: Vec<_> = (0..19).map(|_| support::connect(serving.address)).collect();
    // They have a moment to prove themselves; a terminal that comes meanwhile tries again.
    let mut tries = (0..1_000_000).map(|_| support::try_sign_in(serving.address, 1));
    let mut newcomer = tries.find_map(Result::ok).unwrap();
    let (sent, frame) = newcomer.purchase(&pan(1), 100);
    assert_eq!(newcomer.ask(&sent, &frame).code, "00");
    let mut rest = Vec::new();
    assert_eq!(left[0].read_to_end(&mut rest).unwrap(), 0, "the one who came first was put out");
    let (sent, frame) = till.purchase(&pan(1), 100);
    assert_eq!(till.ask(&sent, &frame).code, "00", "who is proven stays");
    assert!(serving.metric("xingka_newcomers_put_out_total") >= 1.0);
}

/// The codes of so many purchases, sent at once.
fn codes(till: &mut Till, count: usize) -> Vec<String> {
    let requests: Vec<_> = (0..count).map(|_| till.purchase(&pan(1), 100)).collect();
    let all: Vec<u8> = requests.iter().flat_map(|(_, frame)| frame.clone()).collect();
    till.stream.write_all(&all).unwrap();
    let answers = requests.iter().map(|(sent, _)| (sent, read_frame(&mut till.stream).unwrap()));
    answers.map(|(sent, answer)| Told::read(&till.terminal, sent, &answer).code).collect()
}

#[test]
fn over_a_limit_the_answer_is_96_and_a_repeat_is_answered_when_there_is_room() {
    let (_deployment, serving) = serve_with("[limits]\nterminal_per_s = 2\n");
    let mut till = Till::signed_in(serving.address, 0);
    let codes = codes(&mut till, 200);
    let served = codes.iter().filter(|code| *code == "00").count();
    assert!((20..100).contains(&served), "ten seconds' worth at once, {served} were served");
    assert!(codes.iter().all(|code| code == "00" || code == "96"), "{codes:?}");
    let (sent, frame) = till.purchase(&pan(1), 100);
    let told =
        (0..100_000).map(|_| till.ask(&sent, &frame)).find(|told| told.code != "96" && told.code != "91").unwrap();
    assert_eq!(told.code, "00");
    // Another terminal of the same shop has a share of its own.
    assert_eq!(proven(&serving, 1).stream.peer_addr().unwrap(), serving.address);
    assert!(serving.metric("xingka_limited_total{by=\"terminal\"}") > 0.0);
}

#[test]
fn a_merchants_terminals_share_its_limit() {
    let (_deployment, serving) = serve_with("[limits]\nmerchant_per_s = 2\n");
    let mut tills = [Till::signed_in(serving.address, 0), Till::signed_in(serving.address, 1)];
    let served: usize = tills.iter_mut().flat_map(|till| codes(till, 100)).filter(|code| code == "00").count();
    assert!((20..100).contains(&served), "{served} were served");
    assert!(serving.metric("xingka_limited_total{by=\"merchant\"}") > 0.0);
}

#[test]
fn a_stranger_over_the_limit_is_cut_off_and_a_terminal_beside_it_signs_in() {
    let (_deployment, serving) = serve_with("[limits]\naddress_per_s = 1\n");
    let mut cut_off = 0;
    for _ in 0..30 {
        let mut stranger = support::connect(serving.address);
        // A message that nobody knows, and the end.
        stranger.write_all(&[0, 21, 0x60, 0, 3, 0, 0, 0x60, 0x31, 0, 0x31, 1, 0, 9, 0x90]).unwrap();
        stranger.write_all(&[0; 8]).unwrap();
        stranger.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let read = stranger.read_to_end(&mut answer);
        cut_off += usize::from(read.is_err() || answer.is_empty());
    }
    assert!((10..30).contains(&cut_off), "{cut_off} of 30 were cut off");
    proven(&serving, 0);
    assert!(serving.metric("xingka_connections_ended_total{by=\"limited\"}") > 0.0);
}

#[test]
fn a_second_node_on_the_same_data_is_refused_and_the_first_goes_on() {
    let (deployment, serving) = serve_with("");
    let second = deployment.run(&["serve"]);
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains("another node is serving from"), "{error}");
    let mut till = Till::signed_in(serving.address, 0);
    let (sent, frame) = till.purchase(&pan(1), 100);
    assert_eq!(till.ask(&sent, &frame).code, "00");
}

#[test]
fn half_a_frame_keeps_nobody_else_waiting() {
    let (_deployment, serving) = serve_with("");
    let mut halves: Vec<_> = (0..200).map(|_| support::connect(serving.address)).collect();
    for half in &mut halves {
        half.write_all(&[0, 0x54, 0x60]).unwrap();
    }
    let mut till = Till::signed_in(serving.address, 0);
    let (sent, frame) = till.purchase(&pan(1), 100);
    assert_eq!(till.ask(&sent, &frame).code, "00");
}

#[test]
fn a_stopping_node_answers_what_is_in_flight_and_exits_0() {
    let (deployment, serving) = serve_with("");
    let mut till = Till::signed_in(serving.address, 0);
    let requests: Vec<_> = (0..300).map(|_| till.purchase(&pan(1), 100)).collect();
    let all: Vec<u8> = requests.iter().flat_map(|(_, frame)| frame.clone()).collect();
    till.stream.write_all(&all).unwrap();
    // The first answer is there: the others are on their way when the signal comes.
    let mut answers = vec![read_frame(&mut till.stream).unwrap()];
    let (code, log) = serving.terminate();
    assert_eq!(code, Some(0), "{log:#?}");
    answers.extend(std::iter::from_fn(|| read_frame(&mut till.stream).ok()));
    for (answer, (sent, _)) in answers.iter().zip(&requests) {
        assert_eq!(Told::read(&till.terminal, sent, answer).code, "00");
    }
    // Every record's answer had left: nothing was decided and then dropped.
    let records = deployment.json(&["audit", "verify"])["records"].as_u64().unwrap();
    assert_eq!(records, 1 + answers.len() as u64);
}

#[test]
fn while_the_journal_cannot_be_written_nothing_is_approved_and_then_it_recovers() {
    let (deployment, serving) = serve_with("answer_deadline_ms = 300\n");
    let mut till = Till::signed_in(serving.address, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let journal = deployment.dir().join("data/journal.db");
    let mut lock = runtime.block_on(async {
        let mut lock = SqliteConnection::connect(journal.to_str().unwrap()).await.unwrap();
        // Nobody else can write now, as when the disk is full.
        lock.execute("BEGIN IMMEDIATE").await.unwrap();
        lock
    });
    let mut requests = Vec::new();
    for _ in 0..20 {
        let (sent, frame) = till.purchase(&pan(5), 10_000);
        // 91 where it was told to come later, 96 where its record didn't come.
        let code = till.ask(&sent, &frame).code;
        assert!(matches!(code.as_str(), "91" | "96"), "{code}");
        requests.push((sent, frame));
    }
    runtime.block_on(async {
        lock.execute("ROLLBACK").await.unwrap();
        lock.close().await.unwrap();
    });
    // The terminal repeats until it knows; the links stayed up all along.
    let mut with_one_time_benefit = 0;
    for (sent, frame) in &requests {
        let told = (0..100_000)
            .map(|_| till.ask(sent, frame))
            .find(|told| !matches!(told.code.as_str(), "91" | "96"))
            .unwrap();
        assert_eq!(told.code, "00");
        with_one_time_benefit += usize::from(told.benefits.contains(&2));
    }
    assert_eq!(with_one_time_benefit, 1, "once a day, whatever became of the first answers");
    assert_eq!(serving.terminate().0, Some(0));
    deployment.json(&["audit", "verify"]);
    assert_eq!(deployment.json(&["replay"])["differences"], serde_json::json!([]));
}
