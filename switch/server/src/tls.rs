//! TLS for terminals: a certificate for each, its id in it, checked against an authority and a list
//! of those revoked; and handshakes that leave room for swipes.
//!
//! A fleet that comes back after a power cut shakes hands all at once. Two things keep that from
//! standing in the way of those who are connected: sessions are resumed from tickets, which costs
//! a fraction of a full handshake and needs no memory here, and no more than half of the cores do the
//! arithmetic of handshakes at a time.
//!
//! rustls checks a client's certificate in a full handshake only; a resumed session brings the
//! certificate it began with. So it is checked again here: who was revoked meanwhile stays out.
//!
//! Files are read again when they change. New handshakes see the new ones; lines that are open go on.
//! Refused: closing the lines of those who were revoked at once (an operator who wants that removes the
//! terminal, or its keys), a session cache (its size is a limit for the fleet, a ticket has none).

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use xingka_core::ids::TerminalId;

use crate::line::{flush, process, receive};

/// From a connection's first byte to the end of its handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// What follows the terminal's id in its certificate's DNS name.
const NAME_SUFFIX: &str = ".terminal";

/// Where the certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The switch's certificate and those between it and its authority, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The authority of terminals' certificates, PEM.
    pub client_ca: PathBuf,
    /// Who was revoked, PEM; nobody where there is none.
    pub crl: Option<PathBuf>,
}

/// Why certificates can't be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read {}, which the key `switch.tls.{key}` names: {source}", path.display())]
    File {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{}, which the key `switch.tls.{key}` names, must hold {wanted} in PEM", path.display())]
    Pem {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// They don't go together.
    #[error("the switch's certificate and key can't be used: {0}")]
    Pair(rustls::Error),
    /// The authority or the list can't be used.
    #[error("the key `switch.tls.client_ca` or `switch.tls.crl` names what can't be used: {0}")]
    Authority(String),
}

/// Why a handshake came to nothing.
#[derive(Debug, Error)]
pub(crate) enum HandshakeFault {
    /// It took too long.
    #[error("it took longer than {} s", HANDSHAKE_PATIENCE.as_secs())]
    Slow,
    /// The line broke, or what came was no handshake.
    #[error("{0}")]
    Broken(std::io::Error),
    /// There was no certificate, or none that is good here.
    #[error("no certificate that is good here: {0}")]
    Certificate(rustls::Error),
    /// A session was resumed whose certificate is no longer good.
    #[error("its certificate is no longer good: {0}")]
    Revoked(rustls::Error),
    /// The certificate says of no terminal that it is its.
    #[error("its certificate has no single DNS name like QZ000001{NAME_SUFFIX}")]
    Unnamed,
}

impl From<std::io::Error> for HandshakeFault {
    fn from(error: std::io::Error) -> Self {
        let said = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match said {
            Some(fault @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
                Self::Certificate(fault.clone())
            }
            _ => Self::Broken(error),
        }
    }
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Vec<u8>,
    crl: Option<Vec<u8>>,
}

/// Made of one reading of the files.
struct Loaded {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Shakes hands with terminals.
pub(crate) struct Acceptor {
    files: TlsFiles,
    loaded: ArcSwap<Loaded>,
    contents: parking_lot::Mutex<Contents>,
    tickets: Arc<dyn ProducesTickets>,
    /// For the arithmetic.
    cores: Semaphore,
}

/// A terminal that shook hands.
pub(crate) struct Greeted {
    pub(crate) session: Box<ServerConnection>,
    pub(crate) terminal: TerminalId,
    pub(crate) resumed: bool,
}

impl Acceptor {
    /// Reads the files.
    pub(crate) fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let tickets = ring::Ticketer::new().map_err(TlsError::Pair)?;
        let loaded = contents.load(&files, tickets.clone())?;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1);
        Ok(Self {
            files,
            loaded: ArcSwap::from_pointee(loaded),
            contents: parking_lot::Mutex::new(contents),
            tickets,
            cores: Semaphore::new(cores),
        })
    }

    /// Takes the files on if they have changed; whether they have. What was there stays if they can't
    /// be used.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.files)?;
        let mut former = self.contents.lock();
        if *former == contents {
            return Ok(false);
        }
        self.loaded.store(Arc::new(contents.load(&self.files, self.tickets.clone())?));
        *former = contents;
        Ok(true)
    }

    /// Shakes hands on a new connection.
    pub(crate) async fn greet(&self, stream: &TcpStream) -> Result<Greeted, HandshakeFault> {
        let mut patience = Patience(HANDSHAKE_PATIENCE);
        let loaded = self.loaded.load_full();
        let session = ServerConnection::new(loaded.config.clone()).map_err(std::io::Error::other)?;
        let mut session = Box::new(session);
        while session.is_handshaking() {
            patience.wait(flush(&mut session, stream)).await?;
            if session.is_handshaking() && patience.wait(receive(&mut session, stream)).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            // Never closed, so always had; waiting for it is what leaves the other cores to swipes.
            let core = self.cores.acquire().await;
            let processed = process(&mut session);
            drop(core);
            if processed.is_err() {
                // The peer is told why, if it still listens.
                let _ = patience.wait(flush(&mut session, stream)).await;
            }
            processed?;
        }
        patience.wait(flush(&mut session, stream)).await?;
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let terminal = loaded.terminal_of(&session, resumed)?;
        Ok(Greeted { session, terminal, resumed })
    }
}

