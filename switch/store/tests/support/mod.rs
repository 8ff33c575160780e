//! A deployment in a temporary folder: a store, its keys, and a city folder to fill it from.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xingka_core::pan::CardHasher;
use xingka_store::city_folder::{FileReport, ImportError, ImportKeys, ImportReport, export, import};
use xingka_store::vault::MasterKey;
use xingka_store::{City, Store};
use xingka_testbed::Postgres;

pub const HOLDERS: &str = "holder_id,category,star,status\nH1,farmer,5,active\nH2,enterprise,3,active\n";
pub const MERCHANTS: &str =
    "merchant_id,name,kind,mcc,circle,region\n999520158120000,诚信一号店,merchant,5812,member,520181\n";
pub const CARDS: &str = "pan,holder_id,status,expires\n6299990000000000012,H1,active,2031-12\n";
pub const TERMINALS: &str = "terminal_id,merchant_id,profile,mac,tmk,scope\n\
    T0000001,999520158120000,cup,aes-cmac,B4DD30D6B696EF2A1D79EB10FBDAD444,discount+star\n";
pub const BENEFITS: &str = "benefit_id,provider,title,kind,service,audience,s1,s2,s3,s4,s5,valid_from,valid_to,\
    weekdays,hours,min_amount,max_off,budget,per_day,per_month,per_holder,group,stack,legal_basis\n\
    1,999520158120000,八折,discount,,,0,0,500,1000,2000,2026-01-01,2027-12-31,1-5,09:00-17:00,100,5000,,2,,,g0,yes,清诚信办〔2026〕1号\n\
    2,999520158120000,立减,amount_off,S1,farmer+staff,1,2,3,4,5,2026-01-01,2027-12-31,,,,,100000,,3,9,,,清诚信办〔2026〕1号\n";

/// The whole small city, by file.
pub const CITY: [(&str, &str); 5] = [
    ("holders.csv", HOLDERS),
    ("merchants.csv", MERCHANTS),
    ("cards.csv", CARDS),
    ("terminals.csv", TERMINALS),
    ("benefits.csv", BENEFITS),
];

/// Which database a test runs on: each one on both.
#[derive(Debug, Clone, Copy)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Makes two tests of each function, one on a database.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use super::support::Engine;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name(Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                super::$name(Engine::Postgres).await;
            }
        }
    )*};
}

pub struct Deployment {
    folder: TempDir,
    url: String,
    pub store: Store,
    pub master: MasterKey,
    pub card_hash: CardHasher,
}

impl Deployment {
    pub async fn new() -> Self {
        Self::on(Engine::Sqlite).await
    }

    pub async fn on(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match engine {
            Engine::Sqlite => url(folder.path()),
            Engine::Postgres => Postgres::shared().database(),
        };
        let store = Store::open(&url, true).await.unwrap();
        Self { folder, url, store, master: MasterKey::new([1; 32]), card_hash: CardHasher::new(&[2; 32]) }
    }

    /// With the small city in it.
    pub async fn filled() -> Self {
        Self::filled_on(Engine::Sqlite).await
    }

    pub async fn filled_on(engine: Engine) -> Self {
        let deployment = Self::on(engine).await;
        let report = deployment.import_files(&CITY).await.unwrap();
        assert!(report.files.iter().all(|file| file.rejected == 0), "{report:?}");
        deployment
    }

    /// As another process would open it.
    pub async fn open_again(&self) -> Store {
        Store::open(&self.url, false).await.unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn rejects(&self) -> PathBuf {
        self.path("rejects")
    }

    pub async fn import(&self, dir: &Path) -> Result<ImportReport, ImportError> {
        self.import_into(&self.store, dir).await
    }

    pub async fn import_into(&self, store: &Store, dir: &Path) -> Result<ImportReport, ImportError> {
        let keys = ImportKeys { master: &self.master, card_hash: &self.card_hash };
        import(store, dir, &keys, &self.rejects(), &mut |_| ()).await
    }

    /// Imports a folder with just these files.
    pub async fn import_files(&self, files: &[(&str, impl AsRef<[u8]>)]) -> Result<ImportReport, ImportError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        self.import(dir.path()).await
    }

    /// Imports one file and gives its report.
    pub async fn import_file(&self, name: &str, content: impl AsRef<[u8]>) -> FileReport {
        self.import_files(&[(name, content)]).await.unwrap().files.remove(0)
    }

    /// What an export of the store writes, by file.
    pub async fn exported(&self) -> Vec<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        export(&self.store, dir.path()).await.unwrap();
        CITY.map(|(name, _)| (name.to_owned(), fs::read_to_string(dir.path().join(name)).unwrap())).to_vec()
    }

    pub async fn city(&self) -> City {
        City::load(&self.store).await.unwrap()
    }
}

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("xingka.db").display())
}

pub fn sample_city() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sample-city")
}

/// A file's read, loaded, unchanged and rejected.
pub fn counts(file: &FileReport) -> (u64, u64, u64, u64) {
    (file.read, file.loaded, file.unchanged, file.rejected)
}
