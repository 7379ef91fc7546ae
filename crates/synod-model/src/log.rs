//! What is remembered of a log beyond its instances: what clients asked for and were told, and in what order.
//!
//! A call begins when a question first arrives at a server and ends when an answer first leaves one. A client that asks just
//! before the one and listens right after the other makes the same run, so that a breach of these orders is one that clients can see.
//!
//! Calls are told apart by who asks and which of its calls it is, never by their words: equal questions are different calls.
//!
//! Of a register every order is tried, by the machine itself; any other machine is judged by the tester of `synod-linear`, which is the judge of
//! real runs too. `tests/linear.rs` shows that of a register both say the same.

use crate::claims::b0;
use crate::history::{Happened, History};
use crate::ledger::Ledger;
use crate::spoken::{is_about_sessions, leaves_open};
use std::collections::{BTreeMap, BTreeSet};
use synod::{Ballot, Cluster, Entry, Instance, Log, Machine, Quorums, Value};

/// A call: the client, by its index, and which of its calls it is.
pub type Asked = (usize, u64);

/// A client's question, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The command.
    pub command: Value,
    /// Whether it is to be answered without the log. Asked again, it may be answered anew.
    pub is_query: bool,
    /// The calls that had ended when it began.
    pub after: BTreeSet<Asked>,
    /// What the client was told first.
    pub output: Option<Value>,
}

impl History {
    /// What one more thing that happened means to a log.
    pub(crate) fn record_log(&mut self, cluster: &Cluster, log: &Log, happened: &Happened) {
        match happened {
            Happened::Submitted(command) => drop(self.submitted.insert(command.clone())),
            Happened::Called(call, command, is_query) if !self.calls.contains_key(call) => {
                let ended = self.calls.iter().filter(|(_, call)| call.output.is_some());
                // The tester knows itself what came after what, and keeps no more of it than it needs.
                let after = match &mut self.told {
                    Some(told) => {
                        if !is_about_sessions(command) {
                            told.invoke(*call, command.clone());
                        }
                        BTreeSet::new()
                    }
                    None => ended.map(|(call, _)| *call).collect(),
                };
                let (command, is_query) = (command.clone(), *is_query);
                self.calls.insert(*call, Call { command, is_query, after, output: None });
            }
            Happened::Returned(call, output) => self.judge_output(log, *call, output),
            Happened::Executed(_, executed) => self.judge_execution(cluster, executed),
            Happened::Issued { instance, value, .. } => {
                self.judge_window(cluster, log, *instance, value);
            }
            _ => {}
        }
    }

    /// Forgets what none of these claims asks about. The others are not judged any more.
    ///
    /// Claims that follow one proposal after another need votes as they were cast. For all others it is enough which values
    /// are chosen, by whichever ballot, and who voted for any other value, which might be chosen too. That a learned value is
    /// chosen is judged as it is learned: what is chosen once stays so.
    pub(crate) fn keep_for(&mut self, quorums: &Quorums, claims: &[&str]) {
        let asked = |some: &[&str]| some.iter().any(|claim| claims.contains(claim));
        if !asked(&["V1"]) {
            self.begun.clear();
        }
        if !asked(&["V1", "V2", "V3", "P2b", "P2c"]) {
            self.issued.clear();
        }
        if !asked(&["P1", "P1a"]) {
            self.answered.clear();
            self.voted.clear();
        }
        if !asked(&["P1a", "P2", "P2a", "P2b", "P2c", "V2", "V3"]) {
            if let Some(breach) = b0(quorums, self).err().filter(|_| asked(&["B0"])) {
                self.breach("B0", breach);
            }
            self.learned.clear();
            let chosen = self.chosen(quorums).map(|(i, _, value)| (i, value.clone()));
            let chosen: BTreeSet<(Instance, Value)> = chosen.collect();
            self.votes.retain(|(i, _, value), _| !chosen.contains(&(*i, value.clone())));
            let (none, all) = (Ballot { round: 0, proposer: 0 }, 0..quorums.acceptors());
            let settled = chosen.into_iter().map(|(i, value)| ((i, none, value), all.clone().collect()));
            self.votes.extend(settled);
        }
        self.broken.retain(|claim, _| claims.contains(claim));
    }

