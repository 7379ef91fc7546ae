//! The log of a scene whose members change: what is decided at each place, by whom, and what follows from that for members.

use std::collections::BTreeSet;
use synod_admission::Members;

/// The kind of thing that is decided at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The value for which a client asks.
    Value,
    /// The directory that joins under an id.
    Joins {
        /// The id.
        id: u64,
        /// The member in whose place it comes, if in any.
        leaves: Option<u64>,
    },
}

/// The log of a scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The cluster began with the ids below this one.
    pub first: u64,
    /// The things to be decided, in order.
    pub entries: Vec<Entry>,
    /// A change governs so many places further on.
    pub window: usize,
}

impl Log {
    fn after(&self, entries: usize) -> BTreeSet<u64> {
        let mut ids: BTreeSet<u64> = (0..self.first).collect();
        for entry in self.entries.iter().take(entries) {
            if let Entry::Joins { id, leaves } = entry {
                if let Some(old) = leaves {
                    ids.remove(old);
                }
                ids.insert(*id);
            }
        }
        ids
    }

    /// The members that decide what stands at a place.
    pub fn governs(&self, place: usize) -> BTreeSet<u64> {
        self.after((place + 1).saturating_sub(self.window))
    }

    /// The number of changes among the first entries.
    pub fn number(&self, entries: usize) -> u64 {
        let changes = self.entries.iter().take(entries).filter(|entry| **entry != Entry::Value);
        changes.count() as u64
    }

    /// The members once so many changes govern.
    pub fn latest(&self, number: u64) -> BTreeSet<u64> {
        let entries = (0..=self.entries.len()).find(|entries| self.number(*entries) == number);
        self.after(entries.unwrap_or(self.entries.len()))
    }

    /// The place at which a directory joins under an id.
    pub fn joins(&self, who: u64) -> Option<usize> {
        self.entries.iter().position(|entry| matches!(entry, Entry::Joins { id, .. } if *id == who))
    }

    /// The members as one knows them who has executed the entries with these values.
    pub fn members(&self, me: u64, executed: &[u8]) -> Members {
        let mut configurations: Vec<BTreeSet<u64>> = Vec::new();
        for place in executed.len()..executed.len() + self.window {
            let governs = self.governs(place);
            if configurations.last() != Some(&governs) {
                configurations.push(governs);
            }
        }
        let joined = self.joins(me).and_then(|place| executed.get(place));
        let directory = joined.map(|directory| u64::from(*directory));
        Members { number: self.number(executed.len()), configurations, directory }
    }

    /// True if who has executed so many entries knows the members of a place that is not executed yet.
    pub fn is_open(&self, place: usize, executed: usize) -> bool {
        (executed..executed + self.window).contains(&place) && place < self.entries.len()
    }
}
