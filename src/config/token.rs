//! `keys.master = "pkcs11:LIBRARY?token=LABEL&pin=file:PATH"`: a token that keeps the master key.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xingka_security::token::Token;
use zeroize::Zeroizing;

/// Which token, and where its PIN is to be found.
#[derive(Debug, Clone)]
pub struct TokenSource {
    library: PathBuf,
    label: String,
    pin: Pin,
}

#[derive(Debug, Clone)]
enum Pin {
    File(PathBuf),
    Environment(String),
}

const WANTED: &str = "the key `keys.master` must be pkcs11:LIBRARY?token=LABEL&pin=file:PATH, or pin=env:NAME";

impl TokenSource {
    /// Reads what follows `pkcs11:`. A PIN itself is never in the configuration.
    pub(super) fn parse(text: &str, folder: &Path) -> Result<Self> {
        let (library, query) = text.split_once('?').context(WANTED)?;
        let (mut label, mut pin) = (None, None);
        for part in query.split('&') {
            match part.split_once('=') {
                Some(("token", value)) if !value.is_empty() => label = Some(value.to_owned()),
                Some(("pin", value)) => pin = Some(Pin::parse(value, folder)?),
                _ => bail!(WANTED),
            }
        }
        let library = folder.join(library);
        Ok(Self { library, label: label.context(WANTED)?, pin: pin.context(WANTED)? })
    }

    /// Opens it. One that has no keys yet is to be provisioned first.
    pub fn open(&self) -> Result<Token> {
        let pin = self.pin.read()?;
        let token = Token::open(&self.library, &self.label, &pin);
        token.with_context(|| format!("opening the token {:?}, which the key `keys.master` names", self.label))
    }

    /// The file that holds its PIN.
    pub(super) fn pin_file(&self) -> Option<&Path> {
        match &self.pin {
            Pin::File(path) => Some(path),
            Pin::Environment(_) => None,
        }
    }
}

impl Pin {
    fn parse(text: &str, folder: &Path) -> Result<Self> {
        match text.split_once(':') {
            Some(("file", path)) => Ok(Self::File(folder.join(path))),
            Some(("env", name)) => Ok(Self::Environment(name.to_owned())),
            // Not quoted: somebody may have put the PIN itself here.
            _ => bail!(WANTED),
        }
    }

    fn read(&self) -> Result<Zeroizing<String>> {
        let text = match self {
            Self::File(path) => std::fs::read_to_string(path)
                .with_context(|| format!("reading {}, which holds the token's PIN", path.display()))?,
            Self::Environment(name) => std::env::var(name)
                .with_context(|| format!("the environment variable {name}, which holds the token's PIN"))?,
        };
        let text = Zeroizing::new(text);
        Ok(Zeroizing::new(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_without_the_pin() {
        let folder = Path::new("/etc/xingka");
        let source = TokenSource::parse("/usr/lib/x.so?token=city&pin=file:token.pin", folder).unwrap();
        assert_eq!((source.label.as_str(), source.pin_file()), ("city", Some(Path::new("/etc/xingka/token.pin"))));
        for text in [
            "/usr/lib/x.so",
            "x.so?token=city",
            "x.so?pin=env:P",
            "x.so?token=city&pin=271828",
            "x.so?token=&pin=env:P",
        ] {
            let error = TokenSource::parse(text, folder).unwrap_err().to_string();
            assert!(error.contains("keys.master") && !error.contains("271828"), "{error}");
        }
    }
}