    /// L1 speaks of what clients are told; here is where one is.
    fn judge_output(&mut self, log: &Log, asked: Asked, output: &Value) {
        // What answers no call that there was is for nobody.
        let Some(call) = self.calls.get_mut(&asked) else { return };
        // Not known to have been executed is not known to have not.
        if self.told.is_some() && leaves_open(output) {
            return;
        }
        let command = call.command.clone();
        let changes_nothing = call.is_query || log.machine.query(&command).is_some();
        let told = call.output.clone();
        match &told {
            Some(told) if told == output => return,
            // Whoever asks what changes nothing may be answered anew; what takes effect once is told once.
            Some(told) if !changes_nothing => {
                let breach = format!("{command:?} was answered {told:?} and {output:?}");
                return self.breach("L1", breach);
            }
            _ => {}
        }
        let has_order = match (&mut self.told, &told) {
            _ if is_about_sessions(&command) => true,
            // The tester keeps no call that has ended.
            (Some(_), Some(_)) => true,
            (Some(tester), None) => {
                tester.returned(&asked, output);
                tester.is_linearizable()
            }
            (None, None) => {
                call.output = Some(output.clone());
                linearizable(&self.calls, &*log.machine.copy(), &mut BTreeSet::new())
            }
            // The first answer is the one that ended the call, if it arrived. If this one does instead, the call ends now, and nothing
            // that began meanwhile began after it.
            (None, Some(_)) => {
                let mut instead = self.calls.clone();
                for other in instead.values_mut() {
                    other.after.remove(&asked);
                }
                if let Some(call) = instead.get_mut(&asked) {
                    call.output = Some(output.clone());
                }
                linearizable(&instead, &*log.machine.copy(), &mut BTreeSet::new())
            }
        };
        if let (None, Some(call)) = (told, self.calls.get_mut(&asked)) {
            call.output = Some(output.clone());
        }
        if !has_order {
            let told: Vec<String> = (self.calls.values())
                .filter_map(|call| Some(format!("{:?} {:?}", call.command, call.output.as_ref()?)))
                .collect();
            let told = told.join(", ");
            self.breach(
                "L1",
                format!("no order explains what clients were told: {told}; and {command:?} {output:?}"),
            );
        }
    }

    /// X1 speaks of what a server executes; here is where it does.
    fn judge_execution(&mut self, cluster: &Cluster, executed: &[(Instance, Value)]) {
        let Some((last, _)) = executed.iter().max_by_key(|(instance, _)| *instance) else { return };
        let mut due: Vec<(Instance, Value)> = Vec::new();
        for instance in (0..=last.0).map(Instance) {
            let chosen = self.chosen(&cluster.quorums).find(|(i, ..)| *i == instance);
            match chosen.map(|(_, _, value)| value.clone()) {
                Some(value) if value.is_no_op() => {}
                // A command that comes a second time has no effect.
                Some(value) if due.iter().any(|(_, earlier)| *earlier == value) => {}
                Some(value) => due.push((instance, value)),
                None => {
                    let breach = format!("{last:?} was executed, and nothing is chosen in {instance:?}");
                    return self.breach("X1", breach);
                }
            }
        }
        if due != executed {
            self.breach(
                "X1",
                format!("{executed:?} was executed, and {due:?} is what was chosen up to there"),
            );
        }
    }

    /// W1 speaks of what a leader issues; here is where it does.
    fn judge_window(&mut self, cluster: &Cluster, log: &Log, instance: Instance, value: &Value) {
        let needed = (instance.0 + 1).saturating_sub(log.alpha);
        let chosen: BTreeSet<Instance> = self.chosen(&cluster.quorums).map(|(i, ..)| i).collect();
        if let Some(open) = (0..needed).map(Instance).find(|below| !chosen.contains(below)) {
            let alpha = log.alpha;
            self.breach(
                "W1",
                format!("{value:?} was issued in {instance:?} and nothing is chosen in {open:?}, {alpha} or more below"),
            );
        }
    }
}

/// Whether the calls not yet placed can be placed one by one, each after those that had ended when it began, so that the machine
/// says what clients were told. Calls without an answer may have taken effect or not.
///
/// Tries every order: models have a few calls.
fn linearizable(calls: &BTreeMap<Asked, Call>, machine: &dyn Machine, placed: &mut BTreeSet<Asked>) -> bool {
    let mut open = calls.iter().filter(|(asked, _)| !placed.contains(asked)).peekable();
    if open.clone().all(|(_, call)| call.output.is_none()) {
        return true;
    }
    open.any(|(asked, call)| {
        if !call.after.iter().all(|before| placed.contains(before)) {
            return false;
        }
        let mut next = machine.copy();
        let identity = synod::Call { client: asked.0.into(), number: asked.1 };
        let said = next.execute(Instance::FIRST, &Entry { call: identity, command: call.command.clone() });
        if call.output.as_ref().is_some_and(|told| *told != said) {
            return false;
        }
        let mut placed = placed.clone();
        placed.insert(*asked);
        linearizable(calls, &*next, &mut placed)
    })
}

