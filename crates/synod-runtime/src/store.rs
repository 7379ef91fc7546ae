//! Stable storage of one member: its stable state, its number of starts, and its knowledge of its peers.
//!
//! [`Store::save`], [`Store::memory_mut`] and [`Store::admit`] add to a batch in memory. [`Store::commit`] makes the batch
//! durable with one flush. Nothing that depends on a batch may leave the process before its commit has returned.
//! After a [`Refusal`] the process must stop.

mod compaction;
mod record;

use crate::apart::{self, Apart, Named, Writing};
use crate::changes::{Changes, encode};
use crate::disk::Disk;
use crate::journal::{self, Found, Journal};
use crate::refusal::{Refusal, Why};
use crate::standing::Standing;
use compaction::Compaction;
use record::{Facts, Record, Replay};
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use synod_admission::{Begun, Memory, Mine};

pub use crate::journal::{Counts, Identity, Limits};
pub use record::Known;

/// The bytes that a commit adds to a compaction under way, at least: so many more than a batch that the flush takes little longer.
const COMPACTED: u64 = 1 << 20;

/// The state in which a data directory was found when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The journal.
    pub journal: Found,
    /// The number of times that the directory was opened, this time included.
    pub boot: u64,
    /// The number of saves that are durable in it.
    pub saves: u64,
}

/// The stable storage of a member whose stable state is an `S`, written as `C` says on a `D`.
#[derive(Debug)]
pub struct Store<S, C: Changes<S>, D: Disk> {
    journal: Journal<D>,
    facts: Facts,
    state: Option<S>,
    durable_saves: u64,
    /// The bytes that the state saved last names.
    named: Named,
    /// The files that are durable, named or not.
    files: BTreeSet<Apart>,
    /// The files that were made durable for saves to come, by group.
    ready: Named,
    /// The bytes that the batch names and that have no file yet.
    unwritten: Vec<(Apart, Arc<[u8]>)>,
    /// The compaction that is under way.
    compaction: Option<Compaction<S, C, D>>,
    way: PhantomData<C>,
}

impl<S: Clone, C: Changes<S>, D: Disk> Store<S, C, D> {
    /// Opens the data directory `disk` for `who`, one of these `members`, and counts the start durably before it returns. A
    /// directory that never had a journal gets one, bound to the members. `fresh` names the start, and the directory if it is
    /// new. It must be random.
    ///
    /// # Errors
    /// When the journal is damaged, another's, of another version, of other members or gone, and as the operating system says.
    pub fn open(disk: D, who: Identity, members: &[u64], fresh: u64) -> Result<(Self, Opened), Refusal> {
        Self::open_with(disk, who, members, fresh, Limits::default())
    }

    /// As [`Store::open`], with other sizes.
    ///
    /// # Errors
    /// As [`Store::open`].
    ///
    /// # Panics
    /// When the limits are out of their bounds.
    pub fn open_with(
        disk: D,
        who: Identity,
        members: &[u64],
        fresh: u64,
        limits: Limits,
    ) -> Result<(Self, Opened), Refusal> {
        let mut replay = Replay::<S, C>::new();
        let mut members = members.to_vec();
        members.sort_unstable();
        members.dedup();
        let new = Facts { members, ..Facts::default() };
        let (journal, found) = Journal::open(
            disk,
            who,
            fresh,
            limits,
            |opening| Compaction::<S, C, D>::facts(opening, &new, None),
            &mut |bytes| replay.record(bytes),
        )?;
        let (facts, mut state, named) =
            replay.finish().map_err(|what| Refusal::damaged(found.file.clone(), 0, what))?;
        if facts.members != new.members {
            let why = Why::Members { found: facts.members, expected: new.members };
            return Err(Refusal::whole(found.file, why));
        }
        for apart in named.values() {
            if let Some(state) = &mut state {
                C::rejoin(state, apart, apart::read(journal.disk(), apart)?);
            }
        }
        apart::tidy(journal.disk(), &named)?;
        let durable_saves = facts.saves;
        let mut store = Self {
            journal,
            facts,
            state,
            durable_saves,
            files: named.values().copied().collect(),
            named,
            ready: Named::new(),
            unwritten: Vec::new(),
            compaction: None,
            way: PhantomData,
        };
        store.facts.mine.disk = store.journal.disk_id();
        store.facts.mine.count_start(Begun { nonce: fresh, saves: durable_saves });
        store.add(Record::Boot(store.boot(), fresh));
        store.commit()?;
        let opened = Opened { journal: found, boot: store.boot(), saves: store.facts.saves };
        Ok((store, opened))
    }

