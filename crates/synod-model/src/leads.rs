//! Elections of proposers or servers: the keys of a file, the property that must come about, and the assumptions in place of
//! assumption 1 (see [`crate::liveness`]).
//!
//! Hold-offs end. `beats`: leaders send heartbeats again and again, and these arrive. `complete`: a process that is down is suspected by all that
//! wait for it. `accurate`: from some point on nobody suspects a process that is up. In other words, timers are longer than the way of a
//! heartbeat.

use crate::file::{DeliveryFile, ElectionFile, Layout, ModelError, ModelFile, RetryFile};
use crate::history::Note;
use crate::judge::Judge;
use crate::observer::{Ghost, Inside};
use crate::rings::Rings;
use stateright::actor::Id;
use std::sync::Arc;
use std::time::Duration;
use synod::{AcceptorSet, Election, ElectionState, ElectionTimer, Msg, Pace, Quorums};
use synod_explore::liveness::{Assumption, Fairness, Goal};
use synod_explore::{Action, InFlight, State, Subject, System};
use toml::Spanned;

/// The election among these, if the file says that there is one.
pub(crate) fn election(
    judge: &Judge<'_>,
    file: &ModelFile,
    members: &[Id],
    quorums: &Quorums,
) -> Result<Option<Election>, ModelError> {
    let Some(given) = &file.election else { return Ok(None) };
    let ElectionFile { doublings, backed } = *given.get_ref();
    let draws = file.bounds.live_ballots.is_some() && file.system.retry == RetryFile::OnTimeout;
    let refused = [
        (
            file.network.delivery == DeliveryFile::Ordered,
            "heartbeats would pile up before each other for ever: delivery = \"set\" or \"multiset\" is needed in [network]",
        ),
        (
            file.log.as_ref().is_some_and(|log| log.get_ref().hold_off),
            "who is elected holds off by itself; leave out hold-off in [log]",
        ),
        (
            file.reduce.dead_messages && file.network.delivery == DeliveryFile::Multiset,
            "two heartbeats on the same way are taken for one, so that states are rewritten, and then no message can be left \
             out; leave out dead-messages in [reduce]",
        ),
        (
            draws,
            "with live_ballots ballots are drawn when a timer runs out, and who comes to lead begins one otherwise: \
             retry = \"on-nack\" is needed in [system]",
        ),
        (
            backed && file.system.layout != Layout::CoLocated,
            "backed: those who elect are no acceptors here; layout = \"co-located\" is needed in [system]",
        ),
        (doublings > 3, "doublings: durations mean nothing here, so that more than 3 show nothing new"),
    ];
    if let Some((_, why)) = refused.iter().find(|(refused, _)| *refused) {
        return judge.error(given.span(), format!("election: {why}"));
    }
    let any = || Duration::ZERO..Duration::ZERO;
    let pace = Pace { beat: any(), suspect: any(), hold_off: any(), doublings };
    let backing = backed.then(|| quorums.clone());
    Ok(Some(Election { members: members.to_vec(), among: None, backing, pace }))
}

/// Makes one heartbeat of two on the same way: a network may lose the second, and none says more than another.
pub(crate) fn merge_heartbeats(network: &mut InFlight<Msg>) {
    if let InFlight::Multiset(counts) = network {
        let beats = counts.iter_mut().filter(|(envelope, _)| matches!(envelope.msg, Msg::Beat(_)));
        beats.for_each(|(_, count)| *count = 1);
    }
}

/// Which assumptions about the election are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assumed {
    accurate: bool,
    complete: bool,
    beats: bool,
}

impl Assumed {
    /// Each is, unless the file says that it is not; and where there is no election there are none.
    pub(crate) fn admit(
        judge: &Judge<'_>,
        is_elected: bool,
        given: [(&str, &Option<Spanned<bool>>); 3],
    ) -> Result<Assumed, ModelError> {
        let mut assumed = [true; 3];
        for (assumed, (name, given)) in assumed.iter_mut().zip(given) {
            let Some(given) = given else { continue };
            if !is_elected {
                return judge.error(given.span(), format!("{name}: there is no [election] in this model"));
            }
            *assumed = *given.get_ref();
        }
        let [accurate, complete, beats] = assumed;
        Ok(Assumed { accurate, complete, beats })
    }