/// What a machine has executed, if it is the one that models run.
pub(crate) fn executed(machine: &dyn Machine) -> Vec<(Instance, Value)> {
    Ledger::executed_in(&machine.snapshot())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use synod::{AcceptorSet, Learning, QuorumRule, Quorums};

    fn told(calls: &[(&str, &[usize], Option<&str>)]) -> bool {
        let call = |(client, (command, after, output)): (usize, &(&str, &[usize], Option<&str>))| {
            let after = after.iter().map(|client| (*client, 1)).collect();
            let (command, output) = (Value::from(*command), output.map(Value::from));
            ((client, 1), Call { command, is_query: false, after, output })
        };
        let history = History { calls: calls.iter().enumerate().map(call).collect(), ..History::default() };
        linearizable(&history.calls, &Ledger::default(), &mut BTreeSet::new())
    }

    #[test]
    fn an_order_that_explains_all_answers_is_found_if_there_is_one() {
        let none: &[usize] = &[];
        assert!(told(&[("x", none, Some("nothing")), ("get", &[0], Some("x"))]));
        assert!(!told(&[("x", none, Some("nothing")), ("get", &[0], Some("nothing"))]), "a stale read");
        assert!(told(&[("x", none, Some("nothing")), ("get", none, Some("nothing"))]), "at the same time");
        assert!(told(&[("x", none, None), ("get", none, Some("x"))]), "it has taken effect, unanswered");
        assert!(told(&[("x", none, None), ("get", none, Some("nothing"))]), "or not yet");
        assert!(!told(&[("x", none, Some("nothing")), ("y", none, Some("nothing"))]), "one was first");
        assert!(!told(&[("get1", none, Some("y")), ("get2", &[0], Some("nothing")), ("y", none, None)]));
    }

    pub(crate) fn cluster() -> (Cluster, Log) {
        let quorums = Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet");
        let log = Log { alpha: 2, machine: Ledger::shared(), hold_off: None, catch_up: None, truncate: None };
        let cluster = Cluster {
            acceptors: Vec::new(),
            proposers: Vec::new(),
            learners: Vec::new(),
            clients: Vec::new(),
            waiting_limit: 0,
            quorums,
            learning: Learning::Proposer,
            nacks: false,
            report: usize::MAX,
            max_value: usize::MAX,
            keeps: usize::MAX,
            log: Some(log.clone()),
            election: None,
        };
        (cluster, log)
    }

    fn chosen(values: &[(u64, &str)]) -> History {
        let ballot = synod::Ballot { round: 1, proposer: 1 };
        let all: AcceptorSet = (0..3).collect();
        let votes = values.iter().map(|(i, value)| ((Instance(*i), ballot, Value::from(*value)), all));
        History { votes: votes.collect(), ..History::default() }
    }

    #[test]
    fn what_is_executed_is_what_is_chosen_in_order_and_without_a_gap() {
        let (cluster, log) = cluster();
        let breaks = |history: &[(u64, &str)], executed: &[(u64, &str)]| {
            let mut history = chosen(history);
            let executed = executed.iter().map(|(i, v)| (Instance(*i), Value::from(*v))).collect();
            history.record_log(&cluster, &log, &Happened::Executed(0, executed));
            history.broken.contains_key("X1")
        };
        assert!(!breaks(&[(0, "x"), (1, ""), (2, "y"), (3, "x"), (4, "z")], &[(0, "x"), (2, "y"), (4, "z")]));
        assert!(breaks(&[(0, "x"), (2, "y")], &[(0, "x"), (2, "y")]), "past a gap");
        assert!(breaks(&[(0, "x"), (1, "y")], &[(1, "y"), (0, "x")]), "out of order");
        assert!(breaks(&[(0, "x")], &[(0, "y")]), "not what was chosen");
        assert!(breaks(&[(0, "x"), (1, "y")], &[(1, "y")]), "left out");
    }

    #[test]
    fn the_window_is_counted_from_what_is_chosen() {
        let (cluster, log) = cluster();
        let breaks = |history: &[(u64, &str)], at: u64| {
            let mut history = chosen(history);
            let (ballot, quorum) = (synod::Ballot { round: 1, proposer: 1 }, AcceptorSet::EMPTY);
            let (instance, value) = (Instance(at), Value::from("z"));
            let issued = Happened::Issued { instance, ballot, value, quorum, reported: false, own: true };
            history.record_log(&cluster, &log, &issued);
            history.broken.contains_key("W1")
        };
        assert!(!breaks(&[], 0) && !breaks(&[], 1) && breaks(&[], 2));
        assert!(!breaks(&[(0, "x")], 2) && breaks(&[(0, "x")], 3) && breaks(&[(1, "x")], 2));
    }
}