    fn add(&mut self, record: Record<'_>) {
        self.journal.record(|out| record.encode(out));
    }

    /// The random number that this data directory was made with.
    pub fn disk_id(&self) -> u64 {
        self.journal.disk_id()
    }

    /// The number of times that this data directory was opened, this time included: 1 in its first process.
    pub fn boot(&self) -> u64 {
        self.facts.mine.boot()
    }

    /// True if this process is the first on this data directory, so that it remembers nothing.
    pub fn fresh(&self) -> bool {
        self.boot() == 1
    }

    /// The number of saves that were made durable since the data directory was made, without those of the present batch.
    pub fn saves(&self) -> u64 {
        self.durable_saves
    }

    /// The standing that this member announces.
    pub fn standing(&self) -> Standing {
        self.facts.mine.standing(self.durable_saves)
    }

    /// The disk's own account: its starts, and whether it was admitted.
    pub fn mine(&self) -> &Mine {
        &self.facts.mine
    }

    /// The ids of all members in order, as they were when the directory was made.
    pub fn members(&self) -> &[u64] {
        &self.facts.members
    }

    /// True if [`Store::admit`] was ever called.
    pub fn admitted(&self) -> bool {
        self.facts.mine.admitted
    }

    /// The stable state last saved, durable or not; none before the first save.
    pub fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// The knowledge of peers, and how much of it is durable.
    pub fn memory(&self) -> &Memory {
        &self.facts.memory
    }

    /// The knowledge of peers, to be added to. The next commit writes what is new, once per peer.
    pub fn memory_mut(&mut self) -> &mut Memory {
        &mut self.facts.memory
    }

    /// The length of the batch so far, in bytes, without the peers' claims. [`Store::commit`] refuses a batch above
    /// [`Limits::batch`].
    pub fn pending(&self) -> u64 {
        self.journal.pending()
    }

    /// Counts of the writes since this was opened.
    pub fn counts(&self) -> Counts {
        self.journal.counts()
    }

    /// The length of the journal file as far as it is written, in bytes.
    pub fn journal_bytes(&self) -> u64 {
        self.journal.bytes()
    }

    /// The data directory.
    pub fn disk(&self) -> &D {
        self.journal.disk()
    }

    /// Adds a stable state to the batch. Returns the change as it is written, for [`crate::changes::decode`].
    pub fn save(&mut self, new: &S) -> &[u8] {
        self.name(new);
        self.facts.saves += 1;
        let (number, old) = (self.facts.saves, self.state.as_ref());
        let mut start = 0;
        let range = self.journal.record(|out| {
            record::begin_save(number, out);
            start = out.len();
            encode::<S, C>(new, old, out);
        });
        self.state = Some(new.clone());
        self.journal.batched(start..range.end)
    }

    /// Takes note of the bytes that a new state names.
    fn name(&mut self, new: &S) {
        let Store { named, files, ready, unwritten, .. } = self;
        let mut count = 0;
        C::apart(new, &mut |apart, bytes| {
            count += 1;
            if named.insert(apart.group, apart) != Some(apart) {
                if !files.contains(&apart) {
                    unwritten.push((apart, bytes));
                }
                if ready.get(&apart.group) == Some(&apart) {
                    ready.remove(&apart.group);
                }
            }
        });
        if count < named.len() {
            // Some name none any more.
            named.clear();
            C::apart(new, &mut |apart, _| {
                named.insert(apart.group, apart);
            });
        }
    }

    /// Takes note that these bytes are durable in their file, since a save to come may name them. If another file of the group was ready
    /// before and no save has named it, none will.
    pub fn wrote(&mut self, apart: Apart) {
        self.files.insert(apart);
        self.ready.insert(apart.group, apart);
    }

    /// The bytes that the state saved last names, by group.
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// Adds to the batch that this member may take part on this disk.
    pub fn admit(&mut self) {
        if !std::mem::replace(&mut self.facts.mine.admitted, true) {
            self.add(Record::Admitted);
        }
    }

