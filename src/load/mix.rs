//! What is asked: kinds of request, and how they are dealt to the terminals.
//!
//! The mix `lookup` is a deck of 200 requests in exactly its shares, shuffled. A terminal
//! takes the first one that it can ask where it stands; what it can't ask waits for the next
//! terminal that can. So the shares hold over the whole run, although a void needs a terminal
//! with a purchase to void, and a counter service one at a counter.
//!
//! Refused: each terminal drawing by itself. A terminal that draws a void and has nothing to
//! void would have to ask something else, and in a short run with many terminals there would
//! be hardly any voids.

use std::collections::VecDeque;

use xingka_core::city::MerchantKind;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mix {
    /// At shops 7 of 10 purchases and the rest inquiries, at halls and banks counter services
    Swipe,
    /// Star inquiries only
    Inquiry,
    /// 85 % inquiries, 8 % purchases, 3 % reversals and voids, 2 % counter services, 1 % housekeeping,
    /// 1 % malformed; few cards come often; 2 % of the cards are unknown
    Lookup,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A star inquiry.
    Inquiry,
    /// A purchase.
    Purchase,
    /// Of a purchase of the terminal's own.
    Reversal,
    /// Of a purchase of the terminal's own.
    Void,
    /// A counter service.
    Counter,
    /// An echo; one in ten is a sign-in.
    Housekeeping,
    /// Well framed, with a format error.
    Malformed,
    /// The inquiry of a terminal that came back after a storm: outside of the mix.
    Return,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Inquiry,
        Self::Purchase,
        Self::Reversal,
        Self::Void,
        Self::Counter,
        Self::Housekeeping,
        Self::Malformed,
        Self::Return,
    ];

    /// Its name in reports and as a histogram's tag.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inquiry => "inquiry",
            Self::Purchase => "purchase",
            Self::Reversal => "reversal",
            Self::Void => "void",
            Self::Counter => "counter",
            Self::Housekeeping => "housekeeping",
            Self::Malformed => "malformed",
            Self::Return => "return",
        }
    }

    /// What a terminal asks instead where nobody can ask this.
    const fn otherwise(self, place: MerchantKind) -> Self {
        match (self, place) {
            (Self::Reversal | Self::Void, MerchantKind::Merchant) => Self::Purchase,
            _ => Self::Inquiry,
        }
    }
}

/// A terminal that is to ask something.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    /// Where it stands.
    pub place: MerchantKind,
    /// Whether it has a purchase that can be voided or reversed.
    pub has_standing: bool,
    /// Whether a format error can be made in its dialect.
    pub can_spoil: bool,
}

impl Seat {
    /// Purchases are for shops only and counter services for counters only; inquiries and
    /// housekeeping come from anywhere.
    const fn can_ask(self, kind: Kind) -> bool {
        let at_shop = matches!(self.place, MerchantKind::Merchant);
        match kind {
            Kind::Inquiry | Kind::Housekeeping | Kind::Return => true,
            Kind::Purchase => at_shop,
            Kind::Reversal | Kind::Void => at_shop && self.has_standing,
            Kind::Counter => !at_shop,
            Kind::Malformed => self.can_spoil,
        }
    }
}

/// The mix `lookup` in 200 requests. Reversals and voids have 3 % together.
const SHARES: [(Kind, usize); 7] = [
    (Kind::Inquiry, 170),
    (Kind::Purchase, 16),
    (Kind::Reversal, 3),
    (Kind::Void, 3),
    (Kind::Counter, 4),
    (Kind::Housekeeping, 2),
    (Kind::Malformed, 2),
];

/// Requests that may wait for a terminal that can ask them. Past that there is none: no
/// counter in the city, or no purchase that was approved.
const WAITING_AT_MOST: usize = 1_000;

/// The requests of the mix `lookup`, in the order in which they are dealt.
#[derive(Debug)]
pub struct Deck {
    waiting: VecDeque<Kind>,
    random: fastrand::Rng,
}

impl Deck {
    /// The same for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { waiting: VecDeque::new(), random: fastrand::Rng::with_seed(seed) }
    }

    /// What a terminal asks next.
    pub fn deal(&mut self, seat: Seat) -> Kind {
        if self.waiting.len() > WAITING_AT_MOST {
            let longest = self.waiting.pop_front().unwrap_or(Kind::Inquiry);
            return if seat.can_ask(longest) { longest } else { longest.otherwise(seat.place) };
        }
        loop {
            // Every 200 have inquiries, which everybody can ask.
            if let Some(place) = self.waiting.iter().position(|kind| seat.can_ask(*kind)) {
                return self.waiting.remove(place).unwrap_or(Kind::Inquiry);
            }
            self.add();
        }
    }

    fn add(&mut self) {
        let mut more: Vec<Kind> = SHARES.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count)).collect();
        self.random.shuffle(&mut more);
        self.waiting.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: Seat = Seat { place: MerchantKind::Merchant, has_standing: true, can_spoil: true };
    const HALL: Seat = Seat { place: MerchantKind::Hall, has_standing: false, can_spoil: true };

    fn deal(seats: &[Seat], count: usize) -> [usize; Kind::ALL.len()] {
        let mut deck = Deck::new(7);
        let mut dealt = [0; Kind::ALL.len()];
        seats.iter().cycle().take(count).for_each(|seat| dealt[deck.deal(*seat) as usize] += 1);
        dealt
    }

    #[test]
    fn the_shares_hold_whoever_asks() {
        // Three in four at counters, though only 2 % are counter services.
        let dealt = deal(&[SHOP, HALL, HALL, HALL], 200_000);
        for (kind, share) in SHARES {
            let off = dealt[kind as usize].abs_diff(share * 1_000);
            assert!(off < 200, "{kind:?}: {}", dealt[kind as usize]);
        }
    }

    #[test]
    fn what_nobody_can_ask_becomes_what_is_next_to_it() {
        let bare = Seat { has_standing: false, ..SHOP };
        let dealt = deal(&[bare], 60_000);
        assert_eq!(dealt[Kind::Void as usize] + dealt[Kind::Reversal as usize] + dealt[Kind::Counter as usize], 0);
        let purchases = dealt[Kind::Purchase as usize];
        assert!((5_500..=6_700).contains(&purchases), "{purchases}");
        assert_eq!(dealt.iter().sum::<usize>(), 60_000);
    }
}
