//! A new journal file that is written in pieces, between the commits to the present one.
//!
//! The state is set aside when the compaction begins. What is committed meanwhile goes into the present file, and is added to
//! the new one after that state. Once nothing is left to add, the journal moves on in one step. Until then a crash leaves the
//! present file, and the new one without its name.

use super::record::{Facts, Record};
use crate::changes::{Changes, encode};
use crate::disk::Disk;
use crate::journal::{Journal, Opening};
use crate::refusal::Refusal;
use std::collections::VecDeque;
use std::marker::PhantomData;
use synod_admission::Mine;

/// The length of the records that a state is written in, in bytes.
const PIECE: usize = 256 << 10;

/// A compaction that is under way.
#[derive(Debug)]
pub(super) struct Compaction<S, C, D: Disk> {
    opening: Opening<D>,
    /// The state that was set aside.
    state: Option<S>,
    /// As much of it as is being written, or was.
    part: Option<S>,
    /// The snapshot of the first part, and how much of it is written.
    snapshot: (Vec<u8>, usize),
    /// The batches that were committed meanwhile.
    since: VecDeque<Vec<u8>>,
    way: PhantomData<C>,
}

impl<S: Clone, C: Changes<S>, D: Disk> Compaction<S, C, D> {
    /// Sets the state aside, and begins a new file with the facts.
    pub(super) fn begin(journal: &Journal<D>, facts: &Facts, state: Option<&S>) -> Result<Self, Refusal> {
        let part = state.and_then(|state| C::part(state, None, PIECE));
        let mut snapshot = Vec::new();
        if let Some(part) = &part {
            C::snapshot(part, &mut snapshot);
        }
        let mut opening = journal.next()?;
        Self::facts(&mut opening, facts, part.as_ref().map(|_| snapshot.len() as u64))?;
        let (state, since) = (state.cloned(), VecDeque::new());
        Ok(Compaction { opening, state, part, snapshot: (snapshot, 0), since, way: PhantomData })
    }

    /// Writes all but the state, whose snapshot has this length.
    pub(super) fn facts(opening: &mut Opening<D>, facts: &Facts, length: Option<u64>) -> Result<(), Refusal> {
        let Mine { first, admitted, starts, .. } = &facts.mine;
        opening.record(|out| Record::Base(*first, facts.saves, *admitted, length).encode(out))?;
        for id in &facts.members {
            opening.record(|out| Record::Member(*id).encode(out))?;
        }
        for begun in starts {
            opening.record(|out| Record::Past(begun.nonce, begun.saves).encode(out))?;
        }
        for (peer, known) in facts.memory.all() {
            opening.record(|out| Record::Known(peer, known).encode(out))?;
        }
        Ok(())
    }

    /// Takes note of a batch that is about to be committed to the present file.
    pub(super) fn meanwhile(&mut self, payload: &[u8]) {
        if !payload.is_empty() {
            self.since.push_back(payload.to_vec());
        }
    }

    /// Writes about so many bytes. Returns true once nothing is left.
    pub(super) fn go_on(&mut self, bytes: u64) -> Result<bool, Refusal> {
        let end = self.opening.length().saturating_add(bytes);
        while self.opening.length() < end {
            if !self.piece()? {
                return Ok(true);
            }
        }
        self.opening.flush()?;
        Ok(false)
    }

    /// Writes the next piece, if there is one.
    fn piece(&mut self) -> Result<bool, Refusal> {
        let (snapshot, written) = &mut self.snapshot;
        if *written < snapshot.len() {
            let piece = &snapshot[*written..snapshot.len().min(*written + PIECE)];
            *written += piece.len();
            self.opening.record(|out| Record::Piece(piece).encode(out))?;
            return Ok(true);
        }
        let state = self.state.as_ref();
        if let Some(part) = state.and_then(|state| C::part(state, self.part.as_ref(), PIECE)) {
            let mut change = Vec::new();
            encode::<S, C>(&part, self.part.as_ref(), &mut change);
            self.part = Some(part);
            self.opening.record(|out| Record::Part(&change).encode(out))?;
            return Ok(true);
        }
        self.state = None;
        let Some(batch) = self.since.pop_front() else { return Ok(false) };
        self.opening.batch(&batch)?;
        Ok(true)
    }

    /// The new file.
    pub(super) fn opening(self) -> Opening<D> {
        self.opening
    }
}
