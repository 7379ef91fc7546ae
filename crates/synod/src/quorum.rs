//! Guarantees that every phase-1 quorum meets every phase-2 quorum, or that the system is refused by name.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The most acceptors a system may have. With 16, whether quorums intersect is decided by looking at every subset.
pub const MAX_ACCEPTORS: usize = 16;

/// All indices of acceptors are below this. Where members change, an index stands for one member and is never used again.
pub const MAX_MEMBERS: usize = 128;

/// A set of acceptors, by their index in the cluster (0 to 127).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AcceptorSet(u128);

impl AcceptorSet {
    /// No acceptor.
    pub const EMPTY: AcceptorSet = AcceptorSet(0);

    /// The first `count` acceptors; all of them if there are at most `count`.
    pub fn first(count: usize) -> AcceptorSet {
        (0..count.min(MAX_ACCEPTORS)).collect()
    }

    /// Adds the acceptor with this index; an index of 128 or more changes nothing.
    pub fn insert(&mut self, index: usize) {
        if index < MAX_MEMBERS {
            self.0 |= 1 << index;
        }
    }

    /// True if the acceptor with this index is a member.
    pub fn contains(self, index: usize) -> bool {
        index < MAX_MEMBERS && self.0 & (1 << index) != 0
    }

    /// The number of members.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// True if there is no member.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if the two sets have a member in common.
    pub fn meets(self, other: AcceptorSet) -> bool {
        self.0 & other.0 != 0
    }

    /// True if every member of `other` is a member of this set.
    pub fn includes(self, other: AcceptorSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// The members' indices, in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let first = (rest != 0).then_some(rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(first)
        })
    }

    /// The members of either set.
    #[must_use]
    pub fn with(self, other: AcceptorSet) -> AcceptorSet {
        AcceptorSet(self.0 | other.0)
    }

    /// The members of this set that are not members of `other`.
    #[must_use]
    pub fn without(self, other: AcceptorSet) -> AcceptorSet {
        AcceptorSet(self.0 & !other.0)
    }

    /// All sets among the first `count` acceptors, smaller numbers first.
    fn subsets(count: usize) -> impl Iterator<Item = AcceptorSet> {
        (0..=AcceptorSet::first(count).0).map(AcceptorSet)
    }
}

impl FromIterator<usize> for AcceptorSet {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut set = AcceptorSet::EMPTY;
        indices.into_iter().for_each(|index| set.insert(index));
        set
    }
}

impl fmt::Debug for AcceptorSet {
    /// Counted from 1, as acceptors are named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, index) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "A{}", index + 1)?;
        }
        f.write_str("}")
    }
}

/// A rule that says which sets of acceptors are quorums of one phase. Every rule is monotone: a superset of a quorum is a quorum.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum QuorumRule {
    /// More than half of the acceptors.
    Majority,
    /// At least this many acceptors.
    AtLeast(usize),
    /// At least this fraction of the acceptors, rounded up: `(2, 3)` or `(3, 4)` make a super-majority.
    Fraction(usize, usize),
    /// Acceptors whose weights add up to at least the second number. Weights stand in acceptor order.
    Weight(Vec<u32>, u32),
    /// Acceptors stand row by row in a grid of this many columns; a quorum holds one full row.
    Row(usize),
    /// As [`QuorumRule::Row`]; a quorum holds one full column.
    Column(usize),
    /// As [`QuorumRule::Row`]; a quorum holds one full row and one full column.
    RowAndColumn(usize),
    /// A quorum includes one of these sets.
    Listed(Vec<AcceptorSet>),
}

impl QuorumRule {
    fn admits(&self, acceptors: usize, set: AcceptorSet) -> bool {
        let row = |columns: usize| rows(acceptors, columns).any(|row| set.includes(row));
        let column = |columns: usize| self::columns(acceptors, columns).any(|column| set.includes(column));
        match self {
            QuorumRule::Majority => 2 * set.len() > acceptors,
            QuorumRule::AtLeast(count) => set.len() >= *count,
            QuorumRule::Fraction(above, below) => {
                set.len().saturating_mul(*below) >= above.saturating_mul(acceptors)
            }
            QuorumRule::Weight(weights, least) => {
                let sum: u64 = set.iter().filter_map(|index| weights.get(index)).map(|w| u64::from(*w)).sum();
                sum >= u64::from(*least)
            }
            QuorumRule::Row(columns) => row(*columns),
            QuorumRule::Column(columns) => column(*columns),
            QuorumRule::RowAndColumn(columns) => row(*columns) && column(*columns),
            QuorumRule::Listed(sets) => sets.iter().any(|listed| set.includes(*listed)),
        }
    }

