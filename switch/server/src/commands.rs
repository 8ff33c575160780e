//! In-band commands: what the processing digit of an answer's header tells a terminal to do next.
//!
//! A terminal hears them with whatever it asks, so a fleet needs no push channel: new session keys
//! when the old ones are due or somebody asked for new ones, new software where its header says
//! that it runs older, parameters where it hasn't fetched those that are in force.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::RwLock;
use xingka_core::ids::TerminalId;
use xingka_core::session::SessionKey;
use xingka_core::time::Moment;
use xingka_store::CityTerminal;
use xingka_wire::mti::{Command, Head};
use xingka_wire::parameters::{MAX_PARAMETER_BYTES, Parameters};

use crate::node::Node;

/// What terminals are told to be like.
#[derive(Debug, Clone, Copy, Default)]
pub struct TerminalSettings {
    /// What they fetch; nothing is offered where it is empty.
    pub parameters: Parameters,
    /// Session keys older than this are replaced. `None`: only when somebody asks.
    pub session: Option<Duration>,
}

/// The parameters in force, and who has them.
pub(crate) struct Offered {
    version: u32,
    parameters: Parameters,
    /// Terminals that have fetched them since the node started: one that fetches them once
    /// more than needed does no harm, one that misses a change would.
    fetched: RwLock<HashSet<TerminalId>>,
}

impl Offered {
    pub(crate) fn new(parameters: Parameters) -> Option<Self> {
        let mut buffer = [0; MAX_PARAMETER_BYTES];
        let version = version(parameters.encode(0, (&[0; 8], 0), None, &mut buffer));
        (!parameters.is_empty()).then(|| Self { version, parameters, fetched: RwLock::default() })
    }

    fn has(&self, terminal: &TerminalId) -> bool {
        self.fetched.read().contains(terminal)
    }

    /// A terminal has them now.
    pub(crate) fn note_fetched(&self, terminal: TerminalId) {
        self.fetched.write().insert(terminal);
    }

    /// Field 62 of the answer to an echo that asks.
    pub(crate) fn field<'b>(
        &self,
        terminal: TerminalId,
        stan: u32,
        key: Option<&SessionKey>,
        buffer: &'b mut [u8; MAX_PARAMETER_BYTES],
    ) -> &'b [u8] {
        self.parameters.encode(self.version, (&terminal.0, stan), key.map(|key| &key.mac), buffer)
    }
}

/// Names what parameters say: FNV-1a, so that every node gives them the same name. Never 0, which is
/// what a terminal without any says.
fn version(parameters: &[u8]) -> u32 {
    let hash =
        parameters.iter().fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619));
    hash.max(1)
}

impl Node {
    /// What a terminal is to do next. `newest` is its newest session key, if it is signed in.
    pub(crate) fn command(
        &self,
        known: &CityTerminal,
        newest: Option<&SessionKey>,
        head: Head,
        now: Moment,
    ) -> Command {
        let TerminalSettings { parameters, session } = self.settings.terminals;
        if newest.is_some_and(|key| are_due(key.made_ms, known.new_keys_ms, session, now.epoch_ms)) {
            return Command::SignIn;
        }
        if parameters.software.is_some_and(|wanted| head.software() < wanted) {
            return Command::UpdateSoftware;
        }
        match &self.offered {
            Some(offered) if !offered.has(&known.terminal.id) => Command::FetchParameters,
            _ => Command::None,
        }
    }
}

/// Whether keys are to be replaced: made before somebody asked for new ones, or too old.
fn are_due(made_ms: i64, asked_ms: i64, session: Option<Duration>, now_ms: i64) -> bool {
    let too_old = |session: Duration| u128::from(now_ms.abs_diff(made_ms)) > session.as_millis() && now_ms > made_ms;
    made_ms < asked_ms || session.is_some_and(too_old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_due_when_they_are_old_or_somebody_asked() {
        let hour = Some(Duration::from_secs(3_600));
        for (made, asked, session, now, due) in [
            (1_000, 0, None, i64::MAX, false),
            (1_000, 1_000, None, 1_000, false),
            (1_000, 1_001, None, 1_001, true),
            (1_000, 0, hour, 3_601_000, false),
            (1_000, 0, hour, 3_601_001, true),
            (1_000, 0, hour, 0, false),
        ] {
            assert_eq!(are_due(made, asked, session, now), due, "{made} {asked} {now}");
        }
    }
}
