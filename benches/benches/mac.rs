//! Each MAC over wire.md's star inquiry: 65 bytes. And what making the key costs.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use xingka_wire::mac::{MacAlgorithm, MacKey};

fn key(algorithm: MacAlgorithm) -> MacKey {
    let key: [u8; 16] = std::array::from_fn(|place| place as u8);
    let length = if algorithm == MacAlgorithm::X99 { 8 } else { 16 };
    MacKey::new(algorithm, &key[..length]).expect("a key of the right length")
}

fn macs(criterion: &mut Criterion) {
    let mab = [0x5A; 65];
    let mut group = criterion.benchmark_group("mac");
    for algorithm in MacAlgorithm::ALL {
        let key = key(*algorithm);
        group.bench_function(algorithm.name(), |bencher| bencher.iter(|| key.mac(black_box(&mab))));
    }
}

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mac key");
    for algorithm in MacAlgorithm::ALL {
        group.bench_function(algorithm.name(), |bencher| bencher.iter(|| key(black_box(*algorithm))));
    }
}

criterion_group!(benches, macs, keys);
criterion_main!(benches);
