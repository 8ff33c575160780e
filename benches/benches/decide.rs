//! A decision with 1 to 5,000 benefits at one provider.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use xingka_benches::market::Market;

const BENEFITS: [u32; 6] = [1, 10, 100, 300, 1_000, 5_000];

fn decide(criterion: &mut Criterion) {
    for shape in ["mixed", "all-apply"] {
        let mut group = criterion.benchmark_group(format!("decide {shape}"));
        for count in BENEFITS {
            let market = if shape == "mixed" { Market::mixed(count) } else { Market::all_apply(count) };
            group.bench_function(count.to_string(), |bencher| bencher.iter(|| black_box(market.decide())));
        }
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
