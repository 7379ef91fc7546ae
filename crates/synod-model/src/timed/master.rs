//! The master's lease (E1) over servers that keep a log: the roles as they are served, with the durations of their timers.
//!
//! *When there is at most one master.* Let P of two servers propose a take at time 0. It is master until H at the latest, where H is the most real time of
//! `hold`. A message takes at least d ticks. The other server Q executes the take when it hears that it was chosen, at 3d at the soonest: after the proposal,
//! an acceptance and the choice. It waits until 3d + L, where L is the least real time of `lease`. If phase 1 of its ballot is over by then, it needs an acceptance of
//! its own take, and is master at 5d + L at the soonest. So the claim holds exactly if H < 5d + L. With drift e, H is hold / (1 - e) and L is lease / (1 + e), in whole ticks.
//! The claim is about what a server believes. Whatever a master does, it does in a step in which it believes.
//!
//! A breach is a rule of the lease that all of these servers break.

use super::member::{Asked, Local, Member, WRITTEN, Waited};
use super::server::{self, Breach, OPERATOR, Server};
use super::words::{ANY_TIME, TICK, ticks};
use crate::ledger::Ledger;
use stateright::actor::{Envelope, Id};
use std::sync::Arc;
use synod::{
    Call, Cluster, Election, Instance, Learning, LeaseState, Log, Members, Msg, Pace, Process, ProcessState,
    QuorumRule, Quorums, Retry, Truncate, Value,
};
use synod_explore::{Faults, Network, Property, System};

/// The name of the claim about masters.
pub(super) const CLAIM: &str = "E1";

/// The name of the claim about what is read at one.
pub(super) const READS: &str = "E2";

/// The name of the claim about when there is one.
pub(super) const IN_TIME: &str = "in-time";

/// The names of hard cases.
const RESTORED: &str = "a server starts from a snapshot in which it is master";
const HEIR: &str = "an heir is master although a lease is not over";
const LEFT: &str = "a master has left the members, and another is master";
const AGAIN: &str = "the first master is master again after another";
const REFUSED: &str = "a command of an earlier tenure is refused";

/// Servers that take mastership.
// Fields: one for each thing that may differ from model to model.
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Master {
    /// The servers.
    pub servers: usize,
    /// The ticks for which a server is master by a take.
    pub hold: u32,
    /// The ticks for which others leave mastership alone.
    pub lease: u32,
    /// The ticks after which a master renews; `None` if it takes mastership again only when its time is over.
    pub renew: Option<(u32, u32)>,
    /// True if a master, where it would renew, yields mastership to the next server.
    pub gives: bool,
    /// True if the first server, where it would renew, is removed from the members.
    pub leaves: bool,
    /// The servers, from the first on, that want mastership by themselves. Others only follow.
    pub seekers: usize,
    /// The most instances.
    pub takes: u64,
    /// The most rounds of ballots.
    pub rounds: u64,
    /// The most crashes.
    pub crashes: u32,
    /// True if servers take a snapshot after every command.
    pub snapshots: bool,
    /// True if messages may be lost.
    pub loss: bool,
    /// The window.
    pub alpha: u64,
    /// True if a leader hears that its ballot was overtaken.
    pub nacks: bool,
    /// The server by whose take, of an earlier run, the log begins.
    pub tenant: Option<usize>,
    /// The servers that a client asks to write, and those at which it reads then; the index of the first and of the one after the last.
    pub asks: Option<[(usize, usize); 2]>,
    /// The servers at which it reads once more, likewise. Then it does not wait to be told of its write.
    pub again: Option<(usize, usize)>,
    /// The servers that take mastership at all; the index of the first and of the one after the last.
    pub leads: (usize, usize),
    /// The servers that crashed before the run began, likewise.
    pub gone: (usize, usize),
    /// The ticks within which a client is to hear of a master, counted from the beginning of the run.
    pub within: Option<u32>,
    /// The ticks between two heartbeats, without one until its followers suspect a leader, and for which one that is elected holds off; `None` if nobody is elected and any
    /// server may lead.
    pub election: Option<[u32; 3]>,
    /// The rule that servers break.
    pub breach: Option<Breach>,
}

/// True if a server believes itself master.
fn is_master(state: &ProcessState) -> bool {
    server::lease(state).is_some_and(LeaseState::is_master)
}

/// True if a server is master, and the first take was another server's.
fn is_second(me: usize, state: &ProcessState) -> bool {
    let first = state.server().and_then(|server| server.learner.learned.get(&Instance::FIRST));
    let by = first.and_then(server::taker);
    is_master(state) && by.is_some_and(|by| by != Id::from(me))
}

