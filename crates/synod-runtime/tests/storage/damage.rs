//! Journals that are cut, damaged, another's, or gone.

use crate::reference::*;
use synod_runtime::changes::Whole;
use synod_runtime::disk::DirDisk;
use synod_runtime::refusal::{Refusal, Why};
use synod_runtime::sim_disk::SECTOR;
use synod_runtime::store::{Identity, Store, read_journal, read_records};

/// A journal file, and what a store says after each of its batches: the account, and where that batch ends.
struct Written {
    name: String,
    bytes: Vec<u8>,
    identity: Vec<u8>,
    states: Vec<(usize, Account)>,
}

impl Written {
    fn new(values: &[Vec<u8>]) -> Self {
        let disk = synod_runtime::sim_disk::SimDisk::new();
        let (mut store, _) = open(&disk).unwrap();
        let mut account = Account { boot: 1, ..Account::default() };
        let end = || written(&disk.read(&live(&disk)).unwrap());
        let mut states = vec![(end(), account.clone())];
        for (key, value) in (0..).zip(values) {
            put(&mut store, &mut account, key, value.clone());
            let known = heard(&mut store, 5, u64::from(key));
            account.known.insert(5, known);
            if key == 1 {
                store.admit();
                account.admitted = true;
            }
            store.commit().unwrap();
            states.push((end(), account.clone()));
        }
        let name = live(&disk);
        let (bytes, identity) = (disk.read(&name).unwrap(), disk.read("identity").unwrap());
        Self { name, bytes, identity, states }
    }

    /// Opens a disk with other bytes in the journal; what is said, less the boot that opening counts.
    fn open(&self, bytes: &[u8]) -> Result<(Account, u64), Refusal> {
        let disk = disk_with(&[("identity", &self.identity), (&self.name, bytes)]);
        let (store, opened) = open(&disk)?;
        let account = Account::of(&store);
        assert_eq!((opened.boot, opened.saves), (account.boot, account.saves));
        drop(store);
        // What was accepted once is accepted again.
        let (again, second) = open(&disk).expect("a journal that was mended");
        assert_eq!(Account { boot: account.boot + 1, ..account.clone() }, Account::of(&again));
        assert_eq!(second.journal.cut, 0);
        Ok((Account { boot: account.boot - 1, ..account }, opened.journal.cut))
    }

    fn last(&self) -> &(usize, Account) {
        self.states.last().unwrap()
    }
}

#[test]
fn a_journal_that_is_cut_at_any_byte_gives_the_state_of_its_whole_batches() {
    let written = Written::new(&[solid(5, 1), solid(700, 2), solid(1300, 3)]);
    let (end, _) = *written.last();
    for cut in 0..=end {
        let mut padded = written.bytes[..cut].to_vec();
        padded.resize(written.bytes.len(), 0);
        for bytes in [&written.bytes[..cut], &padded] {
            let expected = written.states.iter().rev().find(|(end, _)| *end <= cut);
            match (written.open(bytes), expected) {
                (Ok((found, torn)), Some((end, account))) => {
                    assert_eq!(found, *account, "cut at {cut}");
                    assert!(torn as usize <= cut - end, "cut at {cut}");
                }
                // Cut in the batch of the first boot, or in the opening before it.
                (Ok((found, _)), None) => assert_eq!(found, Account::default(), "cut at {cut}"),
                (Err(refusal), None) => {
                    assert!(matches!(refusal.why, Why::Damaged(_) | Why::Version(0)), "{refusal}");
                }
                (Err(refusal), Some(_)) => panic!("cut at {cut}: {refusal}"),
            }
        }
    }
}

#[test]
fn a_last_batch_that_lacks_any_of_its_sectors_is_cut() {
    let written = Written::new(&[solid(5, 1), solid(2600, 2)]);
    let [.., (start, before), (end, after)] = &written.states[..] else { panic!("two states") };
    let (first, last) = (start / SECTOR, end.div_ceil(SECTOR));
    assert!(last - first >= 6);
    for missing in 0..1_u32 << (last - first) {
        let mut bytes = written.bytes.clone();
        for sector in (first..last).filter(|sector| missing >> (sector - first) & 1 == 1) {
            let from = (sector * SECTOR).max(*start);
            bytes[from..((sector + 1) * SECTOR).min(*end)].fill(0);
        }
        let (found, cut) = written.open(&bytes).unwrap_or_else(|refusal| panic!("{missing:b}: {refusal}"));
        assert_eq!(found, if missing == 0 { after.clone() } else { before.clone() }, "{missing:b}");
        assert_eq!(cut == 0, missing == 0 || missing == (1 << (last - first)) - 1, "{missing:b}");
    }
}

