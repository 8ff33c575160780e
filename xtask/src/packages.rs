//! What tests need of the distribution's packages: installed where that may be done, else named.

use std::path::Path;
use std::process::Command;

use crate::run;

/// A program, its package, and what it is.
const NEEDED: [(&str, &str, &str); 3] = [
    ("softhsm2-util", "softhsm2", "SoftHSM2, against which the PKCS#11 token is tested"),
    ("initdb", "postgresql", "PostgreSQL, where several nodes keep what they share"),
    ("redis-server", "redis-server", "Redis, by which nodes tell each other of changes"),
];

/// Installs what is missing.
pub fn install() -> Result<(), String> {
    for (program, package, what) in NEEDED {
        if !is_there(program) {
            install_one(package).map_err(|fault| {
                format!("`{program}` is missing: {what}. Install it as root with `apt-get install {package}` ({fault})")
            })?;
        }
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's PostgreSQL keeps its servers out of PATH.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let servers = versions.map(|version| version.path().join("bin"));
    std::env::split_paths(&path).chain(servers).any(|folder| folder.join(program).is_file())
}

fn install_one(package: &str) -> Result<(), String> {
    let apt = Path::new("/usr/bin/apt-get");
    if !apt.exists() {
        return Err("this is no Debian".into());
    }
    let get = |args: &[&str]| run(Command::new(apt).args(args).env("DEBIAN_FRONTEND", "noninteractive"));
    let install = ["install", "--yes", "--no-install-recommends", package];
    // The lists of packages may be older than the packages.
    get(&install).or_else(|_| get(&["update"]).and_then(|()| get(&install)))
}
