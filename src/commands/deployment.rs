//! What commands on a deployment share: its configuration and its store, opened.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use xingka_core::pan::CardHasher;
use xingka_server::{Service, Settings};
use xingka_store::Store;
use xingka_store::journal::anchor::{ANCHOR_KEY_LABEL, AnchorKey};
use xingka_store::journal::{Journal, JournalReader};
use xingka_store::register::{Register, SqlRegister};
use xingka_store::vault::MasterKey;

use crate::config::Config;

/// The number of a node that shares its store with nobody.
const ALONE: u16 = 0;

/// A deployment's parts.
pub struct Deployment {
    pub config: Config,
    pub store: Store,
    pub master: MasterKey,
    pub card_hasher: CardHasher,
}

impl Deployment {
    /// Opens what a configuration file describes.
    pub async fn open(file: &Path) -> Result<Self> {
        let config = Config::load(file)?;
        let master = config.master_key()?;
        let card_hasher = config.card_hasher()?;
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("making the data folder {}", config.data_dir.display()))?;
        let store = Store::open(&config.store_url, true).await?;
        Ok(Self { config, store, master, card_hasher })
    }

    /// The journal, to read it beside a node that may be writing it.
    pub async fn journal(&self) -> Result<JournalReader> {
        let path = self.config.journal_path();
        anyhow::ensure!(
            path.is_file(),
            "there is no journal yet at {}: it begins with the first `xingka serve`",
            path.display()
        );
        Ok(JournalReader::open(&path).await?)
    }

    /// What signs anchors.
    pub fn anchor_key(&self) -> Result<AnchorKey> {
        Ok(AnchorKey::new(&self.master.derive(ANCHOR_KEY_LABEL)?))
    }

    /// Which records stand.
    pub fn register(&self) -> Arc<dyn Register> {
        Arc::new(SqlRegister::new(self.store.clone()))
    }

    /// This deployment's number among the nodes: its journal's. Where several share a store, a journal in which
    /// nothing stands yet gets the next one.
    async fn node(&self) -> Result<u16> {
        let path = self.config.journal_path();
        Journal::create(&path, ALONE).await?;
        let mut reader = JournalReader::open(&path).await?;
        let begun = !reader.groups(1).await?.is_empty();
        let node = reader.node();
        reader.close().await?;
        if begun || node != ALONE || !self.store.is_shared() {
            return Ok(node);
        }
        let node = self.store.new_node().await?;
        Journal::number(&path, node).await?;
        Ok(node)
    }

    /// Starts the node: from here on it answers.
    pub async fn start(self) -> Result<Service> {
        let settings = Settings {
            node: self.node().await?,
            listen: self.config.listen,
            tls: self.config.tls.clone(),
            journal: self.config.journal_path(),
            durability: self.config.durability,
            zone: self.config.zone.clone(),
            max_connections: self.config.max_connections,
            idle_timeout: self.config.idle_timeout,
            answer_deadline: self.config.answer_deadline,
            limits: self.config.limits,
            terminals: self.config.terminals,
        };
        let register = self.register();
        Ok(Service::start(settings, (self.store, register), self.master, self.card_hasher).await?)
    }
}

/// Where a node made here listens: it always has plain TCP.
pub fn plain(service: &Service) -> Result<SocketAddr> {
    service.address().context("a switch without plain TCP")
}
