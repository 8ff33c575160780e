//! How a node is, for those who watch it. Watching doesn't keep a node alive.

use std::sync::{Arc, Weak};

use thiserror::Error;

use crate::node::Node;

/// Why a node shouldn't be sent terminals now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotReady {
    /// It has stopped, or is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The last commit failed, and nothing could be written since.
    #[error("the journal can't be written: look at the disk of data_dir")]
    Journal,
}

/// A node, seen from outside.
#[derive(Clone)]
pub struct Health(Weak<Node>);

impl Health {
    pub(crate) fn of(node: &Arc<Node>) -> Self {
        Self(Arc::downgrade(node))
    }

    /// Whether the node answers and can write its answers down.
    pub fn ready(&self) -> Result<(), NotReady> {
        let node = self.0.upgrade().filter(|node| !node.is_stopping()).ok_or(NotReady::Stopping)?;
        let ready = node.journal.appender().ready();
        ready.map_err(|_| NotReady::Journal)
    }

    /// Everything counted, in Prometheus' text format; empty when the node is gone.
    pub fn metrics(&self) -> String {
        let Some(node) = self.0.upgrade() else { return String::new() };
        let (records, _) = node.journal.head();
        node.metrics.newcomers.set(node.newcomers.count() as f64);
        node.metrics.render(node.journal.commits(), records, node.pressure.micros())
    }
}
