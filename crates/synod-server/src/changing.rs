//! The `[members]` table of a configuration file: with it, the members of the cluster change through its log.

use crate::settings::{MOST_MEMBERS, Wrong, number};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use toml::Spanned;

/// The most ids that the members of a cluster whose members change can have: they are below this.
pub const IDS: u64 = 128;

/// The most that it may be.
const MOST_LAG: i64 = 1 << 40;

/// The rule by which members change, the same in the configurations of all of them for the life of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changing {
    /// The ids of the members with which the cluster began, in ascending order.
    pub first: Vec<u64>,
    /// The most instances that a new member may be behind when it joins.
    pub lag: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangingFile {
    first: Spanned<Vec<Spanned<i64>>>,
    lag: Option<Spanned<i64>>,
}

impl Changing {
    /// The instances that a new member may be behind when it joins, where the file says nothing.
    pub(crate) const LAG: u64 = 1024;

    /// The rule that the table holds.
    pub(crate) fn read(file: &ChangingFile) -> Result<Changing, Wrong> {
        let mut first = BTreeSet::new();
        for given in file.first.get_ref() {
            let id = *given.get_ref();
            let Some(fits) = u64::try_from(id).ok().filter(|id| *id < IDS) else {
                return Err((given.span(), format!("first: {id} must be from 0 to {}", IDS - 1)));
            };
            if !first.insert(fits) {
                return Err((given.span(), format!("first: {id} stands there twice")));
            }
        }
        if first.len() < 2 || first.len() > MOST_MEMBERS {
            let message = format!(
                "first: a cluster whose members change begins with 2 to {MOST_MEMBERS} members, not {}; a single one could not tell a lost disk \
                 from a new one, and would begin anew while others go on",
                first.len()
            );
            return Err((file.first.span(), message));
        }
        let lag = number("lag", file.lag.as_ref(), (1, MOST_LAG), Changing::LAG)?;
        Ok(Changing { first: first.into_iter().collect(), lag })
    }

    /// The number that stands for a cluster with this rule and this window, where `tag` stands for its name.
    pub(crate) fn tag(&self, tag: u64, alpha: u64) -> u64 {
        synod_runtime::groups::changing_tag(tag, &self.first, self.lag, alpha)
    }

    /// True if a flight record or another program can have such a rule.
    pub fn is_sound(&self) -> bool {
        let distinct: BTreeSet<&u64> = self.first.iter().collect();
        distinct.len() == self.first.len()
            && (2..=MOST_MEMBERS).contains(&distinct.len())
            && self.first.iter().all(|id| *id < IDS)
    }
}
