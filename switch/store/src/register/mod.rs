//! The register, kept somewhere: what nodes ask of it and send to it.
//!
//! What stands and what doesn't is decided by [`xingka_core::register`]; here it is looked up, written down,
//! and waited for.

mod memory;
mod sql;

pub use memory::{Filed, MemoryRegister};
pub use sql::{SqlRegister, Told};

use futures_util::future::BoxFuture;
use thiserror::Error;
use xingka_core::capsule::{Record, SignIn};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, Place, TerminalId};
use xingka_core::ledger::{BatchId, BatchRecords};
use xingka_core::money::Fen;
use xingka_core::register::{Home, Taken};
use xingka_core::tallies::Tally;

use crate::StoreError;
use crate::journal::chain::{ChainFault, Group, Hash};

/// Why the register can't say.
#[derive(Debug, Error)]
pub enum RegisterError {
    /// Where it is kept can't be reached, or says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A group isn't what its chain says.
    #[error("the journal's groups can't be sent to the register: {0}")]
    Chain(#[from] ChainFault),
    /// What it holds of a node's journal isn't what was sent.
    #[error("the register's copy of node {node}'s journal: {fault}")]
    Broken {
        /// Whose.
        node: u16,
        /// Where and how.
        fault: ChainFault,
    },
    /// Two journals under one number.
    #[error(
        "the register has other records of node {node} at record {sequence} than this journal: the data folder is a \
         copy, or was put back from an older one; begin with an empty journal, or restore the register with it"
    )]
    OtherJournal {
        /// The number.
        node: u16,
        /// From where on.
        sequence: u64,
    },
    /// Groups that don't follow what was sent before.
    #[error(
        "the register has node {node}'s records through {shipped}, but was sent the group that begins with {first}"
    )]
    Gap {
        /// Whose.
        node: u16,
        /// What it has.
        shipped: u64,
        /// What it was sent.
        first: u64,
    },
}

/// A terminal's sign-ins, as far as their keys may still be used, oldest first: `None` for a sign-off.
pub type SignIns = Vec<Option<SignIn>>;

/// A terminal that has come home to a node.
#[derive(Debug)]
pub struct Arrived {
    /// Its open batch.
    pub open: BatchId,
    /// What is in it.
    pub batch: BatchRecords,
    /// Its sign-ins.
    pub sign_ins: SignIns,
}

/// What a holder has used and what budgets have spent, at some moment.
#[derive(Debug, Default)]
pub struct CountsRead {
    /// The holder's uses.
    pub tallies: Vec<Tally>,
    /// The budgets asked for, all of them.
    pub spent: Vec<(BenefitId, Fen)>,
    /// The node's records that are counted.
    pub through: u64,
}

/// Which purchase a refund means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SaleAt {
    /// Where.
    pub merchant: MerchantId,
    /// In which batch.
    pub batch: u32,
    /// Under which trace number.
    pub stan: u32,
}

/// An answer of the register.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, RegisterError>>;

/// What nodes ask of the register and send to it.
pub trait Register: Send + Sync {
    /// Whether other nodes may use it: then an answer has to wait until its record stands.
    fn is_shared(&self) -> bool;

    /// How far a node's journal has been taken in.
    fn shipped(&self, node: u16) -> Answer<'_, u64>;

    /// Takes groups in, in the order of the node's journal, each once: what was taken in before is compared,
    /// and its outcome told again. Gives each record's outcome, by its place in the journal.
    fn take_in<'a>(&'a self, node: u16, groups: &'a [(Group, Hash)]) -> Answer<'a, Vec<(u64, Taken)>>;

    /// A terminal's sign-ins.
    fn sign_ins(&self, terminal: TerminalId) -> Answer<'_, SignIns>;

    /// Where a terminal is at home, if it ever was anywhere.
    fn home(&self, terminal: TerminalId) -> Answer<'_, Option<Home>>;

    /// Makes a node a terminal's home; `None` where the terminal isn't any more as the node saw it, at that
    /// stay (0: nowhere yet). Then it is to look again.
    fn bring_home(
        &self,
        node: u16,
        terminal: TerminalId,
        merchant: MerchantId,
        seen: u64,
    ) -> Answer<'_, Option<Arrived>>;

    /// A batch that isn't open.
    fn batch(&self, id: BatchId) -> Answer<'_, BatchRecords>;

    /// What a holder has used and what budgets have spent.
    fn counts<'a>(&'a self, node: u16, holder: HolderNo, budgets: &'a [BenefitId]) -> Answer<'a, CountsRead>;

    /// The terminals at which a refund's purchase may have been made.
    fn sellers(&self, sale: SaleAt) -> Answer<'_, Vec<TerminalId>>;

    /// A record, whosever.
    fn record(&self, place: Place) -> Answer<'_, Option<Record>>;
}
