//! Instruction counts under valgrind: the same whatever else the machine does.

#![allow(missing_docs, reason = "what the macros make has none")]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use xingka_benches::inquiry::{Peers, frame, frame_ours, read_fields, read_ours, request, write_ours};
use xingka_benches::market::Market;
use xingka_core::verdict::Verdict;
use xingka_wire::dialect::{ASCII87, CUP, Dialect};
use xingka_wire::mac::{MacAlgorithm, MacKey};

fn framed(dialect: &'static Dialect) -> (&'static Dialect, Vec<u8>) {
    (dialect, frame(dialect))
}

#[library_benchmark]
#[bench::cup(framed(&CUP))]
#[bench::ascii87(framed(&ASCII87))]
fn fields((dialect, bytes): (&'static Dialect, Vec<u8>)) -> bool {
    frame_ours(&[dialect], &bytes).is_some_and(|frame| read_fields(&frame))
}

#[library_benchmark]
#[bench::cup(framed(&CUP))]
#[bench::ascii87(framed(&ASCII87))]
fn decode((dialect, bytes): (&'static Dialect, Vec<u8>)) -> bool {
    frame_ours(&[dialect], &bytes).is_some_and(|frame| read_ours(&frame))
}

#[library_benchmark]
#[bench::cup(&CUP)]
#[bench::ascii87(&ASCII87)]
fn encode(dialect: &'static Dialect) -> usize {
    let mut frame = [0; 512];
    write_ours(dialect, black_box(&request()), &mut frame)
}

#[library_benchmark]
#[bench::all(Peers::new())]
fn decode_iso_8583_rs(peers: Peers) -> (bool, Peers) {
    // Given back, so that dropping it isn't counted.
    (peers.read_fast(), peers)
}

#[library_benchmark]
#[bench::all(Peers::new())]
fn encode_iso_8583_rs(peers: Peers) -> (usize, Vec<u8>, Peers) {
    let mut bytes = Vec::with_capacity(512);
    (peers.write_fast(&mut bytes), bytes, peers)
}

fn key(algorithm: MacAlgorithm) -> MacKey {
    let length = if algorithm == MacAlgorithm::X99 { 8 } else { 16 };
    MacKey::new(algorithm, &[7; 16][..length]).expect("a key of the right length")
}

#[library_benchmark]
#[bench::aes_cmac(key(MacAlgorithm::AesCmac))]
#[bench::sm4_cbc(key(MacAlgorithm::Sm4Cbc))]
#[bench::x919(key(MacAlgorithm::X919))]
#[bench::x99(key(MacAlgorithm::X99))]
#[bench::cup_ecb(key(MacAlgorithm::CupEcb))]
#[bench::cup_ecb_sm4(key(MacAlgorithm::CupEcbSm4))]
fn mac(key: MacKey) -> ([u8; 8], MacKey) {
    (key.mac(black_box(&[0x5A; 65])), key)
}

#[library_benchmark]
#[bench::benefits_1(Market::mixed(1))]
#[bench::benefits_300(Market::mixed(300))]
#[bench::benefits_5000(Market::mixed(5_000))]
fn decide(market: Market) -> (Verdict, Market) {
    (market.decide(), market)
}

library_benchmark_group!(
    name = all;
    benchmarks = fields, decode, decode_iso_8583_rs, encode, encode_iso_8583_rs, mac, decide
);

main!(library_benchmark_groups = all);
