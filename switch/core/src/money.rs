//! Money in fen, as integers: a float never meets it.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An amount in fen, a hundredth of a yuan; field 4 carries up to twelve digits of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct Fen(pub u64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// What remains after `off` is taken; never below nothing.
    pub fn less(self, off: Self) -> Self {
        Self(self.0.saturating_sub(off.0))
    }

    /// Both together; stays at the largest amount rather than wrapping.
    pub fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// `rate` of this amount, rounded half up, never more than the amount.
    pub fn share(self, rate: BasisPoints) -> Self {
        Self(per(self.0, u64::from(rate.0), BasisPoints::WHOLE).min(self.0))
    }

    /// How much of `whole` this is, rounded half up; at most the whole.
    pub fn rate_of(self, whole: Self) -> BasisPoints {
        let rate = per(self.0, BasisPoints::WHOLE, whole.0.max(1)).min(BasisPoints::WHOLE);
        BasisPoints(u32::try_from(rate).unwrap_or(0))
    }
}

/// n × m / d, rounded half up; in 128 bits, where no product of two u64 overflows.
fn per(n: u64, m: u64, d: u64) -> u64 {
    let (n, m, d) = (u128::from(n), u128::from(m), u128::from(d));
    u64::try_from((2 * n * m + d) / (2 * d)).unwrap_or(u64::MAX)
}

/// Hundredths of a percent: 8折 is 2,000 basis points off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct BasisPoints(pub u32);

impl BasisPoints {
    const WHOLE: u64 = 10_000;
}

/// Yuan with two decimals: `12.80`.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(true, "", &alloc::format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

/// An amount of money that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an amount is written in yuan with at most two decimals and twelve digits, such as 128 or 12.80")]
pub struct BadAmount;

impl FromStr for Fen {
    type Err = BadAmount;

    /// Reads yuan: `128`, `12.8` or `12.80`.
    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let (yuan, fen) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(yuan) || !digits(fen) || yuan.len() > 10 || fen.len() > 2 {
            return Err(BadAmount);
        }
        let hundredths = fen.parse::<u64>().map_err(|_| BadAmount)?;
        let scale = if fen.len() == 1 { 10 } else { 1 };
        let yuan = yuan.parse::<u64>().map_err(|_| BadAmount)?;
        Ok(Self(yuan * 100 + hundredths * scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn shares_round_half_up() {
        for (amount, rate, share) in [
            (1, 4_999, 0),
            (1, 5_000, 1),
            (999, 1_932, 193),
            (15, 1_000, 2),
            (14, 1_000, 1),
            (999_999_999_999, 10_000, 999_999_999_999),
            (100, 12_000, 100),
            (0, 2_000, 0),
        ] {
            assert_eq!(Fen(amount).share(BasisPoints(rate)), Fen(share), "{amount} at {rate}");
        }
    }

    #[test]
    fn rates_round_half_up() {
        for (off, whole, rate) in [(1, 3, 3_333), (2, 3, 6_667), (1, 20_000, 1), (0, 5, 0), (5, 5, 10_000)] {
            assert_eq!(Fen(off).rate_of(Fen(whole)), BasisPoints(rate), "{off} of {whole}");
        }
    }

    #[test]
    fn yuan_are_read_and_shown_without_floats() {
        for (text, fen) in [("128", 12_800), ("12.8", 1_280), ("0.01", 1), ("9999999999.99", 999_999_999_999)] {
            assert_eq!(text.parse(), Ok(Fen(fen)), "{text}");
        }
        for text in ["", ".", "1.", ".5", "1.234", "-1", "1e3", "10000000000"] {
            assert_eq!(text.parse::<Fen>(), Err(BadAmount), "{text}");
        }
        assert_eq!(Fen(1_205).to_string(), "12.05");
    }
}
