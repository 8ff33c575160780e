//! The city in memory, and how it follows the store.

mod support;

use support::*;
use xingka_core::city::{CardStatus, Circle};
use xingka_core::ids::{MerchantId, PanKey, RuleBookVersion};
use xingka_core::pan::CardHasher;
use xingka_store::City;

on_both!(
    everything_in_the_store_is_in_the_city,
    a_change_through_another_store_is_seen,
    a_city_that_outgrows_its_table_loses_nothing,
    nothing_is_missed_while_others_write,
);

fn merchant() -> MerchantId {
    "999520158120000".parse().unwrap()
}

async fn everything_in_the_store_is_in_the_city(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let city = deployment.city().await;
    let card = city.card(&deployment.card_hash.key_of(b"6299990000000000012")).unwrap();
    assert_eq!((card.status, card.expires.to_string()), (CardStatus::Active, "2031-12".to_owned()));
    assert_eq!(deployment.store.holder_id(card.holder_no).await.unwrap().as_deref(), Some("H1"));
    let holder = city.holder(card.holder_no).unwrap();
    assert_eq!((holder.star().level(), holder.category.word()), (5, "farmer"));
    let terminal = city.terminal(&"T0000001".parse().unwrap()).unwrap();
    assert_eq!(terminal.terminal.merchant.id, merchant());
    assert!(terminal.terminal.scope.star && !terminal.terminal.scope.priority);
    assert_eq!(city.rules().benefits_of(merchant()).len(), 2);
    let counts = city.counts();
    assert_eq!((counts.cards, counts.holders, counts.merchants, counts.terminals), (1, 2, 1, 1));
    assert!(city.card(&PanKey([0; 32])).is_none() && city.terminal(&"T0000009".parse().unwrap()).is_none());
}

async fn a_change_through_another_store_is_seen(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let city = deployment.city().await;
    let other = deployment.open_again().await;
    let dir = deployment.path("changed");
    std::fs::create_dir(&dir).unwrap();
    let changed = [
        ("holders.csv", HOLDERS.replace("H1,farmer,5,active", "H1,farmer,5,suspended")),
        ("cards.csv", CARDS.replace("active", "stolen") + "6299990000000000020,H2,active,2030-01\n"),
        ("merchants.csv", MERCHANTS.replace("member", "delisted")),
        ("benefits.csv", BENEFITS.replace("1000,2000,", "1000,1500,")),
    ];
    for (name, text) in changed {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let report = deployment.import_into(&other, &dir).await.unwrap();
    assert_eq!(report.files.iter().map(|file| file.loaded).collect::<Vec<_>>(), [1, 1, 2, 1]);

    assert_eq!(city.catch_up(&deployment.store).await.unwrap(), 5);
    let card = city.card(&deployment.card_hash.key_of(b"6299990000000000012")).unwrap();
    assert_eq!(card.status, CardStatus::Stolen);
    assert_eq!(city.holder(card.holder_no).unwrap().star().level(), 0);
    assert!(city.card(&deployment.card_hash.key_of(b"6299990000000000020")).is_some());
    let terminal = city.terminal(&"T0000001".parse().unwrap()).unwrap();
    assert_eq!(terminal.terminal.merchant.circle, Circle::Delisted);
    assert_eq!(city.rules().version(), RuleBookVersion(2));
    assert_eq!(city.catch_up(&deployment.store).await.unwrap(), 0);
}

async fn a_city_that_outgrows_its_table_loses_nothing(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let city = deployment.city().await;
    assert_eq!(city.counts().cards, 0);
    for (from, to) in [(0, 10), (10, 5_000), (5_000, 5_100), (5_100, 12_000)] {
        let holders = (from..to).map(|n| format!("H{n},staff,{},active\n", n % 6)).collect::<String>();
        let card = |n| format!("{},629999,0000,H{n},active,2031-12\n", hex::encode(key(n).0));
        let cards = (from..to).map(card).collect::<String>();
        let files = [
            ("holders.csv", format!("holder_id,category,star,status\n{holders}")),
            ("cards.csv", format!("pan_key,bin,last4,holder_id,status,expires\n{cards}")),
        ];
        deployment.import_files(&files).await.unwrap();
        city.catch_up(&deployment.store).await.unwrap();
        assert_eq!((city.counts().cards, city.counts().holders), (to, to));
    }
    for n in 0..12_000 {
        let found = city.card(&key(n)).map(|card| city.holder(card.holder_no).unwrap().rated.level());
        assert_eq!(found, Some((n % 6) as u8), "{n}");
        assert_eq!(city.card(&key(n + 12_000)), None);
    }
}

/// Keys whose words look random, as an HMAC's do.
fn key(n: usize) -> PanKey {
    CardHasher::new(&[7; 32]).key_of(n.to_string().as_bytes())
}

/// Writers in two stores, one reader catching up meanwhile: nothing committed is missed.
async fn nothing_is_missed_while_others_write(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    deployment.import_file("holders.csv", HOLDERS).await;
    let city = deployment.city().await;
    let other = deployment.open_again().await;
    let folder = |writer: u32, round: u32| {
        let dir = deployment.path(&format!("w{writer}-{round}"));
        std::fs::create_dir(&dir).unwrap();
        let text = format!(
            "holder_id,category,star,status\nW{writer}-{round},staff,1,active\nH1,farmer,{},active\n",
            round % 6
        );
        std::fs::write(dir.join("holders.csv"), text).unwrap();
        dir
    };
    let write = async |store: &xingka_store::Store, writer: u32| {
        for round in 0..20 {
            deployment.import_into(store, &folder(writer, round)).await.unwrap();
        }
    };
    let follow = async |city: &City| {
        while city.counts().holders < 42 {
            city.catch_up(&deployment.store).await.unwrap();
        }
    };
    let all = async { tokio::join!(write(&deployment.store, 1), write(&other, 2), follow(&city)) };
    tokio::time::timeout(std::time::Duration::from_secs(60), all).await.expect("a row was missed");
    let h1 = deployment.store.holder_no("H1").await.unwrap().unwrap();
    city.catch_up(&deployment.store).await.unwrap();
    let fresh = deployment.city().await;
    assert_eq!(city.holder(h1), fresh.holder(h1));
}
