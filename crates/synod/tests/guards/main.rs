//! Guards of the single roles, each tested through `impl Actor` alone: with quorums that differ between the phases, with ballots
//! that are not the current one, at the bounds of what is kept, and in instances below a ballot.

mod elections;
mod unmoved;

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    AcceptorState, Answer, Ask, Asking, Ballot, Beat, Client, Cluster, Election, ElectionState,
    ElectionTimer, Elector, Instance, Learning, Msg, Pace, PerInstance, Process, ProcessState, Proposal,
    QuorumError, QuorumRule, Quorums, Retry, Stable, Timer, Value, Want,
};

fn ids(ids: std::ops::Range<usize>) -> Vec<Id> {
    ids.map(Id::from).collect()
}

fn ballot(round: u64, proposer: u16) -> Ballot {
    Ballot { round, proposer }
}

fn value(text: &str) -> Value {
    Value::from(text)
}

/// Three servers. Any number promises, and all have to accept.
fn cluster(phase1: usize, phase2: usize) -> Cluster {
    let quorums = Quorums::new(3, QuorumRule::AtLeast(phase1), QuorumRule::AtLeast(phase2));
    Cluster {
        acceptors: ids(0..3),
        proposers: ids(0..3).into_iter().zip(1..).collect(),
        learners: ids(0..3),
        clients: Vec::new(),
        waiting_limit: 2,
        quorums: quorums.expect("they meet"),
        learning: Learning::Everyone,
        nacks: true,
        report: usize::MAX,
        max_value: usize::MAX,
        max_accepted: usize::MAX,
        keeps: usize::MAX,
        log: None,
        election: None,
    }
}

/// One process, and the outputs of its last step.
struct One {
    process: Process,
    state: ProcessState,
    did: Vec<Command<Msg, Timer, std::convert::Infallible, Stable>>,
}

impl One {
    fn start(process: Process, saved: impl Into<Option<Stable>>) -> One {
        let mut out = Out::new();
        let state = process.on_start(0.into(), &saved.into(), &mut out);
        One { process, state, did: out.into_iter().collect() }
    }

    /// The first server.
    fn server(cluster: Cluster) -> One {
        let any = Duration::from_millis(1)..Duration::from_millis(2);
        let retry = Retry { on_nack: true, after: Some(any), doublings: 0 };
        One::start(Process::Server { cluster: Arc::new(cluster), number: 1, retry }, None)
    }

    fn hears(&mut self, from: usize, msg: impl Into<Msg>) -> &mut One {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_msg(0.into(), &mut state, from.into(), msg.into(), &mut out);
        let state = state.into_owned();
        (self.state, self.did) = (state, out.into_iter().collect());
        self
    }

    /// True if a message leaves the state unedited and has no outputs.
    fn ignores(&self, from: usize, msg: impl Into<Msg>) -> bool {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_msg(0.into(), &mut state, from.into(), msg.into(), &mut out);
        matches!(state, Cow::Borrowed(_)) && out.is_empty()
    }

    fn rings(&mut self, timer: Timer) -> &mut One {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_timeout(0.into(), &mut state, &timer, &mut out);
        let state = state.into_owned();
        (self.state, self.did) = (state, out.into_iter().collect());
        self
    }

    /// Its last messages to a process.
    fn told(&self, whom: usize) -> Vec<Msg> {
        let said = self.did.iter().filter_map(|command| match command {
            Command::Send(to, msg) if usize::from(*to) == whom => Some(msg.clone()),
            _ => None,
        });
        said.collect()
    }

    fn saved(&self) -> Option<&Stable> {
        self.did.iter().find_map(|command| match command {
            Command::Save(stable) => Some(stable),
            _ => None,
        })
    }

    fn knows(&self, instance: u64) -> Option<&Value> {
        self.state.learner().and_then(|learner| learner.learned.get(&Instance(instance)))
    }
}

fn request(instance: u64, text: &str) -> Ask {
    Ask::Request { instance: Instance(instance), value: value(text) }
}

fn read(instance: u64) -> Ask {
    Ask::Read { instance: Instance(instance) }
}

fn promise(ballot: Ballot) -> Msg {
    Msg::Promise { ballot, accepted: PerInstance::new(), rest: None }
}

fn accepted(ballot: Ballot, instance: u64, text: &str) -> Msg {
    Msg::Accepted { ballot, instance: Instance(instance), value: value(text) }
}

