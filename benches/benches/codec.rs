//! Decode and encode: wire.md's star inquiry as `cup`, and as `ascii87` beside the peers.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use xingka_benches::inquiry::{Peers, frame, frame_ours, read_fields, read_ours, request, write_ours};
use xingka_benches::peers::ASCII87_HEX;
use xingka_wire::dialect::{ASCII87, CUP, Dialect};

/// Ours, in three dialects; the last is what `iso_8583_rs` speaks.
const OURS: [(&str, &Dialect); 3] = [("cup", &CUP), ("ascii87", &ASCII87), ("ascii87-hex", &ASCII87_HEX)];

/// The peers begin where this ends.
fn find_frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for (name, dialect) in OURS {
        let bytes = frame(dialect);
        group.bench_function(name, |bencher| bencher.iter(|| frame_ours(&[dialect], &bytes).is_some()));
    }
}

/// What the peers do: every field found and checked.
fn fields(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fields");
    for (name, dialect) in OURS {
        let bytes = frame(dialect);
        let frame = frame_ours(&[dialect], &bytes).expect("a frame of ours");
        group.bench_function(name, |bencher| bencher.iter(|| read_fields(&frame)));
    }
}

/// Ours goes on to the typed request.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, dialect) in OURS {
        let bytes = frame(dialect);
        let frame = frame_ours(&[dialect], &bytes).expect("a frame of ours");
        group.bench_function(name, |bencher| bencher.iter(|| read_ours(&frame)));
    }
    let peers = Peers::new();
    group.bench_function("iso_8583_rs", |bencher| bencher.iter(|| peers.read_fast()));
    group.bench_function("iso_8583_rs typed", |bencher| bencher.iter(|| peers.read_fast_typed()));
    group.bench_function("iso8583-codec", |bencher| bencher.iter(|| peers.read_codec()));
    group.bench_function("iso8583-msg", |bencher| bencher.iter(|| peers.read_msg()));
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for (name, dialect) in OURS {
        let (request, mut frame) = (request(), vec![0; 512]);
        group.bench_function(name, |bencher| bencher.iter(|| write_ours(dialect, black_box(&request), &mut frame)));
    }
    let (peers, mut bytes) = (Peers::new(), Vec::new());
    group.bench_function("iso_8583_rs", |bencher| bencher.iter(|| peers.write_fast(&mut bytes)));
    group.bench_function("iso8583-codec", |bencher| bencher.iter(|| peers.write_codec()));
    group.bench_function("iso8583-msg", |bencher| bencher.iter(|| peers.write_msg()));
}

criterion_group!(benches, find_frame, fields, decode, encode);
criterion_main!(benches);
