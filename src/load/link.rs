//! A line that comes back.
//!
//! When a line is lost the terminal connects again and sends the request whose answer is
//! missing once more, byte for byte: that is what the switch knows as a repeat, and it gives
//! the answer that it has recorded. So a lost line is no error, only a request whose answer
//! never comes is. Pauses between attempts double up to a bound and are drawn at random
//! below that, or else ten thousand terminals would come back in step.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::record::{Count, Recorder};
use crate::line::Line;

/// How long a request waits for its answer, over all lines.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Up to so long a terminal waits before it connects again the first time, then twice that.
const FIRST_PAUSE_MS: u64 = 50;
/// The longest pause.
const LAST_PAUSE_MS: u64 = 2_000;

/// When all terminals are to drop their lines; nothing before that.
pub type StormSignal = watch::Receiver<Option<Instant>>;

/// A request's answer never came.
#[derive(Debug)]
pub struct NoAnswer;

/// Why a line is no longer there.
enum Lost {
    /// Dropped because of the storm; all come back at once.
    Storm,
    /// By the other end, or never made.
    Broken,
}

/// A terminal's line.
pub struct Link {
    address: SocketAddr,
    certificate: Option<Arc<ClientConfig>>,
    line: Option<Line>,
    storm: Option<StormSignal>,
    random: fastrand::Rng,
    recorder: Arc<Recorder>,
    /// Since when the terminal is away because of the storm.
    pub away_since: Option<Instant>,
}

impl Link {
    /// Connects. Without a storm nobody listens for one: that is dear in a closed loop.
    pub async fn connect(
        (address, certificate): (SocketAddr, Option<Arc<ClientConfig>>),
        storm: Option<StormSignal>,
        seed: u64,
        recorder: Arc<Recorder>,
    ) -> Result<Self> {
        let line = Some(Line::connect(address, certificate.clone()).await?);
        let random = fastrand::Rng::with_seed(seed);
        Ok(Self { address, certificate, line, storm, random, recorder, away_since: None })
    }

    /// The line itself, before the load begins.
    pub fn line(&mut self) -> Option<&mut Line> {
        self.line.as_mut()
    }

    /// Waits for the storm, which may never come; the line is dropped then.
    pub async fn storm(&mut self) {
        storm(&mut self.storm).await;
        self.drop_in_storm();
    }

    /// Whether the storm came since this was last asked; the line is dropped then.
    pub fn is_in_storm(&mut self) -> bool {
        let came = self.storm.as_mut().is_some_and(|storm| storm.has_changed().unwrap_or(false));
        if came {
            self.drop_in_storm();
        }
        came
    }

    fn drop_in_storm(&mut self) {
        self.line = None;
        self.away_since = self.storm.as_mut().and_then(|storm| *storm.borrow_and_update());
    }

    /// Sends a request until there is an answer to it, which is left in `answer`.
    pub async fn exchange(&mut self, frame: &[u8], answer: &mut Vec<u8>) -> Result<(), NoAnswer> {
        let (deadline, mut sent) = (Instant::now() + PATIENCE, false);
        // A line is as patient itself, so that the usual case needs no second timer.
        let Err(lost) = self.exchange_once(frame, answer, &mut sent).await else { return Ok(()) };
        let exchanged = timeout_at(deadline, self.exchange_again(lost, frame, answer, sent)).await;
        exchanged.map_err(|_| {
            // An answer that came now would be taken for the next request's.
            self.line = None;
            NoAnswer
        })
    }

    async fn exchange_again(&mut self, mut lost: Lost, frame: &[u8], answer: &mut Vec<u8>, mut sent: bool) {
        let mut attempts = 0;
        loop {
            match lost {
                Lost::Storm => self.drop_in_storm(),
                Lost::Broken => {
                    self.line = None;
                    let longest = (FIRST_PAUSE_MS << attempts).min(LAST_PAUSE_MS);
                    attempts = (attempts + 1).min(16);
                    sleep(Duration::from_millis(self.random.u64(0..=longest))).await;
                }
            }
            match self.exchange_once(frame, answer, &mut sent).await {
                Ok(()) => return,
                Err(again) => lost = again,
            }
        }
    }

    async fn exchange_once(&mut self, frame: &[u8], answer: &mut Vec<u8>, sent: &mut bool) -> Result<(), Lost> {
        let line = match &mut self.line {
            Some(line) => line,
            lost => {
                let line = Line::connect(self.address, self.certificate.clone()).await.map_err(|_| Lost::Broken)?;
                self.recorder.count(Count::Reconnect);
                lost.insert(line)
            }
        };
        if std::mem::replace(sent, true) {
            self.recorder.count(Count::Repeat);
        }
        tokio::select! {
            biased;
            answered = line.exchange(frame) => {
                let answered = answered.map_err(|error| {
                    tracing::debug!(%error, "a line was lost");
                    Lost::Broken
                })?;
                answer.clear();
                answer.extend_from_slice(answered);
                Ok(())
            }
            () = storm(&mut self.storm) => Err(Lost::Storm),
        }
    }
}

/// Ends when the storm comes.
async fn storm(signal: &mut Option<StormSignal>) {
    let Some(signal) = signal else { return std::future::pending().await };
    if signal.changed().await.is_err() {
        // Whoever could have called for one is gone.
        std::future::pending().await
    }
}