fn accept(ballot: Ballot, instance: u64, text: &str) -> Msg {
    Msg::Accept { ballot, instance: Instance(instance), value: value(text) }
}

fn prepare(ballot: Ballot) -> Msg {
    Msg::Prepare { ballot, from: Instance::FIRST }
}

#[test]
fn a_learner_waits_for_a_phase_2_quorum_of_one_ballot() {
    let mut learner = One::start(Process::Learner(Arc::new(cluster(1, 3))), None);
    let first = ballot(1, 1);
    learner.hears(0, accepted(first, 0, "x")).hears(1, accepted(first, 0, "x"));
    assert_eq!(learner.knows(0), None, "two are a phase-1 quorum and no phase-2 quorum");
    learner.hears(1, accepted(first, 0, "x"));
    assert_eq!(learner.knows(0), None, "acceptors are counted, not messages");
    learner.hears(2, accepted(ballot(2, 2), 0, "x"));
    assert_eq!(learner.knows(0), None, "each ballot is counted by itself");
    learner.hears(2, accepted(first, 1, "x"));
    assert_eq!(learner.knows(0), None, "and each instance");
    learner.hears(2, accepted(first, 0, "x"));
    assert_eq!(learner.knows(0), Some(&value("x")));
    learner.hears(1, Msg::Chosen { instance: Instance(0), value: value("y") });
    assert_eq!(learner.knows(0), Some(&value("x")), "what was learned is never replaced");
}

#[test]
fn a_proposer_announces_what_a_phase_2_quorum_has_accepted_in_its_ballot() {
    let mut leader = One::server(Cluster { learning: Learning::Proposer, ..cluster(1, 3) });
    let mine = ballot(1, 1);
    leader.hears(9, request(0, "x")).hears(1, promise(mine));
    assert_eq!(leader.told(2), [accept(mine, 0, "x")], "one promise is enough");
    let announced = Msg::Chosen { instance: Instance(0), value: value("x") };
    for (from, said) in [
        (0, accepted(mine, 0, "x")),
        (1, accepted(mine, 0, "x")),
        (1, accepted(mine, 0, "x")),
        (2, accepted(ballot(2, 3), 0, "x")),
        (2, accepted(mine, 1, "x")),
    ] {
        assert_eq!(leader.hears(from, said).told(2), []);
    }
    assert_eq!(leader.hears(2, accepted(mine, 0, "x")).told(2), [announced]);
    assert_eq!(leader.hears(2, accepted(mine, 0, "x")).told(2), [], "once");
}

#[test]
fn a_phase_1_quorum_and_no_less_ends_phase_1() {
    let mut leader = One::server(Cluster { learning: Learning::Proposer, ..cluster(3, 1) });
    leader.hears(9, request(0, "x"));
    let mine = ballot(1, 1);
    for (from, said) in [
        (0, promise(mine)),
        (0, promise(mine)),
        (1, promise(ballot(1, 2))),
        (1, promise(ballot(2, 1))),
        (2, promise(ballot(1, 2))),
        (2, promise(ballot(2, 1))),
        (1, promise(mine)),
    ] {
        assert_eq!(leader.hears(from, said).told(2), []);
    }
    assert!(leader.ignores(1, promise(mine)), "it has promised");
    assert_eq!(leader.hears(2, promise(mine)).told(2), [accept(mine, 0, "x")]);
    assert_eq!(leader.hears(2, promise(mine)).told(2), [], "one that comes late changes nothing");
}

#[test]
fn of_what_is_reported_the_highest_ballot_binds_whenever_it_comes() {
    let reports = |texts: &[(u64, &str)]| -> PerInstance<Proposal> {
        let proposal = |(round, text): &(u64, &str)| {
            (Instance(0), Proposal { ballot: ballot(*round, 2), value: value(text) })
        };
        texts.iter().map(proposal).collect()
    };
    for (first, second) in [((2, "b"), (1, "a")), ((1, "a"), (2, "b"))] {
        let mut leader = One::server(cluster(2, 2));
        leader.hears(9, request(0, "x")).hears(0, Msg::Nack { ballot: ballot(1, 1), promised: ballot(4, 2) });
        let mine = ballot(5, 1);
        assert_eq!(leader.told(0), [prepare(mine)], "above what the nack told of");
        for (from, said) in [(1, first), (2, second)] {
            leader.hears(from, Msg::Promise { ballot: mine, accepted: reports(&[said]), rest: None });
        }
        assert_eq!(leader.told(0), [accept(mine, 0, "b")]);
    }
}

