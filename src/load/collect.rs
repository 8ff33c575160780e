//! The thread that adds up what the terminals report: into the run's histograms, the file of
//! histograms, the progress lines and the storm's times.
//!
//! A thread of its own, because it compresses and writes files; terminals only push samples.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::Plan;
use super::hdr::HdrLog;
use super::mix::Kind;
use super::process::Usage;
use super::record::{Recorder, Sample};
use super::storm::StormWatch;

/// How often lists are emptied.
const TICK: Duration = Duration::from_millis(100);
/// Ticks in an interval of the histogram file.
const TICKS_A_SECOND: u32 = 10;
/// Seconds between progress lines.
const PROGRESS_EVERY_S: u32 = 10;

/// One histogram for each kind.
type ByKind = [Histogram<u64>; Kind::ALL.len()];

/// What was added up.
pub struct Collected {
    /// Answers of the whole run.
    pub by_kind: ByKind,
    /// All of the mix together.
    pub all: Histogram<u64>,
    /// The process that was watched, at the start and before the end.
    pub usage: [Usage; 2],
    /// Until every terminal was back after the storm, and until all was calm.
    pub storm_us: [Option<u64>; 2],
}

/// A histogram up to ten minutes, to two digits.
pub fn new_histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 2)?)
}

fn by_kind() -> Result<ByKind> {
    let empty = new_histogram()?;
    Ok(std::array::from_fn(|_| empty.clone()))
}

/// Adds up until it is told to stop.
pub struct Collector {
    recorder: Arc<Recorder>,
    plan: Plan,
    started: Instant,
    storm_at: watch::Receiver<Option<tokio::time::Instant>>,
    second: ByKind,
    second_began: Duration,
    total: Collected,
    lately: Histogram<u64>,
    lately_sent: u64,
    storm: Option<StormWatch>,
    log: Option<HdrLog>,
}

impl Collector {
    /// For a load that starts now.
    pub fn new(
        recorder: Arc<Recorder>,
        plan: &Plan,
        terminals: usize,
        storm_at: watch::Receiver<Option<tokio::time::Instant>>,
    ) -> Result<Self> {
        let empty = new_histogram()?;
        let usage = Usage::of(plan.pid);
        Ok(Self {
            recorder,
            started: Instant::now(),
            storm_at,
            second: by_kind()?,
            second_began: Duration::ZERO,
            total: Collected { by_kind: by_kind()?, all: empty.clone(), usage: [usage; 2], storm_us: [None; 2] },
            storm: plan.storm_at().map(|_| StormWatch::new(terminals, &empty)),
            log: plan.hdr.as_deref().map(HdrLog::create).transpose()?,
            lately: empty,
            lately_sent: 0,
            plan: plan.clone(),
        })
    }

    /// Blocks until `stop` is dropped.
    pub fn run(mut self, stop: &Receiver<()>) -> Result<Collected> {
        for tick in 1_u32.. {
            let next = self.started + TICK * tick;
            let stopped = stop.recv_timeout(next.saturating_duration_since(Instant::now()));
            self.take();
            if stopped == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            if tick % TICKS_A_SECOND == 0 {
                self.end_second()?;
            }
            if tick % (TICKS_A_SECOND * PROGRESS_EVERY_S) == 0 {
                self.show_progress();
            }
        }
        self.end_second()?;
        if let Some(storm) = &self.storm {
            self.total.storm_us = [storm.back_us(), storm.calm_us()];
        }
        self.log.take().map_or(Ok(()), HdrLog::finish)?;
        Ok(self.total)
    }

    fn take(&mut self) {
        let Self { recorder, second, storm, .. } = self;
        recorder.drain(|Sample { kind, micros }| {
            let micros = u64::from(micros);
            second[kind as usize].saturating_record(micros);
            match storm {
                Some(storm) if kind == Kind::Return => storm.came_back(micros),
                Some(storm) => storm.answered(micros),
                None => {}
            }
        });
        if let Some(storm) = storm {
            let since = *self.storm_at.borrow();
            storm.tick(since.map(|since| since.elapsed()));
        }
    }

    fn end_second(&mut self) -> Result<()> {
        let now = self.started.elapsed();
        for kind in Kind::ALL {
            let micros = &mut self.second[kind as usize];
            if let Some(log) = &mut self.log {
                log.write(kind, micros, self.second_began, now - self.second_began)?;
            }
            self.total.by_kind[kind as usize] += &*micros;
            if kind != Kind::Return {
                self.total.all += &*micros;
                self.lately += &*micros;
            }
            micros.reset();
        }
        self.second_began = now;
        // While all are connected: afterwards there is nothing to compare.
        if now < self.plan.duration {
            self.total.usage[1] = Usage::of(self.plan.pid);
        }
        Ok(())
    }

    fn show_progress(&mut self) {
        if self.plan.progress {
            let sent = self.recorder.sent_in_mix();
            let per_s = (sent - self.lately_sent) / u64::from(PROGRESS_EVERY_S);
            let watched =
                self.plan.pid.map_or_else(String::new, |pid| format!("; process {pid}: {}", Usage::of(Some(pid))));
            eprintln!(
                "{} s: {sent} sent, {per_s} a second, {} errors, 99 % within {} µs; here: {}{watched}",
                self.started.elapsed().as_secs(),
                self.recorder.errors(),
                self.lately.value_at_quantile(0.99),
                Usage::of(None),
            );
            self.lately_sent = sent;
        }
        self.lately.reset();
    }
}