/// True if a server is master, and took mastership first, and another did in between.
fn is_again(me: usize, state: &ProcessState) -> bool {
    let first = state.server().and_then(|server| server.learner.learned.get(&Instance::FIRST));
    let is_mine = first.and_then(server::taker) == Some(Id::from(me));
    is_mine && is_master(state) && server::last(state).is_some_and(|last| last.since > Instance::FIRST)
}

impl Master {
    fn cluster(&self, at: usize) -> Cluster {
        let ids: Vec<Id> = (0..self.servers).map(Id::from).collect();
        let renew = self.renew.map(|(least, most)| ticks(least, most));
        let seek = self.within.map_or(ANY_TIME, |_| ticks(0, 1));
        let quorums =
            Quorums::new(self.servers, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet");
        let election = self.election.map(|[beat, suspect, hold_off]| Election {
            members: ids.clone(),
            among: None,
            backing: Some(quorums.clone()),
            pace: Pace {
                beat: ticks(beat, beat),
                suspect: ticks(suspect, suspect),
                hold_off: ticks(hold_off, hold_off),
                doublings: 0,
            },
        });
        Cluster {
            acceptors: ids.clone(),
            proposers: ids.iter().copied().zip(1..).collect(),
            learners: ids,
            clients: Vec::new(),
            waiting_limit: 1,
            quorums,
            learning: Learning::Proposer,
            nacks: self.nacks,
            report: usize::MAX,
            max_value: usize::MAX,
            max_accepted: usize::MAX,
            keeps: usize::MAX,
            log: Some(Log {
                alpha: self.alpha,
                batch: 1,
                machine: Ledger::shared(),
                hold_off: None,
                catch_up: None,
                truncate: self.snapshots.then_some(Truncate {
                    every: 1,
                    every_bytes: u64::MAX,
                    spare: u64::MAX,
                    spare_bytes: u64::MAX,
                    chunk: usize::MAX,
                    ahead: 1,
                    most: u64::MAX,
                }),
                master: (self.leads.0..self.leads.1).contains(&at).then_some(synod::Lease {
                    hold: TICK * self.hold,
                    lease: TICK * self.lease,
                    renew,
                    seek: (at < self.seekers).then_some(seek),
                }),
                members: self.leaves.then_some(Members {
                    operators: OPERATOR..OPERATOR + 1,
                    lag: 0,
                    directory: None,
                    relays: false,
                }),
            }),
            election,
        }
    }

    /// The system, but for its clocks.
    pub(super) fn system(&self) -> System<Member, ()> {
        let hold = ticks(self.hold, self.hold);
        let member = |at: usize| {
            Member::Server(Server {
                process: Process::Server {
                    cluster: Arc::new(self.cluster(at)),
                    number: at as u16 + 1,
                    retry: Retry { on_nack: self.nacks, ..Retry::default() },
                },
                hold: hold.clone(),
                heir: self.gives.then(|| Id::from((at + 1) % self.servers)),
                news: self.within.map(|_| Id::from(self.servers)),
                leaves: self.leaves && at == 0,
                breach: self.breach,
            })
        };
        let gone = self.gone.0..self.gone.1;
        let member = |at: usize| if gone.contains(&at) { Member::Gone } else { member(at) };
        let mut actors: Vec<Member> = (0..self.servers).map(member).collect();
        if let Some([write, read]) = self.asks {
            let ids = |(first, end): (usize, usize)| (first..end).map(Id::from).collect();
            let again = self.again.map_or_else(Vec::new, ids);
            actors.push(Member::Asker { write: ids(write), read: ids(read), again });
        }
        if let Some(within) = self.within {
            actors.push(Member::Waiter(within));
        }
        let tenant = self.tenant;
        let mut system = System::new(actors, ()).property(Property::always_locals(CLAIM, |locals| {
            let up = locals
                .iter()
                .enumerate()
                .filter_map(|(id, local)| Some((id, Local::server(local.state.as_deref()?)?)));
            let masters: Vec<usize> = up.filter(|(_, state)| is_master(state)).map(|(id, _)| id).collect();
            match masters[..] {
                [one, other, ..] => Err(format!("{} and {} are master", one + 1, other + 1)),
                _ => Ok(()),
            }
        }));
        if self.within.is_none() || tenant.is_some() {
            system = system.property(
                Property::sometimes_locals("one is master after another", |locals| {
                    let mut up = locals
                        .iter()
                        .enumerate()
                        .filter_map(|(id, local)| Some((id, Local::server(local.state.as_deref()?)?)));
                    up.any(|(id, state)| is_second(id, state))
                })
                .premise_of(CLAIM),
            );
        }
        if self.within.is_some() {
            let waited = |locals: &[Arc<synod_explore::Local<Member>>], what| {
                locals.iter().any(|local| local.state.as_deref() == Some(&Local::Waiter(what)))
            };
            system = system
                .property(Property::always_locals(IN_TIME, move |locals| {
                    if waited(locals, Waited::InVain) {
                        return Err("a client has not heard of a master in time".to_owned());
                    }
                    Ok(())
                }))
                .property(
                    Property::sometimes_locals("a client hears of a master", move |locals| {
                        waited(locals, Waited::Heard)
                    })
                    .premise_of(IN_TIME),
                );
        }
        if self.leaves {
            system = system.property(
                Property::sometimes_locals(LEFT, |locals| {
                    let states = locals.iter().map(|local| Local::server(local.state.as_deref()?));
                    let up: Vec<_> = states.enumerate().filter_map(|(id, it)| Some((id, it?))).collect();
                    let masters = up.iter().any(|(id, state)| *id > 0 && is_master(state));
                    masters && up.iter().any(|(id, state)| *id == 0 && server::has_left(*id, state))
                })
                .premise_of(CLAIM),
            );
        }
        if self.gives {
            system = system.property(
                Property::sometimes_locals(HEIR, |locals| {
                    let up = || locals.iter().filter_map(|local| Local::server(local.state.as_deref()?));
                    let gave = |(id, state)| server::has_yielded(id, state);
                    up().any(is_master) && (0..).map(Id::from).zip(up()).any(gave)
                })
                .premise_of(CLAIM),
            );
        }
        if self.snapshots {
            system = system.property(
                Property::sometimes_locals(RESTORED, |locals| {
                    let up = locals.iter().map(|local| Local::server(local.state.as_deref()?));
                    (0..)
                        .map(Id::from)
                        .zip(up)
                        .any(|(id, state)| state.is_some_and(|state| server::is_restored(id, state)))
                })
                .premise_of(CLAIM),
            );
        }
        if self.nacks {
            system = system.property(
                Property::sometimes_locals(AGAIN, |locals| {
                    let mut up = locals
                        .iter()
                        .enumerate()
                        .filter_map(|(id, local)| Some((id, Local::server(local.state.as_deref()?)?)));
                    up.any(|(id, state)| is_again(id, state))
                })
                .premise_of(CLAIM),
            );
        }
        if let Some(tenant) = tenant {
            let by = Call { client: Id::from(tenant), number: 0 };
            let take = format!("{by:?}!take - {}", (TICK * self.lease).as_millis());
            let chosen = Msg::Chosen { instance: Instance::FIRST, value: Value::from(take.as_str()) };
            system.initial_envelopes = (0..self.servers)
                .map(|to| Envelope { src: Id::from(tenant), dst: Id::from(to), msg: chosen.clone() })
                .collect();
        }
        if self.asks.is_some() {
            let is_again = self.again.is_some();
            // The first of two answers may be from before the write.
            let told = move |local: &Local| match local {
                Local::Asker(Asked::Told(told)) if !is_again => Some(told.clone()),
                Local::Asker(Asked::ToldBoth(first, told)) if first.as_bytes() == WRITTEN.as_bytes() => {
                    Some(told.clone())
                }
                _ => None,
            };
            if tenant.is_some() {
                system = system.property(
                    Property::sometimes_locals(REFUSED, |locals| {
                        locals.iter().any(|local| {
                            let state = local.state.as_deref().and_then(Local::server);
                            state.is_some_and(server::has_refused)
                        })
                    })
                    .premise_of(READS),
                );
            }
            system = system
                .property(Property::always_locals(READS, move |locals| {
                    let told = locals.iter().find_map(|local| told(local.state.as_deref()?));
                    match told.filter(|told| told.as_bytes() != WRITTEN.as_bytes()) {
                        Some(told) => Err(format!(
                            "a client was told that it wrote {WRITTEN:?}, or read that, and then read {told:?}"
                        )),
                        None => Ok(()),
                    }
                }))
                .property(
                    Property::sometimes_locals("a client reads what it has written", move |locals| {
                        locals.iter().any(|local| local.state.as_deref().and_then(told).is_some())
                    })
                    .premise_of(READS),
                );
        }
        system.network = Network { loss: self.loss, ..system.network };
        let (takes, rounds) = (self.takes, self.rounds);
        let within = move |local: &Local| {
            local.server().and_then(ProcessState::server).is_none_or(|server| {
                server.proposer.tried <= rounds
                    && server.acceptor.accepted.keys().next_back().is_none_or(|last| last.0 < takes)
                    && server.log.as_ref().is_none_or(|log| log.next.0 <= takes)
            })
        };
        system.bounds.local =
            Some((format!("instances at most {takes}, rounds at most {rounds}"), Arc::new(within)));
        if self.crashes > 0 {
            system.faults = Faults {
                crashable: (0..system.actors.len()).map(|at| at < self.servers).collect(),
                max_down: 1,
                max_crashes: Some(self.crashes),
                ..Faults::none()
            };
        }
        system
    }
}
