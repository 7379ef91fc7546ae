//! The claims about a log on a long run: the window, the order of execution, and that all members' machines say the same.
//!
//! A model judges them by what its history keeps of every step. A run is too long for that, so this module keeps the least that they need:
//! the commands that clients asked for, the first instance in which nothing is chosen, and one checksum per instance.

use crate::member::Stepped;
use crate::verdict::Violation;
use rustc_hash::{FxHashMap, FxHashSet};
use synod::{Ask, Call, Cluster, Instance, LogEntry, LogState, Msg, ProcessState, Value, commands, is_take};
use synod_explore::Subject;
use synod_model::{Happened, History, Inside, is_of_a_member};
use synod_runtime::node::LOCAL_CLIENT;

/// A log as it is judged.
pub(crate) struct LogJudge {
    alpha: u64,
    /// True if members change.
    changes: bool,
    /// The first instance in which nothing is known to be chosen.
    open: u64,
    submitted: FxHashSet<Value>,
    /// The machine's checksum after all instances below one were executed, as some member had it first.
    sums: FxHashMap<u64, (u64, u64)>,
}

impl LogJudge {
    /// The judge of a cluster that keeps a log.
    pub(crate) fn new(cluster: &Cluster) -> Option<LogJudge> {
        let log = cluster.log.as_ref()?;
        let (alpha, changes) = (log.alpha, log.members.is_some());
        Some(LogJudge {
            alpha,
            changes,
            open: 0,
            submitted: FxHashSet::default(),
            sums: FxHashMap::default(),
        })
    }

    /// Takes note of what a client asked for.
    pub(crate) fn hear<A: Subject<Msg = Msg>>(&mut self, step: &Stepped<'_, A>) {
        // Where members change, each may ask for some things in its own name.
        if let Some((src, Msg::Ask(Ask::Submit { number, command }))) = step.delivered()
            && (src >= LOCAL_CLIENT || self.changes && is_of_a_member(command))
        {
            let call = Call { client: (src as usize).into(), number: *number };
            self.submitted.insert(LogEntry { call, command: command.clone() }.value());
        }
    }

    /// Says in the history of one instance which commands of this value a client asked for.
    pub(crate) fn know(&self, history: &mut History, happened: &Happened) {
        if let Happened::Issued { value, .. } | Happened::Voted(_, _, _, value) = happened {
            let known = commands(value).into_iter().filter(|command| self.knows(command));
            history.submitted.extend(known);
        }
    }

    /// True if a client asked for a command, whatever its fence, or a member took mastership by it.
    fn knows(&self, command: &Value) -> bool {
        self.submitted.contains(command)
            || is_take(command)
            || LogEntry::read(command).is_some_and(|logged| self.submitted.contains(&logged.value()))
    }

    /// Judges a step. `chosen` is what was chosen in an instance by now.
    pub(crate) fn step<'c, A>(
        &mut self,
        member: u64,
        step: &Stepped<'_, A>,
        note: &[Happened],
        chosen: impl Fn(Instance) -> Option<&'c Value>,
    ) -> Option<Violation>
    where
        A: Subject<Msg = Msg>,
        A::State: Inside,
    {
        while chosen(Instance(self.open)).is_some() {
            self.open += 1;
        }
        let found =
            |claim, breach, instance| Some(Violation { claim, breach, instance, member, group: None });
        // W1: a proposal is issued only when everything alpha or more instances below it is chosen.
        let issued = note.iter().filter_map(|happened| match happened {
            Happened::Issued { instance, .. } => Some(*instance),
            _ => None,
        });
        if let Some(instance) =
            issued.max().filter(|instance| instance.0 >= self.open.saturating_add(self.alpha))
        {
            let (open, alpha) = (Instance(self.open), self.alpha);
            let breach = format!(
                "something was issued in {instance:?}, and nothing is chosen in {open:?}, {alpha} or more below"
            );
            return found("W1", breach, instance);
        }
        let (before, after) =
            (step.before.and_then(|state| log_of(state.inside())), log_of(step.after.inside())?);
        let was = before.map_or(Instance::FIRST, |log| log.next);
        if before.is_some() && was == after.next {
            return None;
        }
        // X1: what is executed is chosen, with all below it. What came in a snapshot was executed elsewhere.
        if after.next.0 > self.open {
            let breach = format!(
                "all below {:?} was executed, and nothing is chosen in {:?}",
                after.next,
                Instance(self.open)
            );
            return found("X1", breach, Instance(self.open));
        }
        let learned = step.after.inside().learner().map(|learner| &learner.learned);
        for (instance, value) in learned.into_iter().flat_map(|learned| learned.range(was..after.next)) {
            if chosen(*instance) != Some(value) {
                let breach =
                    format!("{value:?} was executed in {instance:?}, and is not what is chosen there");
                return found("X1", breach, *instance);
            }
        }
        let sum = after.replica.checksum();
        let (first, expected) = *self.sums.entry(after.next.0).or_insert((member, sum));
        if sum != expected {
            let breach = format!(
                "what member {member} executed below {:?} has the checksum {sum:016x}, and at member {first} {expected:016x}",
                after.next
            );
            return found("X1", breach, after.next);
        }
        None
    }
}