#[test]
fn a_nack_of_another_ballot_or_a_lower_hint_changes_nothing() {
    let mut leader = One::server(cluster(2, 2));
    leader.hears(9, request(0, "x"));
    assert_eq!(leader.told(0), [prepare(ballot(1, 1))]);
    for other in [ballot(1, 2), ballot(2, 1)] {
        assert_eq!(leader.hears(1, Msg::Nack { ballot: other, promised: ballot(9, 2) }).told(0), []);
    }
    leader.hears(1, Msg::Nack { ballot: ballot(1, 1), promised: ballot(7, 2) });
    assert_eq!(leader.told(0), [prepare(ballot(8, 1))]);
    leader.hears(1, Msg::Nack { ballot: ballot(8, 1), promised: ballot(5, 3) });
    assert_eq!(leader.told(0), [prepare(ballot(9, 1))], "rounds only rise");
}

#[test]
fn a_value_that_is_accepted_again_in_a_higher_ballot_is_recorded_there() {
    let mut acceptor = One::start(Process::Acceptor(Arc::new(cluster(2, 2))), None);
    acceptor.hears(1, accept(ballot(1, 2), 0, "x"));
    assert!(acceptor.saved().is_some());
    acceptor.hears(1, accept(ballot(1, 2), 0, "x"));
    assert!(acceptor.saved().is_none(), "the same proposal once more is nothing new");
    assert_eq!(acceptor.told(1), [accepted(ballot(1, 2), 0, "x")], "but it is answered");
    acceptor.hears(2, accept(ballot(2, 3), 0, "x"));
    let saved = acceptor.saved().expect("it is another proposal").acceptor.clone();
    assert_eq!((saved.promised, saved.accepted_in), (Some(ballot(2, 3)), Some(ballot(2, 3))));
    assert_eq!(saved.accepted[&Instance(0)].ballot, ballot(2, 3));
    assert_eq!(
        acceptor.hears(1, accept(ballot(1, 2), 1, "y")).told(1),
        [Msg::Nack { ballot: ballot(1, 2), promised: ballot(2, 3) },]
    );
    assert_eq!(
        acceptor.hears(1, prepare(ballot(2, 2))).told(1),
        [Msg::Nack { ballot: ballot(2, 2), promised: ballot(2, 3) },]
    );
    assert_eq!(acceptor.hears(2, prepare(ballot(2, 3))).told(2), [], "its proposer has left phase 1");
    let [Msg::Promise { accepted, .. }] = &acceptor.hears(1, prepare(ballot(3, 2))).told(1)[..] else {
        panic!("a promise: {:?}", acceptor.did)
    };
    assert_eq!(accepted[&Instance(0)].ballot, ballot(2, 3));
    assert!(acceptor.saved().is_some());
    acceptor.hears(1, prepare(ballot(3, 2)));
    assert!(
        acceptor.saved().is_none() && acceptor.told(1).len() == 1,
        "a promise is repeated, not saved again"
    );
}

#[test]
fn nobody_promises_about_what_it_has_forgotten() {
    let log_start = Instance(4);
    let acceptor = AcceptorState { log_start, ..AcceptorState::default() };
    let saved = Stable { acceptor, ..Stable::default() };
    let mut acceptor = One::start(Process::Acceptor(Arc::new(cluster(2, 2))), Some(saved));
    let ask = |from| Msg::Prepare { ballot: ballot(1, 2), from: Instance(from) };
    assert_eq!(acceptor.hears(1, ask(3)).told(1), []);
    assert!(acceptor.saved().is_none());
    assert_eq!(acceptor.hears(1, ask(4)).told(1), [promise(ballot(1, 2))]);
}

#[test]
fn nothing_is_issued_below_what_a_ballot_has_asked_about() {
    let mut leader = One::server(cluster(2, 2));
    leader.hears(9, request(7, "x")).hears(1, promise(ballot(1, 1))).hears(2, promise(ballot(1, 1)));
    assert_eq!(leader.told(0), [accept(ballot(1, 1), 7, "x")]);
    leader.hears(8, request(3, "y"));
    assert!(
        !leader.told(0).iter().any(|said| matches!(said, Msg::Accept { .. })),
        "nobody was asked about it"
    );
}

