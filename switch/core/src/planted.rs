//! Bugs that the simulation has to find. No build of the product has them: without the feature `planted`,
//! [`has`] is `false` when it is compiled.

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident = $name:literal),+ $(,)?) => {
        /// A bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug { $($(#[$doc])* $bug),+ }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),+];

            /// What it is called on a command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$bug => $name),+ }
            }
        }
    };
}

bugs! {
    /// An answer leaves before its record is committed.
    AnswerBeforeCommit = "answer-before-commit",
    /// An answer leaves before its record stands in the register.
    AnswerBeforeRegister = "answer-before-register",
    /// When the register is lost, what it hasn't confirmed is answered all the same.
    AnswerUnconfirmed = "answer-unconfirmed",
    /// A repeat is decided again.
    ForgetRepeats = "forget-repeats",
    /// The register doesn't look whether a use is left.
    UsesUnchecked = "uses-unchecked",
    /// The register doesn't look whether a budget has anything left.
    BudgetUnchecked = "budget-unchecked",
    /// What is given back is given back twice.
    GiveBackTwice = "give-back-twice",
    /// The register takes a terminal's records from every node.
    HomeUnchecked = "home-unchecked",
    /// A node that decided alone becomes its terminals' home by that.
    StandInTakesHome = "stand-in-takes-home",
    /// What has moved away isn't forgotten.
    KeepMoved = "keep-moved",
    /// After a failed attempt the shipper goes on with the next groups.
    ShipOnce = "ship-once",
    /// What the register said of records is lost with the first attempt's answer.
    OutcomesForgotten = "outcomes-forgotten",
    /// A line that died without a word is waited for.
    NewsWithoutTimeout = "news-without-timeout",
    /// After a failed commit memory stays as it was.
    KeepMemory = "keep-memory",
    /// A stand-in takes what it doesn't know for nothing used.
    StandInGuesses = "stand-in-guesses",
    /// A capsule doesn't have what was used up by the time it was decided.
    CapsuleWithoutCounts = "capsule-without-counts",
}

#[cfg(feature = "planted")]
static PLANTED: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(usize::MAX);

/// From now on there is this one.
#[cfg(feature = "planted")]
pub fn plant(bug: Bug) {
    PLANTED.store(bug as usize, core::sync::atomic::Ordering::Relaxed);
}

/// Whether there is this one.
#[cfg(feature = "planted")]
pub fn has(bug: Bug) -> bool {
    PLANTED.load(core::sync::atomic::Ordering::Relaxed) == bug as usize
}

/// Whether there is this one.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn has(_: Bug) -> bool {
    false
}
