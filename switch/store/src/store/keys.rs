//! Which keys a store was filled under.
//!
//! A store filled under one card-hash key and read under another knows no card, and answers
//! every holder 14; with another master key no terminal signs in. Neither looks like a
//! wrong key. So the first import leaves a check value of both keys, and whoever opens the
//! store with others is told. Eight bytes of an HMAC of a fixed text: nothing about a key
//! can be learned from them.

use xingka_core::pan::CardHasher;

use super::{Change, Store, StoreError};
use crate::vault::MasterKey;

const CHECK_BYTES: usize = 8;
const MASTER: (&str, &str) = ("master_key_check", "the master key (`keys.master`)");
const CARD_HASH: (&str, &str) = ("card_hash_key_check", "the card-hash key (`keys.card_hash`)");

impl Store {
    /// Whether these are the keys the store was filled under; any are, before it is filled.
    pub async fn check_keys(&self, master: &MasterKey, card_hash: &CardHasher) -> Result<(), StoreError> {
        for ((name, key), ours) in checks(master, card_hash)? {
            let theirs = self.meta(name).await?;
            if theirs.is_some_and(|theirs| theirs != ours) {
                return Err(StoreError::WrongKey { key });
            }
        }
        Ok(())
    }
}

impl Change {
    /// Notes the keys of the first import, and refuses others from then on.
    pub(crate) async fn settle_keys(&mut self, master: &MasterKey, card_hash: &CardHasher) -> Result<(), StoreError> {
        for ((name, key), ours) in checks(master, card_hash)? {
            if self.say(name, &ours).await? != ours {
                return Err(StoreError::WrongKey { key });
            }
        }
        Ok(())
    }
}

type Check = ((&'static str, &'static str), String);

fn checks(master: &MasterKey, card_hash: &CardHasher) -> Result<[Check; 2], StoreError> {
    let short = |value: &[u8; 32]| hex::encode(&value[..CHECK_BYTES]);
    // No card number is made of letters, so this is no card's key.
    let card_hash = card_hash.key_of(b"key check");
    Ok([(MASTER, short(&master.derive("key check")?)), (CARD_HASH, short(&card_hash.0))])
}
