//! A running node: listens, keeps its memory true, stops cleanly.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use xingka_core::pan::CardHasher;
use xingka_store::journal::anchor::{ANCHOR_KEY_LABEL, AnchorKey};
use xingka_store::journal::{Durability, JournalAt, JournalError};
use xingka_store::register::{Register, RegisterError};
use xingka_store::vault::MasterKey;
use xingka_store::{City, Store, StoreError};

use crate::clock::Clock;
use crate::engine::{Engine, Parts, every};
use crate::health::Health;
use crate::listener::{Door, accept};
use crate::node::Node;
use crate::settings::Settings;
use crate::tls::{Acceptor, TlsError};

/// How often the journal's head is anchored, where it moved: what is tampered with behind the
/// newest anchor can't be told from honest records.
const ANCHOR_EVERY: Duration = Duration::from_secs(30);

/// Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const WAITING_TO_BE_ACCEPTED: u32 = 4_096;

/// How long a stopping node waits for the register to take in what it has.
const LAST_SHIPMENT: Duration = Duration::from_secs(3);

/// How often certificates' files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(1);

/// Why a node can't start or stop.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Its address can't be had.
    #[error("can't listen on {address}: {source}; choose another address with `{key}`")]
    Listen {
        /// The configuration's key.
        key: &'static str,
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Another node has the journal.
    #[error("another node is serving from {}: stop it, or give this one a `data_dir` of its own", folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// The lock that keeps other nodes away can't be had.
    #[error("can't lock {}: {source}", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal can't be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The register can't be asked.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A node that answers.
pub struct Service {
    node: Arc<Node>,
    plain: Option<SocketAddr>,
    tls: Option<SocketAddr>,
    anchors: Anchors,
    stop: watch::Sender<bool>,
    accepting: JoinSet<()>,
    keeping: JoinSet<()>,
    /// Held as long as the node may write its journal; the system lets go of it at any end.
    _lock: File,
}

impl Service {
    /// Sends the register what it doesn't have yet, and begins to answer.
    pub async fn start(
        settings: Settings,
        (store, register): (Store, Arc<dyn Register>),
        master: MasterKey,
        hasher: CardHasher,
    ) -> Result<Self, ServiceError> {
        let lock = lock(&settings.journal)?;
        store.check_keys(&master, &hasher).await?;
        let anchor_key = AnchorKey::new(&master.derive(ANCHOR_KEY_LABEL).map_err(StoreError::from)?);
        let city = City::load(&store).await?;
        let journal = JournalAt::File(settings.journal.clone());
        journal.create(settings.node).await?;
        let doors = Doors::open(&settings)?;
        if let Durability::Interval(interval) = settings.durability {
            tracing::warn!(?interval, "answers leave before they are recorded; a crash may lose the last interval");
        }
        let store = Arc::new(store);
        let newest = Arc::new(AtomicU64::new(newest_anchor(&store, settings.node).await?));
        let clock = Clock::new(settings.zone.clone());
        let parts = Parts { city, feed: store.clone(), register, journal, master, hasher, clock };
        let Engine { node, mut keeping } = Engine::start(settings, parts).await?;
        let (stop, stopping) = watch::channel(false);
        let anchors = Anchors { node: node.clone(), store, key: anchor_key, newest };
        keeping.spawn(anchor_often(anchors.clone()));
        let Doors { plain, tls } = doors;
        if let Some(acceptor) = tls.as_ref().and_then(|(door, _)| door.tls.clone()) {
            keeping.spawn(reload(node.clone(), acceptor));
        }
        let address = |door: &Option<(Door, SocketAddr)>| door.as_ref().map(|(_, address)| *address);
        let (plain_address, tls_address) = (address(&plain), address(&tls));
        let room = Arc::new(Semaphore::new(node.settings.max_connections));
        let mut accepting = JoinSet::new();
        for (door, _) in plain.into_iter().chain(tls) {
            accepting.spawn(accept(node.clone(), door, room.clone(), stopping.clone()));
        }
        Ok(Self { node, plain: plain_address, tls: tls_address, anchors, stop, accepting, keeping, _lock: lock })
    }

    /// Where terminals connect without TLS, if they may.
    pub fn address(&self) -> Option<SocketAddr> {
        self.plain
    }

    /// Where they connect with TLS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls
    }

    /// How it is, for those who watch it.
    pub fn health(&self) -> Health {
        Health::of(&self.node)
    }

    /// Commits of the journal so far.
    pub fn commits(&self) -> u64 {
        self.node.journal.commits()
    }

    /// No new work; answers what is in flight; anchors and closes the journal.
    pub async fn stop(self) -> Result<(), ServiceError> {
        let Self { node, anchors, stop, mut accepting, mut keeping, .. } = self;
        // Nobody listening means that nobody is left to stop.
        let _ = stop.send(true);
        while accepting.join_next().await.is_some() {}
        node.journal.flush().await;
        anchors.anchor().await?;
        // What doesn't arrive now is sent at the next start.
        let (committed, _) = node.journal.standing();
        if timeout(LAST_SHIPMENT, node.reach.until_shipped(committed)).await.is_err() {
            tracing::warn!("the register couldn't take in the journal's end; the next start sends it");
        }
        keeping.shutdown().await;
        tracing::info!("stopped");
        drop(anchors);
        match Arc::try_unwrap(node) {
            Ok(node) => Ok(node.close().await?),
            // A connection that outlived its patience; the journal is flushed already.
            Err(_) => Ok(()),
        }
    }
}

