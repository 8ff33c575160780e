//! What happens while the load runs: actions at a given second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Something to be done at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// All terminals drop their lines and come back at once.
    Storm,
}

/// What actions need.
#[derive(Debug, Clone)]
pub struct Stage {
    /// When the storm came.
    pub storm: Arc<watch::Sender<Option<Instant>>>,
}

impl Stage {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self { storm: Arc::new(watch::Sender::new(None)) }
    }

    /// Does everything at its moment after `started`.
    pub async fn play(self, mut actions: Vec<(Duration, Action)>, started: Instant) {
        actions.sort_by_key(|(at, _)| *at);
        for (at, action) in actions {
            sleep_until(started + at).await;
            self.act(action).await;
        }
    }

    async fn act(&self, action: Action) {
        match action {
            Action::Storm => drop(self.storm.send_replace(Some(Instant::now()))),
        }
    }
}