fn log_of(state: &ProcessState) -> Option<&LogState> {
    state.server()?.log.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Happening;
    use stateright::actor::{Actor, Id, Out};
    use std::slice::from_ref;
    use synod::{AcceptorSet, Ballot, Process, Replica, Timer};
    use synod_runtime::node::FIRST_CLIENT;
    use synod_server::{LogSettings, Wiring};

    /// Three members with a window of 2, and the state in which one starts.
    fn start() -> (LogJudge, ProcessState) {
        let settings = LogSettings { alpha: 2, ..LogSettings::default() };
        let wiring = Wiring {
            groups: 1,
            members: vec![0, 1, 2],
            retry: std::time::Duration::ZERO..std::time::Duration::from_millis(1),
            election: None,
            max_value: 1000,
            log: Some((settings, 100)),
            changing: None,
            directory: None,
        };
        let state = wiring.server(0).on_start(Id::from(0), &None, &mut Out::new());
        (LogJudge::new(&wiring.cluster()).expect("it keeps a log"), state)
    }

    fn logged(words: &str) -> Value {
        let call = Call { client: (FIRST_CLIENT as usize).into(), number: 1 };
        LogEntry { call, command: Value::from(words) }.value()
    }

    /// The state of a member that has learned and executed these values, and counts so many instances as executed.
    fn executed(state: &ProcessState, values: &[Value], next: u64) -> ProcessState {
        let mut state = state.clone();
        let ProcessState::Server(server) = &mut state else { panic!("a server") };
        let log = server.log.as_mut().expect("it keeps a log");
        let mut machine = log.replica.machine().copy();
        for (instance, value) in (0..).map(Instance).zip(values) {
            server.learner.learned.insert(instance, value.clone());
            machine.execute(instance, &LogEntry::read(value).expect("it is one"));
        }
        log.replica = Replica::new(machine.into());
        log.next = Instance(next);
        state
    }

    /// What the judge says of a step from one state to another, when these values are chosen in the first instances.
    fn judged(
        judge: &mut LogJudge,
        member: u64,
        (before, after): (&ProcessState, &ProcessState),
        note: &[Happened],
        chosen: &[Value],
    ) -> Option<(&'static str, String)> {
        let event = Happening::Timeout(Timer::CatchUp);
        let step = Stepped::<Process> { before: Some(before), event, after, outputs: &[], first: false };
        let chosen = |instance: Instance| chosen.get(usize::try_from(instance.0).expect("a small one"));
        judge.step(member, &step, note, chosen).map(|found| (found.claim, found.breach))
    }

    #[test]
    fn what_is_executed_must_be_chosen_with_all_below_and_the_same_everywhere() {
        let (mut judge, first) = start();
        let (a, b) = (logged("a"), logged("b"));
        let right = executed(&first, from_ref(&a), 1);
        assert_eq!(judged(&mut judge, 0, (&first, &right), &[], from_ref(&a)), None);
        assert_eq!(judged(&mut judge, 1, (&first, &right), &[], from_ref(&a)), None);
        // A machine that has executed something else than it should have.
        let mut other = executed(&first, from_ref(&b), 1);
        let ProcessState::Server(server) = &mut other else { panic!("a server") };
        server.learner.learned.insert(Instance::FIRST, a.clone());
        let (claim, breach) = judged(&mut judge, 2, (&first, &other), &[], from_ref(&a)).expect("it differs");
        assert!(claim == "X1" && breach.contains("has the checksum"), "{breach}");
        // A value that is not the chosen one.
        let other = executed(&first, from_ref(&b), 1);
        let (claim, breach) =
            judged(&mut judge, 2, (&first, &other), &[], from_ref(&a)).expect("it is not chosen");
        assert!(claim == "X1" && breach.contains("is not what is chosen there"), "{breach}");
        // A gap.
        let far = executed(&first, from_ref(&a), 3);
        let (claim, breach) = judged(&mut judge, 0, (&right, &far), &[], &[a, b]).expect("it is a gap");
        assert!(claim == "X1" && breach.contains("nothing is chosen in"), "{breach}");
    }

    #[test]
    fn nothing_may_be_issued_beyond_the_window() {
        let (mut judge, state) = start();
        let issued = |instance| Happened::Issued {
            instance: Instance(instance),
            ballot: Ballot { round: 1, proposer: 0 },
            value: logged("a"),
            quorum: AcceptorSet::EMPTY,
            reported: false,
            own: true,
        };
        let still = (&state, &state);
        assert_eq!(judged(&mut judge, 0, still, &[issued(0), issued(1)], &[]), None);
        let (claim, _) = judged(&mut judge, 0, still, &[issued(1), issued(2)], &[]).expect("it is beyond");
        assert_eq!(claim, "W1");
        assert_eq!(judged(&mut judge, 0, still, &[issued(2)], &[logged("a")]), None);
    }

    #[test]
    fn only_what_a_client_asked_for_is_known_as_asked_for() {
        let (mut judge, state) = start();
        // True if what somebody with this id asked for counts as asked for, and nothing else does.
        let mut counts = |src: u64| {
            let call = Call { client: (src as usize).into(), number: 1 };
            let value = |words: &str| LogEntry { call, command: Value::from(words) }.value();
            let ask = Msg::Ask(Ask::Submit { number: 1, command: Value::from("a") });
            let event = Happening::Deliver(call.client, ask);
            let before = Some(&state);
            judge.hear(&Stepped::<Process> { before, event, after: &state, outputs: &[], first: false });
            let mut history = History::default();
            for value in [value("a"), value("b"), logged("a")] {
                let ballot = Ballot { round: 1, proposer: 0 };
                judge.know(&mut history, &Happened::Voted(0, Instance(0), ballot, value));
            }
            let known: Vec<Value> = history.submitted.into_iter().collect();
            known == [value("a")]
        };
        assert!(!counts(1), "a member asks for nothing");
        assert!(counts(FIRST_CLIENT | 1) && counts(LOCAL_CLIENT | 1));
    }
}
