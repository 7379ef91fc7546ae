//! The states that the tests store, and the trivial account in memory that they compare a store with.

use std::collections::BTreeMap;
use synod_runtime::apart::Named;
use synod_runtime::changes::{Changes, Whole};
use synod_runtime::disk::Disk;
use synod_runtime::refusal::Refusal;
use synod_runtime::sim_disk::{SimDir, SimDisk};
use synod_runtime::standing::Standing;
use synod_runtime::store::{Identity, Known, Limits, Opened, Store};

/// The stable state of the tests.
pub(crate) type Map = BTreeMap<u8, Vec<u8>>;

/// Writes the entries that differ. Entries are only ever added or changed.
#[derive(Debug)]
pub(crate) struct Puts;

impl Changes<Map> for Puts {
    fn difference(new: &Map, old: &Map, out: &mut Vec<u8>) {
        let put: Map =
            new.iter().filter(|(k, v)| old.get(k) != Some(v)).map(|(k, v)| (*k, v.clone())).collect();
        Whole::snapshot(&put, out);
    }

    fn apply(state: &mut Map, bytes: &[u8], apart: &mut Named) -> Result<(), String> {
        let put: Map = Whole::restore(bytes, apart)?;
        state.extend(put);
        Ok(())
    }

    fn snapshot(state: &Map, out: &mut Vec<u8>) {
        Whole::snapshot(state, out);
    }

    fn restore(bytes: &[u8], apart: &mut Named) -> Result<Map, String> {
        Whole::restore(bytes, apart)
    }
}

pub(crate) type Stored<D> = Store<Map, Puts, D>;

pub(crate) const MEMBERS: [u64; 3] = [3, 5, 9];
pub(crate) const WHO: Identity = Identity { cluster: 0xc1, member: 3 };
pub(crate) const DISK: u64 = 0xd15c;

/// Small enough that every boundary is met.
pub(crate) const SMALL: Limits =
    Limits { chunk: 512, large: 1 << 16, batch: 1 << 16, compact_above: 1 << 20 };

pub(crate) fn open_with(disk: &SimDisk, limits: Limits) -> Result<(Stored<SimDir>, Opened), Refusal> {
    Store::open_with(disk.open()?, WHO, &MEMBERS, DISK, limits)
}

pub(crate) fn open(disk: &SimDisk) -> Result<(Stored<SimDir>, Opened), Refusal> {
    open_with(disk, SMALL)
}

/// All that a store has to remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) boot: u64,
    pub(crate) saves: u64,
    pub(crate) admitted: bool,
    pub(crate) known: BTreeMap<u64, Known>,
    pub(crate) state: Option<Map>,
}

impl Account {
    /// The account of a store that has just been opened, of the peers that the tests use.
    pub(crate) fn of<D: Disk>(store: &Stored<D>) -> Self {
        Self {
            boot: store.boot(),
            saves: store.saves(),
            admitted: store.admitted(),
            known: (0..8).filter_map(|peer| Some((peer, store.memory().known(peer)?))).collect(),
            state: store.state().cloned(),
        }
    }

    pub(crate) fn put(&mut self, key: u8, value: Vec<u8>) -> &Map {
        self.saves += 1;
        let state = self.state.get_or_insert_default();
        state.insert(key, value);
        state
    }
}

/// Saves one entry in a store and in its account.
pub(crate) fn put<D: Disk>(store: &mut Stored<D>, account: &mut Account, key: u8, value: Vec<u8>) {
    store.save(account.put(key, value));
}

/// Has a store remember that a peer made so many saves.
pub(crate) fn heard<D: Disk>(store: &mut Stored<D>, peer: u64, saves: u64) -> Known {
    let standing = Standing { disk: 7, boot: 1, nonce: 70, saves, admitted: true };
    store.memory_mut().rest_on(peer, &standing);
    store.memory().known(peer).expect("it was heard")
}

/// Bytes none of which is zero, so that no sector of them is.
pub(crate) fn solid(length: usize, salt: u8) -> Vec<u8> {
    (0..length).map(|index| (index as u8).wrapping_mul(31).wrapping_add(salt) | 1).collect()
}

/// The name of the one live journal file.
pub(crate) fn live(disk: &SimDisk) -> String {
    let names = disk.names();
    let mut live = names.iter().filter(|name| name.starts_with("journal-"));
    let name = live.next().expect("a journal").clone();
    assert_eq!(live.next(), None, "one journal file in {names:?}");
    name
}

/// The length of a file without the zeros at its end.
pub(crate) fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A fresh disk with these files.
pub(crate) fn disk_with(files: &[(&str, &[u8])]) -> SimDisk {
    let disk = SimDisk::new();
    for (name, bytes) in files {
        disk.put(name, bytes);
    }
    disk
}

/// The seed of a random test: a new one is not needed to be found again, it is printed and can be given.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("SYNOD_SEED") {
        Ok(text) => text.parse().expect("SYNOD_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("SYNOD_SEED={seed}");
    seed
}
