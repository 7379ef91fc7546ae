//! The effect of an elected leader on ballots: of proposers, of servers, and of servers of a log.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    Ask, Ballot, Beat, Cluster, Election, ElectionTimer, Instance, Learning, Msg, Pace, Process,
    ProcessState, QuorumRule, Quorums, Retry, Timer, Value,
};

const SUSPECT: Timer = Timer::Election(ElectionTimer::Suspect);
const BEAT: Msg = Msg::Beat(Beat::Heartbeat { backed: false });
const BEAT_TIMER: Timer = Timer::Election(ElectionTimer::Beat);
const HOLD_OFF: Timer = Timer::Election(ElectionTimer::HoldOff);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ids(ids: Range<usize>) -> Vec<Id> {
    ids.map(Id::from).collect()
}

fn pace() -> Pace {
    Pace { beat: ms(10)..ms(20), suspect: ms(100)..ms(200), hold_off: ms(30)..ms(40), doublings: 2 }
}

/// Three servers that elect.
fn cluster() -> Cluster {
    Cluster {
        acceptors: ids(0..3),
        proposers: (0..3).map(|at| (Id::from(at), at as u16 + 1)).collect(),
        learners: ids(0..3),
        clients: Vec::new(),
        waiting_limit: 8,
        quorums: Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet"),
        learning: Learning::Everyone,
        nacks: true,
        report: usize::MAX,
        max_value: usize::MAX,
        max_accepted: usize::MAX,
        keeps: usize::MAX,
        log: None,
        election: Some(Election { members: ids(0..3), among: None, backing: None, pace: pace() }),
    }
}

fn retry() -> Retry {
    Retry { on_nack: true, after: Some(ms(50)..ms(60)), doublings: 2 }
}

/// One process, and the outputs of its last step.
struct One {
    process: Process,
    me: Id,
    state: ProcessState,
    did: Vec<Command<Msg, Timer, std::convert::Infallible, synod::Stable>>,
}

impl One {
    fn start(process: Process, me: usize) -> One {
        let (me, mut out) = (Id::from(me), Out::new());
        let state = process.on_start(me, &None, &mut out);
        One { process, me, state, did: out.into_iter().collect() }
    }

    /// The server at this place.
    fn server(at: usize) -> One {
        let (cluster, number) = (Arc::new(cluster()), at as u16 + 1);
        One::start(Process::Server { cluster, number, retry: retry() }, at)
    }

    fn done(&mut self, state: ProcessState, out: Out<Process>) {
        self.state = state;
        self.did = out.into_iter().collect();
    }

    fn hears(&mut self, from: usize, msg: Msg) {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_msg(self.me, &mut state, from.into(), msg, &mut out);
        let state = state.into_owned();
        self.done(state, out);
    }

    fn rings(&mut self, timer: Timer) {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_timeout(self.me, &mut state, &timer, &mut out);
        let state = state.into_owned();
        self.done(state, out);
    }

    /// Its last messages, and their receivers.
    fn said(&self) -> Vec<(usize, Msg)> {
        let said = self.did.iter().filter_map(|command| match command {
            Command::Send(to, msg) => Some((usize::from(*to), msg.clone())),
            _ => None,
        });
        said.collect()
    }

    fn prepares(&self) -> Vec<Ballot> {
        let said = self.said().into_iter().filter_map(|(to, msg)| match msg {
            Msg::Prepare { ballot, .. } if to == 0 => Some(ballot),
            _ => None,
        });
        said.collect()
    }

    /// The range in which it last set a timer, if it did.
    fn set(&self, wanted: Timer) -> Option<Range<Duration>> {
        self.did.iter().find_map(|command| match command {
            Command::SetTimer(timer, range) if *timer == wanted => Some(range.clone()),
            _ => None,
        })
    }

    fn cancelled(&self, wanted: Timer) -> bool {
        self.did.iter().any(|command| matches!(command, Command::CancelTimer(timer) if *timer == wanted))
    }
}

fn request() -> Msg {
    Ask::Request { instance: Instance::FIRST, value: Value::from("x") }.into()
}

fn ballot(round: u64, proposer: u16) -> Ballot {
    Ballot { round, proposer }
}

