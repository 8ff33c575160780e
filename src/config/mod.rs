//! The configuration: one TOML file, each key also in the environment.
//!
//! Everything has a default; a key that isn't known is an error that names the nearest
//! one that is, before anything starts. A key whose part this version doesn't have is
//! an error that says so, rather than a setting that does nothing.

mod keys;
mod terminals;
mod tls;
mod token;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use config::{Config as Layers, Environment, File, FileFormat};
use jiff::tz::TimeZone;
use serde::Deserialize;
use terminals::TerminalsSettings;
use tls::TlsSettings;
pub use token::TokenSource;
use xingka_core::pan::CardHasher;
use xingka_server::{LimitSettings, TerminalSettings, TlsFiles};
use xingka_store::journal::Durability;
use xingka_store::vault::MasterKey;

/// The configuration file that `init` writes and every command reads by default.
pub const FILE_NAME: &str = "xingka.toml";

/// What the file and the environment say, with defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Settings {
    data_dir: PathBuf,
    timezone: String,
    store: StoreSettings,
    switch: SwitchSettings,
    journal: JournalSettings,
    keys: KeySettings,
    api: ApiSettings,
    limits: LimitsSettings,
    terminals: TerminalsSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiSettings {
    listen: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct LimitsSettings {
    address_per_s: u32,
    terminal_per_s: u32,
    merchant_per_s: u32,
    sign_in_per_s: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StoreSettings {
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct SwitchSettings {
    listen: String,
    max_connections: usize,
    idle_timeout_s: u64,
    answer_deadline_ms: u64,
    tls: Option<TlsSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct JournalSettings {
    durability: String,
    interval_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct KeySettings {
    master: String,
    card_hash: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            timezone: "Asia/Shanghai".into(),
            store: StoreSettings::default(),
            switch: SwitchSettings::default(),
            journal: JournalSettings::default(),
            keys: KeySettings::default(),
            api: ApiSettings::default(),
            limits: LimitsSettings::default(),
            terminals: TerminalsSettings::default(),
        }
    }
}

impl Default for LimitsSettings {
    fn default() -> Self {
        let LimitSettings { address_per_s, terminal_per_s, merchant_per_s, sign_in_per_s } = LimitSettings::default();
        let number = |limit: Option<NonZeroU32>| limit.map_or(0, NonZeroU32::get);
        Self {
            address_per_s: number(address_per_s),
            terminal_per_s: number(terminal_per_s),
            merchant_per_s: number(merchant_per_s),
            sign_in_per_s: number(sign_in_per_s),
        }
    }
}

impl LimitsSettings {
    /// 0 is no limit.
    fn check(&self) -> LimitSettings {
        LimitSettings {
            address_per_s: NonZeroU32::new(self.address_per_s),
            terminal_per_s: NonZeroU32::new(self.terminal_per_s),
            merchant_per_s: NonZeroU32::new(self.merchant_per_s),
            sign_in_per_s: NonZeroU32::new(self.sign_in_per_s),
        }
    }
}

impl Default for SwitchSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8583".into(),
            max_connections: 20_000,
            idle_timeout_s: 300,
            answer_deadline_ms: 3_000,
            tls: None,
        }
    }
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self { durability: "before-answer".into(), interval_ms: None }
    }
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { master: "file:master.key".into(), card_hash: "file:card-hash.key".into() }
    }
}

/// A deployment, checked: every path absolute or relative to where the program runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the configuration file is.
    pub file: PathBuf,
    /// The folder of journal, store and reject files.
    pub data_dir: PathBuf,
    /// The zone in which days, hours and card months are counted.
    pub zone: TimeZone,
    /// The central store.
    pub store_url: String,
    /// Where terminals connect without TLS, if they may.
    pub listen: Option<SocketAddr>,
    /// Where they connect with TLS, and the certificates for it.
    pub tls: Option<(SocketAddr, TlsFiles)>,
    /// Connections at a time.
    pub max_connections: usize,
    /// After which a silent connection is closed.
    pub idle_timeout: Duration,
    /// From a request's arrival to the decision.
    pub answer_deadline: Duration,
    /// When an answer may leave.
    pub durability: Durability,
    /// Everybody's share of the switch.
    pub limits: LimitSettings,
    /// What terminals are told.
    pub terminals: TerminalSettings,
    /// Where the API listens.
    pub api: ApiAddress,
    master: KeySource,
    card_hash: KeySource,
}

