//! A model whose live ballots are bounded speaks of any number of retries. Only the order and the owners of ballots are
//! kept, and what can matter no more is forgotten. The argument in full is in `proofs-notes/ballots.md`.
//!
//! A handler only compares ballots and asks whose they are. So two states whose ballots differ in their numbers, and agree in their order
//! and owners, can do the same. This takes for granted that a proposer may draw its next ballot at any height
//! above its last (PMS §2.5 asks for no more); [`Decorated::draws`] sees to that. The bound is then not on the height of ballots
//! but on the number of *live* ones, which are named by a process, by a message on its way or by the history.
//!
//! A live ballot is renamed by its place: the lowest gets round 2, the next round 4, and so on. So there is room for one more below all of
//! them, above all of them, and between any two. The rules of `dead` forget what is not live.

mod dead;
mod names;
#[cfg(test)]
mod tests;

use crate::claims::Claim;
use crate::file::{DeliveryFile, Layout, ModelError, ModelFile, RetryFile};
use crate::history::History;
use crate::judge::Judge;
use crate::leads;
use crate::mutants::{Decorated, DecoratedTimer};
use crate::observer::{Ghost, Inside};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use synod::{Ballot, Cluster, Msg, Phase, Process, ProposerState};
use synod_explore::{InFlight, Local, Normal, Renaming, State};
use toml::Spanned;

/// The claims that are checked where live ballots are bounded. Each is decided by what is kept.
const CHECKED: [&str; 7] = ["B0", "P1", "P1a", "P2", "P2a", "P2b", "V3"];

/// The hard cases that can be recognised by what is kept.
const SEEN: [&str; 7] = ["chosen", "learned", "served", "adopted", "bound", "informed", "two_led"];

/// The state of a whole system.
pub(crate) type Whole = State<Decorated, Ghost>;

/// The rules that are applied, beyond renaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forgets {
    /// Dead things are forgotten, exactly.
    dead: bool,
    /// So are prepares of ballots that have left phase 1, which is sound for safety, and not exact.
    abandoned: bool,
    /// A wrong rule, to see that tests find it.
    planted: bool,
}

/// Renames ballots by their place among those that are live, and bounds how many these are.
// Files: the rules about what can be forgotten, and the places where ballots stand, are each long enough for a file.
pub struct LiveBallots {
    most: usize,
    cluster: Arc<Cluster>,
    actors: Vec<Decorated>,
    claims: Vec<&'static Claim>,
    forgets: Forgets,
}

impl LiveBallots {
    /// At most so many live ballots, for a system of these processes of which these claims are checked.
    pub fn new(
        most: usize,
        cluster: Arc<Cluster>,
        actors: Vec<Decorated>,
        claims: Vec<&'static Claim>,
    ) -> LiveBallots {
        // A broken acceptor may not keep its promise, and it is not known what that does to others. If a nack tells of
        // a promise, an abandoned prepare that raises it is like any other prepare.
        let whole = actors.iter().all(|actor| actor.rule.leaves_roles()) && !cluster.nacks;
        LiveBallots {
            most,
            cluster,
            actors,
            claims,
            forgets: Forgets { dead: true, abandoned: whole, planted: false },
        }
    }

    /// Keeps abandoned prepares, so that nothing is left out that may still happen. Needed where it is asked what must come
    /// about: a run in which they do not arrive says nothing of one in which they do.
    #[must_use]
    pub fn exact(mut self) -> LiveBallots {
        self.forgets.abandoned = false;
        self
    }

    /// True if a claim is among those that are checked.
    fn checks(&self, claim: &str) -> bool {
        self.claims.iter().any(|known| known.name == claim)
    }

    /// The number that an actor's ballots carry; 0 for one that has none.
    fn number(&self, actor: usize) -> u16 {
        match self.actors.get(actor).map(|actor| &actor.process) {
            Some(Process::Proposer { number, .. } | Process::Server { number, .. }) => *number,
            _ => 0,
        }
    }