    /// Makes the batch durable with one write and one flush, after those of the files that it names and that are not durable yet. Compacts the journal where it has become long.
    ///
    /// # Errors
    /// When the batch is too large or something cannot be written or flushed. Nothing that the batch was for may be
    /// acted upon then, and every later call is refused.
    pub fn commit(&mut self) -> Result<(), Refusal> {
        for (peer, known) in self.facts.memory.unwritten() {
            self.journal.record(|out| Record::Known(peer, known).encode(out));
        }
        // A record must not name what a crash could still take.
        for (apart, bytes) in std::mem::take(&mut self.unwritten) {
            let disk = self.journal.disk();
            let written = Writing::create(disk, apart, bytes).and_then(|writing| writing.finish(disk));
            self.files.insert(written.inspect_err(|_| self.journal.stop())?);
        }
        let length = self.journal.pending();
        if let Some(compaction) = &mut self.compaction {
            compaction.meanwhile(self.journal.payload());
        }
        self.journal.commit()?;
        self.facts.memory.written();
        self.durable_saves = self.facts.saves;
        self.remove_superseded()?;
        if self.compaction.is_none() && self.journal.wants_compaction() {
            self.begin_compaction()?;
        }
        // The pieces are longer than what is added meanwhile, so they come to an end.
        self.compact_for(COMPACTED.max(length.saturating_mul(2)))
    }

    /// Removes the files that the durable state does not name and no save is waited for to name.
    fn remove_superseded(&mut self) -> Result<(), Refusal> {
        let (named, ready) = (&self.named, &self.ready);
        let is_kept = |apart: &Apart| [named, ready].iter().any(|kept| kept.get(&apart.group) == Some(apart));
        for apart in self.files.extract_if(.., |apart| !is_kept(apart)) {
            apart::remove(self.journal.disk(), &apart)?;
        }
        Ok(())
    }

    /// Moves on to a new journal file that holds no more than the present state.
    ///
    /// # Errors
    /// As the operating system says; every later call is then refused.
    ///
    /// # Panics
    /// When something was not committed.
    pub fn compact(&mut self) -> Result<(), Refusal> {
        if self.compaction.is_none() {
            self.begin_compaction()?;
        }
        self.compact_for(u64::MAX)
    }

    fn begin_compaction(&mut self) -> Result<(), Refusal> {
        let begun = Compaction::begin(&self.journal, &self.facts, self.state.as_ref());
        self.compaction = Some(begun.inspect_err(|_| self.journal.stop())?);
        Ok(())
    }

    /// Goes on with the compaction that is under way, for about so many bytes.
    fn compact_for(&mut self, bytes: u64) -> Result<(), Refusal> {
        let Some(compaction) = &mut self.compaction else { return Ok(()) };
        let is_whole = compaction.go_on(bytes).inspect_err(|_| self.journal.stop())?;
        if is_whole && let Some(compaction) = self.compaction.take() {
            self.journal.move_on(compaction.opening())?;
        }
        Ok(())
    }
}

/// The contents of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered<S> {
    /// The number of times that the data directory was opened.
    pub boot: u64,
    /// The number of saves that were made durable.
    pub saves: u64,
    /// True if the member was admitted.
    pub admitted: bool,
    /// The stable state last saved, without the bytes that stand apart.
    pub state: Option<S>,
    /// The length in bytes of a torn batch at the end.
    pub cut: u64,
}

fn recovered<S, C: Changes<S>>(replay: Replay<S, C>, cut: u64) -> Result<Recovered<S>, String> {
    let (Facts { mine, saves, .. }, state, _) = replay.finish()?;
    Ok(Recovered { boot: mine.boot(), saves, admitted: mine.admitted, state, cut })
}

/// Reads any bytes as a journal file, as [`Store::open`] would.
///
/// # Errors
/// When they are no journal.
pub fn read_journal<S, C: Changes<S>>(bytes: &[u8]) -> Result<Recovered<S>, Refusal> {
    let mut replay = Replay::<S, C>::new();
    let cut = journal::examine(bytes, &mut |record| replay.record(record))?;
    recovered(replay, cut).map_err(|what| Refusal::damaged("(bytes)", 0, what))
}

/// Reads any bytes as the records of a journal, without the checksums around them.
///
/// # Errors
/// When they are no such records.
pub fn read_records<S, C: Changes<S>>(bytes: &[u8]) -> Result<Recovered<S>, String> {
    let mut replay = Replay::<S, C>::new();
    journal::examine_batch(bytes, &mut |record| replay.record(record))?;
    recovered(replay, 0)
}
