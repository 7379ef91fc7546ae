//! The refusal of files that would check nothing or ask for what cannot be, at the line that says so.

use crate::claims::{CLAIMS, Claim};
use crate::file::{DeliveryFile, Layout, LearningFile, ModelError, ModelFile, RetryFile};
use crate::judge::Judge;
use crate::verdict::Verdict;
use crate::witnesses::{Sign, Witness};

/// The processes that may crash and those that are down, by index, as the file lists them.
pub(crate) struct Listed<'a> {
    pub(crate) names: &'a [String],
    pub(crate) crashable: &'a [bool],
    pub(crate) down: &'a [bool],
}

/// Why a line is refused: the place of its value, and what to do.
type Refused<'a> = (bool, &'a [&'a str], String);

/// Refuses the first of these that is to be.
fn first(judge: &Judge<'_>, all: &[Refused<'_>]) -> Result<(), ModelError> {
    match all.iter().find(|(refused, ..)| *refused) {
        Some((_, path, why)) => judge.error(judge.place(path), why.clone()),
        None => Ok(()),
    }
}

/// Refuses settings of the system that would have no effect.
pub(crate) fn system(judge: &Judge<'_>, file: &ModelFile, learners: usize) -> Result<(), ModelError> {
    let system = &file.system;
    let separate = system.layout == Layout::Separate;
    let nobody = |given: Option<&Vec<Vec<String>>>| given.is_some_and(|all| all.iter().any(Vec::is_empty));
    let nobody_learns = separate && learners == 0;
    let readers = system.readers.as_ref().map(toml::Spanned::get_ref);
    let rounds = file.bounds.rounds;
    let steps = file.scenario.as_ref().map(|scenario| scenario.steps.get_ref().as_str());
    let is_step = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let live = file.liveness.as_ref().map(|given| given.properties.get_ref().as_slice()).unwrap_or_default();
    let again =
        live.iter().enumerate().find(|(at, name)| live[..*at].contains(name)).map(|(_, name)| name.as_str());
    let served = file.liveness.as_ref().and_then(|given| given.served.as_ref());
    first(
        judge,
        &[
            (
                system.responses && nobody_learns,
                &["system", "responses"],
                "responses: learners answer clients, and there is no learner; say learners = 1 or more, or leave \
                 responses out"
                    .to_owned(),
            ),
            (
                nobody_learns
                    && !matches!(system.learning.as_ref().map(toml::Spanned::get_ref), None | Some(LearningFile::Everyone)),
                &["system", "learning"],
                "learning: there is no learner; say learners = 1 or more, or leave learning out".to_owned(),
            ),
            (
                nobody(system.asks.as_ref().map(toml::Spanned::get_ref)),
                &["system", "asks"],
                "asks: a client with an empty list asks nobody; name a proposer or server for it".to_owned(),
            ),
            (
                nobody(readers),
                &["system", "readers"],
                "readers: a reader with an empty list asks nobody; name a server for it".to_owned(),
            ),
            (
                readers.is_some_and(Vec::is_empty),
                &["system", "readers"],
                "readers: there is none in the list; leave it out, or name the servers that one asks".to_owned(),
            ),
            (
                !system.nacks && system.retry == RetryFile::OnNack,
                &["system", "retry"],
                "retry: nobody is told of a refusal where nacks = false; use retry = \"on-timeout\", or leave nacks out"
                    .to_owned(),
            ),
            (
                file.network.loss && file.network.delivery == DeliveryFile::Set,
                &["network", "loss"],
                "loss: where delivery = \"set\" any message may stay undelivered, so that losing one shows nothing new; \
                 leave loss out, or choose delivery = \"multiset\""
                    .to_owned(),
            ),
            (
                steps.is_some_and(|steps| !steps.lines().any(is_step)),
                &["scenario", "steps"],
                "steps: there is none; write a run, a step a line, such as `deliver C1 -> P1 Request(x)`, or leave \
                 [scenario] out"
                    .to_owned(),
            ),
            (
                again.is_some(),
                &["liveness", "properties"],
                format!("properties: {:?} stands there twice; leave one out", again.unwrap_or_default()),
            ),
            (
                served.is_some_and(|given| given.get_ref().is_empty()),
                &["liveness", "served"],
                "served: the list is empty; name a proposer, or leave it out for the distinguished one".to_owned(),
            ),
            (
                rounds == Some(0),
                &["bounds", "rounds"],
                "rounds = 0: no ballot could begin; use 1 or more, or leave it out for no bound".to_owned(),
            ),
            (
                file.bounds.depth == Some(0),
                &["bounds", "depth"],
                "depth = 0: nothing would be explored; use 1 or more, or leave it out for no bound".to_owned(),
            ),
        ],
    )
}