#[test]
fn every_flipped_bit_of_what_was_written_is_refused() {
    let written = Written::new(&[solid(5, 1), solid(40, 2), solid(700, 3)]);
    let (end, account) = written.last();
    for bit in 0..end * 8 {
        let mut bytes = written.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match written.open(&bytes) {
            Ok(_) => panic!("bit {bit} of byte {} of {end}", bit / 8),
            Err(Refusal { why: Why::Damaged(_), offset: Some(at), .. }) => {
                assert!(at <= bit as u64 / 8, "the place is not after the damage");
            }
            Err(Refusal { why: Why::Version(_), .. }) => assert!((8..12).contains(&(bit / 8))),
            Err(refusal) => panic!("{refusal}"),
        }
    }
    // The bytes that follow were never said to be written.
    for bit in end * 8..(end + 64).min(written.bytes.len()) * 8 {
        let mut bytes = written.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok((found, _)) = written.open(&bytes) {
            assert_eq!(found, *account);
        }
    }
}

#[test]
fn a_flipped_bit_beside_a_sector_of_zeros_never_gives_a_third_state() {
    let mut value = solid(1700, 1);
    value[300..1500].fill(0);
    let written = Written::new(&[solid(5, 1), value]);
    let [.., (start, before), (end, _)] = &written.states[..] else { panic!("two states") };
    let (mut cut, mut refused) = (0, 0);
    for bit in start * 8..end * 8 {
        let mut bytes = written.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match written.open(&bytes) {
            Ok((found, _)) => {
                assert_eq!(found, *before);
                cut += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(cut > 0 && refused > 0, "the head is told from a torn one, the payload is not: {cut} {refused}");
}

#[test]
fn damage_says_where_and_what_to_do() {
    let written = Written::new(&[solid(5, 1), solid(40, 2)]);
    let [(_, _), (start, _), ..] = &written.states[..] else { panic!("three states") };
    let mut bytes = written.bytes.clone();
    bytes[start + 50] ^= 4;
    let refusal = written.open(&bytes).unwrap_err();
    assert_eq!(refusal.offset, Some(*start as u64));
    let text = refusal.to_string();
    assert!(text.contains("journal-00000001") && text.contains(&format!("at byte {start}")), "{text}");
    assert!(text.contains("bring back the right data directory") && !text.contains("new id"), "{text}");
}

#[test]
fn the_journal_of_another_is_refused() {
    let written = Written::new(&[solid(5, 1)]);
    let disk = || disk_with(&[("identity", &written.identity), (&written.name, &written.bytes)]);
    for who in [Identity { cluster: 9, ..WHO }, Identity { member: 9, ..WHO }] {
        let refusal = Store::<Map, Puts, _>::open(disk().open().unwrap(), who, &MEMBERS, 0)
            .expect_err("another's journal");
        let expected = (who.cluster, who.member);
        assert_eq!(refusal.why, Why::Foreign { cluster: WHO.cluster, member: WHO.member, expected });
        assert!(refusal.to_string().contains("belongs to member 3 of cluster 00000000000000c1"), "{refusal}");
    }
    // The same member's journal of another directory, as after a copy of one file.
    let other = disk_with(&[]);
    drop(Store::<Map, Puts, _>::open_with(other.open().unwrap(), WHO, &MEMBERS, DISK + 1, SMALL).unwrap());
    disk().take(&written.name);
    let mixed =
        disk_with(&[("identity", &written.identity), (&written.name, &other.read(&written.name).unwrap())]);
    let refusal = open(&mixed).unwrap_err();
    assert!(refusal.to_string().contains("not the journal of this directory"), "{refusal}");
}

#[test]
fn a_directory_is_bound_to_the_members_it_was_made_for() {
    let disk = disk_with(&[]);
    drop(open(&disk).unwrap());
    let start = |members: &[u64]| {
        Store::<Map, Puts, _>::open_with(disk.open().unwrap(), WHO, members, DISK, SMALL)
            .map(|(store, opened)| (store.members().to_vec(), opened.boot))
    };
    for others in [&[3][..], &[3, 5], &[3, 5, 10], &[1, 3, 5, 9]] {
        let refusal = start(others).expect_err("other members");
        assert_eq!(refusal.why, Why::Members { found: MEMBERS.to_vec(), expected: others.to_vec() });
        let text = refusal.to_string();
        assert!(
            text.contains("made for members 3, 5, 9, not for members ") && text.contains("start with the"),
            "{text}"
        );
    }
    // A refused start leaves nothing behind, and the order in a file says nothing.
    assert_eq!(start(&[9, 5, 3]).unwrap(), (MEMBERS.to_vec(), 2));
    // A compaction does not loosen it.
    let (mut store, _) = open(&disk).unwrap();
    store.compact().unwrap();
    drop(store);
    start(&[3, 5]).expect_err("other members");
    assert_eq!(start(&MEMBERS).unwrap(), (MEMBERS.to_vec(), 4));
}

#[test]
fn starts_are_listed_through_crashes_and_compactions() {
    let disk = disk_with(&[]);
    for boot in 1..6_u64 {
        let opened = Store::<Map, Puts, _>::open_with(disk.open().unwrap(), WHO, &MEMBERS, 100 + boot, SMALL);
        let (mut store, _) = opened.unwrap();
        let mut account = Account { state: store.state().cloned(), ..Account::default() };
        put(&mut store, &mut account, boot as u8, solid(9, 1));
        store.commit().unwrap();
        if boot == 3 {
            store.compact().unwrap();
        }
        let starts: Vec<(u64, u64)> =
            store.mine().starts.iter().map(|begun| (begun.nonce, begun.saves)).collect();
        assert_eq!(starts, (1..=boot).map(|boot| (100 + boot, boot - 1)).collect::<Vec<_>>());
        assert_eq!((store.mine().first, store.standing().nonce), (1, 100 + boot));
        disk.crash(&mut fastrand::Rng::with_seed(boot));
    }
}

#[test]
fn other_versions_are_refused() {
    let written = Written::new(&[solid(5, 1)]);
    for version in [0_u32, 1, 3, u32::MAX] {
        let mut bytes = written.bytes.clone();
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        assert_eq!(written.open(&bytes).unwrap_err().why, Why::Version(version));
    }
}

#[test]
fn a_journal_that_is_gone_is_noticed() {
    let disk = disk_with(&[]);
    drop(open(&disk).unwrap());
    disk.take(&live(&disk));
    let refusal = open(&disk).unwrap_err();
    assert_eq!(refusal.why, Why::Lost);
    assert!(refusal.to_string().contains("bring back the right data directory"), "{refusal}");
    assert_eq!(open(&disk).unwrap_err().why, Why::Lost, "and is not forgotten");
}

#[test]
fn a_changed_identity_is_refused_and_a_missing_one_is_written() {
    let written = Written::new(&[solid(5, 1)]);
    for bit in 0..written.identity.len() * 8 {
        let mut identity = written.identity.clone();
        identity[bit / 8] ^= 1 << (bit % 8);
        let disk = disk_with(&[("identity", &identity), (&written.name, &written.bytes)]);
        assert!(matches!(open(&disk).unwrap_err().why, Why::Damaged(_)), "bit {bit}");
    }
    let disk = disk_with(&[(&written.name, &written.bytes)]);
    let (store, opened) = open(&disk).unwrap();
    assert!(!opened.journal.created && !store.fresh());
    assert_eq!(disk.read("identity").unwrap(), written.identity);
}

#[test]
fn any_bytes_are_read_without_a_panic() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let written = Written::new(&[solid(5, 1), solid(300, 2)]);
    for _ in 0..20_000 {
        let mut bytes = vec![0; rng.usize(0..200)];
        rng.fill(&mut bytes);
        assert!(read_journal::<Map, Puts>(&bytes).is_err());
        // Records have no checksum of their own.
        let _ = read_records::<Map, Puts>(&bytes);
        let mut journal = written.bytes.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..journal.len());
            let by = rng.usize(0..8).min(journal.len() - at);
            journal[at..].rotate_left(by);
        }
        if let Ok(found) = read_journal::<Map, Puts>(&journal) {
            let states = written.states.iter().map(|(_, account)| &account.state);
            assert!(states.chain([&None]).any(|state| *state == found.state));
        }
    }
    let whole = read_journal::<Map, Puts>(&written.bytes).unwrap();
    assert_eq!((whole.boot, whole.saves, whole.cut), (1, 2, 0));
    assert_eq!((whole.state, whole.admitted), (written.last().1.state.clone(), true));
}

