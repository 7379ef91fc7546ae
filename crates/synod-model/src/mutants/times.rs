//! The mutants of the rules of times to live and of settings, for the table.

use super::kinds::{Breaks, Mutant};
use crate::clock::Rule;

const fn times(name: &'static str, rule: Rule, guard: &'static str, does: &'static str) -> Mutant {
    Mutant { name, guard, does, breaks: Breaks::Clock(rule) }
}

pub(super) const TELLS_ANYONE: Mutant = times(
    "tells-anyone",
    Rule::TellsAnyone,
    "served: only a member's own client tells the time",
    "takes a tick from anybody",
);
pub(super) const KNOWS_ALL: Mutant = times(
    "knows-all",
    Rule::KnowsAll,
    "times: a tick starts the times that its teller knew",
    "starts all, those that were given since its teller read its clock too",
);
pub(super) const STARTS_AT_ONCE: Mutant = times(
    "starts-at-once",
    Rule::StartsAtOnce,
    "times: a time runs from the first tick whose teller knew it",
    "has it run from the store's clock, however old that is",
);
pub(super) const CLOCK_GOES_BACK: Mutant = times(
    "clock-goes-back",
    Rule::ClockGoesBack,
    "times: the store's clock never goes back",
    "sets it to what was told last",
);
pub(super) const OWN_CLOCK: Mutant = times(
    "own-clock",
    Rule::OwnClock,
    "store: the log alone moves the clock",
    "looks at its own clock before it executes",
);
pub(super) const ANSWERS_BY_OWN_CLOCK: Mutant = times(
    "answers-by-own-clock",
    Rule::AnswersByOwnClock,
    "store: the log alone moves the clock",
    "looks at its own clock when it is asked",
);
pub(super) const OWN_SETTINGS: Mutant = times(
    "own-settings",
    Rule::OwnSettings,
    "served: the log alone changes the settings",
    "goes by those of its own configuration when it executes",
);
pub(super) const FENCE_AT_PROPOSE: Mutant = times(
    "fence-at-propose",
    Rule::FenceAtPropose,
    "store: a condition on a lock is judged when its command is executed",
    "judges it when the command is proposed",
);
pub(super) const FENCE_ANY_TOKEN: Mutant = times(
    "fence-any-token",
    Rule::FenceAnyToken,
    "store: a condition on a lock names the token of a grant",
    "takes any grant for it",
);
pub(super) const FORGETS_REFUSALS: Mutant = times(
    "forgets-refusals",
    Rule::ForgetsRefusals,
    "served: a session keeps that a command was refused",
    "answers so and remembers nothing of it",
);
