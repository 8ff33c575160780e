//! The switch's edge: connections, the spine that takes a frame to its answer, and the
//! service that keeps the node's memory true.
//!
//! * [`service`]: starts, watches and stops a node.
//! * [`engine`]: a node without its doors, and the tasks that keep its memory true.
//! * `listener`: who is let in.
//! * `connection`: one connection's frames in and answers out.
//! * `spine`: frame, decode, authenticate, decide, record, respond.
//! * `outgoing`: answers that wait for their record, and how they leave.
//! * `node`: what all connections share.
//! * `home`: what a request needs to know of what was decided before, and how it is had.
//! * `reach`, `shipper`: the journal's way to the register, and what follows when there is none.
//! * `terminal_keys`: session keys, from recorded sign-ins.
//! * `security`: the one door for keys.
//! * `limits`, `newcomers`: nobody takes more than a share, nobody keeps others out.
//! * [`clock`], `metrics`, [`Health`].
//!
//! Decisions are made in `xingka-core`, bytes are read in `xingka-wire`; nothing here
//! knows a rule or a field.

pub mod service;
pub mod engine;
mod listener;
mod connection;
mod line;
mod tls;
mod spine;
mod errand;
mod commands;
mod outgoing;
mod node;
mod home;
mod reach;
mod shipper;
mod terminal_keys;
mod security;
mod settings;
pub mod clock;
mod limits;
mod pressure;
mod newcomers;
mod metrics;
mod register_metrics;
mod health;

pub use clock::Clock;
pub use commands::TerminalSettings;
pub use health::Health;
pub use limits::LimitSettings;
pub use service::{Service, ServiceError};
pub use settings::Settings;
pub use tls::{TlsError, TlsFiles, check_tls_files};
