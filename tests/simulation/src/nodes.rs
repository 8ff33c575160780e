//! Nodes: what is left of one when it crashes, and its runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use xingka_server::engine::{Engine, Parts};
use xingka_server::{Clock, LimitSettings, Settings, TerminalSettings};
use xingka_store::City;
use xingka_store::journal::{Durability, JournalAt};

use crate::chance::Chance;
use crate::disk::SimulatedDisk;
use crate::line::{Line, Reached, Store};
use crate::people;

/// A node that isn't up after so long is started anew.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// A node with its disk and its line, which outlive its crashes.
pub struct SimulatedNode {
    /// Its number.
    pub number: u16,
    /// Its disk.
    pub disk: Arc<SimulatedDisk>,
    /// Its line to the store.
    pub line: Arc<Line>,
    store: Arc<Store>,
    /// What its clock is ahead.
    skew: Mutex<SignedDuration>,
    run: Mutex<Option<Run>>,
    /// When it was started, and what its clock was ahead then.
    starts: Mutex<Vec<(Instant, SignedDuration)>>,
    /// When the simulation began, by the true clock and by the timers.
    began: (Timestamp, Instant),
}

/// From a start to a crash.
struct Run {
    engine: Arc<Engine>,
    /// Requests under way: they end with the node.
    exchanges: JoinSet<()>,
}

impl SimulatedNode {
    /// Not started yet.
    pub fn new(number: u16, store: &Arc<Store>, chance: &Chance, began: (Timestamp, Instant)) -> Arc<Self> {
        Arc::new(Self {
            number,
            disk: Arc::new(SimulatedDisk::new(chance.clone())),
            line: Line::new(chance.clone()),
            store: store.clone(),
            skew: Mutex::new(SignedDuration::ZERO),
            run: Mutex::default(),
            starts: Mutex::default(),
            began,
        })
    }

    /// Starts it, as often as it takes.
    pub async fn start(&self) {
        while !self.is_up() {
            // As a supervisor does with one that doesn't come up.
            let skew = *self.skew.lock();
            if let Ok(Ok(engine)) = timeout(UP_WITHIN, self.try_to_start(skew)).await {
                let run = Run { engine: Arc::new(engine), exchanges: JoinSet::new() };
                *self.run.lock() = Some(run);
                self.starts.lock().push((Instant::now(), skew));
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn try_to_start(&self, skew: SignedDuration) -> Result<Engine, String> {
        let city = City::with_room_for(64);
        let reached = Reached::over(self.line.clone(), self.store.clone());
        xingka_store::Feed::catch_up(&*reached, &city).await.map_err(|error| error.to_string())?;
        let (began, since) = self.began;
        let shows = began + SignedDuration::try_from(since.elapsed()).unwrap_or_default() + skew;
        let parts = Parts {
            city,
            feed: reached.clone(),
            register: reached,
            journal: JournalAt::Disk(self.disk.clone()),
            master: people::master(),
            hasher: people::hasher(),
            clock: Clock::simulated(TimeZone::UTC, shows),
        };
        Engine::start(settings(self.number), parts).await.map_err(|error| error.to_string())
    }

    /// Ends it where it stands.
    pub fn crash(&self) {
        // Dropped whole: nothing of it runs on.
        drop(self.run.lock().take());
    }

    /// From its next start on its clock is so much ahead.
    pub fn set_skew(&self, skew: SignedDuration) {
        *self.skew.lock() = skew;
    }

    /// When it truly was what its clock showed; `None` where that may have been at several moments.
    pub fn true_time(&self, epoch_ms: i64) -> Option<Instant> {
        let starts = self.starts.lock();
        let ends = starts.iter().skip(1).map(|(when, _)| Some(*when)).chain([None]);
        let runs = starts.iter().zip(ends);
        let mut moments = runs.filter_map(|((start, skew), end)| {
            let since_ms = epoch_ms - self.began.0.as_millisecond() - i64::try_from(skew.as_millis()).ok()?;
            let at = self.began.1 + Duration::from_millis(u64::try_from(since_ms).ok()?);
            // While it starts it may already ship what was left over; it decides nothing.
            (*start <= at + Duration::from_millis(1) && end.is_none_or(|end| at <= end)).then_some(at)
        });
        moments.next().filter(|_| moments.next().is_none())
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.run.lock().is_some()
    }

    /// Whether it knows that the store is away.
    pub fn is_alone(&self) -> bool {
        self.run.lock().as_ref().is_some_and(|run| run.engine.is_alone())
    }

    /// Whether it runs, and the store has all of its records.
    pub fn has_caught_up(&self) -> bool {
        self.run.lock().as_ref().is_some_and(|run| run.engine.is_whole())
    }

    /// What it answers; nothing where it is down, or crashes meanwhile.
    pub async fn exchange(&self, frame: Vec<u8>) -> Option<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        {
            let mut run = self.run.lock();
            let run = run.as_mut()?;
            let engine = run.engine.clone();
            while run.exchanges.try_join_next().is_some() {}
            run.exchanges.spawn(async move {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(engine.exchange(&frame).await);
            });
        }
        answered.await.ok()
    }
}

fn settings(node: u16) -> Settings {
    let limits = LimitSettings { address_per_s: None, terminal_per_s: None, merchant_per_s: None, sign_in_per_s: None };
    Settings {
        node,
        listen: None,
        tls: None,
        journal: "simulated".into(),
        durability: Durability::BeforeAnswer,
        zone: TimeZone::UTC,
        max_connections: 1_000,
        idle_timeout: Duration::from_secs(300),
        answer_deadline: Duration::from_secs(3),
        limits,
        terminals: TerminalSettings { parameters: Default::default(), session: None },
    }
}