/// What is left of the time that a peer has. Waiting for a core isn't the peer's fault: what was begun in
/// a crowd is finished.
struct Patience(Duration);

impl Patience {
    async fn wait<T>(&mut self, work: impl Future<Output = std::io::Result<T>>) -> Result<T, HandshakeFault> {
        let begun = Instant::now();
        let done = timeout(self.0, work).await.map_err(|_| HandshakeFault::Slow)?;
        self.0 = self.0.saturating_sub(begun.elapsed());
        Ok(done?)
    }
}

impl Loaded {
    fn terminal_of(&self, session: &ServerConnection, resumed: bool) -> Result<TerminalId, HandshakeFault> {
        let (certificate, between) =
            session.peer_certificates().and_then(<[_]>::split_first).ok_or(HandshakeFault::Unnamed)?;
        if resumed {
            let verified = self.verifier.verify_client_cert(certificate, between, UnixTime::now());
            verified.map_err(HandshakeFault::Revoked)?;
        }
        terminal_named(certificate).ok_or(HandshakeFault::Unnamed)
    }
}

/// The terminal whose certificate it is: its id is the one DNS name that ends in `.terminal`. Names
/// know no case; ids are written in capitals.
fn terminal_named(certificate: &CertificateDer<'_>) -> Option<TerminalId> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut terminals = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => name.to_ascii_lowercase().strip_suffix(NAME_SUFFIX).map(str::to_ascii_uppercase),
        _ => None,
    });
    match (terminals.next(), terminals.next()) {
        (Some(id), None) => id.parse().ok(),
        _ => None,
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |key, path: &PathBuf| {
            std::fs::read(path).map_err(|source| TlsError::File { key, path: path.clone(), source })
        };
        Ok(Self {
            cert: read("cert", &files.cert)?,
            key: read("key", &files.key)?,
            client_ca: read("client_ca", &files.client_ca)?,
            crl: files.crl.as_ref().map(|path| read("crl", path)).transpose()?,
        })
    }

    fn load(&self, files: &TlsFiles, tickets: Arc<dyn ProducesTickets>) -> Result<Loaded, TlsError> {
        let pem = |key, path: &PathBuf, wanted| TlsError::Pem { key, path: path.clone(), wanted };
        let bad_cert = || pem("cert", &files.cert, "a certificate");
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(&self.cert).collect::<Result<_, _>>().map_err(|_| bad_cert())?;
        if chain.is_empty() {
            return Err(bad_cert());
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| pem("key", &files.key, "a private key"))?;
        let verifier = self.verifier(files)?;
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Pair)?
            .with_client_cert_verifier(verifier.clone())
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        config.ticketer = tickets;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A terminal has one line: it comes back with the one ticket it got.
        config.send_tls13_tickets = 1;
        Ok(Loaded { config: Arc::new(config), verifier })
    }

    fn verifier(&self, files: &TlsFiles) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let bad =
            || TlsError::Pem { key: "client_ca", path: files.client_ca.clone(), wanted: "an authority's certificate" };
        let mut authorities = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.client_ca) {
            authorities.add(certificate.map_err(|_| bad())?).map_err(|_| bad())?;
        }
        if authorities.is_empty() {
            return Err(bad());
        }
        let lists: Result<Vec<_>, _> =
            self.crl.iter().flat_map(|crl| CertificateRevocationListDer::pem_slice_iter(crl)).collect();
        let path = files.crl.clone().unwrap_or_default();
        let bad_list = || TlsError::Pem { key: "crl", path: path.clone(), wanted: "a revocation list" };
        let lists = lists.map_err(|_| bad_list())?;
        // A file that is just being written anew must not let everybody in again.
        if files.crl.is_some() && lists.is_empty() {
            return Err(bad_list());
        }
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
        // Where there are lists, there must be one of the authority that a certificate is from.
        let builder =
            if lists.is_empty() { builder } else { builder.with_crls(lists).only_check_end_entity_revocation() };
        builder.build().map(|verifier| verifier as _).map_err(|error| TlsError::Authority(error.to_string()))
    }
}

/// Checks the files without serving from them, for `xingka doctor`: until when the switch's own
/// certificate is good, in seconds since 1970.
pub fn check_tls_files(files: &TlsFiles) -> Result<i64, TlsError> {
    let contents = Contents::read(files)?;
    contents.load(files, ring::Ticketer::new().map_err(TlsError::Pair)?)?;
    let unreadable = || TlsError::Pem { key: "cert", path: files.cert.clone(), wanted: "a certificate" };
    let first = CertificateDer::from_pem_slice(&contents.cert).map_err(|_| unreadable())?;
    let (_, parsed) = X509Certificate::from_der(&first).map_err(|_| unreadable())?;
    Ok(parsed.validity().not_after.timestamp())
}