#[test]
fn only_a_ballot_that_was_begun_after_a_read_came_answers_it() {
    let mut server = One::server(cluster(2, 2));
    server.hears(8, request(7, "x")).hears(9, read(7));
    server.hears(7, read(8)).hears(1, promise(ballot(1, 1))).hears(2, promise(ballot(1, 1)));
    assert_eq!((server.told(9), server.told(7)), (vec![], vec![]), "the promises may be older than a choice");
    server.rings(Timer::Retry);
    let next = ballot(2, 1);
    server.hears(1, promise(next)).hears(2, promise(next));
    assert_eq!(server.told(7), [Msg::Unset { instance: Instance(8) }]);
    assert_eq!(server.told(9), [], "something was issued there");
    server.hears(0, accepted(next, 7, "x")).hears(1, accepted(next, 7, "x"));
    let answer = Msg::Response { instance: Instance(7), value: value("x") };
    assert_eq!((server.told(8), server.told(9)), (vec![answer.clone()], vec![answer.clone()]));
    assert_eq!(server.hears(9, read(7)).told(9), [answer], "what is known is answered at once");
}

#[test]
fn at_most_so_many_wait_at_an_instance_and_at_so_many_instances() {
    for ask in [request as fn(u64, &str) -> Ask, |instance, _| read(instance)] {
        let mut server = One::server(cluster(2, 2));
        // Two clients fit at an instance, and two instances. Beyond that there is room for two more, each of a client that waits
        // nowhere else.
        let asked = [(11, 0), (12, 0), (13, 0), (11, 1), (12, 1), (13, 1), (11, 2), (12, 2)];
        let beyond = [(14, 2), (14, 3), (15, 3), (15, 4), (16, 4)];
        for (client, instance) in asked.into_iter().chain(beyond) {
            server.hears(client, ask(instance, "x"));
        }
        let told: Vec<(usize, u64)> = [0, 1, 2, 3, 4]
            .into_iter()
            .flat_map(|instance| {
                server.hears(1, Msg::Chosen { instance: Instance(instance), value: value("z") });
                (11..17)
                    .filter(|client| !server.told(*client).is_empty())
                    .map(move |it| (it, instance))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(told, [(11, 0), (12, 0), (11, 1), (12, 1), (14, 2), (15, 3)]);
    }
}

#[test]
fn quorums_must_meet_across_the_phases_and_each_as_small_as_it_may_be() {
    use QuorumRule::{AtLeast, Fraction, Majority, Weight};
    // Phase-1 quorums of three out of four meet each other, and still may miss a single acceptor.
    let disjoint = Quorums::new(4, AtLeast(3), AtLeast(1)).expect_err("A4 alone would choose");
    let set = |indices: &[usize]| indices.iter().copied().collect();
    assert_eq!(disjoint, QuorumError::Disjoint { phase1: set(&[0, 1, 2]), phase2: set(&[3]) });
    let disjoint = Quorums::new(4, AtLeast(1), AtLeast(3)).expect_err("A1 alone would promise");
    assert_eq!(disjoint, QuorumError::Disjoint { phase1: set(&[0]), phase2: set(&[1, 2, 3]) });
    assert!(
        Quorums::new(4, AtLeast(1), AtLeast(4)).is_ok() && Quorums::new(4, AtLeast(4), AtLeast(1)).is_ok()
    );
    let first = synod::AcceptorSet::first;
    for (acceptors, rule, least) in [
        (3, Fraction(2, 3), 2),
        (6, Fraction(2, 3), 4),
        (4, Fraction(3, 4), 3),
        (5, Fraction(2, 3), 4),
        (4, Majority, 3),
        (5, Majority, 3),
        (3, Weight(vec![2, 1, 1], 3), 2),
    ] {
        let quorums = Quorums::new(acceptors, rule.clone(), rule.clone()).expect("they meet");
        assert!(quorums.is_phase1(first(least)) && quorums.is_phase2(first(least)), "{rule:?}");
        assert!(!quorums.is_phase1(first(least - 1)) && !quorums.is_phase2(first(least - 1)), "{rule:?}");
    }
    assert!(first(2).meets([1, 2].into_iter().collect()) && !first(2).meets([2, 3].into_iter().collect()));
    let mut set = synod::AcceptorSet::EMPTY;
    assert!(set.is_empty());
    set.insert(128);
    assert!(set.is_empty() && !set.contains(128) && !first(1).contains(128));
    set.insert(127);
    assert!(!set.is_empty() && set.contains(127) && set.len() == 1 && first(17).len() == 16);
}

/// A client with id 8 that asks the first three servers in turn for a value at instance 5.
fn client(want: Want, asking: Asking, pause: bool) -> One {
    let any = Duration::from_millis(1)..Duration::from_millis(2);
    let (asks, heeds) = (ids(0..3), ids(0..3));
    let (pause, resend) = (pause.then(|| any.clone()), Some(any));
    One::start(
        Process::Client(Client {
            number: 1,
            instance: Instance(5),
            want,
            asks,
            heeds,
            asking,
            pause,
            resend,
        }),
        None,
    )
}

fn asked(client: &One) -> Vec<usize> {
    (0..4).filter(|server| !client.told(*server).is_empty()).collect()
}

fn answer(client: &One) -> Option<&Answer> {
    client.state.client().and_then(|client| client.answer.as_ref())
}

#[test]
fn a_client_asks_all_or_one_after_the_other_until_it_is_answered() {
    let write = || Want::Write(value("x"));
    let mut all = client(write(), Asking::Everyone, false);
    assert_eq!(asked(&all), [0, 1, 2]);
    let before = all.state.clone();
    assert_eq!(asked(all.rings(Timer::Resend)), [0, 1, 2]);
    assert!(
        all.state == before && all.did.iter().any(|it| matches!(it, Command::SetTimer(Timer::Resend, _)))
    );
    let mut one = client(write(), Asking::InTurn, false);
    assert_eq!(asked(&one), [0]);
    for next in [1, 2, 0, 1] {
        assert_eq!(asked(one.rings(Timer::Resend)), [next]);
    }
    assert_eq!(one.told(1), [request(5, "x").into()]);
    one.hears(2, Msg::Response { instance: Instance(5), value: value("y") });
    assert_eq!(answer(&one), Some(&Answer::Chosen(value("y"))));
    assert!(one.did.iter().any(|it| matches!(it, Command::CancelTimer(Timer::Resend))));
    assert_eq!(asked(one.rings(Timer::Resend)), [0; 0], "there is nothing left to ask");
    one.hears(1, Msg::Response { instance: Instance(5), value: value("z") });
    assert_eq!(answer(&one), Some(&Answer::Chosen(value("y"))), "the first answer stays");
}

#[test]
fn a_client_takes_no_answer_to_what_it_has_not_asked() {
    let response = |instance| Msg::Response { instance: Instance(instance), value: value("y") };
    let unset = || Msg::Unset { instance: Instance(5) };
    let output = |number| Msg::Output { number, output: value("o") };
    for (want, wrong, right, is) in [
        (
            Want::Write(value("x")),
            vec![response(4), unset(), output(1)],
            response(5),
            Answer::Chosen(value("y")),
        ),
        (
            Want::Read,
            vec![response(4), output(1), Msg::Unset { instance: Instance(4) }],
            unset(),
            Answer::Unset,
        ),
        (
            Want::Submit(value("x")),
            vec![response(5), unset(), output(2)],
            output(1),
            Answer::Output(value("o")),
        ),
        (
            Want::Query(value("x")),
            vec![response(5), unset(), output(2)],
            output(1),
            Answer::Output(value("o")),
        ),
    ] {
        let mut early = client(want.clone(), Asking::Everyone, true);
        assert_eq!(asked(&early), [0; 0], "it pauses first");
        early.hears(0, right.clone()).hears(0, Msg::Redirect { leader: 2.into() });
        assert_eq!((answer(&early), asked(&early)), (None, vec![]), "{want:?}: it has not asked yet");
        assert_eq!(asked(early.rings(Timer::Resend)), [0, 1, 2]);
        for wrong in wrong {
            early.hears(0, wrong.clone());
            assert_eq!(answer(&early), None, "{want:?}: {wrong:?}");
        }
        assert_eq!(asked(early.hears(0, Msg::Redirect { leader: 2.into() })), [2]);
        early.hears(0, right);
        assert_eq!(answer(&early), Some(&is));
        assert_eq!(asked(early.hears(0, Msg::Redirect { leader: 2.into() })), [0; 0], "it has its answer");
    }
}

#[test]
fn a_member_of_an_election_does_nothing_at_a_timer_that_is_not_its_own() {
    let any = Duration::from_millis(1)..Duration::from_millis(2);
    let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 1 };
    let elector = |members| Elector(Election { members, among: None, backing: None, pace: pace.clone() });
    let ring = |elector: &Elector, state: &ElectionState, timer| {
        let (mut next, mut out) = (Cow::Borrowed(state), Out::new());
        elector.on_timeout(0.into(), &mut next, &timer, &mut out);
        (next.into_owned(), out.len())
    };
    let (leads, follows) = (elector(ids(0..2)), elector(vec![1.into(), 0.into()]));
    let state = ElectionState::default();
    assert_eq!(ring(&leads, &state, ElectionTimer::Suspect), (state.clone(), 0));
    assert_eq!(ring(&follows, &state, ElectionTimer::Beat), (state.clone(), 0));
    assert_eq!(ring(&follows, &state, ElectionTimer::HoldOff), (state.clone(), 0));
    assert_eq!(ring(&leads, &state, ElectionTimer::Beat).1, 2, "a heartbeat and the next timer");
    assert!(ring(&leads, &state, ElectionTimer::HoldOff).0.ready);
    // A message to itself is no sign of another member.
    let (mut next, mut out) = (Cow::Borrowed(&state), Out::new());
    leads.on_msg(0.into(), &mut next, 0.into(), Beat::Heartbeat { backed: false }, &mut out);
    assert!(matches!(next, Cow::Borrowed(_)) && out.is_empty());
}

#[test]
fn rules_that_do_not_fit_are_refused_each_for_its_own_reason() {
    use QuorumRule::{Column, Fraction, Listed, Majority, Row, RowAndColumn, Weight};
    let set = |indices: &[usize]| indices.iter().copied().collect();
    for (rule, says) in [
        (Fraction(1, 0), "denominator"),
        (Weight(vec![1, 1], 1), "2 weights are given for 3"),
        (Row(0), "0 columns"),
        (Column(2), "2 columns"),
        (RowAndColumn(0), "0 columns"),
        (Listed(vec![set(&[0]), set(&[3])]), "above A3"),
        (Weight(vec![1, 1, 1], 4), "not even all"),
        (Listed(vec![]), "not even all"),
    ] {
        for error in [Quorums::forced(3, rule.clone(), Majority), Quorums::forced(3, Majority, rule.clone())]
        {
            let error = error.expect_err("it does not fit").to_string();
            assert!(error.contains(says), "{rule:?}: {error}");
        }
    }
}

#[test]
fn grids_of_any_shape_have_each_row_and_each_column_and_no_other() {
    use QuorumRule::{Column, Row};
    let set = |indices: &[usize]| indices.iter().copied().collect();
    let lines =
        |acceptors, columns| Quorums::forced(acceptors, Row(columns), Column(columns)).expect("they fit");
    for (acceptors, columns, rows, all) in [
        (6, 3, vec![vec![0, 1, 2], vec![3, 4, 5]], vec![vec![0, 3], vec![1, 4], vec![2, 5]]),
        (6, 2, vec![vec![0, 1], vec![2, 3], vec![4, 5]], vec![vec![0, 2, 4], vec![1, 3, 5]]),
        (3, 1, vec![vec![0], vec![1], vec![2]], vec![vec![0, 1, 2]]),
        (3, 3, vec![vec![0, 1, 2]], vec![vec![0], vec![1], vec![2]]),
    ] {
        let quorums = lines(acceptors, columns);
        assert!(rows.iter().all(|row| quorums.is_phase1(set(row))), "{acceptors}, {columns}");
        assert!(all.iter().all(|column| quorums.is_phase2(set(column))), "{acceptors}, {columns}");
        for (lines, is) in [(&rows, true), (&all, false)] {
            for line in lines.iter().filter(|line| line.len() > 1) {
                let some = set(&line[1..]);
                let whole = if is { quorums.is_phase1(some) } else { quorums.is_phase2(some) };
                assert!(!whole, "{acceptors}, {columns}: some of {line:?}");
            }
        }
    }
}

#[test]
fn a_disjoint_pair_is_found_though_the_smallest_quorums_meet() {
    use QuorumRule::Listed;
    let set = |indices: &[usize]| indices.iter().copied().collect();
    let refused = Quorums::new(2, Listed(vec![set(&[0]), set(&[1])]), Listed(vec![set(&[0])]));
    assert_eq!(refused, Err(QuorumError::Disjoint { phase1: set(&[1]), phase2: set(&[0]) }));
}