/// Refuses faults that cannot happen, and those after which nothing can.
pub(crate) fn faults(judge: &Judge<'_>, file: &ModelFile, listed: &Listed<'_>) -> Result<(), ModelError> {
    let Some(faults) = &file.faults else { return Ok(()) };
    let Listed { names, crashable, down } = *listed;
    let count = crashable.iter().filter(|may| **may).count();
    let both = (0..names.len()).find(|index| crashable[*index] && down[*index]);
    let (at_once, in_all) = (faults.at_once, faults.in_all);
    let empty = |given: &Option<toml::Spanned<Vec<String>>>| {
        given.as_ref().is_some_and(|names| names.get_ref().is_empty())
    };
    let none_crashes = faults.crash.is_none();
    let bound = if at_once.is_some() { "at_once" } else { "in_all" };
    // A file that says that something is out of reach wants to see just that.
    let shows_nothing = file.check.never.as_ref().is_none_or(|never| never.get_ref().is_empty());
    let letter = if file.system.layout == Layout::Separate { ["A", "P"] } else { ["S", "S"] };
    let all_down = |letter: &str| {
        let mut all = names.iter().zip(down).filter(|(name, _)| name.starts_with(letter));
        all.all(|(_, down)| *down)
    };
    let kind = match (letter[0], all_down(letter[0])) {
        ("S", _) => "servers",
        (_, true) => "acceptors",
        (_, false) => "proposers",
    };
    first(
        judge,
        &[
            (
                empty(&faults.crash),
                &["faults", "crash"],
                "crash: the list is empty; name who may crash, or leave it out".to_owned(),
            ),
            (
                empty(&faults.down),
                &["faults", "down"],
                "down: the list is empty; name who is down, or leave it out".to_owned(),
            ),
            (
                none_crashes && (at_once.is_some() || in_all.is_some()),
                &["faults", bound],
                format!(
                    "{bound}: nobody crashes in this model; say who in crash = [\"...\"], or leave {bound} out"
                ),
            ),
            (
                at_once == Some(0),
                &["faults", "at_once"],
                "at_once = 0: nobody could ever crash; use 1 or more, or leave crash out".to_owned(),
            ),
            (
                in_all == Some(0),
                &["faults", "in_all"],
                "in_all = 0: nobody could ever crash; use 1 or more, or leave crash out".to_owned(),
            ),
            (
                at_once.is_some_and(|at_once| at_once > count),
                &["faults", "at_once"],
                format!(
                    "at_once = {}: only {count} may crash in this model, so use at most {count}",
                    at_once.unwrap_or(0)
                ),
            ),
            (
                at_once.is_some_and(|at_once| at_once > in_all.unwrap_or(1) as usize),
                &["faults", "at_once"],
                format!(
                    "at_once = {}: a run has {} in all; raise in_all, or lower at_once",
                    at_once.unwrap_or(0),
                    if in_all.unwrap_or(1) == 1 {
                        "1 crash".to_owned()
                    } else {
                        format!("{} crashes", in_all.unwrap_or(1))
                    },
                ),
            ),
            (
                both.is_some(),
                &["faults", "crash"],
                format!(
                    "crash: {} is down from the start, so that it cannot crash; take it out of crash or of down",
                    both.map(|index| names[index].as_str()).unwrap_or_default()
                ),
            ),
            (
                shows_nothing && letter.iter().any(|letter| all_down(letter)),
                &["faults", "down"],
                format!(
                    "down: all {kind} are, so that nothing can ever be chosen; leave one up, or say that this is what \
                     the model shows: never = [\"chosen\"] in [check]"
                ),
            ),
        ],
    )
}

/// The step that a run can repeat for ever, each time in a new state, because no bound stops it; and the bound that would.
pub(crate) fn has_no_end(file: &ModelFile) -> Option<&'static str> {
    let bounds = &file.bounds;
    if bounds.depth.is_some() || bounds.rounds.is_some() || bounds.live_ballots.is_some() {
        return None;
    }
    match file.system.retry {
        RetryFile::OnTimeout | RetryFile::OnEither => {
            Some("a proposer retries without a bound: set rounds (or depth) in [bounds]")
        }
        RetryFile::OnNack => {
            Some("proposers may answer each other's nacks without a bound: set rounds (or depth) in [bounds]")
        }
        RetryFile::Never if file.election.is_some() => {
            Some("whoever comes to lead begins a ballot, without a bound: set rounds (or depth) in [bounds]")
        }
        RetryFile::Never => None,
    }
}

