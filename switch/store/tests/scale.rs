//! Many cards: how long an import takes and how much memory they need.
//!
//! `XINGKA_SCALE=1000000 cargo test --release -p xingka-store --test scale -- --nocapture`
//! prints what a million take.

mod support;

use std::time::Instant;

use support::*;
use xingka_core::pan::luhn_ok;

fn scale() -> u64 {
    std::env::var("XINGKA_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(50_000)
}

/// The number's check digit, found by trying.
fn pan(number: u64) -> String {
    let body = format!("629999{number:012}");
    (0..10).map(|check| format!("{body}{check}")).find(|pan| luhn_ok(pan.as_bytes())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "its numbers are for whoever measures")]
async fn a_city_of_cards() {
    let rows = scale();
    let deployment = Deployment::new().await;
    let holders = (0..rows).map(|n| format!("H{n:07},staff,{},active\n", n % 6)).collect::<String>();
    let cards = (0..rows).map(|n| format!("{},H{n:07},active,2031-12\n", pan(n))).collect::<String>();
    let files = [
        ("holders.csv", format!("holder_id,category,star,status\n{holders}")),
        ("cards.csv", format!("pan,holder_id,status,expires\n{cards}")),
    ];
    for round in ["new", "again"] {
        for file in &files {
            let begun = Instant::now();
            let report = deployment.import_files(std::slice::from_ref(file)).await.unwrap().files.remove(0);
            let seconds = begun.elapsed().as_secs_f64();
            println!("{} {round}: {rows} rows in {seconds:.2} s, {:.0} a second", file.0, rows as f64 / seconds);
            let expected = if round == "new" { (rows, rows, 0, 0) } else { (rows, 0, rows, 0) };
            assert_eq!(counts(&report), expected);
        }
    }
    let begun = Instant::now();
    let city = deployment.city().await;
    println!("loaded into memory in {:.2} s", begun.elapsed().as_secs_f64());
    let counted = city.counts();
    assert_eq!(counted.cards as u64, rows);
    let bytes = counted.bytes as f64 / rows as f64;
    println!("{bytes:.1} bytes a card with its holder");
    assert!(bytes <= 32.0, "{bytes} bytes a card");
    let begun = Instant::now();
    for _ in 0..100 {
        city.catch_up(&deployment.store).await.unwrap();
    }
    println!("nothing to catch up with: {:.0} µs", begun.elapsed().as_secs_f64() * 1e4);
    let keys: Vec<_> = (0..rows).map(|n| deployment.card_hash.key_of(pan(n).as_bytes())).collect();
    let begun = Instant::now();
    let found =
        keys.iter().filter_map(|key| city.card(key)).filter(|card| city.holder(card.holder_no).is_some()).count();
    println!("card and holder: {:.0} ns", begun.elapsed().as_secs_f64() * 1e9 / rows as f64);
    assert_eq!(found as u64, rows);
}