#[test]
fn a_change_of_another_program_is_refused_at_its_batch() {
    let disk = disk_with(&[]);
    let (mut store, _) =
        Store::<Vec<String>, Whole, _>::open(disk.open().unwrap(), WHO, &MEMBERS, DISK).unwrap();
    store.save(&vec!["not a map".into(); 3]);
    store.commit().unwrap();
    drop(store);
    let refusal = open(&disk).unwrap_err();
    assert!(matches!(&refusal.why, Why::Damaged(what) if what.contains("save 1")), "{refusal}");
    assert!(refusal.offset.is_some_and(|offset| offset > 64));
}

#[test]
fn a_real_directory_keeps_what_was_committed_and_its_lock() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    let (mut store, opened) =
        Store::<Map, Puts, _>::open(DirDisk::open(&path).unwrap(), WHO, &MEMBERS, DISK).unwrap();
    assert!(opened.journal.created && store.fresh());
    let mut account = Account { boot: 1, ..Account::default() };
    put(&mut store, &mut account, 1, solid(3000, 1));
    store.commit().unwrap();
    put(&mut store, &mut account.clone(), 2, solid(10, 1));
    assert_eq!(DirDisk::open(&path).unwrap_err().why, Why::InUse);
    drop(store);
    let (mut store, opened) =
        Store::<Map, Puts, _>::open(DirDisk::open(&path).unwrap(), WHO, &MEMBERS, DISK + 1).unwrap();
    assert_eq!(Account::of(&store), Account { boot: 2, ..account.clone() });
    assert_eq!((store.disk_id(), opened.journal.created, store.fresh()), (DISK, false, false));
    store.compact().unwrap();
    drop(store);
    let names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.contains(&"journal-00000002".into()) && names.len() == 3, "{names:?}");
    let (store, _) = Store::<Map, Puts, _>::open(DirDisk::open(&path).unwrap(), WHO, &MEMBERS, DISK).unwrap();
    assert_eq!(Account::of(&store), Account { boot: 3, ..account });
}
