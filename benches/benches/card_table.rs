//! Looking cards up: 10 thousand to 10 million of them, known ones and unknown ones, in no
//! order that a cache could guess.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fastrand::Rng;
use xingka_core::city::{Card, CardStatus};
use xingka_core::ids::{HolderNo, PanKey};
use xingka_core::time::Date;
use xingka_store::card_table::CardTable;

const CARDS: [u32; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// As good as the keyed hash of a card's number.
fn key(number: u64) -> PanKey {
    let mut random = Rng::with_seed(number);
    PanKey(std::array::from_fn(|_| random.u8(..)))
}

fn look_up(criterion: &mut Criterion) {
    for cards in CARDS {
        let (table, mut writer) = CardTable::new(cards as usize);
        for number in 0..cards {
            let expires = Date(30_000).month();
            let card = Card { holder_no: HolderNo(number), status: CardStatus::Active, expires };
            writer.put(&key(u64::from(number)), &card).expect("room for it");
        }
        eprintln!("card_table {cards}: {:.1} bytes a card", table.bytes() as f64 / f64::from(cards));
        let mut group = criterion.benchmark_group("card_table");
        // Made before the clock runs: making one costs more than looking it up.
        let mut random = Rng::with_seed(1);
        let known: Vec<PanKey> = (0..1 << 16).map(|_| key(u64::from(random.u32(..cards)))).collect();
        let unknown: Vec<PanKey> = (0..1 << 16).map(|number| key(1 << 40 | number)).collect();
        for (what, keys) in [("known", &known), ("unknown", &unknown)] {
            let mut next = keys.iter().cycle();
            group.bench_function(format!("{what} {cards}"), |bencher| {
                bencher.iter(|| table.get(black_box(next.next().expect("it goes round"))));
            });
        }
    }
}

criterion_group!(benches, look_up);
criterion_main!(benches);
