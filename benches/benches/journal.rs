//! Commits of the node journal: one record each, sixteen, and 256. What a commit costs, not a
//! record: the ratio says what waiting for others is worth.

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use xingka_core::capsule::{Record, SignOff};
use xingka_core::ids::TerminalId;
use xingka_core::time::{Date, Moment};
use xingka_store::journal::chain::Hash;
use xingka_store::journal::{Durability, Journal, JournalAt};

const NODE: u16 = 1;
const GROUPS: [u64; 3] = [1, 16, 256];

/// About as long as a swipe's.
fn record(number: u64) -> Record {
    let at = Moment { epoch_ms: number.cast_signed(), date: Date(20_000), second_of_day: 0 };
    Record::SignOff(Box::new(SignOff { terminal: TerminalId(*b"QZ000001"), at, answer: vec![number as u8; 300] }))
}

async fn open(path: &Path) -> Journal {
    Journal::create(path, NODE).await.expect("a journal");
    let head = (0, Hash::genesis(NODE));
    Journal::start(&JournalAt::File(path.to_owned()), NODE, head, Durability::BeforeAnswer, Duration::from_secs(30))
        .expect("a journal")
}

/// Appends a group in one go and waits for it.
async fn commit(journal: &Journal, records: u64) {
    let ticket = {
        let mut appender = journal.appender();
        let mut last = None;
        for _ in 0..records {
            let number = appender.next_sequence();
            last = appender.append(&record(number)).ok();
        }
        last.expect("the journal takes records")
    };
    ticket.committed().await.expect("a commit");
}

fn commits(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("journal");
    for records in GROUPS {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = runtime.block_on(open(&folder.path().join("journal.db")));
        group.throughput(Throughput::Elements(records));
        group.bench_function(records.to_string(), |bencher| {
            bencher.iter(|| runtime.block_on(commit(&journal, records)));
        });
        runtime.block_on(journal.close()).expect("it closes");
    }
}

criterion_group!(benches, commits);
criterion_main!(benches);