    /// The reason why the rule is wrong by itself for this number of acceptors, if it is.
    fn flaw(&self, acceptors: usize) -> Option<String> {
        match self {
            QuorumRule::Fraction(_, 0) => Some("a fraction needs a denominator above 0".into()),
            QuorumRule::Weight(weights, _) if weights.len() != acceptors => {
                Some(format!("{} weights are given for {acceptors} acceptors", weights.len()))
            }
            QuorumRule::Row(columns) | QuorumRule::Column(columns) | QuorumRule::RowAndColumn(columns)
                if !acceptors.is_multiple_of(*columns) =>
            {
                Some(format!("{acceptors} acceptors do not fill a grid of {columns} columns"))
            }
            QuorumRule::Listed(sets) if sets.iter().any(|s| !AcceptorSet::first(acceptors).includes(*s)) => {
                Some(format!("a listed set names an acceptor above A{acceptors}"))
            }
            _ if !self.admits(acceptors, AcceptorSet::first(acceptors)) => {
                Some("not even all acceptors together are a quorum".into())
            }
            _ => None,
        }
    }
}

/// The rows of a grid that the acceptors fill.
fn rows(acceptors: usize, columns: usize) -> impl Iterator<Item = AcceptorSet> {
    (0..acceptors).step_by(columns).map(move |first| (first..first + columns).collect())
}

/// The columns of a grid that the acceptors fill.
fn columns(acceptors: usize, columns: usize) -> impl Iterator<Item = AcceptorSet> {
    (0..columns).map(move |first| (first..acceptors).step_by(columns).collect())
}

/// Why a quorum system is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumError {
    /// There are no acceptors, or more than [`MAX_ACCEPTORS`].
    Size(usize),
    /// A rule cannot be met or does not fit the number of acceptors.
    Rule(String),
    /// Two quorums have no member in common: a value could be chosen by one and missed by the other.
    Disjoint {
        /// A phase-1 quorum.
        phase1: AcceptorSet,
        /// A phase-2 quorum without a member of it.
        phase2: AcceptorSet,
    },
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumError::Size(0) => write!(f, "a system needs at least one acceptor"),
            QuorumError::Size(count) => {
                write!(f, "{count} acceptors are too many: a system has at most {MAX_ACCEPTORS}")
            }
            QuorumError::Rule(flaw) => f.write_str(flaw),
            QuorumError::Disjoint { phase1, phase2 } => write!(
                f,
                "quorums do not intersect: phase-1 quorum {phase1:?} and phase-2 quorum {phase2:?} have no member in common"
            ),
        }
    }
}

impl std::error::Error for QuorumError {}

/// A quorum system: which sets of acceptors finish phase 1, and which choose a value.
///
/// Phase-1 quorums need only meet phase-2 quorums (Flexible Paxos, 2016); with one rule for both phases this is the
/// classic demand that any two quorums meet (PMS §2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quorums {
    acceptors: usize,
    phase1: QuorumRule,
    phase2: QuorumRule,
    /// The indices of the acceptors, if they are not the first ones.
    members: Option<AcceptorSet>,
    /// Further systems of which a set has to hold a quorum too.
    also: Vec<Quorums>,
}

impl Quorums {
    /// A quorum system for the given number of acceptors.
    ///
    /// # Errors
    /// When there are no acceptors or more than 16, when a rule does not fit their number, and when two quorums do
    /// not meet; the smallest such pair is named.
    pub fn new(acceptors: usize, phase1: QuorumRule, phase2: QuorumRule) -> Result<Quorums, QuorumError> {
        let quorums = Quorums::forced(acceptors, phase1, phase2)?;
        match quorums.disjoint() {
            Some((phase1, phase2)) => Err(QuorumError::Disjoint { phase1, phase2 }),
            None => Ok(quorums),
        }
    }

    /// As [`Quorums::new`], but quorums that do not meet are let through, for whoever wants to see what breaks.
    ///
    /// # Errors
    /// When there are no acceptors or more than 16, and when a rule does not fit their number.
    pub fn forced(acceptors: usize, phase1: QuorumRule, phase2: QuorumRule) -> Result<Quorums, QuorumError> {
        if acceptors == 0 || acceptors > MAX_ACCEPTORS {
            return Err(QuorumError::Size(acceptors));
        }
        match phase1.flaw(acceptors).or_else(|| phase2.flaw(acceptors)) {
            Some(flaw) => Err(QuorumError::Rule(flaw)),
            None => Ok(Quorums { acceptors, phase1, phase2, members: None, also: Vec::new() }),
        }
    }

    /// The number of acceptors.
    pub fn acceptors(&self) -> usize {
        self.acceptors
    }

