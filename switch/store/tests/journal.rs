//! The node journal: order, groups, chain and anchors.

use std::path::Path;
use std::time::Duration;

use xingka_core::capsule::{Record, SignOff};
use xingka_core::ids::TerminalId;
use xingka_core::time::{Date, Moment};
use xingka_store::journal::anchor::{Anchor, AnchorKey};
use xingka_store::journal::chain::Hash;
use xingka_store::journal::{Durability, Journal, JournalAt, JournalReader, NotAppended, Stored};

const NODE: u16 = 7;
const PATIENCE: Duration = Duration::from_secs(10);

fn record(number: u64) -> Record {
    let at = Moment { epoch_ms: number.cast_signed(), date: Date(20_000), second_of_day: 0 };
    Record::SignOff(Box::new(SignOff { terminal: TerminalId(*b"QZ000001"), at, answer: vec![number as u8; 100] }))
}

async fn open(path: &Path, head: (u64, Hash)) -> Journal {
    Journal::create(path, NODE).await.unwrap();
    Journal::start(&JournalAt::File(path.to_owned()), NODE, head, Durability::BeforeAnswer, PATIENCE).unwrap()
}

/// Appends records 1 to `count` in a new journal, from many tasks at once.
async fn fill(path: &Path, count: u64) -> (u64, Hash) {
    let journal = std::sync::Arc::new(open(path, (0, Hash::genesis(NODE))).await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let journal = journal.clone();
        tasks.spawn(async move {
            let ticket = {
                let mut appender = journal.appender();
                let number = appender.next_sequence();
                appender.append(&record(number)).unwrap()
            };
            ticket.committed().await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let head = journal.head();
    assert!(journal.commits() < count, "nothing was committed together");
    std::sync::Arc::into_inner(journal).unwrap().close().await.unwrap();
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_back_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let head = fill(&path, 1_000).await;
    let mut reader = JournalReader::open(&path).await.unwrap();
    let mut seen = Vec::new();
    assert_eq!(reader.each_verified(|stored| seen.push(stored)).await.unwrap(), head);
    let expected: Vec<Stored> = (1..=1_000).map(|sequence| Stored { sequence, record: record(sequence) }).collect();
    assert_eq!(seen, expected);
    assert_eq!(reader.record(500).await.unwrap(), Some(record(500)));
    assert_eq!(reader.record(1_001).await.unwrap(), None);
    for from in [1, 2, 999, 1_000, 1_001] {
        let mut count = 0;
        let visit = |stored: Stored| {
            assert_eq!(stored.sequence, from + count);
            count += 1;
            std::ops::ControlFlow::Continue(())
        };
        reader.each(from, visit).await.unwrap();
        assert_eq!(count, 1_001 - from, "from {from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let head = fill(&path, 100).await;
    let journal = open(&path, head).await;
    let ticket = journal.appender().append(&record(101)).unwrap();
    ticket.committed().await.unwrap();
    journal.close().await.unwrap();
    let mut reader = JournalReader::open(&path).await.unwrap();
    assert_eq!(reader.each_verified(|_| {}).await.unwrap().0, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_find_what_the_chain_alone_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("journal.db"), folder.path().join("other.db"));
    let key = AnchorKey::new(&[1; 32]);
    let head = fill(&path, 50).await;
    let anchor = key.sign(NODE, head, 0);
    let verify = async |path: &Path, anchors: &[Anchor]| {
        let verified = JournalReader::open(path).await.unwrap().verify(anchors, &key).await;
        verified.map_err(|error| error.to_string())
    };
    assert_eq!(verify(&path, std::slice::from_ref(&anchor)).await.unwrap().anchored_through, 50);
    // Written anew, with as many records: a whole chain, but another one.
    let journal = open(&other, (0, Hash::genesis(NODE))).await;
    for number in 0..60 {
        let ticket = journal.appender().append(&record(number)).unwrap();
        ticket.committed().await.unwrap();
    }
    journal.close().await.unwrap();
    assert_eq!(verify(&other, &[]).await.unwrap().records, 60);
    assert!(verify(&other, std::slice::from_ref(&anchor)).await.unwrap_err().contains("written anew"));
    // An anchor that somebody without the key made up.
    let forged = AnchorKey::new(&[2; 32]).sign(NODE, head, 0);
    assert!(verify(&path, &[forged]).await.unwrap_err().contains("signature"));
    let moved = Anchor { sequence: 49, ..anchor };
    assert!(verify(&path, &[moved]).await.unwrap_err().contains("signature"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_begins_anew_instead_of_growing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path, (0, Hash::genesis(NODE))).await;
    let log = path.with_extension("db-wal");
    let mut longest = 0;
    // Six times what the log may hold before it is copied, without a pause.
    for number in 0..100 {
        let ticket = {
            let mut appender = journal.appender();
            let answer = vec![number as u8; 1_000_000];
            let at = Moment { epoch_ms: 0, date: Date(20_000), second_of_day: 0 };
            let record = Record::SignOff(Box::new(SignOff { terminal: TerminalId(*b"QZ000001"), at, answer }));
            appender.append(&record).unwrap()
        };
        ticket.committed().await.unwrap();
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    journal.close().await.unwrap();
    assert!(longest < 64_000_000, "the log grew to {longest} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_may_not_wait_than_the_journal_can_promise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path, (0, Hash::genesis(NODE))).await;
    // While the appender is held nothing is committed, however fast the disk is.
    let (count, last) = {
        let mut appender = journal.appender();
        let mut tickets =
            (1..).map_while(|number| appender.append(&record(number)).ok().map(|ticket| (number, ticket)));
        let last = tickets.by_ref().last().unwrap();
        assert!(matches!(appender.append(&record(0)), Err(NotAppended::Full)));
        last
    };
    last.committed().await.unwrap();
    let records = journal.head().0;
    journal.close().await.unwrap();
    let mut reader = JournalReader::open(&path).await.unwrap();
    assert_eq!(reader.each_verified(|_| {}).await.unwrap().0, records);
    assert_eq!(records, count);
    assert!(count > 60_000, "{count}");
}
