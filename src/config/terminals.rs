//! `[terminals]`: what terminals are told, and when their keys are due.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use xingka_server::TerminalSettings;
use xingka_wire::parameters::{Parameters, Software};

use super::bad;

/// The section. What isn't set, terminals decide themselves; where nothing is set they are told
/// nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TerminalsSettings {
    session_hours: Option<u16>,
    heartbeat_s: Option<u16>,
    offline_max_fen: Option<u32>,
    offline_max_count: Option<u16>,
    software: Option<String>,
}

impl TerminalsSettings {
    pub(super) fn check(&self, answer_deadline_ms: u64) -> Result<TerminalSettings> {
        let Self { session_hours, heartbeat_s, offline_max_fen, offline_max_count, software } = self;
        if *heartbeat_s == Some(0) {
            return Err(bad("terminals.heartbeat_s", "0", "1 or more"));
        }
        let software = software.as_deref().map(parse_software).transpose()?;
        let mut parameters = Parameters {
            heartbeat_s: *heartbeat_s,
            deadline_ms: None,
            offline_max_fen: *offline_max_fen,
            offline_max_count: *offline_max_count,
            // 0 is for good, which a terminal needn't be told.
            session_hours: session_hours.filter(|hours| *hours > 0),
            software,
        };
        if !parameters.is_empty() {
            parameters.deadline_ms = u32::try_from(answer_deadline_ms).ok();
        }
        let session = parameters.session_hours.map(|hours| Duration::from_secs(u64::from(hours) * 3_600));
        Ok(TerminalSettings { parameters, session })
    }
}

/// `31.310100`: version n2, sub-version n6.
fn parse_software(text: &str) -> Result<Software> {
    let wrong = || bad("terminals.software", text, "a version such as 31.310100, two digits and six");
    let (version, sub_version) = text.split_once('.').with_context(wrong)?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(version, 2) || !digits(sub_version, 6) {
        return Err(wrong());
    }
    // Two digits a byte, as in a header.
    let packed = |text: &str| u8::from_str_radix(text, 16).unwrap_or_default();
    let sub_version = [0, 2, 4].map(|at| packed(&sub_version[at..at + 2]));
    Ok(Software { version: packed(version), sub_version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_written_as_in_a_header() {
        let software = parse_software("31.310100").unwrap();
        assert_eq!(software, Software { version: 0x31, sub_version: [0x31, 0x01, 0x00] });
        for text in ["", "31", "3.310100", "31.31010", "3a.310100", "31.31010x", "31.3101000"] {
            assert!(parse_software(text).unwrap_err().to_string().contains("terminals.software"), "{text}");
        }
    }

    #[test]
    fn where_nothing_is_set_nothing_is_told() {
        let told = TerminalsSettings::default().check(3_000).unwrap();
        assert!(told.parameters.is_empty() && told.session.is_none());
        let told = TerminalsSettings { session_hours: Some(24), ..TerminalsSettings::default() }.check(3_000).unwrap();
        assert_eq!((told.parameters.deadline_ms, told.session), (Some(3_000), Some(Duration::from_secs(86_400))));
    }
}
