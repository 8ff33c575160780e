//! A folder of terminals' certificates, for those who play terminals here: `swipe`, `load`, `conform`.
//!
//! `ca.pem` is the authority of the switch's certificate; each terminal has `ID.pem` and `ID.key`.
//! [`make`] fills such a folder with an authority of its own: for trials and for closed networks. A
//! deployment that has an authority of its own puts that authority's files there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A folder of certificates.
#[derive(Debug, Clone)]
pub struct Wallet {
    folder: PathBuf,
    authorities: Arc<RootCertStore>,
}

impl Wallet {
    /// Opens a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let file = folder.join("ca.pem");
        let text =
            std::fs::read(&file).with_context(|| format!("reading {}, the switch's authority", file.display()))?;
        let mut authorities = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate =
                certificate.with_context(|| format!("{} must hold certificates in PEM", file.display()))?;
            authorities.add(certificate).with_context(|| format!("{} holds no authority", file.display()))?;
        }
        ensure!(!authorities.is_empty(), "{} holds no certificate", file.display());
        Ok(Self { folder: folder.to_owned(), authorities: Arc::new(authorities) })
    }

    /// What a terminal connects with. It keeps the tickets it gets, so each terminal has its own.
    pub fn of(&self, terminal: &str) -> Result<Arc<ClientConfig>> {
        let path = |ending: &str| self.folder.join(format!("{terminal}.{ending}"));
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
        let (certificates, key) = (path("pem"), path("key"));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(&certificates)?).collect();
        let chain = chain.with_context(|| format!("{} must hold a certificate in PEM", certificates.display()))?;
        let private = PrivateKeyDer::from_pem_slice(&read(&key)?)
            .with_context(|| format!("{} must hold a private key in PEM", key.display()))?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(self.authorities.clone())
            .with_client_auth_cert(chain, private)
            .with_context(|| format!("{} and {} can't be used", certificates.display(), key.display()))?;
        // One switch to come back to.
        config.resumption = Resumption::in_memory_sessions(2);
        Ok(Arc::new(config))
    }
}

/// Fills a folder: an authority, a certificate for the switch at these names and addresses, one for each
/// terminal, and an empty revocation list. What is there already stays, so that it can be
/// run again for new terminals.
pub fn make<'t>(folder: &Path, names: &[String], terminals: impl Iterator<Item = &'t str>) -> Result<usize> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let authority = authority(folder)?;
    let mut made = 0;
    if !folder.join("switch.pem").exists() {
        let names: Result<Vec<SanType>> = names.iter().map(|name| san(name)).collect();
        issue(folder, "switch", &authority, names?, ExtendedKeyUsagePurpose::ServerAuth)?;
    }
    for terminal in terminals {
        if !folder.join(format!("{terminal}.pem")).exists() {
            let name = SanType::DnsName(format!("{terminal}.terminal").try_into()?);
            issue(folder, terminal, &authority, vec![name], ExtendedKeyUsagePurpose::ClientAuth)?;
            made += 1;
        }
    }
    if !folder.join(LIST).exists() {
        write_list(folder, &[])?;
    }
    Ok(made)
}

/// Revokes a terminal's certificate: the list is written anew, with all that were revoked before.
pub fn revoke(folder: &Path, terminal: &str) -> Result<()> {
    let names = folder.join("revoked.txt");
    let former = std::fs::read_to_string(&names).unwrap_or_default();
    let mut revoked: Vec<&str> = former.lines().collect();
    if !revoked.contains(&terminal) {
        revoked.push(terminal);
    }
    let serials: Result<Vec<Vec<u8>>> =
        revoked.iter().map(|name| serial(&folder.join(format!("{name}.pem")))).collect();
    write_list(folder, &serials?)?;
    write(&names, &(revoked.join("\n") + "\n"))
}

fn serial(file: &Path) -> Result<Vec<u8>> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let certificate = CertificateDer::from_pem_slice(&text);
    let certificate = certificate.with_context(|| format!("{} must hold a certificate in PEM", file.display()))?;
    let parsed = X509Certificate::from_der(&certificate).map(|(_, parsed)| parsed.raw_serial().to_vec());
    parsed.with_context(|| format!("{} holds no certificate", file.display()))
}

/// The list's file.
const LIST: &str = "crl.pem";

fn write_list(folder: &Path, serials: &[Vec<u8>]) -> Result<()> {
    let revoked = |serial: &Vec<u8>| RevokedCertParams {
        serial_number: SerialNumber::from(serial.clone()),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(LAST_YEAR, 1, 1),
        crl_number: SerialNumber::from(serials.len() as u64 + 1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let signed = list.signed_by(&*authority(folder)?).context("signing the revocation list")?;
    write(&folder.join(LIST), &signed.pem()?)
}

/// Certificates made here end with it: nobody renews those of a trial.
const LAST_YEAR: i32 = 2046;

fn authority(folder: &Path) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let (file, key_file) = (folder.join("ca.pem"), folder.join("ca.key"));
    let key = if key_file.exists() {
        let text = std::fs::read_to_string(&key_file).with_context(|| format!("reading {}", key_file.display()))?;
        KeyPair::from_pem(&text).with_context(|| format!("{} must hold a private key in PEM", key_file.display()))?
    } else {
        ensure!(!file.exists(), "{} is there without its key {}", file.display(), key_file.display());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("making a key")?;
        write(&key_file, &key.serialize_pem())?;
        key
    };
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Xingka terminals");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(LAST_YEAR, 1, 1));
    // Made of the key alone, so that the same key gives the same authority again.
    params.serial_number = Some(SerialNumber::from(1));
    let authority = CertifiedIssuer::self_signed(params, key).context("making an authority")?;
    if !file.exists() {
        write(&file, &authority.pem())?;
    }
    Ok(authority)
}

fn issue(
    folder: &Path,
    name: &str,
    authority: &CertifiedIssuer<'static, KeyPair>,
    names: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
) -> Result<()> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("making a key")?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names;
    params.extended_key_usages = vec![usage];
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(LAST_YEAR, 1, 1));
    let certificate = params.signed_by(&key, authority).with_context(|| format!("making the certificate of {name}"))?;
    write(&folder.join(format!("{name}.key")), &key.serialize_pem())?;
    write(&folder.join(format!("{name}.pem")), &certificate.pem())
}

fn san(name: &str) -> Result<SanType> {
    Ok(match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.to_owned().try_into().with_context(|| format!("`{name}` is no name"))?),
    })
}

/// For its owner only: keys are among them.
fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written =
        options.write(true).create(true).truncate(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing {}", path.display()))
}