    /// Writes down which claims fall, before that by which they do is forgotten. Evidence is not forgotten.
    fn judge(&self, history: &mut History) {
        let evidence = std::mem::take(&mut history.evidence);
        for claim in &self.claims {
            if let Err(words) = claim.check(&self.cluster.quorums, history) {
                history.fallen.insert(claim.name, words);
            }
        }
        history.evidence = evidence;
    }

    /// The ballots that are live, in order.
    fn live(&self, state: &mut Whole) -> BTreeSet<Ballot> {
        let mut live = BTreeSet::new();
        self.each(state, &mut |ballot| {
            live.insert(*ballot);
        });
        live
    }

    /// Lowers all rounds by as much, where proposers draw their ballots as the code does: right above what they heard of. The code compares rounds
    /// and adds one, so only their order and distances count. Rounds stay as they are while a proposer has yet to begin its first
    /// ballot, which does not move with the others. Returns false if they are too far apart.
    fn shift(&self, state: &mut Whole, live: &BTreeSet<Ballot>) -> bool {
        let highest = live.iter().map(|ballot| ballot.round).max().unwrap_or(1);
        let by = Self::lowered(state, live);
        if by > 0 {
            self.each(state, &mut |ballot| ballot.round -= by);
        }
        highest - by <= self.most as u64
    }

    /// By how much all rounds are lowered.
    fn lowered(state: &Whole, live: &BTreeSet<Ballot>) -> u64 {
        let is_new = |local: &Arc<Local<Decorated>>| proposer(local).is_some_and(|p| p.phase == Phase::Idle);
        let lowest = live.iter().map(|ballot| ballot.round).min().unwrap_or(1);
        // The first ballot of one that has begun none is in round 1, however far others are.
        if state.locals.iter().any(is_new) { 0 } else { lowest.saturating_sub(1) }
    }

    /// Gives every timer that begins a ballot all the heights at which it may ring: below all live ballots that are above
    /// the proposer's last, above one of them, and so on up to above all.
    fn spread(state: &mut Whole, live: usize) {
        for local in &mut state.locals {
            let tried = local.state.as_deref().and_then(|s| s.inside().proposer()).map_or(0, |p| p.tried);
            let above = (live as u64).saturating_sub(tried / 2);
            let ready = local.timers.contains(&DecoratedTimer::Above(0));
            let is_draw = |timer: &DecoratedTimer| matches!(timer, DecoratedTimer::Above(_));
            let heights = (0..=above).filter(|_| ready).map(DecoratedTimer::Above);
            let timers: BTreeSet<_> =
                local.timers.iter().copied().filter(|timer| !is_draw(timer)).chain(heights).collect();
            if timers != local.timers {
                Arc::make_mut(local).timers = timers;
            }
        }
    }
}

impl Normal<Decorated, Ghost> for LiveBallots {
    fn bound(&self) -> String {
        let most = self.most;
        if self.cluster.nacks {
            return format!(
                "at most {most} live ballots, in as many consecutive rounds, any number of retries"
            );
        }
        format!("at most {most} live ballots, any number of retries")
    }

    fn normal(&self, mut state: Whole) -> Option<Whole> {
        leads::merge_heartbeats(&mut state.network);
        if self.forgets.dead {
            self.judge(&mut state.history);
            self.forget(&mut state);
        }
        let live = self.live(&mut state);
        if live.len() > self.most {
            return None;
        }
        if self.cluster.nacks {
            return self.shift(&mut state, &live).then_some(state);
        }
        let places: BTreeMap<Ballot, u64> = live.iter().copied().zip((1..).map(|place| 2 * place)).collect();
        if places.iter().any(|(ballot, place)| ballot.round != *place) {
            self.each(&mut state, &mut |ballot| ballot.round = places[ballot]);
        }
        Self::spread(&mut state, live.len());
        Some(state)
    }