#[test]
fn who_leads_begins_when_its_hold_off_is_over_and_not_before() {
    let mut first = One::server(0);
    assert_eq!(first.set(HOLD_OFF), Some(ms(30)..ms(40)));
    assert_eq!(first.said(), [(1, BEAT), (2, BEAT)]);
    first.hears(7, request());
    assert_eq!(first.said(), [], "it neither begins nor sends anybody away");
    first.rings(HOLD_OFF);
    assert_eq!(first.prepares(), [ballot(1, 1)]);
    assert_eq!(first.set(Timer::Retry), Some(ms(50)..ms(60)));
}

#[test]
fn who_follows_says_whom_and_takes_over_what_it_was_asked_for() {
    let mut second = One::server(1);
    assert_eq!(second.set(SUSPECT), Some(ms(100)..ms(200)));
    second.hears(7, request());
    let redirect = Msg::Redirect { leader: Id::from(0) };
    assert_eq!(second.said(), [(7, redirect.clone())]);
    second.hears(7, Ask::Read { instance: Instance(4) }.into());
    assert_eq!(second.said(), [(7, redirect)]);
    second.hears(0, BEAT);
    assert_eq!(second.set(SUSPECT), Some(ms(100)..ms(200)));
    second.rings(SUSPECT);
    assert_eq!(second.said(), [(2, BEAT)]);
    second.rings(HOLD_OFF);
    assert_eq!(second.prepares(), [ballot(1, 2)]);
    // The first was not dead. The ballot that is under way may go on, but is not tried again.
    second.hears(0, BEAT);
    assert!(second.cancelled(Timer::Retry));
    assert_eq!(second.set(SUSPECT), Some(ms(200)..ms(400)));
    second.hears(0, Msg::Nack { ballot: ballot(1, 2), promised: ballot(3, 1) });
    assert_eq!(second.prepares(), []);
    second.rings(Timer::Retry);
    assert_eq!(second.prepares(), []);
    // It remembers what it heard meanwhile when it leads again.
    second.rings(SUSPECT);
    second.rings(HOLD_OFF);
    assert_eq!(second.prepares(), [ballot(4, 2)]);
}

/// The server at this place, in an election whose leaders have to be followed by a majority.
fn backed(at: usize) -> One {
    let mut cluster = cluster();
    let backing = Some(cluster.quorums.clone());
    cluster.election = Some(Election { members: ids(0..3), among: None, backing, pace: pace() });
    One::start(Process::Server { cluster: Arc::new(cluster), number: at as u16 + 1, retry: retry() }, at)
}

fn beat(backed: bool) -> Msg {
    Msg::Beat(Beat::Heartbeat { backed })
}

const FOLLOW: Msg = Msg::Beat(Beat::Follow);

#[test]
fn a_leader_begins_only_once_a_quorum_follows_it_and_gives_up_when_none_does() {
    let mut first = backed(0);
    assert_eq!((first.said(), first.set(HOLD_OFF)), (vec![(1, beat(false)), (2, beat(false))], None));
    first.hears(7, request());
    first.rings(HOLD_OFF);
    assert_eq!(first.prepares(), [], "nobody follows it");
    first.hears(2, FOLLOW);
    assert!(first.set(HOLD_OFF).is_some());
    first.rings(HOLD_OFF);
    assert_eq!(first.prepares(), [ballot(1, 1)]);
    assert!(first.said().contains(&(1, beat(true))));
    // It counts who has answered. If nobody does until the next count, it suspects itself and follows the next member.
    first.rings(SUSPECT);
    assert!(first.set(SUSPECT).is_some() && !first.cancelled(Timer::Retry));
    first.rings(SUSPECT);
    assert!(first.cancelled(Timer::Retry));
    first.rings(BEAT_TIMER);
    assert_eq!(first.said(), [], "and falls silent");
    // As it is deaf, it draws nobody to itself any more, whomever it suspects.
    for _ in 0..7 {
        first.rings(SUSPECT);
        assert!(first.said().iter().all(|(_, msg)| *msg == FOLLOW), "{:?}", first.said());
    }
    // Once it has heard of another member it tries again.
    first.hears(2, FOLLOW);
    let tries = (0..4).any(|_| {
        first.rings(SUSPECT);
        first.said().contains(&(1, beat(false)))
    });
    assert!(tries);
}

