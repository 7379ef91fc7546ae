//! The keys that a member needs for its clients, and a client for its members.

use super::counts::Dropped;
use super::guest::{self, Turnstile};
use crate::keys::{self, ClientKey, ClientKeys, Key, Keys};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The state of a member for its clients.
pub(super) struct Host {
    pub(super) keys: Vec<ClientKey>,
    /// The cluster's keys, by id, in both halves.
    pub(super) halves: Vec<(u32, StaticSecret, [u8; 32])>,
    /// The last number that was given out.
    pub(super) given: u64,
    /// No session begins any more under numbers up to this one.
    pub(super) forgotten: u64,
    pub(super) welcomes: Turnstile,
    pub(super) proofs: Turnstile,
}

/// The state of a client for its members.
pub(super) struct Guest {
    pub(super) secret: Key,
    pub(super) half: StaticSecret,
    pub(super) public: [u8; 32],
    pub(super) cluster: [u8; 32],
    pub(super) shared: Result<Zeroizing<[u8; 32]>, Dropped>,
}

impl Host {
    pub(super) fn new(cluster: Option<&Keys>, clients: Option<&ClientKeys>) -> Host {
        let half = |key: &Key| {
            let public = keys::public(key);
            (keys::public_id(&public), key.half(), public)
        };
        Host {
            keys: clients.map_or_else(Vec::new, |keys| keys.iter().cloned().collect()),
            halves: cluster.map_or_else(Vec::new, |keys| keys.iter().map(half).collect()),
            given: 0,
            forgotten: 0,
            welcomes: Turnstile::new(),
            proofs: Turnstile::new(),
        }
    }

    /// The secret of an id.
    pub(super) fn secret(&self, id: u32) -> Result<&Key, Dropped> {
        let found = self.keys.iter().find(|key| key.secret.id() == id);
        found.map(|key| &key.secret).ok_or(Dropped::UnknownKey)
    }

    pub(super) fn half(&self, id: u32) -> Result<&(u32, StaticSecret, [u8; 32]), Dropped> {
        self.halves.iter().find(|half| half.0 == id).ok_or(Dropped::UnknownKey)
    }

    /// Replaces the keys.
    pub(super) fn take(&mut self, cluster: Option<&Keys>, clients: Option<&ClientKeys>) {
        let Host { keys, halves, .. } = Host::new(cluster, clients);
        (self.keys, self.halves) = (keys, halves);
    }
}

impl Guest {
    /// A client. Its half follows from the random bytes drawn for its start.
    pub(super) fn new(keys: &ClientKeys, me: u64, drawn: &[u8; 16]) -> Guest {
        let half = keys::expand(drawn, &[], &[b"synod 2 client half", &me.to_le_bytes()]);
        Guest::with(keys, StaticSecret::from(*half))
    }

    pub(super) fn with(keys: &ClientKeys, half: StaticSecret) -> Guest {
        let ClientKey { secret, cluster } = keys.first().clone();
        let public = PublicKey::from(&half).to_bytes();
        Guest { secret, public, cluster, shared: guest::shared(&half, &cluster), half }
    }

    /// Replaces the keys. True if the first one is another.
    pub(super) fn take(&mut self, keys: &ClientKeys) -> bool {
        let ClientKey { secret, cluster } = keys.first();
        if (secret, cluster) == (&self.secret, &self.cluster) {
            return false;
        }
        *self = Guest::with(keys, self.half.clone());
        true
    }
}
