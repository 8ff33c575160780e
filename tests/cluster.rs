//! Several nodes on one store: a terminal may be at any of them at any moment, and what is limited is
//! limited for all of them together.

mod support;

use std::thread;

use support::{Deployment, SHOP, Serving, Till, Told, exchange, pan, read_frame};
use xingka_terminal::Reversible;

/// Nodes of one deployment, running.
struct Cluster {
    nodes: Vec<Deployment>,
    serving: Vec<Serving>,
}

impl Cluster {
    fn of(count: usize) -> Self {
        let nodes = Deployment::cluster(count);
        let serving = nodes.iter().map(Deployment::serve).collect();
        Self { nodes, serving }
    }

    /// Brings benefits in force, and waits until they are on every node.
    fn import_benefits(&self, rows: &str) {
        let folder = tempfile::tempdir().unwrap();
        let header = std::fs::read_to_string(self.nodes[0].city().join("benefits.csv")).unwrap();
        let header = header.lines().next().unwrap().to_owned();
        std::fs::write(folder.path().join("benefits.csv"), format!("{header}\n{rows}")).unwrap();
        let imported = self.nodes[0].run(&["import", folder.path().to_str().unwrap()]);
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    }

    /// Moves a till's line to another node.
    fn move_to(&self, till: &mut Till, node: usize) {
        till.stream = support::connect(self.serving[node].address);
    }
}

fn buy(till: &mut Till, star: u8, fen: u64) -> Told {
    let (sent, frame) = till.purchase(&pan(star), fen);
    till.ask(&sent, &frame)
}

#[test]
fn a_session_holds_on_every_node_and_a_repeat_gets_the_first_answer() {
    let cluster = Cluster::of(2);
    let mut till = Till::signed_in(cluster.serving[0].address, 0);
    for round in 0..6 {
        let (sent, frame) = till.purchase(&pan(4), 1_000 + 10 * round);
        let first = till.ask(&sent, &frame);
        assert_eq!((first.code.as_str(), first.amount_fen), ("00", Some(900 + 9 * round)), "{round}");
        cluster.move_to(&mut till, usize::from(round % 2 == 0));
        assert_eq!(till.ask(&sent, &frame), first, "{round}");
    }
}

#[test]
fn new_keys_and_old_ones_verify_on_every_node() {
    let cluster = Cluster::of(2);
    let mut till = Till::signed_in(cluster.serving[0].address, 0);
    let (old_sent, old_frame) = till.purchase(&pan(4), 100);
    let old = till.terminal.clone();
    till.sign_in();
    cluster.move_to(&mut till, 1);
    // Made under the keys before: they verify until a while after the new ones were used.
    let answer = exchange(&mut till.stream, &old_frame);
    assert_eq!(Told::read(&old, &old_sent, &answer).code, "00");
    assert_eq!(buy(&mut till, 4, 200).code, "00");
    till.sign_in();
    cluster.move_to(&mut till, 0);
    assert_eq!(buy(&mut till, 4, 300).code, "00");
}

#[test]
fn the_last_use_goes_once_whichever_nodes_ask_for_it() {
    let cluster = Cluster::of(3);
    // Benefit 2 of the test city can be used once by a holder.
    let mut tills: Vec<Till> = (0..3).map(|index| Till::signed_in(cluster.serving[index].address, index)).collect();
    let told: Vec<Told> = thread::scope(|scope| {
        let buyers: Vec<_> = tills.iter_mut().map(|till| scope.spawn(|| buy(till, 5, 1_000))).collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).collect()
    });
    let used = told.iter().filter(|told| told.benefits.contains(&2)).count();
    assert_eq!(used, 1, "{told:?}");
    assert!(told.iter().all(|told| told.code == "00" && told.benefits.contains(&1)), "{told:?}");
}

#[test]
fn a_budget_is_spent_to_its_end_and_not_beyond() {
    let cluster = Cluster::of(3);
    // 200 fen off each, 7,000 fen in all: 35 uses.
    cluster.import_benefits(&format!(
        "5,{SHOP},预算立减,amount_off,,,200,200,200,200,200,2020-01-01,2039-12-31,,,,,7000,,,,,yes,清诚信办〔2026〕1号\n"
    ));
    let mut tills: Vec<Till> = (0..6).map(|index| Till::signed_in(cluster.serving[index % 3].address, index)).collect();
    // In force within a second on every node: each waits for its own.
    for till in &mut tills {
        while !preview(till).contains(&5) {}
    }
    let uses: usize = thread::scope(|scope| {
        let buyers: Vec<_> = tills
            .iter_mut()
            .map(|till| scope.spawn(|| (0..20).filter(|_| buy(till, 3, 1_000).benefits.contains(&5)).count()))
            .collect();
        buyers.into_iter().map(|buyer| buyer.join().unwrap()).sum()
    });
    assert_eq!(uses, 35);
}