/// Where the API listens.
#[derive(Debug, Clone, Copy)]
pub enum ApiAddress {
    /// Where nothing is set. Another program may have the port: the switch then runs without.
    Default(SocketAddr),
    /// Where somebody said.
    Set(SocketAddr),
}

/// Where a key is to be found.
#[derive(Debug, Clone)]
enum KeySource {
    File(PathBuf),
    Environment(String),
    Token(TokenSource),
}

impl Config {
    /// Reads and checks a configuration file and the environment.
    pub fn load(file: &Path) -> Result<Self> {
        ensure!(
            file.is_file(),
            "there is no configuration file {}: name one with --config, or make one with `xingka init DIR`",
            file.display()
        );
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let settings = settings(&text).with_context(|| format!("in {}", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        settings.check(file, folder).with_context(|| format!("in {}", file.display()))
    }

    /// The node's journal.
    pub fn journal_path(&self) -> PathBuf {
        self.data_dir.join("journal.db")
    }

    /// Where imports leave what they rejected.
    pub fn rejects_dir(&self) -> PathBuf {
        self.data_dir.join("rejects")
    }

    /// Where a terminal of this deployment connects, with TLS or without.
    pub fn address(&self, tls: bool) -> Result<SocketAddr> {
        let with_tls = self.tls.as_ref().map(|(address, _)| *address);
        match (tls, self.listen, with_tls) {
            (false, Some(address), _) | (true, _, Some(address)) => Ok(address),
            (true, _, None) => bail!("there is no `switch.tls` in {}", self.file.display()),
            (false, None, _) => bail!("there is no plain TCP in {}: connect with --tls", self.file.display()),
        }
    }

    /// Keys that lie in files.
    pub fn key_files(&self) -> impl Iterator<Item = &Path> {
        [&self.master, &self.card_hash].into_iter().filter_map(|source| match source {
            KeySource::File(path) => Some(path.as_path()),
            KeySource::Token(source) => source.pin_file(),
            KeySource::Environment(_) => None,
        })
    }

    /// The key that wraps others, wherever it is kept.
    pub fn master_key(&self) -> Result<MasterKey> {
        match &self.master {
            KeySource::Token(source) => Ok(MasterKey::in_room(source.open()?)),
            source => Ok(MasterKey::new(source.read("keys.master")?)),
        }
    }

    /// The token that keeps the master key, if one does.
    pub fn token(&self) -> Option<&TokenSource> {
        match &self.master {
            KeySource::Token(source) => Some(source),
            _ => None,
        }
    }

    /// What card numbers are hashed with.
    pub fn card_hasher(&self) -> Result<CardHasher> {
        Ok(CardHasher::new(&self.card_hash.read("keys.card_hash")?))
    }
}

/// Layers the file and the environment, and refuses unknown keys.
fn settings(text: &str) -> Result<Settings> {
    let file = Layers::builder().add_source(File::from_str(text, FileFormat::Toml)).build()?;
    keys::check_file(&file.cache)?;
    let environment = Environment::with_prefix("XINGKA").prefix_separator("_").separator("__").try_parsing(true);
    let environment = environment.source(Some(keys::variables()?));
    let layers = Layers::builder().add_source(file).add_source(environment).build()?;
    layers.try_deserialize().map_err(|error| anyhow!("a value is wrong: {error}"))
}

impl Settings {
    fn check(self, file: &Path, folder: &Path) -> Result<Config> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(bad("data_dir", "", "a folder"));
        }
        let data_dir = folder.join(&self.data_dir);
        Ok(Config {
            file: file.to_owned(),
            zone: zone(&self.timezone)?,
            store_url: store_url(self.store.url.as_deref(), folder, &data_dir)?,
            listen: plain_address(&self.switch)?,
            tls: self.switch.tls.as_ref().map(|tls| tls.check(folder)).transpose()?,
            max_connections: at_least_one("switch.max_connections", self.switch.max_connections as u64)? as usize,
            idle_timeout: Duration::from_secs(at_least_one("switch.idle_timeout_s", self.switch.idle_timeout_s)?),
            answer_deadline: Duration::from_millis(at_least_one(
                "switch.answer_deadline_ms",
                self.switch.answer_deadline_ms,
            )?),
            durability: self.journal.durability()?,
            limits: self.limits.check(),
            terminals: self.terminals.check(self.switch.answer_deadline_ms)?,
            api: api_address(self.api.listen.as_deref())?,
            master: KeySource::parse("keys.master", &self.keys.master, folder)?,
            card_hash: KeySource::parse("keys.card_hash", &self.keys.card_hash, folder)?,
            data_dir,
        })
    }
}

