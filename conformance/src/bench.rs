//! The test bench: the terminals and cards that a run uses, and what a purchase must cost.
//!
//! Whoever certifies a switch puts these into it first: [`Bench::city`] writes them as a city folder.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xingka_wire::dialect::Dialect;
use xingka_wire::mac::MacAlgorithm;
use xingka_wire::pan::Pan;
use xingka_wire::session_keys::KeyLayout;

/// A bench as its TOML file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bench {
    /// A shop's terminal.
    pub shop: Place,
    /// Another terminal of the same shop.
    pub shop_two: Place,
    /// A hall's.
    pub hall: Place,
    /// A bank branch's.
    pub bank: Place,
    /// The cards.
    pub cards: Cards,
    /// What a purchase costs.
    pub price: Price,
    /// The longest that an answer may take, in milliseconds.
    pub answer_within_ms: u64,
}

/// A terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Field 41.
    pub terminal: String,
    /// Field 42.
    pub merchant: String,
    /// `cup`, `cup-gbk` or `ascii87`.
    pub profile: String,
    /// A MAC's name in wire.md.
    pub mac: String,
    /// The terminal master key, 32 hexadecimal digits: a test key.
    pub tmk: String,
}

/// Card numbers by what becomes of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cards {
    /// Active, of a holder with a discount at the shop and VIP priority at the hall.
    pub good: String,
    /// Another holder's, as good.
    pub other: String,
    /// Reported lost.
    pub lost: String,
    /// Reported stolen.
    pub stolen: String,
    /// Frozen.
    pub frozen: String,
    /// Past its month.
    pub expired: String,
    /// Never issued, its check digit right.
    pub unknown: String,
}

/// What a purchase with a good card must cost at the shop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Before the discount, fen.
    pub amount_fen: u64,
    /// After it.
    pub payable_fen: u64,
    /// A benefit that doesn't apply at the shop.
    pub other_benefit: u32,
}

/// A bench that can't be used.
#[derive(Debug, Error)]
pub enum BadBench {
    /// Not TOML, or not a bench.
    #[error("it is no bench: {0}")]
    Toml(#[from] toml::de::Error),
    /// A value that can't be.
    #[error("`{key}` is {value:?}, but must be {wanted}")]
    Value {
        /// Which.
        key: String,
        /// What it says.
        value: String,
        /// What it should say.
        wanted: &'static str,
    },
}

/// A terminal's values, checked.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) terminal: [u8; 8],
    pub(crate) merchant: [u8; 15],
    pub(crate) dialect: &'static Dialect,
    pub(crate) mac: MacAlgorithm,
    pub(crate) layout: KeyLayout,
    pub(crate) tmk: [u8; 16],
}

impl Bench {
    /// Reads and checks a bench.
    pub fn from_toml(text: &str) -> Result<Self, BadBench> {
        let bench: Self = toml::from_str(text)?;
        for (name, place) in bench.places() {
            place.check(name)?;
        }
        for (name, pan) in bench.cards.all() {
            let known = Pan::from_ascii(pan.as_bytes()).is_some();
            known
                .then_some(())
                .ok_or_else(|| bad(&format!("cards.{name}"), pan, "a card number of 12 to 19 digits"))?;
        }
        Ok(bench)
    }

    /// As a file says it.
    pub fn to_toml(&self) -> String {
        // Plain strings and numbers: there is nothing in it that TOML couldn't say.
        toml::to_string(self).unwrap_or_default()
    }

    /// The bench of a synthetic city whose terminals all seal with `mac`.
    pub fn made_for(mac: MacAlgorithm, dialect: &Dialect) -> Self {
        let number = MacAlgorithm::ALL.iter().position(|known| *known == mac).unwrap_or_default();
        let place = |kind: char, at: u8, merchant: &str| Place {
            terminal: format!("CF{kind}{number}{at:04}"),
            merchant: merchant.to_owned(),
            profile: dialect.name.to_owned(),
            mac: mac.name().to_owned(),
            tmk: hex::encode([0x41 + (number as u8) * 8 + at; 16]),
        };
        Self {
            shop: place('S', 1, SHOP),
            shop_two: place('S', 2, SHOP),
            hall: place('H', 3, HALL),
            bank: place('B', 4, BANK),
            cards: Cards::made(),
            price: Price { amount_fen: 10_000, payable_fen: 8_000, other_benefit: HALL_PRIORITY },
            answer_within_ms: 3_000,
        }
    }

    /// A city folder with everything that these benches need: file names and their texts.
    pub fn city(benches: &[Self]) -> Vec<(&'static str, String)> {
        let cards = Cards::made();
        let mut terminals = String::from("terminal_id,merchant_id,profile,mac,tmk,scope\n");
        for (_, place) in benches.iter().flat_map(Bench::places) {
            let Place { terminal, merchant, profile, mac, tmk } = place;
            // A string takes whatever is written to it.
            let _ = writeln!(terminals, "{terminal},{merchant},{profile},{mac},{tmk},discount+priority+star");
        }
        let cards = [
            (&cards.good, "CF1", "active", "2099-12"),
            (&cards.other, "CF2", "active", "2099-12"),
            (&cards.lost, "CF1", "lost", "2099-12"),
            (&cards.stolen, "CF1", "stolen", "2099-12"),
            (&cards.frozen, "CF1", "frozen", "2099-12"),
            (&cards.expired, "CF1", "active", "2020-01"),
        ];
        let cards: Vec<String> =
            cards.iter().map(|(pan, holder, is, to)| format!("{pan},{holder},{is},{to}")).collect();
        vec![
            ("holders.csv", "holder_id,category,star,status\nCF1,resident,5,active\nCF2,resident,5,active\n".into()),
            ("cards.csv", format!("pan,holder_id,status,expires\n{}\n", cards.join("\n"))),
            ("merchants.csv", merchants()),
            ("terminals.csv", terminals),
            ("benefits.csv", benefits()),
        ]
    }

