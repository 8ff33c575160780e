//! A node's line to the central store, and what the store is behind it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use xingka_core::capsule::Record;
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, Place, TerminalId};
use xingka_core::ledger::{BatchId, BatchRecords};
use xingka_core::register::{Home, Taken};
use xingka_store::journal::chain::{Group, Hash};
use xingka_store::register::{Answer, Arrived, CountsRead, MemoryRegister, Register, RegisterError, SaleAt, SignIns};
use xingka_store::{City, Feed, News, StoreError};

use crate::chance::Chance;

/// How a line carries what is sent over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weather {
    /// In a millisecond or two.
    #[default]
    Fair,
    /// Up to so late.
    Slow(Duration),
    /// Not at all, and says so.
    Refused,
    /// Not at all, without a word.
    Silent,
}

/// A node's line to the store.
#[derive(Debug)]
pub struct Line {
    weather: Mutex<Weather>,
    /// When it changed.
    history: Mutex<Vec<(Instant, Weather)>>,
    chance: Chance,
}

impl Line {
    /// A fair one.
    pub fn new(chance: Chance) -> Arc<Self> {
        Arc::new(Self { weather: Mutex::default(), history: Mutex::default(), chance })
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        *self.weather.lock() = weather;
        self.history.lock().push((Instant::now(), weather));
    }

    /// Whether it was fair all the time between two moments.
    pub fn was_fair(&self, from: Instant, to: Instant) -> bool {
        let history = self.history.lock();
        let (before, after) = history.split_at(history.partition_point(|(when, _)| *when <= from));
        let at_first = before.last().is_none_or(|(_, weather)| *weather == Weather::Fair);
        at_first && after.iter().all(|(when, weather)| *when > to || *weather == Weather::Fair)
    }

    /// One way.
    async fn carry(&self) -> Result<(), StoreError> {
        let weather = *self.weather.lock();
        sleep(self.chance.millis(0, 2)).await;
        match weather {
            Weather::Fair => Ok(()),
            Weather::Slow(by) => {
                // Each as long as it likes: what was sent first may come last.
                sleep(self.chance.millis(0, u64::try_from(by.as_millis()).unwrap_or(u64::MAX))).await;
                Ok(())
            }
            Weather::Refused => Err(StoreError::Away),
            Weather::Silent => pending().await,
        }
    }
}

/// The store, as all nodes share it.
#[derive(Debug, Default)]
pub struct Store {
    /// What stands.
    pub register: MemoryRegister,
    /// What changed in the city, in order.
    pub news: Mutex<Vec<News>>,
}

/// The store, as one run of a node sees it.
pub struct Reached {
    store: Arc<Store>,
    line: Arc<Line>,
    /// How much of the news it has.
    told: AtomicUsize,
}

impl Reached {
    /// Over a line.
    pub fn over(line: Arc<Line>, store: Arc<Store>) -> Arc<Self> {
        Arc::new(Self { store, line, told: AtomicUsize::new(0) })
    }

    /// Does something at the store. Once on its way it is done, also if nobody waits for it any more: that
    /// is how a database answers a line that broke after the question.
    fn ask<T, F>(&self, ask: F) -> Answer<'static, T>
    where
        T: Send + 'static,
        F: FnOnce(&MemoryRegister) -> Option<Result<T, RegisterError>> + Send + 'static,
    {
        let (line, store) = (self.line.clone(), self.store.clone());
        let asked = tokio::spawn(async move {
            line.carry().await?;
            let answer = ask(&store.register);
            line.carry().await?;
            answer.unwrap_or(Err(StoreError::Away.into()))
        });
        Box::pin(async move { asked.await.unwrap_or(Err(StoreError::Away.into())) })
    }
}

/// What is there at once, is there now.
fn now<T>(mut answer: Answer<'_, T>) -> Option<Result<T, RegisterError>> {
    use futures_util::FutureExt as _;
    (&mut answer).now_or_never()
}

impl Register for Reached {
    fn is_shared(&self) -> bool {
        true
    }

    fn shipped(&self, node: u16) -> Answer<'_, u64> {
        self.ask(move |register| now(register.shipped(node)))
    }

    fn take_in<'a>(&'a self, node: u16, groups: &'a [(Group, Hash)]) -> Answer<'a, Vec<(u64, Taken)>> {
        let groups = groups.to_vec();
        self.ask(move |register| now(register.take_in(node, &groups)))
    }

    fn sign_ins(&self, terminal: TerminalId) -> Answer<'_, SignIns> {
        self.ask(move |register| now(register.sign_ins(terminal)))
    }

    fn home(&self, terminal: TerminalId) -> Answer<'_, Option<Home>> {
        self.ask(move |register| now(register.home(terminal)))
    }

    fn bring_home(
        &self,
        node: u16,
        terminal: TerminalId,
        merchant: MerchantId,
        seen: u64,
    ) -> Answer<'_, Option<Arrived>> {
        self.ask(move |register| now(register.bring_home(node, terminal, merchant, seen)))
    }

    fn batch(&self, id: BatchId) -> Answer<'_, BatchRecords> {
        self.ask(move |register| now(register.batch(id)))
    }

    fn counts<'a>(&'a self, node: u16, holder: HolderNo, budgets: &'a [BenefitId]) -> Answer<'a, CountsRead> {
        let budgets = budgets.to_vec();
        self.ask(move |register| now(register.counts(node, holder, &budgets)))
    }

    fn sellers(&self, sale: SaleAt) -> Answer<'_, Vec<TerminalId>> {
        self.ask(move |register| now(register.sellers(sale)))
    }

    fn record(&self, place: Place) -> Answer<'_, Option<Record>> {
        self.ask(move |register| now(register.record(place)))
    }
}

impl Feed for Reached {
    fn has_news<'a>(&'a self, _: &'a City) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.line.carry().await?;
            let newest = self.store.news.lock().len();
            self.line.carry().await?;
            Ok(newest > self.told.load(Ordering::Relaxed))
        })
    }

    fn catch_up<'a>(&'a self, city: &'a City) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(async move {
            self.line.carry().await?;
            let told = self.told.load(Ordering::Relaxed);
            let news: Vec<News> = self.store.news.lock().iter().skip(told).cloned().collect();
            self.line.carry().await?;
            let mut applied = 0;
            for item in &news {
                applied += city.tell(item.clone()).await;
            }
            self.told.store(told + news.len(), Ordering::Relaxed);
            Ok(applied)
        })
    }
}
