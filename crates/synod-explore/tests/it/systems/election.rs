//! Leader election and one replicated entry, in the manner of Raft: terms, votes for whoever's log is not behind, and
//! an entry that is committed once a majority stored it in the leader's term. A later leader carries on the entry that
//! it finds in its log, stamped with its own term.

use super::{or_else, running, unasked};
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Network, Out, majority, model_peers, model_timeout};
use std::borrow::Cow;
use std::collections::BTreeSet;
use synod_explore::actor_model::Recorded;
use synod_explore::{Property, System};

/// The term in which an entry was last stamped, and whose it is.
type Entry = (u8, Id);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Msg {
    Ask { term: u8, log: Option<Entry> },
    Vote { term: u8 },
    Append { term: u8, entry: Entry, committed: bool },
    Stored { term: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Alarm {
    Election,
    Heartbeat,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    Follower,
    Candidate { votes: BTreeSet<Id> },
    Leader { stored: BTreeSet<Id>, beats: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    term: u8,
    voted: Option<Id>,
    log: Option<Entry>,
    committed: Option<Id>,
    role: Role,
}

#[derive(Clone)]
pub(crate) struct Server {
    peers: Vec<Id>,
    /// Nobody calls an election beyond this term.
    terms: u8,
    /// The number of times that a leader repeats itself in its term.
    beats: u8,
}

impl Server {
    fn quorum(&self) -> usize {
        majority(self.peers.len() + 1)
    }

    /// Follows whoever is in a later term. Also keeps the rule that one timer is set: the one of the role, and none if
    /// the role has nothing left to do on its own.
    fn follow(&self, s: &mut Member, term: u8, o: &mut Out<Self>) {
        let before = std::mem::replace(&mut s.role, Role::Follower);
        if term > s.term {
            (s.term, s.voted) = (term, None);
        }
        match before {
            Role::Leader { beats, .. } => {
                if beats > 0 {
                    o.cancel_timer(Alarm::Heartbeat);
                }
                if s.term < self.terms {
                    o.set_timer(Alarm::Election, model_timeout());
                }
            }
            Role::Follower | Role::Candidate { .. } => {
                if s.term >= self.terms {
                    o.cancel_timer(Alarm::Election);
                }
            }
        }
    }

    fn lead(&self, id: Id, s: &mut Member, o: &mut Out<Self>) {
        if s.term < self.terms {
            o.cancel_timer(Alarm::Election);
        }
        let entry = (s.term, s.log.map_or(id, |(_, owner)| owner));
        s.log = Some(entry);
        s.role = Role::Leader { stored: BTreeSet::from([id]), beats: self.beats };
        if self.beats > 0 {
            o.set_timer(Alarm::Heartbeat, model_timeout());
        }
        o.broadcast(&self.peers, &Msg::Append { term: s.term, entry, committed: false });
    }
}

impl Actor for Server {
    type Msg = Msg;
    type State = Member;
    type Timer = Alarm;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> Member {
        o.set_timer(Alarm::Election, model_timeout());
        Member { term: 0, voted: None, log: None, committed: None, role: Role::Follower }
    }

    fn on_msg(&self, id: Id, s: &mut Cow<'_, Member>, src: Id, msg: Msg, o: &mut Out<Self>) {
        let (Msg::Ask { term, .. } | Msg::Vote { term } | Msg::Append { term, .. } | Msg::Stored { term }) =
            msg;
        if term < s.term {
            return;
        }
        if term > s.term {
            self.follow(s.to_mut(), term, o);
        }
        match msg {
            Msg::Ask { log, .. } if log.map(|(t, _)| t) >= s.log.map(|(t, _)| t) && s.voted.is_none() => {
                s.to_mut().voted = Some(src);
                o.send(src, Msg::Vote { term });
            }
            Msg::Vote { .. } if matches!(s.role, Role::Candidate { .. }) => {
                let s = s.to_mut();
                let Role::Candidate { votes } = &mut s.role else { return };
                votes.insert(src);
                if votes.len() == self.quorum() {
                    self.lead(id, s, o);
                }
            }
            Msg::Append { entry, committed, .. } => {
                if matches!(s.role, Role::Candidate { .. }) {
                    self.follow(s.to_mut(), term, o);
                }
                let s = s.to_mut();
                s.log = Some(entry);
                if committed {
                    s.committed = Some(entry.1);
                } else {
                    o.send(src, Msg::Stored { term });
                }
            }
            Msg::Stored { .. } => {
                let quorum = self.quorum();
                let Role::Leader { stored, .. } = &s.role else { return };
                if stored.len() < quorum && !stored.contains(&src) {
                    let s = s.to_mut();
                    let Role::Leader { stored, .. } = &mut s.role else { return };
                    stored.insert(src);
                    if stored.len() == quorum {
                        s.committed = s.log.map(|(_, owner)| owner);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_timeout(&self, id: Id, s: &mut Cow<'_, Member>, alarm: &Alarm, o: &mut Out<Self>) {
        let s = s.to_mut();
        match alarm {
            Alarm::Election => {
                s.term += 1;
                s.voted = Some(id);
                s.role = Role::Candidate { votes: BTreeSet::from([id]) };
                if s.term < self.terms {
                    o.set_timer(Alarm::Election, model_timeout());
                }
                o.broadcast(&self.peers, &Msg::Ask { term: s.term, log: s.log });
            }
            Alarm::Heartbeat => {
                let Role::Leader { beats, .. } = &mut s.role else { return };
                *beats -= 1;
                if *beats > 0 {
                    o.set_timer(Alarm::Heartbeat, model_timeout());
                }
                let entry = s.log.expect("a leader has an entry");
                let committed = s.committed.is_some();
                o.broadcast(&self.peers, &Msg::Append { term: s.term, entry, committed });
            }
        }
    }
}

fn one_leader_a_term<'a>(members: impl Iterator<Item = &'a Member>) -> bool {
    let mut terms = BTreeSet::new();
    members
        .filter(|member| matches!(member.role, Role::Leader { .. }))
        .all(|leader| terms.insert(leader.term))
}

fn one_entry<'a>(members: impl Iterator<Item = &'a Member>) -> bool {
    let mut committed = members.filter_map(|member| member.committed);
    committed.next().is_none_or(|first| committed.all(|other| other == first))
}

/// True if a leader has an entry that another one started.
fn carried_on<'a>(members: impl Iterator<Item = &'a Member>) -> bool {
    members.enumerate().any(|(index, member)| {
        matches!(member.role, Role::Leader { .. })
            && member.log.is_some_and(|(_, owner)| owner != Id::from(index))
    })
}

pub(crate) type Model = ActorModel<Server>;

/// Servers that call elections up to a term, and repeat themselves so often.
pub(crate) fn model(servers: usize, terms: u8, beats: u8) -> Model {
    ActorModel::new((), ())
        .actors((0..servers).map(|i| Server { peers: model_peers(i, servers), terms, beats }))
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "one leader a term", |_, state| {
            one_leader_a_term(state.actor_states.iter().map(|s| &**s))
        })
        .property(Expectation::Always, "one entry is committed", |_, state| {
            one_entry(state.actor_states.iter().map(|s| &**s))
        })
        .property(Expectation::Sometimes, "an entry is committed", |_, state| {
            state.actor_states.iter().any(|member| member.committed.is_some())
        })
        .property(Expectation::Sometimes, "an entry is carried on", |_, state| {
            carried_on(state.actor_states.iter().map(|s| &**s))
        })
}

/// The same, asked of this engine's states.
pub(crate) fn system(model: &Model) -> System<Server, Recorded<Server, (), ()>> {
    unasked(model)
        .property(Property::always_locals("one leader a term", |locals| {
            or_else(one_leader_a_term(running(locals)), "two lead in one term")
        }))
        .property(Property::always_locals("one entry is committed", |locals| {
            or_else(one_entry(running(locals)), "two entries are committed")
        }))
        .property(Property::sometimes_locals("an entry is committed", |locals| {
            running(locals).any(|member: &Member| member.committed.is_some())
        }))
        .property(Property::sometimes_locals("an entry is carried on", |locals| carried_on(running(locals))))
}
