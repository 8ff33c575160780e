//! Frames in a stream: every byte is either part of a frame or dropped, wherever it is cut.

use xingka_wire::dialect::{ASCII87, CUP, CUP_GBK, Dialect};
use xingka_wire::frame::{FrameFault, Step, next_frame};

/// The sets that listeners speak.
const SETS: &[&[&Dialect]] = &[&[&CUP, &ASCII87], &[&CUP], &[&CUP_GBK], &[&ASCII87]];

/// What a step comes to.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Frame(usize),
    Dropped(FrameFault, usize),
}

/// Walks a stream, whole and cut in two at the first byte's place.
pub fn check(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else { return };
    for dialects in SETS {
        let whole = walk(dialects, &[stream]);
        let (front, back) = stream.split_at(usize::from(*cut).min(stream.len()));
        assert_eq!(walk(dialects, &[front, back]), whole);
    }
}

/// The steps of a stream that arrives in parts.
fn walk(dialects: &[&'static Dialect], parts: &[&[u8]]) -> Vec<Seen> {
    let (mut inbox, mut skip, mut seen) = (Vec::new(), 0, Vec::new());
    for part in parts {
        inbox.extend_from_slice(part);
        loop {
            let skipped = skip.min(inbox.len());
            inbox.drain(..skipped);
            skip -= skipped;
            skip += match next_frame(dialects, &inbox) {
                Step::NeedMore { at_least } => {
                    assert!(at_least > inbox.len(), "it waits for what is there");
                    break;
                }
                Step::Frame(frame, taken) => {
                    assert!(taken <= inbox.len() && frame.body.len() <= taken);
                    seen.push(Seen::Frame(taken));
                    taken
                }
                Step::Dropped { fault, skip } => {
                    assert!(skip > 0, "it stands still");
                    seen.push(Seen::Dropped(fault, skip));
                    skip
                }
            };
        }
    }
    seen
}
