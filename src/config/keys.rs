//! The configuration's keys: which there are, what they hold, and what is said of others.

use anyhow::{Context, Result, anyhow, bail};
use config::{Map, Value, ValueKind};

/// What a key holds.
#[derive(Debug, Clone, Copy)]
enum Holds {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// Keys of its own.
    Table,
    /// Something that needs a part which isn't there yet.
    NotYet(&'static str),
}

use Holds::{NotYet, Table, Text, Whole};

/// Every key.
const KEYS: &[(&str, Holds)] = &[
    ("data_dir", Text),
    ("timezone", Text),
    ("store.url", Text),
    ("redis.url", NotYet("Redis, which several nodes need")),
    ("switch.listen", Text),
    ("switch.tls", Table),
    ("switch.tls.listen", Text),
    ("switch.tls.cert", Text),
    ("switch.tls.key", Text),
    ("switch.tls.client_ca", Text),
    ("switch.tls.crl", Text),
    ("switch.max_connections", Whole),
    ("switch.idle_timeout_s", Whole),
    ("switch.answer_deadline_ms", Whole),
    ("api.listen", Text),
    ("limits.address_per_s", Whole),
    ("limits.terminal_per_s", Whole),
    ("limits.merchant_per_s", Whole),
    ("limits.sign_in_per_s", Whole),
    ("journal.durability", Text),
    ("journal.interval_ms", Whole),
    ("terminals.session_hours", Whole),
    ("terminals.heartbeat_s", Whole),
    ("terminals.offline_max_fen", Whole),
    ("terminals.offline_max_count", Whole),
    ("terminals.software", Text),
    ("keys.master", Text),
    ("keys.card_hash", Text),
    ("bank", NotYet("bank links")),
];

/// How like a key a variable's name must be to be taken for a slip in it.
const LIKE_A_KEY: f64 = 0.75;

/// Checks every key that a file sets.
pub(super) fn check_file(root: &Value) -> Result<()> {
    check_value("", root)
}

fn check_value(path: &str, value: &Value) -> Result<()> {
    let ValueKind::Table(table) = &value.kind else { return check_key(path, value) };
    // A section that is only named sets nothing.
    if table.is_empty() && !path.is_empty() && !is_section(path) {
        return check_key(path, value);
    }
    table.iter().try_for_each(|(name, value)| {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        check_value(&key, value)
    })
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|(key, _)| key.split_once('.').is_some_and(|(section, _)| section == name))
}

fn check_key(key: &str, value: &Value) -> Result<()> {
    let Some((_, holds)) = KEYS.iter().find(|(known, _)| *known == key) else { return Err(unknown(key)) };
    match (holds, &value.kind) {
        (Text, ValueKind::String(_)) | (Whole, ValueKind::I64(_) | ValueKind::U64(_)) => Ok(()),
        (Text, _) => bail!("the key `{key}` is `{value}`, but must be text in quotation marks"),
        (Whole, _) => bail!("the key `{key}` is `{value}`, but must be a whole number"),
        (Table, ValueKind::Table(_)) => Ok(()),
        (Table, _) => bail!("the key `{key}` is `{value}`, but must be a table of keys"),
        (NotYet(part), _) => bail!("the key `{key}` needs a part that this version doesn't have yet: {part}"),
    }
}

fn unknown(key: &str) -> anyhow::Error {
    anyhow!("there is no key `{key}`; the nearest one is `{}`", nearest(key).0)
}

/// The key most like `key`, and how like it is: 1 is the same.
fn nearest(key: &str) -> (&'static str, f64) {
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(key, known);
    let all = KEYS.iter().map(|(known, _)| (*known, likeness(known)));
    all.max_by(|(_, one), (_, other)| one.total_cmp(other)).unwrap_or_default()
}

/// The `XINGKA_…` variables that name a key. One that has a section, or is nearly a key, is
/// meant as one, and a slip in it is an error; any other belongs to somebody's scripts.
pub(super) fn variables() -> Result<Map<String, String>> {
    let mut known = Map::new();
    for (name, value) in std::env::vars() {
        let Some(path) = name.strip_prefix("XINGKA_") else { continue };
        let key = path.to_lowercase().replace("__", ".");
        if key.contains('.') || nearest(&key).1 >= LIKE_A_KEY {
            check_variable(&key, &value).with_context(|| format!("in the environment variable {name}"))?;
            known.insert(name, value);
        }
    }
    Ok(known)
}

fn check_variable(key: &str, value: &str) -> Result<()> {
    let whole = value.parse().map(|number| Value::new(None, ValueKind::I64(number)));
    let holds_whole = KEYS.iter().any(|(known, holds)| *known == key && matches!(holds, Whole));
    let text = || Value::new(None, ValueKind::String(value.to_owned()));
    check_key(key, &if holds_whole { whole.unwrap_or_else(|_| text()) } else { text() })
}
