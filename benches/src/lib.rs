//! What benchmarks have in common: the same work for clocks and for instruction counts.

pub mod inquiry;
pub mod market;
