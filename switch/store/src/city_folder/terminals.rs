//! `terminals.csv`: which terminals there are, where they stand and how they speak.

use std::borrow::Cow;
use std::collections::HashMap;

use thiserror::Error;
use xingka_core::ids::TerminalId;
use xingka_wire::dialect::Dialect;
use zeroize::Zeroizing;

use super::fields::{Fields, hex_bytes};
use super::header::Columns;
use super::table::{Reference, Table};
use crate::store::{Change, MERCHANT_NUMBERS, StoreError, TerminalRow};
use crate::vault::{MasterKey, RoomFault};

pub(super) const FILE: &str = "terminals.csv";

const TMK_BYTES: usize = 16;

pub(super) struct Terminals<'k> {
    pub(super) master: &'k MasterKey,
}

/// What is wrong with a wrapped terminal master key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum BadWrapped {
    #[error("can't be looked at: the token: {0}")]
    Token(String),
    #[error("must be hexadecimal digits, as an export writes them")]
    Form,
    #[error("does not open under this deployment's master key as this terminal's key: give tmk instead")]
    Key,
}

/// A dialect that there isn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be one of {}", Dialect::ALL.map(|dialect| dialect.name).join(", "))]
struct UnknownProfile;

impl Table for Terminals<'_> {
    const FILE: &'static str = FILE;
    const COLUMNS: Columns = Columns {
        required: &["terminal_id", "merchant_id", "profile", "mac", "scope"],
        optional: &[],
        either: Some(("tmk", &["tmk_wrapped"])),
    };
    const IDENTITY: &'static str = "terminal_id";
    const REFERENCE: Option<Reference<TerminalRow>> = Some(Reference {
        column: "merchant_id",
        id: |row| Cow::Owned(row.merchant_id.to_string()),
        select: MERCHANT_NUMBERS,
        reason: "there is no such merchant, neither in the store nor in a merchants.csv that was loaded",
    });
    type Key = TerminalId;
    type Row = TerminalRow;

    fn read(&self, fields: &mut Fields<'_>) -> Option<TerminalRow> {
        let id = fields.read("terminal_id", str::parse);
        let merchant_id = fields.read("merchant_id", str::parse);
        let profile = fields.read("profile", |name| Dialect::by_name(name).ok_or(UnknownProfile));
        let mac = fields.read("mac", str::parse);
        let scope = fields.read("scope", str::parse);
        let tmk_wrapped = self.tmk_wrapped(fields, id);
        Some(TerminalRow {
            id: id?,
            merchant_id: merchant_id?,
            profile: profile?.name,
            mac: mac?,
            scope: scope?,
            tmk_wrapped: tmk_wrapped?,
            new_keys_ms: 0,
        })
    }

    fn key(row: &TerminalRow) -> TerminalId {
        row.id
    }

    async fn put(
        &self,
        change: &mut Change,
        rows: &[TerminalRow],
        _: &HashMap<String, i64>,
    ) -> Result<u64, StoreError> {
        change.put_terminals(rows).await
    }
}

impl Terminals<'_> {
    /// The terminal master key as it is stored. Without an id there is no context to wrap it
    /// in; its form is judged all the same.
    fn tmk_wrapped(&self, fields: &mut Fields<'_>, id: Option<TerminalId>) -> Option<Vec<u8>> {
        match (fields.text("tmk").is_empty(), fields.text("tmk_wrapped").is_empty()) {
            (false, true) => {
                let tmk = Zeroizing::new(fields.read("tmk", hex_bytes::<TMK_BYTES>)?);
                let clear = Zeroizing::new(<[u8; TMK_BYTES]>::try_from(tmk.as_slice()).ok()?);
                let id = id?;
                fields.read("tmk", |_| self.master.wrap_tmk(id, &clear))
            }
            (true, false) => {
                let wrapped = fields.read("tmk_wrapped", |text| hex::decode(text).map_err(|_| BadWrapped::Form))?;
                let id = id?;
                fields.read("tmk_wrapped", |_| self.opens(id, &wrapped))?;
                Some(wrapped)
            }
            (true, true) => fields.fault("tmk", "must not be empty, unless tmk_wrapped stands for it".into()),
            (false, false) => fields.fault("tmk", "stands beside tmk_wrapped: give one or the other".into()),
        }
    }

    fn opens(&self, id: TerminalId, wrapped: &[u8]) -> Result<(), BadWrapped> {
        self.master.check_tmk(id, wrapped).map(drop).map_err(|fault| match fault {
            RoomFault::Token(said) => BadWrapped::Token(said),
            _ => BadWrapped::Key,
        })
    }
}