/// The benefits that a purchase would get.
fn preview(till: &mut Till) -> Vec<u32> {
    let (sent, frame) = {
        let pan = pan(3);
        let mut swipe = xingka_terminal::Swipe::of(xingka_wire::pan::Pan::from_ascii(pan.as_bytes()).unwrap());
        swipe.integrity.preview = true;
        till.write(|terminal, frame| terminal.purchase(&swipe, 1_000, frame))
    };
    till.ask(&sent, &frame).benefits
}

#[test]
fn one_terminal_at_two_nodes_at_once_gets_one_answer_a_request() {
    let cluster = Cluster::of(2);
    let mut till = Till::signed_in(cluster.serving[0].address, 0);
    let requests: Vec<_> = (0..100).map(|index| till.purchase(&pan(4), 1_000 + index)).collect();
    let answers: Vec<Vec<Vec<u8>>> = thread::scope(|scope| {
        let lines: Vec<_> = (0..2)
            .map(|node| {
                let (address, requests) = (cluster.serving[node].address, &requests);
                scope.spawn(move || {
                    let mut stream = support::connect(address);
                    requests.iter().map(|(_, frame)| exchange(&mut stream, frame)).collect()
                })
            })
            .collect();
        lines.into_iter().map(|line| line.join().unwrap()).collect()
    });
    for (at, (sent, frame)) in requests.iter().enumerate() {
        let told: Vec<Told> = answers.iter().map(|line| Told::read(&till.terminal, sent, &line[at])).collect();
        let asked_again = Told::read(&till.terminal, sent, &exchange(&mut till.stream, frame));
        // A terminal pulled both ways may be told to try again; what it is told else is the same.
        for told in told.iter().filter(|told| told.code == "00") {
            assert_eq!(*told, asked_again, "{at}");
        }
        assert_eq!(asked_again.code, "00", "{at}");
    }
    let replayed = cluster.nodes[0].json(&["replay"]);
    assert_eq!(replayed["differences"].as_array().unwrap().len(), 0);
}

#[test]
fn two_of_three_nodes_are_killed_and_the_third_serves_all() {
    let mut cluster = Cluster::of(3);
    let mut tills: Vec<Till> = (0..6).map(|index| Till::signed_in(cluster.serving[index % 3].address, index)).collect();
    let mut last = Vec::new();
    for till in &mut tills {
        (0..10).for_each(|_| drop(buy(till, 4, 1_000)));
        let (sent, frame) = till.purchase(&pan(4), 2_000);
        let told = till.ask(&sent, &frame);
        last.push((sent, frame, told));
    }
    cluster.serving.pop().unwrap().kill();
    cluster.serving.remove(0).kill();
    for (till, (sent, frame, told)) in tills.iter_mut().zip(&last) {
        till.stream = support::connect(cluster.serving[0].address);
        assert_eq!(till.ask(sent, frame), *told);
        assert_eq!(buy(till, 4, 500).code, "00");
    }
}

#[test]
fn a_reversal_on_another_node_gives_back() {
    let cluster = Cluster::of(2);
    let mut till = Till::signed_in(cluster.serving[0].address, 0);
    let pan5 = pan(5);
    let card = xingka_terminal::Swipe::of(xingka_wire::pan::Pan::from_ascii(pan5.as_bytes()).unwrap());
    for round in 0..4 {
        let (sent, frame) = till.purchase(&pan(5), 1_000);
        assert_eq!(till.ask(&sent, &frame).benefits, [1, 2], "{round}");
        cluster.move_to(&mut till, (round + 1) % 2);
        let (reversal, frame) = till.write(|terminal, frame| {
            terminal.reverse((&sent, Reversible::Purchase), &card, Some(1_000), *b"98", frame)
        });
        assert_eq!(till.ask(&reversal, &frame).code, "00");
    }
}

#[test]
fn many_requests_in_one_go_are_answered_in_order() {
    let cluster = Cluster::of(2);
    let mut till = Till::signed_in(cluster.serving[0].address, 0);
    let mut previous: Option<(xingka_terminal::Sent, Vec<u8>)> = None;
    for round in 0..4 {
        cluster.move_to(&mut till, round % 2);
        let requests: Vec<_> = (0..50).map(|_| till.purchase(&pan(4), 100)).collect();
        let bytes: Vec<u8> = requests.iter().flat_map(|(_, frame)| frame.clone()).collect();
        std::io::Write::write_all(&mut till.stream, &bytes).unwrap();
        for (sent, _) in &requests {
            let answer = read_frame(&mut till.stream).unwrap();
            assert_eq!(Told::read(&till.terminal, sent, &answer).code, "00");
        }
        if let Some((sent, frame)) = &previous {
            assert_eq!(till.ask(sent, frame).code, "00");
        }
        previous = requests.into_iter().next();
    }
}