#[test]
fn who_follows_one_that_a_quorum_follows_stays_and_who_does_not_goes_over() {
    let mut third = backed(2);
    third.hears(0, beat(true));
    assert_eq!(third.said(), [(0, FOLLOW)]);
    third.hears(1, beat(true));
    assert_eq!(third.said(), [], "it stays");
    // The first falls silent. The second announces itself, and then that a quorum follows it.
    third.rings(SUSPECT);
    third.hears(1, beat(true));
    assert_eq!(third.said(), [(1, FOLLOW)]);
    third.hears(0, beat(true));
    third.hears(0, beat(false));
    assert_eq!(third.said(), [], "whoever comes back comes too late");
    // Unless the second has lost its quorum.
    third.hears(1, beat(false));
    third.hears(0, beat(false));
    assert_eq!(third.said(), [(0, FOLLOW)]);
    assert_eq!(third.set(SUSPECT), Some(ms(200)..ms(400)), "a suspicion was wrong");
    // A member further behind that has a quorum is better than one that has none.
    third.hears(1, beat(true));
    assert_eq!(third.said(), [(1, FOLLOW)]);
}

#[test]
fn delays_grow_with_each_ballot_that_came_to_nothing_and_not_beyond() {
    let mut first = One::server(0);
    first.rings(HOLD_OFF);
    first.hears(7, request());
    let mut delays = vec![first.set(Timer::Retry)];
    for _ in 0..3 {
        first.rings(Timer::Retry);
        delays.push(first.set(Timer::Retry));
    }
    let range = |from| Some(ms(from)..ms(from / 5 * 6));
    assert_eq!(delays, [range(50), range(100), range(200), range(200)]);
    // Once something was brought about, delays start with the shortest again, also for the ballot that is still under way.
    first.hears(1, Msg::Chosen { instance: Instance::FIRST, value: Value::from("x") });
    first.hears(7, Ask::Read { instance: Instance(1) }.into());
    assert_eq!((first.prepares(), first.set(Timer::Retry)), (Vec::new(), range(50)));
}

#[test]
fn what_is_asked_of_a_leader_in_the_middle_of_its_ballot_is_watched_over() {
    let mut first = One::server(0);
    first.rings(HOLD_OFF);
    first.hears(7, request());
    first.hears(1, Msg::Chosen { instance: Instance::FIRST, value: Value::from("x") });
    assert!(first.cancelled(Timer::Retry));
    // Phase 1 is still under way, and its messages may be lost.
    first.hears(7, Ask::Request { instance: Instance(1), value: Value::from("y") }.into());
    assert_eq!((first.prepares(), first.set(Timer::Retry).is_some()), (Vec::new(), true));
}

#[test]
fn proposers_of_their_own_elect_as_well() {
    let members = ids(3..5);
    let election = Some(Election { members, among: None, backing: None, pace: pace() });
    let cluster = Cluster {
        proposers: vec![(3.into(), 1), (4.into(), 2)],
        learners: Vec::new(),
        election,
        ..cluster()
    };
    let process = Process::Proposer { cluster: Arc::new(cluster), number: 2, retry: retry() };
    let mut second = One::start(process, 4);
    second.hears(7, request());
    assert_eq!(second.said(), [], "only servers say who leads");
    second.rings(SUSPECT);
    assert_eq!(second.said(), []);
    second.rings(HOLD_OFF);
    assert_eq!(second.prepares(), [ballot(1, 2)]);
}

#[test]
fn a_follower_keeps_no_more_bytes_than_it_may_of_what_clients_want() {
    let (waiting_limit, keeps) = (8, 80);
    let cluster = Arc::new(Cluster { waiting_limit, keeps, ..cluster() });
    let mut second = One::start(Process::Server { cluster, number: 2, retry: retry() }, 1);
    let wants = |second: &mut One, instance: u64, length: usize| {
        let value = Value::from(vec![7; length].as_slice());
        second.hears(7, Ask::Request { instance: Instance(instance), value }.into());
        second.state.proposer().is_some_and(|proposer| proposer.wanted.contains_key(&Instance(instance)))
    };
    assert!(wants(&mut second, 0, 100), "one is always kept, however long");
    assert!(!wants(&mut second, 1, 11), "and no other that is longer than an even share");
    for instance in 2..9 {
        assert!(wants(&mut second, instance, 10), "short ones are bounded by their number");
    }
    assert!(!wants(&mut second, 9, 1));
    // A value that was chosen makes room.
    second.hears(0, Msg::Chosen { instance: Instance(0), value: Value::from("x") });
    assert!(wants(&mut second, 1, 80));
    second.hears(0, Msg::Chosen { instance: Instance(2), value: Value::from("x") });
    assert!(!wants(&mut second, 10, 11));
}
