//! Benefits and the rule books they make, with their whole history.
//!
//! A benefit's row is never changed: it is closed with the version that no longer has it,
//! and a new row begins there. So any version ever in force can be read back, which is
//! what explaining and replaying an old decision needs. Refused: a copy of all benefits a
//! version, which writes three hundred rows because one date moved.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use xingka_core::ids::{BenefitId, RuleBookVersion};
use xingka_core::money::Fen;
use xingka_core::rules::{Benefit, Limits, RuleBook, ServiceCode};

use super::error::{Doing as _, Readable as _};
use super::upsert::ROWS_A_STATEMENT;
use super::{Change, Reader, Store, StoreError};
use crate::benefit_text::{date, digest, hours, hours_text, weekdays, weekdays_text, yes};
use crate::sql::{Query, Row, Value};

const COLUMNS: &str = "benefit_id, provider, title, kind, service, audience, s1, s2, s3, s4, s5, \
    valid_from, valid_to, weekdays, hours, min_amount, max_off, budget, per_day, per_month, per_holder, \
    benefit_group, stack, legal_basis, bearer";

impl Change {
    /// Adds benefits or brings them up to date; says how many were new or different. If
    /// any was, this makes one new rule book.
    pub(crate) async fn put_benefits(&mut self, rows: &[Benefit]) -> Result<u64, StoreError> {
        let former = self.version().await?;
        let current = benefits_of(&mut self.transaction, former).await?;
        let mut all: BTreeMap<BenefitId, &Benefit> = current.iter().map(|benefit| (benefit.id, benefit)).collect();
        let differs = |row: &&Benefit| all.get(&row.id).is_none_or(|stored| stored != row);
        let changed: Vec<&Benefit> = rows.iter().filter(differs).collect();
        if changed.is_empty() {
            return Ok(0);
        }
        all.extend(changed.iter().map(|benefit| (benefit.id, *benefit)));
        let version = former + 1;
        self.add_rule_book(version, &digest(all.into_values())).await?;
        for chunk in changed.chunks(ROWS_A_STATEMENT) {
            self.close_benefits(version, chunk).await?;
            self.add_benefits(version, chunk).await?;
        }
        Ok(changed.len() as u64)
    }

    async fn version(&mut self) -> Result<i64, StoreError> {
        newest_version(&mut self.transaction).await
    }

    async fn add_rule_book(&mut self, version: i64, digest: &str) -> Result<(), StoreError> {
        let query = Query::new("INSERT INTO rule_books (version, made_ms, digest) VALUES ($1, $2, $3)");
        let query = query.bind(version).bind(now_ms()).bind(digest);
        query.execute(&mut self.transaction).await.doing("making a rule book")?;
        Ok(())
    }

    async fn close_benefits(&mut self, version: i64, benefits: &[&Benefit]) -> Result<(), StoreError> {
        let query = Query::new("UPDATE benefits SET until_version = ").value(version);
        let query = query.then(" WHERE until_version IS NULL AND benefit_id IN ");
        let query = query.list(benefits.iter().map(|benefit| benefit.id.0));
        query.execute(&mut self.transaction).await.doing("closing former benefits")?;
        Ok(())
    }

    async fn add_benefits(&mut self, version: i64, benefits: &[&Benefit]) -> Result<(), StoreError> {
        let query = Query::new(format!("INSERT INTO benefits (since_version, {COLUMNS}) VALUES "));
        let query = query.rows(benefits.iter().map(|benefit| values(version, benefit)));
        query.execute(&mut self.transaction).await.doing("adding benefits")?;
        Ok(())
    }
}

/// A benefit's row: the version it begins with, then [`COLUMNS`].
fn values(version: i64, benefit: &Benefit) -> Vec<Value> {
    let number = |limit: Option<u32>| Value::MaybeNumber(limit.map(i64::from));
    // Import takes no amount that doesn't fit; see city_folder/benefits.rs.
    let fen = |fen: Option<Fen>| Value::MaybeNumber(fen.map(|fen| i64::try_from(fen.0).unwrap_or(i64::MAX)));
    let limits = &benefit.limits;
    let mut values: Vec<Value> = vec![
        version.into(),
        benefit.id.0.into(),
        benefit.provider.to_string().into(),
        benefit.title.as_str().into(),
        benefit.kind.word().into(),
        benefit.service.map_or_else(String::new, |service| service.to_string()).into(),
        benefit.audience.to_string().into(),
    ];
    values.extend(benefit.values.iter().map(|value| Value::from(*value)));
    values.extend([benefit.valid_from, benefit.valid_to].map(|date| Value::from(date.to_string())));
    values.extend([weekdays_text(benefit.weekdays).into(), hours_text(benefit.hours).into()]);
    values.extend([benefit.min_amount, benefit.max_off, limits.budget].map(fen));
    values.extend([limits.per_day, limits.per_month, limits.per_holder].map(number));
    values.extend([
        benefit.group.as_deref().unwrap_or_default().into(),
        if benefit.stacks { "yes" } else { "" }.into(),
        benefit.legal_basis.as_str().into(),
        benefit.bearer.word().into(),
    ]);
    values
}