/// Refuses a list of checks that checks nothing or contradicts itself.
pub(crate) fn check(
    judge: &Judge<'_>,
    file: &ModelFile,
    claims: &[&'static Claim],
    [witnesses, never]: [&[&'static Witness]; 2],
) -> Result<(), ModelError> {
    fn twice<'a>(names: &[&'a str]) -> Option<&'a str> {
        names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, name)| *name)
    }
    let named = |all: &[&'static Witness]| all.iter().map(|one| one.name).collect::<Vec<_>>();
    let (must, must_not) = (named(witnesses), named(never));
    let both = must.iter().find(|name| must_not.contains(name)).copied();
    let step = never.iter().find(|witness| matches!(witness.sign, Sign::Step(_)));
    let again = |key, names: &[&'static str]| {
        let found = twice(names);
        let why = format!("{key}: {:?} stands there twice; leave one out", found.unwrap_or_default());
        (found.is_some(), why)
    };
    let claim_names: Vec<&'static str> = claims.iter().map(|claim| claim.name).collect();
    let ([a, b, c], hollow) = (
        [again("claims", &claim_names), again("witnesses", &must), again("never", &must_not)],
        file.check.hollow.as_ref().is_some_and(|reason| reason.trim().is_empty()),
    );
    first(
        judge,
        &[
            (
                claims.is_empty() && never.is_empty() && file.liveness.is_none(),
                &["check", "claims"],
                format!(
                    "claims: none is named, so that nothing would be checked; leave the line out to check all, or name \
                     some of {}",
                    CLAIMS.map(|claim| claim.name).join(", ")
                ),
            ),
            (a.0, &["check", "claims"], a.1),
            (b.0, &["check", "witnesses"], b.1),
            (c.0, &["check", "never"], c.1),
            (
                step.is_some(),
                &["check", "never"],
                format!(
                    "never: {:?} is seen in a step, and only what a state shows can be excluded; there are {}",
                    step.map(|step| step.name).unwrap_or_default(),
                    crate::witnesses::WITNESSES
                        .iter()
                        .filter(|witness| matches!(witness.sign, Sign::History(_)))
                        .map(|witness| witness.name)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            ),
            (
                both.is_some(),
                &["check", "never"],
                format!(
                    "never: {:?} stands in witnesses too, and cannot both have to come about and never do so; take it \
                     out of one of the two",
                    both.unwrap_or_default()
                ),
            ),
            (
                hollow,
                &["check", "hollow"],
                "hollow: say in a sentence why no claim of this model is put to the test".to_owned(),
            ),
        ],
    )
}

/// Refuses an expectation that cannot come out.
pub(crate) fn expect(
    judge: &Judge<'_>,
    file: &ModelFile,
    claims: &[&'static str],
    comes_about: &[&'static str],
) -> Result<(), ModelError> {
    let expect = &file.expect;
    let verdict = expect.verdict;
    let live = |name: &str| comes_about.contains(&name);
    let known = |name: &str| live(name) || claims.contains(&name);
    let property = expect.property.as_deref();
    let (violated, panicked) = (verdict == Verdict::Violated, verdict == Verdict::Panicked);
    let only = |key: &str, whose: &str| {
        format!("{key}: only a model {whose} has it; leave it out, or change verdict = \"{verdict}\"")
    };
    let lasso = property.is_some_and(live);
    first(
        judge,
        &[
            (
                violated && property.is_none(),
                &["expect", "verdict"],
                "verdict: a violated model must name the property that falls; add property = \"...\"".to_owned(),
            ),
            (
                violated && property.is_some_and(|name| !known(name)),
                &["expect", "property"],
                format!(
                    "property {:?} is not among the claims that this model checks: {}",
                    property.unwrap_or_default(),
                    claims.join(", ")
                ),
            ),
            (!violated && property.is_some(), &["expect", "property"], only("property", "that is violated")),
            (!violated && expect.steps.is_some(), &["expect", "steps"], only("steps", "that is violated")),
            (!lasso && expect.cycle.is_some(), &["expect", "cycle"], only("cycle", "in which something never comes about")),
            (!lasso && expect.lasso.is_some(), &["expect", "lasso"], only("lasso", "in which something never comes about")),
            (
                panicked && expect.message.as_ref().is_none_or(|message| message.trim().is_empty()),
                &["expect", if expect.message.is_some() { "message" } else { "verdict" }],
                "verdict: a model that panics must say with what words, so that no other panic passes for it; add \
                 message = \"...\", a part of what it says"
                    .to_owned(),
            ),
            (!panicked && expect.message.is_some(), &["expect", "message"], only("message", "that panics")),
        ],
    )
}
