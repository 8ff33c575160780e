//! A terminal's session: the keys its sign-ins made, and which of them still verify.
//!
//! Sign-in needs no MAC, so anybody who knows a terminal's id can ask for one. What it
//! makes is of no use without the terminal's master key; what must not happen is that
//! such requests push the honest terminal's key out. So the key that last verified a
//! request (the confirmed one) stays whatever is signed in after it, and older keys end
//! only a while after a newer one was confirmed.

use alloc::sync::Arc;
use alloc::vec::Vec;
use xingka_wire::mac::MacKey;

/// How long older keys still verify after a newer one did, in milliseconds.
pub const OVERLAP_MS: i64 = 10 * 60 * 1000;

/// Keys kept at a time: the newest, the one before it, and the confirmed one.
const KEYS_KEPT: usize = 3;

/// One sign-in's MAC key.
#[derive(Debug)]
pub struct SessionKey {
    /// Counts the terminal's sign-ins.
    pub serial: u32,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: i64,
    /// What seals and verifies.
    pub mac: MacKey,
}

/// A terminal that has signed in.
#[derive(Debug, Clone)]
pub struct Session {
    newest: Arc<SessionKey>,
    /// Newest first.
    older: Vec<Arc<SessionKey>>,
    confirmed: Option<Confirmed>,
}

/// The newest key known to have arrived, since when.
#[derive(Debug, Clone, Copy)]
struct Confirmed {
    serial: u32,
    since_ms: i64,
}

impl Session {
    /// The session after a sign-in.
    pub fn renewed(former: Option<&Self>, newest: Arc<SessionKey>) -> Self {
        let Some(former) = former else {
            return Self { newest, older: Vec::new(), confirmed: None };
        };
        let mut older = Vec::with_capacity(KEYS_KEPT);
        older.push(former.newest.clone());
        older.extend(former.older.iter().cloned());
        while older.len() >= KEYS_KEPT {
            let dispensable = older.iter().rposition(|key| !former.is_confirmed(key.serial));
            older.remove(dispensable.unwrap_or(older.len() - 1));
        }
        Self { newest, older, confirmed: former.confirmed }
    }

    /// The key of the latest sign-in.
    pub fn newest(&self) -> &Arc<SessionKey> {
        &self.newest
    }

    /// The key that a message's MAC was made with, if it is one that still verifies.
    pub fn verify(&self, mab: &[u8], mac: &[u8; 8], now_ms: i64) -> Option<&Arc<SessionKey>> {
        let keys = core::iter::once(&self.newest).chain(&self.older);
        keys.filter(|key| self.lives(key.serial, now_ms)).find(|key| key.mac.verify(mab, mac))
    }

    /// The session after a key verified a request; `None` where that changes nothing.
    pub fn confirmed(&self, serial: u32, now_ms: i64) -> Option<Self> {
        let newer = self.confirmed.is_none_or(|confirmed| confirmed.serial < serial);
        newer.then(|| Self { confirmed: Some(Confirmed { serial, since_ms: now_ms }), ..self.clone() })
    }

    fn is_confirmed(&self, serial: u32) -> bool {
        self.confirmed.is_some_and(|confirmed| confirmed.serial == serial)
    }

    fn lives(&self, serial: u32, now_ms: i64) -> bool {
        self.confirmed.is_none_or(|confirmed| {
            serial >= confirmed.serial || now_ms.saturating_sub(confirmed.since_ms) < OVERLAP_MS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xingka_wire::mac::MacAlgorithm;

    fn key(serial: u32) -> Arc<SessionKey> {
        let mac = MacKey::new(MacAlgorithm::AesCmac, &[serial as u8; 16]).unwrap();
        Arc::new(SessionKey { serial, made_ms: 0, mac })
    }

    fn signed_in(serials: core::ops::RangeInclusive<u32>) -> Session {
        let mut keys = serials.map(key);
        let first = Session::renewed(None, keys.next().unwrap());
        keys.fold(first, |session, key| Session::renewed(Some(&session), key))
    }

    fn verifies(session: &Session, serial: u32, now_ms: i64) -> bool {
        let mac = key(serial).mac.mac(b"message");
        session.verify(b"message", &mac, now_ms).is_some_and(|found| found.serial == serial)
    }

    #[test]
    fn old_and_new_keys_verify_until_a_while_after_the_new_one_was_used() {
        let session = signed_in(1..=2).confirmed(2, 1_000).unwrap();
        assert!(verifies(&session, 1, 1_000 + OVERLAP_MS - 1));
        assert!(!verifies(&session, 1, 1_000 + OVERLAP_MS));
        assert!(verifies(&session, 2, 1_000 + 2 * OVERLAP_MS));
    }

    #[test]
    fn sign_ins_nobody_uses_do_not_push_out_the_key_in_use() {
        let mut session = signed_in(1..=1).confirmed(1, 0).unwrap();
        for serial in 2..50 {
            session = Session::renewed(Some(&session), key(serial));
        }
        assert!(verifies(&session, 1, 2 * OVERLAP_MS));
        assert!(verifies(&session, 49, 0) && verifies(&session, 48, 0) && !verifies(&session, 47, 0));
    }

    #[test]
    fn an_older_key_never_replaces_a_newer_confirmed_one() {
        let session = signed_in(1..=2).confirmed(2, 5).unwrap();
        assert!(session.confirmed(1, 6).is_none() && session.confirmed(2, 7).is_none());
    }
}