    /// The rules, in words. Systems of the same rules have the same words.
    pub fn rules(&self) -> String {
        format!("{:?}/{:?}", self.phase1, self.phase2)
    }

    /// The same rules for these members, in the order of their indices. Nobody else counts.
    ///
    /// # Errors
    /// As [`Quorums::new`].
    pub fn among(&self, members: AcceptorSet) -> Result<Quorums, QuorumError> {
        let quorums = Quorums::new(members.len(), self.phase1.clone(), self.phase2.clone())?;
        Ok(Quorums { members: Some(members), ..quorums })
    }

    /// The system whose quorums hold one of this system and one of the other.
    #[must_use]
    pub fn and(mut self, other: Quorums) -> Quorums {
        self.also.push(other);
        self
    }

    /// The acceptors that count.
    pub fn everyone(&self) -> AcceptorSet {
        self.members.unwrap_or_else(|| AcceptorSet::first(self.acceptors))
    }

    /// The acceptors that count, as the rules know them: by their places.
    fn counted(&self, set: AcceptorSet) -> AcceptorSet {
        let Some(members) = self.members else { return set };
        members.iter().enumerate().filter(|(_, index)| set.contains(*index)).map(|(place, _)| place).collect()
    }

    /// True if promises of these acceptors finish phase 1.
    pub fn is_phase1(&self, set: AcceptorSet) -> bool {
        self.phase1.admits(self.acceptors, self.counted(set)) && self.also.iter().all(|it| it.is_phase1(set))
    }

    /// True if acceptances of these acceptors, in one ballot, choose a value.
    pub fn is_phase2(&self, set: AcceptorSet) -> bool {
        self.phase2.admits(self.acceptors, self.counted(set)) && self.also.iter().all(|it| it.is_phase2(set))
    }

    /// True if these acceptors meet every phase-2 quorum, so that none can choose a value behind their backs.
    pub fn is_met_by(&self, set: AcceptorSet) -> bool {
        let others = self.counted(self.everyone().without(set));
        !self.phase2.admits(self.acceptors, others) && self.also.iter().all(|it| it.is_met_by(set))
    }