/// One node writes a journal.
fn lock(journal: &Path) -> Result<File, ServiceError> {
    let path = journal.with_extension("lock");
    let failed = |source| ServiceError::Lock { path: path.clone(), source };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let folder = journal.parent().unwrap_or(Path::new(".")).to_owned();
            Err(ServiceError::Taken { folder })
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Where terminals come in, opened.
struct Doors {
    plain: Option<(Door, SocketAddr)>,
    tls: Option<(Door, SocketAddr)>,
}

impl Doors {
    fn open(settings: &Settings) -> Result<Self, ServiceError> {
        let mut doors = Self { plain: None, tls: None };
        if let Some(wanted) = settings.listen {
            let (listener, address) = listen("switch.listen", wanted)?;
            doors.plain = Some((Door { listener, tls: None }, address));
        }
        if let Some((wanted, files)) = &settings.tls {
            let acceptor = Arc::new(Acceptor::new(files.clone())?);
            let (listener, address) = listen("switch.tls.listen", *wanted)?;
            doors.tls = Some((Door { listener, tls: Some(acceptor) }, address));
        }
        Ok(doors)
    }
}

/// Takes on certificates and revocation lists when their files change.
async fn reload(node: Arc<Node>, acceptor: Arc<Acceptor>) {
    let mut ticks = interval(RELOAD_EVERY);
    let mut said = None;
    loop {
        ticks.tick().await;
        // A few small files; still, a disk may take its time.
        let reading = acceptor.clone();
        let Ok(reloaded) = tokio::task::spawn_blocking(move || reading.reload()).await else { continue };
        match reloaded {
            Ok(false) => said = None,
            Ok(true) => {
                said = None;
                node.metrics.tls_reloads.increment(1);
                tracing::info!("new certificates are in force for new connections");
            }
            Err(error) => {
                let error = error.to_string();
                // Once, not every second until somebody comes.
                if said.as_ref() != Some(&error) {
                    node.metrics.tls_reloads_failed.increment(1);
                    tracing::error!(%error, "the changed certificates can't be used; the former ones stay");
                    said = Some(error);
                }
            }
        }
    }
}

/// With a queue for a fleet that comes back at once: where it is full, whoever knocks waits a second or
/// more before knocking again.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart finds lines of the former run still closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_TO_BE_ACCEPTED)
}

fn listen(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServiceError> {
    let failed = |source| ServiceError::Listen { key, address, source };
    let listener = bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn newest_anchor(store: &Store, node: u16) -> Result<u64, StoreError> {
    let anchors = store.anchors().await?;
    let ours = anchors.iter().filter(|anchor| anchor.node == node);
    Ok(ours.map(|anchor| anchor.sequence).max().unwrap_or(0))
}

/// Signs the journal's head into the central store.
#[derive(Clone)]
struct Anchors {
    node: Arc<Node>,
    store: Arc<Store>,
    key: AnchorKey,
    /// The newest anchor's place.
    newest: Arc<AtomicU64>,
}

impl Anchors {
    async fn anchor(&self) -> Result<(), StoreError> {
        let head = self.node.journal.head();
        let (sequence, hash) = head;
        if self.newest.load(Ordering::Relaxed) >= sequence {
            return Ok(());
        }
        let anchor = self.key.sign(self.node.settings.node, head, self.node.clock.now().epoch_ms);
        self.store.write_anchor(&anchor).await?;
        self.newest.store(sequence, Ordering::Relaxed);
        tracing::info!(sequence, %hash, "anchored");
        Ok(())
    }
}

async fn anchor_often(anchors: Anchors) {
    every(ANCHOR_EVERY, || async {
        match timeout(ANCHOR_EVERY, anchors.anchor()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the journal can't be anchored; trying again"),
            Err(_) => tracing::error!("anchoring the journal takes too long; trying again"),
        }
    })
    .await;
}
