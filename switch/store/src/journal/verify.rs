//! Checking a chain against its anchors, wherever its groups are read from.

use std::collections::BTreeMap;

use super::anchor::{Anchor, AnchorKey};
use super::chain::{ChainFault, Follower, Group, Hash};

/// What a whole, unbroken chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose journal.
    pub node: u16,
    /// How many records.
    pub records: u64,
    /// How many commits.
    pub groups: u64,
    /// How many anchors it goes through.
    pub anchors: usize,
    /// Its newest anchor's place; changes after it can't be told from honest records.
    pub anchored_through: u64,
    /// The last record's place, and the hash there.
    pub head: (u64, Hash),
}

/// Follows a chain from its first group to its last.
pub struct Verifier {
    node: u16,
    follower: Follower,
    /// Anchors not come to yet.
    open: BTreeMap<u64, Hash>,
    passed: usize,
    anchored_through: u64,
    groups: u64,
}

impl Verifier {
    /// Of a node's journal, with all anchors that there are; every one must be this deployment's own.
    pub fn new(node: u16, anchors: &[Anchor], key: &AnchorKey) -> Result<Self, ChainFault> {
        let ours = anchors.iter().filter(|anchor| anchor.node == node);
        let open = ours.map(|anchor| key.check(anchor).map(|()| (anchor.sequence, anchor.hash)));
        let open = open.collect::<Result<_, _>>()?;
        Ok(Self { node, follower: Follower::new(node), open, passed: 0, anchored_through: 0, groups: 0 })
    }

    /// The last place taken in.
    pub fn through(&self) -> u64 {
        self.follower.head().0
    }

    /// Takes the next group: it must follow, hold as many records as it says, and go through the anchor that
    /// was made there.
    pub fn take(&mut self, group: &Group, hash: Hash) -> Result<(), ChainFault> {
        self.follower.follow(group, hash)?;
        group.decode()?;
        self.groups += 1;
        let (sequence, hash) = self.follower.head();
        match self.open.remove(&sequence) {
            Some(anchored) if anchored != hash => return Err(ChainFault::Rewritten { sequence }),
            Some(_) => {
                self.passed += 1;
                self.anchored_through = sequence;
            }
            None => {}
        }
        Ok(())
    }

    /// What it was, where nothing follows. `whole`: there must be all that was ever anchored; else only all
    /// up to here.
    pub fn end(self, whole: bool) -> Result<Verified, ChainFault> {
        let head = self.follower.head();
        match self.open.first_key_value() {
            // An anchor in the middle of a group that was never written that way.
            Some((sequence, _)) if *sequence < head.0 => Err(ChainFault::Rewritten { sequence: *sequence }),
            Some((sequence, _)) if whole => Err(ChainFault::CutOff { end: head.0, anchored: *sequence }),
            _ => Ok(Verified {
                node: self.node,
                records: head.0,
                groups: self.groups,
                anchors: self.passed,
                anchored_through: self.anchored_through,
                head,
            }),
        }
    }
}
