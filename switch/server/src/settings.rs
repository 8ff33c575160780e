//! What a node is told to be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use xingka_store::journal::Durability;

use crate::commands::TerminalSettings;
use crate::limits::LimitSettings;
use crate::tls::TlsFiles;

/// What a node is told to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its number among the deployment's nodes, below 4,096.
    pub node: u16,
    /// Where terminals connect without TLS, if they may.
    pub listen: Option<SocketAddr>,
    /// Where they connect with TLS, and the certificates for it.
    pub tls: Option<(SocketAddr, TlsFiles)>,
    /// The journal's file.
    pub journal: PathBuf,
    /// When an answer may leave.
    pub durability: Durability,
    /// The zone of days and hours.
    pub zone: TimeZone,
    /// Connections at a time. Past that a newcomer (a connection that never carried anything
    /// authentic) makes room for the next one; where there is none, the next one is closed at once.
    pub max_connections: usize,
    /// After which a silent connection is closed.
    pub idle_timeout: Duration,
    /// From a request's arrival to the decision, and to its answer.
    pub answer_deadline: Duration,
    /// Everybody's share.
    pub limits: LimitSettings,
    /// What terminals are told.
    pub terminals: TerminalSettings,
}
