//! `switch.tls`: where terminals connect with TLS, and with which certificates.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use xingka_server::TlsFiles;

use super::address;

/// The table. All of it must be there, but for the revocation list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TlsSettings {
    listen: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    client_ca: Option<String>,
    crl: Option<String>,
}

impl TlsSettings {
    /// Paths are relative to the configuration's folder.
    pub(super) fn check(&self, folder: &Path) -> Result<(SocketAddr, TlsFiles)> {
        let needed = |key: &str, value: &Option<String>| {
            let value = value.clone().filter(|value| !value.is_empty());
            value.with_context(|| format!("`switch.tls` needs the key `switch.tls.{key}`"))
        };
        let path = |key: &str, value: &Option<String>| needed(key, value).map(|path| folder.join(path));
        let listen = address("switch.tls.listen", &needed("listen", &self.listen)?)?;
        let files = TlsFiles {
            cert: path("cert", &self.cert)?,
            key: path("key", &self.key)?,
            client_ca: path("client_ca", &self.client_ca)?,
            crl: self.crl.as_ref().map(|path| folder.join(path)),
        };
        Ok((listen, files))
    }
}
