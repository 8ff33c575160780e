//! What the node counts about itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only grows, but for [`Counter::gauge_down`].
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One fewer, for counts of what is there now.
    pub fn gauge_down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Everything counted since the node started.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: Counter),+ }

        /// `name=count` for each, on one line.
        impl fmt::Display for Counters {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(write!(f, concat!(stringify!($name), "={} "), self.$name.get())?;)+
                Ok(())
            }
        }
    };
}

counters! {
    /// Connections open now.
    connections,
    /// Connections closed at once, because as many as may be were open.
    connections_refused,
    /// Connections closed for silence, or for taking too long over a frame or an answer.
    connections_too_slow,
    /// Connections closed for sending too much that isn't a frame.
    connections_unframed,
    /// Frames answered.
    answered,
    /// Frames dropped: length, TPDU, header or MTI wrong.
    frames_dropped,
    /// Requests refused before they could be decided.
    refused,
    /// Requests answered from the record.
    repeats,
    /// Answers given after their record's commit, or not at all.
    recorded,
    /// Reversals recorded.
    reversed,
    /// Sign-ins recorded.
    signed_in,
    /// Answers that became 96 because the journal did not commit in time or at all.
    unrecorded,
}