impl JournalSettings {
    fn durability(&self) -> Result<Durability> {
        at_least_one("journal.interval_ms", self.interval_ms.unwrap_or(1))?;
        match (self.durability.as_str(), self.interval_ms) {
            ("before-answer", _) => Ok(Durability::BeforeAnswer),
            ("interval", Some(ms @ 1..)) => Ok(Durability::Interval(Duration::from_millis(ms))),
            ("interval", _) => {
                bail!("`journal.durability = \"interval\"` needs `journal.interval_ms`, 1 or more")
            }
            (other, _) => Err(bad("journal.durability", other, "\"before-answer\" or \"interval\"")),
        }
    }
}

fn address(key: &str, text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| bad(key, text, "an address and port such as 127.0.0.1:8583"))
}

/// `none` is no plain TCP at all: only where there is TLS.
fn plain_address(switch: &SwitchSettings) -> Result<Option<SocketAddr>> {
    if switch.listen != "none" {
        return address("switch.listen", &switch.listen).map(Some);
    }
    ensure!(
        switch.tls.is_some(),
        "with `switch.listen = \"none\"` there must be `switch.tls`: else nobody can connect"
    );
    Ok(None)
}

fn api_address(listen: Option<&str>) -> Result<ApiAddress> {
    match listen {
        Some(listen) => address("api.listen", listen).map(ApiAddress::Set),
        None => Ok(ApiAddress::Default(SocketAddr::from(([127, 0, 0, 1], 8080)))),
    }
}

fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| bad("timezone", name, "a name of the time zone database such as Asia/Shanghai"))
}

fn store_url(url: Option<&str>, folder: &Path, data_dir: &Path) -> Result<String> {
    let Some(url) = url else {
        return Ok(format!("sqlite:{}", data_dir.join("xingka.db").display()));
    };
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Ok(url.to_owned());
    }
    // Never the whole of it: a password may be in it.
    let scheme = url.split(':').next().unwrap_or_default();
    let wanted = "sqlite:PATH or postgres://USER@HOST:PORT/DATABASE";
    let path = url.strip_prefix("sqlite:").ok_or_else(|| bad("store.url", scheme, wanted))?;
    Ok(format!("sqlite:{}", folder.join(path.trim_start_matches("//")).display()))
}

fn at_least_one(key: &str, number: u64) -> Result<u64> {
    if number == 0 { Err(bad(key, "0", "1 or more")) } else { Ok(number) }
}

fn bad(key: &str, value: &str, wanted: &str) -> anyhow::Error {
    anyhow!("the key `{key}` is {value:?}, but must be {wanted}")
}

impl KeySource {
    fn parse(key: &str, text: &str, folder: &Path) -> Result<Self> {
        match text.split_once(':') {
            Some(("file", path)) => Ok(Self::File(folder.join(path))),
            Some(("env", name)) => Ok(Self::Environment(name.to_owned())),
            Some(("pkcs11", rest)) if key == "keys.master" => TokenSource::parse(rest, folder).map(Self::Token),
            // Not quoted: somebody may have put the key itself here.
            _ => bail!(
                "the key `{key}` must be file:PATH or env:NAME{}",
                if key == "keys.master" { ", or pkcs11:LIBRARY?token=LABEL&pin=…" } else { "" }
            ),
        }
    }

    fn read(&self, key: &str) -> Result<[u8; 32]> {
        let text = match self {
            Self::File(path) => std::fs::read_to_string(path)
                .with_context(|| format!("reading {}, which the key `{key}` names", path.display()))?,
            Self::Environment(name) => std::env::var(name)
                .with_context(|| format!("the environment variable {name}, which the key `{key}` names"))?,
            Self::Token(_) => bail!("the key `{key}` can't be kept in a token"),
        };
        parse_key(text.trim()).with_context(|| format!("what the key `{key}` names must hold 64 hexadecimal digits"))
    }
}

fn parse_key(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    Some(key)
}