impl Store {
    /// The rule book of a version, compiled. Version 0 is the empty one before the first import.
    pub async fn rule_book(&self, version: RuleBookVersion) -> Result<Option<RuleBook>, StoreError> {
        let benefits = self.benefits_of_version(version).await?;
        Ok(benefits.map(|benefits| RuleBook::new(version, benefits)))
    }

    /// All benefits of a rule book, by ascending id; nothing where there was no such version.
    pub async fn benefits_of_version(&self, version: RuleBookVersion) -> Result<Option<Vec<Benefit>>, StoreError> {
        let mut reader = self.read().await?;
        let newest = newest_version(&mut reader).await?;
        let version = i64::from(version.0);
        if version > newest { Ok(None) } else { benefits_of(&mut reader, version).await.map(Some) }
    }

    /// The version in force.
    pub async fn newest_rule_book(&self) -> Result<RuleBookVersion, StoreError> {
        rule_book_version(newest_version(&mut self.read().await?).await?)
    }
}

/// The rule book in force, if it is newer than the one a reader has.
pub(crate) async fn newer_rule_book(
    reader: &mut Reader,
    than: RuleBookVersion,
) -> Result<Option<RuleBook>, StoreError> {
    let newest = newest_version(reader).await?;
    if newest <= i64::from(than.0) {
        return Ok(None);
    }
    Ok(Some(RuleBook::new(rule_book_version(newest)?, benefits_of(reader, newest).await?)))
}

/// The benefits in force.
pub(crate) async fn current_benefits(reader: &mut Reader) -> Result<Vec<Benefit>, StoreError> {
    let newest = newest_version(reader).await?;
    benefits_of(reader, newest).await
}

async fn newest_version(reader: &mut Reader) -> Result<i64, StoreError> {
    let query = Query::new("SELECT MAX(version) FROM rule_books");
    let newest: Option<Option<i64>> = query.first(reader).await.doing("reading the newest rule book's version")?;
    Ok(newest.flatten().unwrap_or(0))
}

fn rule_book_version(version: i64) -> Result<RuleBookVersion, StoreError> {
    u32::try_from(version).map(RuleBookVersion).readable("rule_books", "version")
}

async fn benefits_of(reader: &mut Reader, version: i64) -> Result<Vec<Benefit>, StoreError> {
    let query = Query::new(format!("SELECT {COLUMNS} FROM benefits WHERE since_version <= $1"));
    let query = query.then(" AND (until_version IS NULL OR until_version > $1) ORDER BY benefit_id").bind(version);
    let mut benefits = Vec::new();
    query
        .each(reader, "reading benefits", |row| -> Result<(), StoreError> {
            benefits.push(BenefitRow(row).benefit()?);
            Ok(())
        })
        .await?;
    Ok(benefits)
}

/// A row of [`COLUMNS`].
struct BenefitRow<'r>(&'r Row);

impl BenefitRow<'_> {
    fn benefit(&self) -> Result<Benefit, StoreError> {
        Ok(Benefit {
            id: BenefitId(self.number("benefit_id")?),
            provider: self.word("provider", |text| text.parse().ok())?,
            title: self.text("title")?.to_owned(),
            kind: self.word("kind", |text| text.parse().ok())?,
            service: self.word("service", service)?,
            audience: self.word("audience", |text| text.parse().ok())?,
            values: [
                self.number("s1")?,
                self.number("s2")?,
                self.number("s3")?,
                self.number("s4")?,
                self.number("s5")?,
            ],
            valid_from: self.word("valid_from", |text| date(text).ok())?,
            valid_to: self.word("valid_to", |text| date(text).ok())?,
            weekdays: self.word("weekdays", |text| weekdays(text).ok())?,
            hours: self.word("hours", |text| hours(text).ok())?,
            min_amount: self.optional("min_amount")?.map(Fen),
            max_off: self.optional("max_off")?.map(Fen),
            limits: self.limits()?,
            group: Some(self.text("benefit_group")?.to_owned()).filter(|group| !group.is_empty()),
            stacks: self.word("stack", |text| yes(text).ok())?,
            legal_basis: self.text("legal_basis")?.to_owned(),
            bearer: self.word("bearer", |text| text.parse().ok())?,
        })
    }

    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(Limits {
            per_day: self.optional("per_day")?,
            per_month: self.optional("per_month")?,
            per_holder: self.optional("per_holder")?,
            budget: self.optional("budget")?.map(Fen),
        })
    }

    fn text(&self, column: &'static str) -> Result<&str, StoreError> {
        self.0.named(column).readable("benefits", column)
    }

    fn word<T>(&self, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        read(self.text(column)?).readable("benefits", column)
    }

    fn number(&self, column: &'static str) -> Result<u32, StoreError> {
        self.optional(column)?.readable("benefits", column)
    }

    fn optional<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let number = self.0.named::<Option<i64>>(column).readable("benefits", column)?;
        number.map(|number| T::try_from(number).readable("benefits", column)).transpose()
    }
}

fn service(text: &str) -> Option<Option<ServiceCode>> {
    if text.is_empty() { Some(None) } else { ServiceCode::new(text.as_bytes()).ok().map(Some) }
}

/// For people only: nothing is decided by when a rule book was made.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
