//! Who and what is in the city: holders, cards, merchants and their terminals.
//!
//! The words are those of the city folder's files; each type reads and writes the
//! word that the files use, so that there is one spelling of each.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xingka_wire::dialect::Dialect;
use xingka_wire::mac::MacAlgorithm;

use crate::ids::{HolderNo, MerchantId, TerminalId};
use crate::time::Month;

/// A word that isn't one of those its column knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be one of {allowed}")]
pub struct BadWord {
    /// The words that would have been right.
    pub allowed: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of their words in the city folder's description.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that files use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = BadWord;

            fn from_str(word: &str) -> Result<Self, BadWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(BadWord { allowed: words!(@list $($word)+) }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
    (@list $first:literal $($rest:literal)*) => { concat!($first, $(", ", $rest),*) };
}

words! {
    /// What kind of holder.
    Category {
        /// 农民
        Farmer = "farmer",
        /// 居民
        Resident = "resident",
        /// 职工
        Staff = "staff",
        /// 企业
        Enterprise = "enterprise",
    }
}

words! {
    /// Whether a holder's star counts.
    HolderStatus {
        /// The star counts.
        Active = "active",
        /// Counts as star 0 for now.
        Suspended = "suspended",
        /// Counts as star 0 for good.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// Whether a card may be used.
    CardStatus {
        /// It may.
        Active = "active",
        /// 41
        Lost = "lost",
        /// 43
        Stolen = "stolen",
        /// 62
        Frozen = "frozen",
    }
}

words! {
    /// What kind of place a terminal stands in.
    MerchantKind {
        /// A shop: purchases.
        Merchant = "merchant",
        /// A government service hall: counter services.
        Hall = "hall",
        /// A bank branch: counter services.
        Bank = "bank",
    }
}

words! {
    /// A merchant's standing in the integrity business circle, 诚信商圈.
    Circle {
        /// Gives and gets.
        Member = "member",
        /// 整改: putting things right; gives nothing meanwhile.
        Rectifying = "rectifying",
        /// 摘牌: lost its sign.
        Delisted = "delisted",
        /// Never was in it.
        None = "none",
    }
}

/// A star level, 0 to 5; 0 means not rated, never "bad".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct Star(u8);

impl Star {
    /// Not rated.
    pub const ZERO: Self = Self(0);

    /// A level from 0 to 5.
    pub const fn new(level: u8) -> Option<Self> {
        if level <= 5 { Some(Self(level)) } else { None }
    }

    /// 0 to 5.
    pub const fn level(self) -> u8 {
        self.0
    }
}

/// What a terminal's answers may disclose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The discount and what it makes of the price.
    pub discount: bool,
    /// The service priority.
    pub priority: bool,
    /// The star level itself.
    pub star: bool,
}

impl FromStr for Scope {
    type Err = BadWord;

    /// `discount`, `priority` and `star` joined with `+`; empty discloses nothing.
    fn from_str(text: &str) -> Result<Self, BadWord> {
        let mut scope = Self::default();
        for word in text.split('+').filter(|_| !text.is_empty()) {
            match word {
                "discount" => scope.discount = true,
                "priority" => scope.priority = true,
                "star" => scope.star = true,
                _ => {
                    return Err(BadWord { allowed: "discount, priority, star, joined with +" });
                }
            }
        }
        Ok(scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.discount, "discount"), (self.priority, "priority"), (self.star, "star")];
        let mut joint = "";
        for (_, word) in words.iter().filter(|(told, _)| *told) {
            write!(f, "{joint}{word}")?;
            joint = "+";
        }
        Ok(())
    }
}

/// A card as a decision sees it: nothing of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Whose it is.
    pub holder_no: HolderNo,
    /// Whether it may be used.
    pub status: CardStatus,
    /// The last month in which it is good.
    pub expires: Month,
}

/// A holder as a decision sees one: nothing of name, number, points or records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// What kind of holder.
    pub category: Category,
    /// The star as rated; see [`Holder::star`] for what counts.
    pub rated: Star,
    /// Whether it counts.
    pub status: HolderStatus,
}

impl Holder {
    /// The star that counts: 0 for whoever is suspended or withdrawn.
    pub fn star(&self) -> Star {
        if self.status == HolderStatus::Active { self.rated } else { Star::ZERO }
    }
}

/// A merchant, hall or bank branch as a decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    /// Which.
    pub id: MerchantId,
    /// What kind of place.
    pub kind: MerchantKind,
    /// Its standing in the circle.
    pub circle: Circle,
}

impl Merchant {
    /// Whether discounts and amounts off are given here: every shop must be a member
    /// of the circle, halls and banks aren't in it.
    pub fn gives_discounts(&self) -> bool {
        self.kind != MerchantKind::Merchant || self.circle == Circle::Member
    }
}

/// A terminal as configured; its keys live in the security module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Which.
    pub id: TerminalId,
    /// Where it stands.
    pub merchant: Merchant,
    /// How its messages are sealed.
    pub mac: MacAlgorithm,
    /// How its messages are written, and its texts encoded.
    pub profile: &'static Dialect,
    /// What its answers may disclose.
    pub scope: Scope,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn words_are_read_as_they_are_written() {
        for category in Category::ALL {
            assert_eq!(category.word().parse(), Ok(*category));
        }
        let error = "peasant".parse::<Category>().unwrap_err().to_string();
        assert_eq!(error, "must be one of farmer, resident, staff, enterprise");
    }

    #[test]
    fn scopes_are_joined_with_plus() {
        for text in ["", "discount", "priority+star", "discount+priority+star"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        assert!("discount,star".parse::<Scope>().is_err());
        assert!("discount+".parse::<Scope>().is_err());
    }

    #[test]
    fn a_suspended_holder_counts_as_not_rated() {
        let rated = Star::new(5).unwrap();
        for (status, level) in [(HolderStatus::Active, 5), (HolderStatus::Suspended, 0), (HolderStatus::Withdrawn, 0)] {
            assert_eq!(Holder { category: Category::Farmer, rated, status }.star().level(), level);
        }
    }
}
