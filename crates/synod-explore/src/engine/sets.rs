//! The seen table together with the scheme of its keys, chosen at run time: exact and as short as the numbers allow, or of fingerprints.

use super::expand::Candidates;
use super::key::{Key, Layout};
use super::scheme::{Hashed, Packed, Scheme, Split};
use super::seen::Table;
use super::views::Column;
use crate::report::Table as Kind;

/// A seen table with its scheme and buffers.
pub(super) struct Set<S: Scheme> {
    pub scheme: S,
    pub table: Table<S>,
    /// The candidates that are found while a block is expanded, one buffer per thread.
    pub buffers: Vec<Candidates<S::Key>>,
}

impl<S: Scheme> Set<S> {
    fn new(scheme: S) -> Self {
        Self { scheme, table: Table::new(), buffers: Vec::new() }
    }

    fn bytes(&self) -> usize {
        self.table.bytes() + self.buffers.iter().map(Candidates::bytes).sum::<usize>()
    }
}

macro_rules! sets {
    ($($variant:ident: $scheme:ty),*) => {
        /// A set of states.
        pub(super) enum Seen {
            $($variant(Box<Set<$scheme>>),)*
        }

        /// Does the same for each kind of set.
        macro_rules! with_set {
            ($seen:expr, $set:ident => $body:expr) => {
                match $seen { $(crate::engine::sets::Seen::$variant($set) => $body,)* }
            };
        }
        pub(super) use with_set;
    };
}

sets! {
    Hashed64: Hashed<1>,
    Hashed128: Hashed<2>,
    Exact8: Split,
    Exact16: Packed<[u64; 2]>,
    Exact32: Packed<[u64; 4]>,
    Exact96: Packed<[u64; 12]>
}

macro_rules! smallest {
    ($counts:expr, $($variant:ident: $scheme:ty),*) => {
        $(if let Some((_, layout)) = <$scheme>::new($counts) {
            let layout = layout.widened(<$scheme>::BITS, |wider| <$scheme>::new(wider.counts()).is_some());
            let (scheme, layout) = <$scheme>::new(layout.counts()).expect("it will do");
            return Some((Seen::$variant(Box::new(Set::new(scheme))), layout));
        })*
    };
}

impl Seen {
    /// An empty set of the kind, and how exact keys are laid out; `None` if state vectors are too wide to be kept.
    pub(super) fn new(kind: Kind, counts: &[u64]) -> Option<(Self, Layout)> {
        match kind {
            Kind::Fingerprint64 => Some((Self::Hashed64(Box::new(Set::new(Hashed))), Layout::roomy(counts))),
            Kind::Fingerprint128 => {
                Some((Self::Hashed128(Box::new(Set::new(Hashed))), Layout::roomy(counts)))
            }
            Kind::Exact => {
                smallest!(counts,
                    Exact8: Split, Exact16: Packed<[u64; 2]>, Exact32: Packed<[u64; 4]>, Exact96: Packed<[u64; 12]>);
                None
            }
        }
    }

    /// The kind of the set.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Hashed64(_) => Kind::Fingerprint64,
            Self::Hashed128(_) => Kind::Fingerprint128,
            _ => Kind::Exact,
        }
    }

    /// The key of a state vector, in words.
    pub(super) fn key(&self, columns: &[Column], vector: &[u32]) -> Vec<u64> {
        with_set!(self, set => set.scheme.key(columns, vector).as_words().to_vec())
    }

    /// Adds a state vector.
    pub(super) fn insert(&mut self, columns: &[Column], vector: &[u32]) -> bool {
        with_set!(self, set => set.table.insert(set.scheme.key(columns, vector)))
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        with_set!(self, set => set.bytes())
    }

    /// Moves all its state vectors into another set. Fingerprints have none.
    pub(super) fn pour(&mut self, columns: &[Column], width: usize, into: &mut Seen) {
        macro_rules! pour {
            ($($variant:ident),*) => {
                match self {
                    Self::Hashed64(_) | Self::Hashed128(_) => {}
                    $(Self::$variant(set) => {
                        let mut vector = vec![0; width];
                        for key in set.table.drain() {
                            set.scheme.vector(&key, &mut vector);
                            into.insert(columns, &vector);
                        }
                    })*
                }
            };
        }
        pour!(Exact8, Exact16, Exact32, Exact96);
    }
}