    /// Adds the assumptions to a system.
    pub(crate) fn declare<A>(self, system: &mut System<A, Ghost>, election: &Election, deaf: &[Id])
    where
        A: Subject<Msg = Msg>,
        A::State: Inside,
        A::Timer: Rings,
    {
        let names = Arc::new(system.names.clone());
        let timer = |wanted: ElectionTimer| {
            let names = Arc::clone(&names);
            move |action: &Action<A>, _: Option<&Note>| match action {
                Action::<A>::Timeout(id, timer) if timer.elects() == Some(wanted) => {
                    names.get(usize::from(*id)).cloned()
                }
                _ => None,
            }
        };
        let loss = system.network.loss;
        let mut assume = |assumption| system.liveness.assumptions.push(assumption);
        assume(Assumption::each("1 hold-offs end", Fairness::Weak, timer(ElectionTimer::HoldOff)));
        if self.beats {
            assume(Assumption::each("1 leaders send heartbeats", Fairness::Weak, timer(ElectionTimer::Beat)));
            let names = Arc::clone(&names);
            let deaf = deaf.to_vec();
            let arrives = move |action: &Action<A>, _: Option<&Note>| match action {
                Action::<A>::Deliver { dst, .. } if deaf.contains(dst) => None,
                Action::<A>::Deliver { src, dst, msg: Msg::Beat(_) } => {
                    let name = |id: Id| names.get(usize::from(id)).cloned().unwrap_or_default();
                    Some(format!("{} -> {}", name(*src), name(*dst)))
                }
                _ => None,
            };
            assume(Assumption::each("1 heartbeats arrive", Fairness::Weak, arrives));
            if loss {
                let lost = |action: &Action<A>| matches!(action, Action::<A>::Drop(envelope) if matches!(envelope.msg, Msg::Beat(_)));
                assume(Assumption::ceases("1 heartbeats are lost no more", lost));
            }
        }
        if self.complete {
            let suspects =
                Assumption::each("1 who is down is suspected", Fairness::Weak, timer(ElectionTimer::Suspect));
            let (election, deaf) = (election.clone(), deaf.to_vec());
            assume(
                suspects.when(move |state, action| is_sound(&election, &deaf, state, action) == Some(false)),
            );
        }
        if self.accurate {
            let suspects = Assumption::each(
                "1 who is up is suspected no more",
                Fairness::Ceases,
                timer(ElectionTimer::Suspect),
            );
            let (election, deaf) = (election.clone(), deaf.to_vec());
            assume(
                suspects.when(move |state, action| is_sound(&election, &deaf, state, action) == Some(true)),
            );
        }
    }
}

/// The belief of a member that is up.
fn belief<A: Subject<Msg = Msg>>(state: &State<A, Ghost>, member: Id) -> Option<&ElectionState>
where
    A::State: Inside,
{
    let up = state.locals.get(usize::from(member)).and_then(|local| local.state.as_deref())?;
    Some(&up.inside().proposer()?.election)
}

/// True if the one that somebody waits for deserves no suspicion: it is up; and where leaders are to be backed it leads, with a quorum if it is itself who
/// waits. `None`: nobody is suspected, since a leader that looks who has answered finds a quorum.
fn is_sound<A: Subject<Msg = Msg>>(
    election: &Election,
    deaf: &[Id],
    state: &State<A, Ghost>,
    action: &Action<A>,
) -> Option<bool>
where
    A::State: Inside,
{
    let Action::<A>::Timeout(id, _) = action else { return None };
    let members = &election.members;
    let follows = |member: Id| belief(state, member)?.followed(members.len());
    let followed = follows(*id)?;
    let leader = members[followed];
    let is_up = belief(state, leader).is_some();
    let Some(quorums) = &election.backing else { return Some(is_up) };
    let is_quorum = |all: AcceptorSet| quorums.is_phase1(all) && quorums.is_phase2(all);
    if leader == *id && !deaf.contains(id) {
        let all = members.iter().enumerate().filter(|(_, member)| follows(**member) == Some(followed));
        let answered = belief(state, *id).into_iter().flat_map(|belief| belief.followers.iter().copied());
        let is_sound = is_quorum(all.map(|(place, _)| place).collect());
        let finds = is_quorum(answered.chain([followed]).collect());
        return (!is_sound || !finds).then_some(is_sound);
    }
    Some(is_up && follows(leader) == Some(followed) && !deaf.contains(id))
}

/// The goal of an election: all that are up follow one that is up and may begin ballots, and nobody else may. A process that hears nobody may follow anybody.
pub(crate) fn is_led<A>(election: &Election, deaf: &[Id]) -> Goal<A, Ghost>
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let (election, deaf) = (election.clone(), deaf.to_vec());
    Goal::State(Arc::new(move |state: &State<A, Ghost>| {
        let members = &election.members;
        let beliefs: Vec<_> = members.iter().map(|member| belief(state, *member)).collect();
        let up = || beliefs.iter().enumerate().filter_map(|(place, belief)| Some((place, (*belief)?)));
        up().any(|(leader, _)| {
            up().all(|(place, belief)| {
                let follows = belief.followed(members.len()) == Some(leader);
                (follows || deaf.contains(&members[place])) && belief.ready == (place == leader)
            })
        })
    }))
}