    /// A smallest phase-1 quorum and a smallest phase-2 quorum without a common member, if there are such.
    fn disjoint(&self) -> Option<(AcceptorSet, AcceptorSet)> {
        let all = AcceptorSet::first(self.acceptors);
        let smallest = |of: &dyn Fn(AcceptorSet) -> bool, within: AcceptorSet| {
            AcceptorSet::subsets(self.acceptors)
                .filter(|set| within.includes(*set) && of(*set))
                .min_by_key(|set| (set.len(), *set))
        };
        // Rules are monotone, so a disjoint pair exists when the rest of some phase-1 quorum is a phase-2 quorum.
        let phase1 = AcceptorSet::subsets(self.acceptors)
            .filter(|set| self.is_phase1(*set) && self.is_phase2(all.without(*set)))
            .min_by_key(|set| (set.len(), *set))?;
        let phase2 = smallest(&|set| self.is_phase2(set), all.without(phase1))?;
        Some((phase1, phase2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use QuorumRule::{AtLeast, Column, Fraction, Listed, Majority, Row, RowAndColumn, Weight};

    fn set(indices: &[usize]) -> AcceptorSet {
        indices.iter().copied().collect()
    }

    #[test]
    fn majorities_of_one_to_sixteen_meet() {
        for count in 1..=MAX_ACCEPTORS {
            let quorums = Quorums::new(count, Majority, Majority).expect("majorities meet");
            assert!(quorums.is_phase1(AcceptorSet::first(count / 2 + 1)));
            assert!(!quorums.is_phase1(AcceptorSet::first(count / 2)));
        }
    }

    #[test]
    fn the_disjoint_pair_is_named_and_smallest() {
        let error = Quorums::new(4, AtLeast(2), AtLeast(2)).expect_err("two pairs of four");
        assert_eq!(error, QuorumError::Disjoint { phase1: set(&[0, 1]), phase2: set(&[2, 3]) });
        assert!(error.to_string().contains("{A1,A2}") && error.to_string().contains("{A3,A4}"));
        assert!(Quorums::forced(4, AtLeast(2), AtLeast(2)).is_ok());
    }

    #[test]
    fn flexible_quorums_need_only_meet_across_phases() {
        assert!(Quorums::new(4, AtLeast(3), AtLeast(2)).is_ok());
        assert!(Quorums::new(6, Row(3), Column(3)).is_ok());
        assert!(matches!(Quorums::new(6, Row(3), Row(3)), Err(QuorumError::Disjoint { .. })));
        assert!(Quorums::new(6, RowAndColumn(3), RowAndColumn(3)).is_ok());
    }

    #[test]
    fn super_majorities_round_up() {
        let quorums = Quorums::new(4, Fraction(2, 3), Fraction(2, 3)).expect("meets");
        assert!(quorums.is_phase2(AcceptorSet::first(3)) && !quorums.is_phase2(AcceptorSet::first(2)));
        let quorums = Quorums::new(5, Fraction(3, 4), Fraction(3, 4)).expect("meets");
        assert!(quorums.is_phase2(AcceptorSet::first(4)) && !quorums.is_phase2(AcceptorSet::first(3)));
    }

    #[test]
    fn weights_count_for_more_than_heads() {
        let rule = Weight(vec![3, 1, 1, 1], 4);
        let quorums = Quorums::new(4, rule.clone(), rule).expect("4 of 6 is more than half");
        assert!(quorums.is_phase1(set(&[0, 3])) && !quorums.is_phase1(set(&[1, 2, 3])));
        let rule = Weight(vec![3, 1, 1, 1], 3);
        assert_eq!(
            Quorums::new(4, rule.clone(), rule),
            Err(QuorumError::Disjoint { phase1: set(&[0]), phase2: set(&[1, 2, 3]) })
        );
    }

    #[test]
    fn grids_know_their_rows_and_columns() {
        let quorums = Quorums::new(6, Row(2), Column(2)).expect("a row meets a column");
        for row in [[0, 1], [2, 3], [4, 5]] {
            assert!(quorums.is_phase1(set(&row)));
        }
        for column in [[0, 2, 4], [1, 3, 5]] {
            assert!(quorums.is_phase2(set(&column)));
        }
        assert!(!quorums.is_phase1(set(&[1, 2, 5])) && !quorums.is_phase2(set(&[0, 1, 2, 3])));
    }

    #[test]
    fn rules_that_do_not_fit_are_refused_even_when_forced() {
        for rule in
            [AtLeast(4), Fraction(1, 0), Weight(vec![1], 1), Row(2), Column(0), Listed(vec![set(&[5])])]
        {
            assert!(matches!(Quorums::forced(3, rule, Majority), Err(QuorumError::Rule(_))));
        }
        assert_eq!(Quorums::forced(0, Majority, Majority), Err(QuorumError::Size(0)));
        assert_eq!(Quorums::forced(17, Majority, Majority), Err(QuorumError::Size(17)));
    }

    #[test]
    fn members_count_by_their_indices_and_nobody_else_does() {
        let majority = Quorums::new(3, Majority, Majority).expect("majorities meet");
        let among = majority.among(set(&[1, 5, 99])).expect("three of them");
        assert_eq!(among.everyone(), set(&[1, 5, 99]));
        assert!(among.is_phase2(set(&[5, 99])) && !among.is_phase2(set(&[0, 2, 3, 99])));
        assert!(among.is_met_by(set(&[1, 99])) && !among.is_met_by(set(&[0, 1, 2])));
        // Half of an even number meets every majority, and is none.
        let four = majority.among(set(&[1, 5, 7, 99])).expect("four of them");
        assert!(four.is_met_by(set(&[1, 5])) && !four.is_phase1(set(&[1, 5])));
        let both = among.and(four);
        assert!(both.is_phase2(set(&[1, 5, 7])) && !both.is_phase2(set(&[1, 5])));
        assert!(!both.is_met_by(set(&[7, 99])) && both.is_met_by(set(&[1, 99])));
        assert_eq!(majority.among(AcceptorSet::EMPTY), Err(QuorumError::Size(0)));
    }

    /// Over all systems of majorities and of two flexible rules, a set meets every phase-2 quorum if it has a member in each.
    #[test]
    fn what_meets_every_quorum_is_found_without_looking_at_each() {
        for (count, phase1, phase2) in
            [(3, Majority, Majority), (4, Majority, Majority), (4, AtLeast(3), AtLeast(2))]
        {
            let quorums = Quorums::new(count, phase1, phase2).expect("they meet");
            for set in AcceptorSet::subsets(count) {
                let mut all = AcceptorSet::subsets(count).filter(|other| quorums.is_phase2(*other));
                assert_eq!(quorums.is_met_by(set), all.all(|other| other.meets(set)), "{set:?} of {count}");
            }
        }
    }

    #[test]
    fn listed_quorums_are_closed_upwards() {
        let rule = Listed(vec![set(&[0, 1]), set(&[1, 2])]);
        let quorums = Quorums::new(3, rule.clone(), rule).expect("both hold A2");
        assert!(quorums.is_phase1(set(&[0, 1, 2])) && !quorums.is_phase1(set(&[0, 2])));
    }
}
