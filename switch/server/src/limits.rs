//! Limits: nobody takes more than a share of the switch.
//!
//! What is authentic is charged to its terminal and merchant, and to nobody before it is
//! proven: a stranger who sends in a terminal's name can't spend that terminal's share.
//! Everything else is charged to the address it came from. Housekeeping has a share of its
//! own there, so that an address flooded with noise can still sign in.
//!
//! A share is a rate with a burst of [`BURST_S`] seconds' worth (the generic cell rate
//! algorithm, by the crate governor). The defaults are far beyond an honest city; a
//! deployment that knows its own lowers them.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use xingka_core::ids::{MerchantId, TerminalId};

use crate::metrics::Limited;

/// How many seconds' worth of a share may be used at once.
const BURST_S: u32 = 10;

/// Requests a second; `None` is no limit.
#[derive(Debug, Clone, Copy)]
pub struct LimitSettings {
    /// What isn't authentic, from one address; and as much housekeeping again.
    pub address_per_s: Option<NonZeroU32>,
    /// Authentic requests of one terminal.
    pub terminal_per_s: Option<NonZeroU32>,
    /// Authentic requests of one merchant's terminals together.
    pub merchant_per_s: Option<NonZeroU32>,
    /// Sign-ins in one terminal's name.
    pub sign_in_per_s: Option<NonZeroU32>,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            address_per_s: NonZeroU32::new(10_000),
            terminal_per_s: NonZeroU32::new(5_000),
            merchant_per_s: NonZeroU32::new(50_000),
            sign_in_per_s: NonZeroU32::new(100),
        }
    }
}

/// A share for each key, or none at all.
struct Shares<K: Hash + Eq + Clone>(Option<RateLimiter<K, DashMapStateStore<K>, DefaultClock>>);

impl<K: Hash + Eq + Clone> Shares<K> {
    fn new(per_s: Option<NonZeroU32>) -> Self {
        let quota = |rate: NonZeroU32| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_S - 1));
            RateLimiter::dashmap(Quota::per_second(rate).allow_burst(burst))
        };
        Self(per_s.map(quota))
    }

    /// Takes one, if it is there.
    fn take(&self, key: &K) -> bool {
        self.0.as_ref().is_none_or(|limiter| limiter.check_key(key).is_ok())
    }

    /// Forgets whose share is whole again.
    fn forget_idle(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// Somebody asked for more than a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverLimit;

/// Everybody's shares.
pub(crate) struct Limits {
    noise: Shares<IpAddr>,
    housekeeping: Shares<IpAddr>,
    terminals: Shares<TerminalId>,
    merchants: Shares<MerchantId>,
    sign_ins: Shares<TerminalId>,
}

impl Limits {
    pub(crate) fn new(settings: LimitSettings) -> Self {
        Self {
            noise: Shares::new(settings.address_per_s),
            housekeeping: Shares::new(settings.address_per_s),
            terminals: Shares::new(settings.terminal_per_s),
            merchants: Shares::new(settings.merchant_per_s),
            sign_ins: Shares::new(settings.sign_in_per_s),
        }
    }

    /// Something that wasn't authentic, or no message at all.
    pub(crate) fn noise(&self, address: IpAddr, limited: &Limited) -> Result<(), OverLimit> {
        within(self.noise.take(&network(address)), &limited.address)
    }

    /// A message without a MAC.
    pub(crate) fn housekeeping(&self, address: IpAddr, limited: &Limited) -> Result<(), OverLimit> {
        within(self.housekeeping.take(&network(address)), &limited.address)
    }

    /// A sign-in in a known terminal's name, which anybody can send.
    pub(crate) fn sign_in(&self, terminal: &TerminalId, limited: &Limited) -> Result<(), OverLimit> {
        within(self.sign_ins.take(terminal), &limited.sign_in)
    }

    /// An authentic request.
    pub(crate) fn authentic(
        &self,
        terminal: &TerminalId,
        merchant: &MerchantId,
        limited: &Limited,
    ) -> Result<(), OverLimit> {
        within(self.terminals.take(terminal), &limited.terminal)?;
        within(self.merchants.take(merchant), &limited.merchant)
    }

    /// To be called now and then: memory is for those who are active only.
    pub(crate) fn forget_idle(&self) {
        self.noise.forget_idle();
        self.housekeeping.forget_idle();
        self.terminals.forget_idle();
        self.merchants.forget_idle();
        self.sign_ins.forget_idle();
    }
}

fn within(taken: bool, over: &metrics::Counter) -> Result<(), OverLimit> {
    if taken {
        return Ok(());
    }
    over.increment(1);
    Err(OverLimit)
}

/// Whose address it is: of IPv6, one host has a whole network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn limits(per_s: u32) -> Limits {
        let per_s = NonZeroU32::new(per_s);
        Limits::new(LimitSettings {
            address_per_s: per_s,
            terminal_per_s: per_s,
            merchant_per_s: per_s,
            sign_in_per_s: per_s,
        })
    }

    fn taken(count: usize, mut take: impl FnMut() -> Result<(), OverLimit>) -> usize {
        (0..count).filter(|_| take().is_ok()).count()
    }

    #[test]
    fn a_share_is_a_burst_and_each_address_has_its_own() {
        let (limits, metrics) = (limits(1), Metrics::new());
        let (one, other) = (IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 3]));
        assert!((10..100).contains(&taken(1_000, || limits.noise(one, &metrics.limited))));
        assert!(limits.noise(other, &metrics.limited).is_ok());
        assert!(limits.housekeeping(one, &metrics.limited).is_ok(), "noise doesn't keep anybody from signing in");
        assert!(metrics.render(0, 0, 0).contains("xingka_limited_total{by=\"address\"} 9"));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let (limits, metrics) = (limits(1), Metrics::new());
        let host = |low: u128| IpAddr::from(Ipv6Addr::from(0x2001_0DB8_u128 << 96 | low));
        assert!(taken(1_000, || limits.noise(host(7), &metrics.limited)) < 100);
        assert_eq!(limits.noise(host(8), &metrics.limited), Err(OverLimit));
        assert_eq!(limits.noise(host(1 << 64), &metrics.limited), Ok(()));
    }

    #[test]
    fn without_a_limit_all_is_within_it() {
        let (limits, metrics) = (limits(0), Metrics::new());
        let terminal = TerminalId(*b"QZ000001");
        assert_eq!(taken(10_000, || limits.sign_in(&terminal, &metrics.limited)), 10_000);
    }

    #[test]
    fn what_is_forgotten_was_whole_again() {
        let (limits, metrics) = (limits(1), Metrics::new());
        let terminal = TerminalId(*b"QZ000001");
        let _ = taken(1_000, || limits.sign_in(&terminal, &metrics.limited));
        limits.forget_idle();
        assert_eq!(limits.sign_in(&terminal, &metrics.limited), Err(OverLimit));
    }
}
