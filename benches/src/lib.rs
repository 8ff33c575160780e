//! What benchmarks have in common: the same work for clocks and for instruction counts.

pub mod peers;
pub mod inquiry;
pub mod market;
