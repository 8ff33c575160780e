//! The store beside the city: rule books' history, trace numbers, anchors, opening.

mod support;

use std::collections::BTreeSet;

use support::*;
use xingka_core::ids::RuleBookVersion;
use xingka_store::journal::anchor::Anchor;
use xingka_store::journal::chain::Hash;
use xingka_store::{Store, StoreError};
use xingka_testbed::Postgres;

on_both!(
    every_rule_book_can_be_read_back,
    trace_numbers_are_given_once_whoever_asks,
    anchors_stay_as_they_were_written,
    holders_are_found_both_ways,
);

async fn every_rule_book_can_be_read_back(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let changed =
        BENEFITS.replace("1000,2000,", "1000,1500,") + &BENEFITS.lines().nth(2).unwrap().replacen("2,", "3,", 1);
    assert_eq!(counts(&deployment.import_file("benefits.csv", &changed).await), (3, 2, 1, 0));
    assert_eq!(counts(&deployment.import_file("benefits.csv", &changed).await), (3, 0, 3, 0));
    assert_eq!(counts(&deployment.import_file("benefits.csv", BENEFITS).await), (2, 1, 1, 0));
    let store = &deployment.store;
    let read = async |version| {
        let benefits = store.benefits_of_version(RuleBookVersion(version)).await.unwrap()?;
        Some(benefits.iter().map(|benefit| (benefit.id.0, benefit.values[4])).collect::<Vec<_>>())
    };
    assert_eq!(read(0).await, Some(vec![]));
    assert_eq!(read(1).await, Some(vec![(1, 2000), (2, 5)]));
    assert_eq!(read(2).await, Some(vec![(1, 1500), (2, 5), (3, 5)]));
    assert_eq!(read(3).await, Some(vec![(1, 2000), (2, 5), (3, 5)]));
    assert_eq!(read(4).await, None);
    assert_eq!(store.newest_rule_book().await.unwrap(), RuleBookVersion(3));
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.rule_books, counts.benefits), (3, 3));
    assert!(store.rule_book(RuleBookVersion(4)).await.unwrap().is_none());
}

async fn trace_numbers_are_given_once_whoever_asks(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let other = deployment.open_again().await;
    let terminal = "T0000001".parse().unwrap();
    let take = async |store: &Store| {
        let mut taken = Vec::new();
        for _ in 0..50 {
            taken.push(store.next_stan(terminal).await.unwrap());
        }
        taken
    };
    let (here, there) = tokio::join!(take(&deployment.store), take(&other));
    let all: BTreeSet<u32> = here.into_iter().chain(there).collect();
    assert_eq!(all, (1..=100).collect());
    assert_eq!(other.next_stan("T0000002".parse().unwrap()).await.unwrap(), 1);
}

async fn anchors_stay_as_they_were_written(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let anchor = |node, sequence, byte| Anchor { node, sequence, hash: Hash([byte; 32]), at_ms: 5, mac: [byte; 32] };
    for anchor in [anchor(0, 20, 1), anchor(0, 7, 2), anchor(1, 7, 3), anchor(0, 7, 9)] {
        deployment.store.write_anchor(&anchor).await.unwrap();
    }
    let anchors = deployment.store.anchors().await.unwrap();
    assert_eq!(anchors, [anchor(0, 7, 2), anchor(0, 20, 1), anchor(1, 7, 3)]);
}

async fn holders_are_found_both_ways(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let number = deployment.store.holder_no("H2").await.unwrap().unwrap();
    assert_eq!(deployment.store.holder_id(number).await.unwrap().as_deref(), Some("H2"));
    assert_eq!(deployment.store.holder_no("H7").await.unwrap(), None);
}

#[tokio::test]
async fn a_store_is_made_only_when_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b/c?d%20.db");
    let url = format!("sqlite:{}", path.display());
    assert!(matches!(Store::open(&url, false).await, Err(StoreError::Missing { .. })));
    let (one, two) = tokio::join!(Store::open(&url, true), Store::open(&url, true));
    one.unwrap().close().await;
    two.unwrap().close().await;
    assert!(path.is_file());
    Store::open(&url, false).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0);
    }
}

/// Several processes may meet at a new database: whoever comes second waits rather than fails.
#[test]
fn a_new_store_is_made_once_however_many_make_it() {
    for round in 0..25 {
        let folder = tempfile::tempdir().unwrap();
        let url = match round % 5 {
            0 => Postgres::shared().database(),
            _ => format!("sqlite:{}", folder.path().join("x.db").display()),
        };
        let make = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Store::open(&url, true).await.map(drop) })
        };
        std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            for maker in makers {
                maker.join().unwrap().unwrap();
            }
        });
    }
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::write(&path, "this is not a database, whatever its name says").unwrap();
    let error = Store::open(&format!("sqlite:{}", path.display()), false).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
}
