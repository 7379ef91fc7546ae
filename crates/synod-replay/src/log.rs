//! The claims about a log on a long run: the window, the order of execution, and that all members' machines say the same.
//!
//! A model judges them by what its history keeps of every step. A run is too long for that, so this module keeps the least that they need:
//! the commands that clients asked for, the first instance in which nothing is chosen, and one checksum per instance.

use crate::member::Stepped;
use crate::verdict::Violation;
use rustc_hash::{FxHashMap, FxHashSet};
use synod::{Ask, Call, Cluster, Instance, LogEntry, LogState, Msg, ProcessState, Value, commands};
use synod_explore::Subject;
use synod_model::{Happened, History, Inside};
use synod_runtime::node::LOCAL_CLIENT;

/// A log as it is judged.
pub(crate) struct LogJudge {
    alpha: u64,
    /// The first instance in which nothing is known to be chosen.
    open: u64,
    submitted: FxHashSet<Value>,
    /// The machine's checksum after all instances below one were executed, as some member had it first.
    sums: FxHashMap<u64, (u64, u64)>,
}

impl LogJudge {
    /// The judge of a cluster that keeps a log.
    pub(crate) fn new(cluster: &Cluster) -> Option<LogJudge> {
        let alpha = cluster.log.as_ref()?.alpha;
        Some(LogJudge { alpha, open: 0, submitted: FxHashSet::default(), sums: FxHashMap::default() })
    }

    /// Takes note of what a client asked for.
    pub(crate) fn hear<A: Subject<Msg = Msg>>(&mut self, step: &Stepped<'_, A>) {
        if let Some((src, Msg::Ask(Ask::Submit { number, command }))) = step.delivered()
            && src >= LOCAL_CLIENT
        {
            let call = Call { client: (src as usize).into(), number: *number };
            self.submitted.insert(LogEntry { call, command: command.clone() }.value());
        }
    }

    /// Says in the history of one instance which commands of this value a client asked for.
    pub(crate) fn know(&self, history: &mut History, happened: &Happened) {
        if let Happened::Issued { value, .. } | Happened::Voted(_, _, _, value) = happened {
            let known = commands(value).into_iter().filter(|command| self.submitted.contains(command));
            history.submitted.extend(known);
        }
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
        let found = |claim, breach, instance| Some(Violation { claim, breach, instance, member });
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
        let sum = after.replica.machine().checksum();
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
