//! What a request needs to know of what was decided before, here or on other nodes, and how it is had.
//!
//! The spine is run with what is in memory; where something is missing it says what, that is asked of
//! the register, and the spine is run again. Usually nothing is: a terminal stays with a node, and
//! is asked about once.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, TerminalId};
use xingka_core::ledger::{BatchId, Missing};
use xingka_store::register::{RegisterError, SaleAt};
use xingka_wire::frame::Frame;

use crate::newcomers::Peer;
use crate::node::Node;
use crate::outgoing::Outgoing;
use crate::terminal_keys::{Opener, TerminalKeys};

/// How often a request is tried before it is refused: each time another node may have taken what it needs.
pub(crate) const ROUNDS: usize = 8;

/// How long the register may take to answer before it counts as away.
pub(crate) const PATIENCE: Duration = Duration::from_millis(800);

/// Something that has to be asked for before a request can be decided.
#[derive(Debug)]
pub(crate) enum Need {
    /// The keys of a terminal that isn't at home here: nobody is brought home who hasn't proved anything.
    Keys(TerminalId),
    /// A terminal, at home here.
    Home(TerminalId, MerchantId),
    /// Whether a terminal is still at home here: it may have signed in, or settled, elsewhere meanwhile, and
    /// what is known here would refuse it wrongly.
    StillHome(TerminalId),
    /// A batch that isn't open.
    Batch(BatchId),
    /// What a holder has used, and what budgets have spent.
    Counts(HolderNo, Vec<BenefitId>),
    /// Where a refund's purchase may have been made, and those terminals at home here.
    Sale(SaleAt),
}

impl Need {
    /// What a ledger misses, for a request of this merchant's.
    pub(crate) fn of(missing: Missing, merchant: MerchantId) -> Self {
        match missing {
            Missing::Book(terminal) => Self::Home(terminal, merchant),
            Missing::Batch(id) => Self::Batch(id),
            Missing::Counts(holder, limited) => Self::Counts(holder, limited),
        }
    }
}

/// What was asked for on behalf of one request.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its terminal's keys, where it isn't at home here.
    pub(crate) keys: Option<TerminalKeys>,
    /// Whose uses were asked for.
    pub(crate) counted: Option<HolderNo>,
    /// Where its purchase may have been made.
    pub(crate) sellers: Option<Vec<TerminalId>>,
    /// Its terminal is still at home here.
    pub(crate) still_home: bool,
    /// The register couldn't be asked.
    pub(crate) away: bool,
    /// It was counted against everybody's shares.
    pub(crate) charged: bool,
}

impl Node {
    /// Takes one frame to its answer.
    pub(crate) async fn handle(&self, frame: &Frame<'_>, arrived: Instant, peer: &Peer) -> Outgoing {
        let mut known = Known::default();
        for _ in 0..ROUNDS {
            match self.answer(frame, arrived, peer, &mut known) {
                Ok(outgoing) => return outgoing,
                Err(need) => self.ask(need, &mut known).await,
            }
        }
        self.metrics.register.moved_to_and_fro.increment(1);
        self.refuse_unasked(frame)
    }

    async fn ask(&self, need: Need, known: &mut Known) {
        if self.reach.is_away() {
            known.away = true;
            return;
        }
        match timeout(PATIENCE, self.ask_register(need, known)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the register can't be asked");
                self.lose_register();
                known.away = true;
            }
            Err(_) => {
                tracing::warn!("the register takes too long to answer");
                self.lose_register();
                known.away = true;
            }
        }
    }

    async fn ask_register(&self, need: Need, known: &mut Known) -> Result<(), RegisterError> {
        self.metrics.register.asked(&need);
        match need {
            Need::Keys(terminal) => {
                let sign_ins = self.register.sign_ins(terminal).await?;
                known.keys = Some(self.opener().open(&sign_ins));
            }
            Need::Home(terminal, merchant) => self.bring_home(terminal, merchant).await?,
            Need::StillHome(terminal) => {
                known.still_home = true;
                let home = self.register.home(terminal).await?;
                if home.is_some_and(|home| home.node != self.settings.node) {
                    self.forget(&mut self.ledger(), terminal);
                }
            }
            Need::Batch(id) => {
                let batch = self.register.batch(id).await?;
                self.ledger().put_batch(id, &batch);
            }
            Need::Counts(holder, limited) => {
                let read = self.register.counts(self.settings.node, holder, &limited).await?;
                let put = self.ledger().put_counts(holder, read.tallies, &read.spent, read.through);
                known.counted = put.then_some(holder);
            }
            Need::Sale(sale) => {
                let sellers = self.register.sellers(sale).await?;
                for seller in &sellers {
                    if !self.ledger().knows(seller) {
                        self.bring_home(*seller, sale.merchant).await?;
                    }
                    self.bring_batch((*seller, sale.merchant, sale.batch)).await?;
                }
                known.sellers = Some(sellers);
            }
        }
        Ok(())
    }

    /// Makes this node a terminal's home. What it had sent about it before it lost it must have been turned
    /// down first: it was decided without knowing what others did meanwhile. Where the terminal moves
    /// at the same moment, nothing is done, and the spine asks again.
    async fn bring_home(&self, terminal: TerminalId, merchant: MerchantId) -> Result<(), RegisterError> {
        self.until_forgotten(&terminal).await;
        let seen = match self.is_shared() {
            true => self.register.home(terminal).await?.map_or(0, |home| home.stay),
            false => 0,
        };
        let Some(arrived) = self.register.bring_home(self.settings.node, terminal, merchant, seen).await? else {
            return Ok(());
        };
        let keys = self.opener().open(&arrived.sign_ins).confirm(&arrived.batch);
        let mut ledger = self.ledger();
        // Two requests may have asked at once.
        if !ledger.knows(&terminal) {
            ledger.put_book(arrived.open, &arrived.batch);
            self.settle_in(terminal, keys);
        }
        Ok(())
    }

    async fn bring_batch(&self, id: BatchId) -> Result<(), RegisterError> {
        if self.ledger().has_batch(&id) {
            return Ok(());
        }
        let batch = self.register.batch(id).await?;
        self.ledger().put_batch(id, &batch);
        Ok(())
    }

    fn opener(&self) -> Opener<'_> {
        Opener { city: &self.city, security: &self.security }
    }
}