    /// The ids of its terminals.
    pub fn terminals(&self) -> Vec<String> {
        self.places().iter().map(|(_, place)| place.terminal.clone()).collect()
    }

    fn places(&self) -> [(&'static str, &Place); 4] {
        [("shop", &self.shop), ("shop_two", &self.shop_two), ("hall", &self.hall), ("bank", &self.bank)]
    }
}

const SHOP: &str = "999520153990901";
const HALL: &str = "999520193990901";
const BANK: &str = "999520160120901";
const HALL_PRIORITY: u32 = 990_002;

fn merchants() -> String {
    format!(
        "merchant_id,name,kind,mcc,circle,region\n{SHOP},检测商店,merchant,5399,member,520181\n\
         {HALL},检测大厅,hall,9399,none,520181\n{BANK},检测银行,bank,6012,none,520181\n"
    )
}

fn benefits() -> String {
    format!(
        "benefit_id,provider,title,kind,service,audience,s1,s2,s3,s4,s5,valid_from,valid_to,weekdays,hours,min_amount,\
         max_off,budget,per_day,per_month,per_holder,group,stack,legal_basis\n\
         990001,{SHOP},八折,discount,,,0,500,1000,1500,2000,2020-01-01,2099-12-31,,,,,,,,,,,检测\n\
         {HALL_PRIORITY},{HALL},绿色通道,priority,,,0,0,1,1,2,2020-01-01,2099-12-31,,,,,,,,,,,检测\n"
    )
}

impl Cards {
    fn made() -> Self {
        let pan = |at: u8| with_check_digit(&format!("62999990000000000{at}"));
        Self {
            good: pan(1),
            other: pan(2),
            lost: pan(3),
            stolen: pan(4),
            frozen: pan(5),
            expired: pan(6),
            unknown: pan(7),
        }
    }

    fn all(&self) -> [(&'static str, &String); 7] {
        let Self { good, other, lost, stolen, frozen, expired, unknown } = self;
        [
            ("good", good),
            ("other", other),
            ("lost", lost),
            ("stolen", stolen),
            ("frozen", frozen),
            ("expired", expired),
            ("unknown", unknown),
        ]
    }
}

/// With its Luhn digit (ISO/IEC 7812-1).
fn with_check_digit(digits: &str) -> String {
    let sum: u32 = digits.bytes().rev().enumerate().fold(0, |sum, (place, byte)| {
        let digit = u32::from(byte - b'0') * if place % 2 == 0 { 2 } else { 1 };
        sum + digit / 10 + digit % 10
    });
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// The same number with another check digit.
pub(crate) fn wrong_check_digit(pan: &str) -> String {
    let (digits, check) = pan.split_at(pan.len().saturating_sub(1));
    let wrong = (check.parse::<u32>().unwrap_or_default() + 1) % 10;
    format!("{digits}{wrong}")
}

impl Place {
    pub(crate) fn check(&self, name: &str) -> Result<Checked, BadBench> {
        let key = |part: &str| format!("{name}.{part}");
        let mut tmk = [0; 16];
        let hex = hex::decode_to_slice(&self.tmk, &mut tmk);
        // Not quoted: it may be a real key that was put here by mistake.
        hex.map_err(|_| bad(&key("tmk"), "…", "32 hexadecimal digits"))?;
        let mac = self.mac.parse().map_err(|_| bad(&key("mac"), &self.mac, "the name of a MAC in wire.md"))?;
        let layout = match mac {
            MacAlgorithm::Sm4Cbc | MacAlgorithm::CupEcbSm4 => KeyLayout::Sm4,
            MacAlgorithm::X99 => KeyLayout::Des,
            _ => KeyLayout::Tdes,
        };
        Ok(Checked {
            terminal: bytes(&self.terminal).ok_or_else(|| bad(&key("terminal"), &self.terminal, "8 characters"))?,
            merchant: bytes(&self.merchant).ok_or_else(|| bad(&key("merchant"), &self.merchant, "15 characters"))?,
            dialect: Dialect::by_name(&self.profile)
                .ok_or_else(|| bad(&key("profile"), &self.profile, "cup, cup-gbk or ascii87"))?,
            mac,
            layout,
            tmk,
        })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    text.as_bytes().try_into().ok()
}

fn bad(key: &str, value: &str, wanted: &'static str) -> BadBench {
    BadBench::Value { key: key.to_owned(), value: value.to_owned(), wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_is_read_as_it_is_written() {
        for mac in MacAlgorithm::ALL {
            let bench = Bench::made_for(*mac, &xingka_wire::dialect::CUP);
            let text = bench.to_toml();
            assert_eq!(Bench::from_toml(&text).unwrap().to_toml(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_key_is_quoted() {
        let text = Bench::made_for(MacAlgorithm::AesCmac, &xingka_wire::dialect::CUP).to_toml();
        let tmk = hex::encode([0x42; 16]);
        for (from, to, named) in [
            ("cup", "cap", "shop.profile"),
            ("aes-cmac", "aes", "shop.mac"),
            (&tmk[..], "4242SECRET", "shop.tmk"),
            ("CFS", "CFXXS", "shop.terminal"),
            ("6299999", "62a9999", "cards.good"),
        ] {
            let error = Bench::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn check_digits_are_luhns() {
        assert_eq!(with_check_digit("7992739871"), "79927398713");
        assert_eq!(wrong_check_digit("79927398713"), "79927398714");
    }
}
