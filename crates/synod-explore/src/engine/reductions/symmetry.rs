//! Symmetry: of all state vectors that differ only in which of some like actors is which, the least one stands for all.
//!
//! **What it assumes.** Exchanging the actors that are declared alike is a symmetry of the system: they start alike, fail alike, act the
//! same in the same situation but for names, and neither the observer nor a property distinguishes them. Then a state and its images have
//! the same future, and one of them will do.
//!
//! **What certifies it.** The declaration is checked on every handler call that was made, on a sample of the histories, and on every
//! property (`semantics::alike`), after the exploration and before its verdict. Options that rule such a check out are refused (`plan`).

use crate::symmetry::Permutation;

/// The permutations that exchange like actors, the identity first.
pub(crate) struct Group {
    permutations: Vec<Permutation>,
    /// Per permutation, the actor that comes to each place.
    inverse: Vec<Vec<usize>>,
}

impl Group {
    pub(crate) fn new(permutations: Vec<Permutation>, actors: usize) -> Self {
        let inverse = permutations.iter().map(|by| {
            let mut inverse = vec![0; actors];
            for actor in 0..actors {
                inverse[by.index(actor)] = actor;
            }
            inverse
        });
        Self { inverse: inverse.collect(), permutations }
    }

    /// The number of permutations.
    pub(crate) fn len(&self) -> usize {
        self.permutations.len()
    }

    /// A permutation by its number.
    pub(crate) fn get(&self, by: usize) -> &Permutation {
        &self.permutations[by]
    }

    fn actors(&self) -> usize {
        self.inverse.first().map_or(0, Vec::len)
    }

    /// Replaces a state vector by the least one of its orbit: least column by column, the history last. `image` gives a number of a column
    /// after a permutation.
    ///
    /// Actors change places; the stray inbox, crashes and history keep theirs.
    pub(crate) fn least<E>(
        &self,
        vector: &mut [u32],
        mut image: impl FnMut(usize, u32, usize) -> Result<u32, E>,
    ) -> Result<(), E> {
        let (actors, history) = (self.actors(), vector.len() - 1);
        let mut best: Vec<u32> = vector.to_vec();
        for by in 1..self.len() {
            let mut smaller = false;
            for place in (0..=actors).chain([history]) {
                let column = if place < actors { self.inverse[by][place] } else { place };
                let number = image(column, vector[column], by)?;
                if smaller {
                    best[place] = number;
                } else if number < best[place] {
                    // All later columns are taken over; the earlier ones are equal.
                    smaller = true;
                    best[place] = number;
                } else if number > best[place] {
                    break;
                }
            }
        }
        vector.copy_from_slice(&best);
        Ok(())
    }

    /// The permutation that makes a state vector of its least one.
    pub(crate) fn to_vector<E>(
        &self,
        least: &[u32],
        vector: &[u32],
        mut image: impl FnMut(usize, u32, usize) -> Result<u32, E>,
    ) -> Result<Option<usize>, E> {
        let (actors, history) = (self.actors(), vector.len() - 1);
        for by in 0..self.len() {
            let mut after = least.to_vec();
            for column in (0..=actors).chain([history]) {
                let place = if column < actors { self.permutations[by].index(column) } else { column };
                after[place] = image(column, least[column], by)?;
            }
            if after == vector {
                return Ok(Some(by));
            }
        }
        Ok(None)
    }
}
