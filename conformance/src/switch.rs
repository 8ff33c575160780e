//! Certifies a switch: plays terminals against it, case by case.

use crate::bench::Bench;
use crate::cases;
use crate::lab::Lab;
use crate::report::Report;
use crate::station::Dial;
pub use crate::station::Line;

/// What can't be provoked from outside.
const NOT_COVERED: [&str; 5] = [
    "68: a request whose deadline passes inside the switch, before it is decided",
    "90: a cut-over that refuses requests",
    "91: a system that the switch needs is away, or the switch is overloaded",
    "96: a switch that can't record, or a limit that was reached",
    "answers passed on from an issuer: 10, 51, 55, 57, 59, 61, 65, 75, 98",
];

/// Runs every case. `first_stan` is where trace numbers begin: each run takes a few hundred, and a
/// number that was used in the open batch before is answered 94.
pub fn certify(bench: &Bench, about: String, first_stan: u32, dial: &Dial<'_>) -> Report {
    let mut lab = Lab::new(bench, dial, first_stan);
    let cases = cases::all().map(|case| lab.run(case)).collect();
    Report { not_covered: NOT_COVERED.to_vec(), ..Report::new("switch", about, cases) }
}