    fn renaming(&self, state: &Whole) -> Option<Renaming<Msg>> {
        let mut state = state.clone();
        leads::merge_heartbeats(&mut state.network);
        if self.forgets.dead {
            self.forget(&mut state);
        }
        let live = self.live(&mut state);
        let rounds: Vec<u64> = if self.cluster.nacks {
            let by = Self::lowered(&state, &live);
            live.iter().map(|ballot| ballot.round - by).collect()
        } else {
            (1..).map(|place| 2 * place).take(live.len()).collect()
        };
        let names: BTreeMap<Ballot, Ballot> = (live.into_iter().zip(rounds))
            .map(|(ballot, round)| (ballot, Ballot { round, ..ballot }))
            .filter(|(old, new)| old != new)
            .collect();
        // A ballot that a proposer only heard of bears no proposer's number, and is in no message.
        let told = names.iter().filter(|(old, _)| old.proposer != u16::MAX);
        let words = told.map(|(old, new)| format!("{old:?} is now {new:?}")).collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| Renaming {
            words,
            message: Box::new(move |msg: &Msg| {
                let mut msg = msg.clone();
                names::in_message(&mut msg, &mut |ballot| {
                    *ballot = names.get(ballot).copied().unwrap_or(*ballot);
                });
                msg
            }),
        })
    }
}

/// The proposer's share of a running actor's state.
fn proposer(local: &Local<Decorated>) -> Option<&ProposerState> {
    local.state.as_deref().and_then(|state| state.inside().proposer())
}

/// True if a proposer knows that its proposal is chosen and will do nothing more.
fn is_done(local: &Local<Decorated>) -> bool {
    proposer(local).is_some_and(|proposer| {
        matches!(&proposer.phase, Phase::Accepting { issued, .. } if !issued.is_empty())
            && proposer.wanted.is_empty()
            && proposer.reads.is_empty()
    })
}

/// The messages on their way: each arrives at most once, in any order.
fn flying(state: &mut Whole) -> &mut BTreeMap<stateright::actor::Envelope<synod::Msg>, usize> {
    match &mut state.network {
        InFlight::Multiset(counts) => counts,
        _ => unreachable!("a model whose live ballots are bounded has a multiset for a network"),
    }
}

/// True if a claim can be checked in this model.
pub(crate) fn can_check(file: &ModelFile, claim: &str) -> bool {
    file.bounds.live_ballots.is_none() || CHECKED.contains(&claim)
}

/// The number of live ballots that a model file allows, if it bounds them. Refuses everything that does not go with that.
pub(crate) fn admit(judge: &Judge<'_>, file: &ModelFile) -> Result<Option<usize>, ModelError> {
    let Some(given) = &file.bounds.live_ballots else { return Ok(None) };
    let most = judge.count("live_ballots", given, 1, 16)?;
    let system = &file.system;
    let refused = [
        (system.layout != Layout::Separate, "roles must be processes of their own: layout = \"separate\""),
        (
            file.network.delivery != DeliveryFile::Multiset,
            "a message must arrive at most once, in any order: delivery = \"multiset\"",
        ),
        (
            system.nacks && system.retry != RetryFile::OnNack,
            "a nack tells of a promise that would otherwise be forgotten: nacks = false is needed in [system], or that \
             proposers do nothing but answer nacks: retry = \"on-nack\"",
        ),
        (
            !system.nacks && system.retry != RetryFile::OnTimeout,
            "proposers must be free to try again at any moment: retry = \"on-timeout\"",
        ),
        (
            file.faults.as_ref().is_some_and(|faults| faults.crash.is_some()),
            "crashes are not supported, as what was forgotten could be recovered; `down` is",
        ),
        (file.bounds.rounds.is_some(), "ballots are renamed, so that rounds cannot be bounded as well"),
    ];
    if let Some((_, reason)) = refused.iter().find(|(refused, _)| *refused) {
        return judge.error(given.span(), format!("live_ballots: {reason}"));
    }
    let known = |given: &Option<Spanned<Vec<String>>>, what: &str, all: &[&str]| {
        let Some(given) = given else { return Ok(()) };
        match given.get_ref().iter().find(|name| !all.contains(&name.as_str())) {
            Some(name) => judge.error(
                given.span(),
                format!(
                    "{what} {name:?}: not with live_ballots, as it is about what was forgotten; there are {}",
                    all.join(", ")
                ),
            ),
            None => Ok(()),
        }
    };
    known(&file.check.claims, "claim", &CHECKED)?;
    known(&file.check.witnesses, "witness", &SEEN)?;
    known(&file.check.never, "never", &SEEN)?;
    Ok(Some(most))
}
