//! Anchors: signed copies of the chain's head, kept outside the journal.
//!
//! A chain alone shows a change inside it, but not that its end was cut off or that the
//! whole of it was written anew. An anchor does: it names a place and the chain's hash
//! there, under a key derived from the master key, and lies in the central store.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::chain::{ChainFault, Hash};

/// What the anchor key is derived from the master key with.
pub const ANCHOR_KEY_LABEL: &str = "journal anchor";

/// The chain's head at some moment, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Whose journal.
    pub node: u16,
    /// The last record of the group.
    pub sequence: u64,
    /// The chain's hash there.
    pub hash: Hash,
    /// When the anchor was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// HMAC-SHA-256 over all of these.
    pub mac: [u8; 32],
}

/// Makes and checks anchors.
#[derive(Clone)]
pub struct AnchorKey(Hmac<Sha256>);

impl std::fmt::Debug for AnchorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnchorKey(…)")
    }
}

impl AnchorKey {
    /// From a key derived with [`ANCHOR_KEY_LABEL`].
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC takes keys of any length; this branch doesn't exist.
        Self(Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// Signs a chain's head.
    pub fn sign(&self, node: u16, (sequence, hash): (u64, Hash), at_ms: i64) -> Anchor {
        let mac = self.over(node, sequence, hash, at_ms).finalize().into_bytes().into();
        Anchor { node, sequence, hash, at_ms, mac }
    }

    /// Whether this deployment made the anchor.
    pub fn check(&self, anchor: &Anchor) -> Result<(), ChainFault> {
        let mac = self.over(anchor.node, anchor.sequence, anchor.hash, anchor.at_ms);
        mac.verify_slice(&anchor.mac).map_err(|_| ChainFault::ForgedAnchor { sequence: anchor.sequence })
    }

    fn over(&self, node: u16, sequence: u64, hash: Hash, at_ms: i64) -> Hmac<Sha256> {
        let mac = self.0.clone().chain_update(node.to_be_bytes()).chain_update(sequence.to_be_bytes());
        mac.chain_update(hash.0).chain_update(at_ms.to_be_bytes())
    }
}
