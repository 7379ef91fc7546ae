//! Guarantees that an explanation names a prefix of the history that has no order by itself, and no shorter one, as far as was
//! searched. It shows the operations at which that prefix fails in a form that people can follow.

use crate::history::{History, OpId, Operation, events};
use crate::register::{RegisterOp, RegisterRet};
use crate::search::{Outcome, Stuck, search};
use crate::spec::Measured;
use crate::zones::{Conflict, judge};
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};
use std::hash::Hash;

/// The reason why a history is not linearizable. As text it says everything, with a picture of the operations in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The history up to and including this moment is not linearizable; without this moment it is.
    pub moment: u64,
    /// The number of invocations and returns in that prefix.
    pub events: usize,
    /// The operations that cannot be ordered. The first is the one whose return makes it so.
    pub stuck: Vec<OpId>,
    /// True if a shorter prefix was ruled out.
    pub shortest: bool,
    text: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The number of operations of the order so far that are shown.
const RECENT: usize = 4;
/// The number of open operations that are shown.
const SHOWN: usize = 12;

/// Explains by the obstacle that the search met. `stuck` is the obstacle for the whole history.
pub(crate) fn explain<S: Measured>(
    spec: &S,
    history: &History<S::Op, S::Ret>,
    stuck: Stuck<S::State>,
    bytes: usize,
) -> Explanation {
    let whole: Vec<OpId> = (0..history.operations().len()).collect();
    let moments = returns(history.operations());
    let moment_of = |id: OpId| ended(&history.operations()[id]);
    // A prefix knows less: it lacks the answers of operations that are open at its end. So perhaps only a longer one has no order.
    let fails = |moment: u64| {
        let (beginning, places) = history.until(moment);
        match search(spec, beginning.operations(), bytes) {
            Outcome::Stuck(stuck) => Some((stuck, places)),
            Outcome::Order(_) | Outcome::GaveUp { .. } => None,
        }
    };
    let first = moments.partition_point(|moment| *moment < moment_of(stuck.operation));
    // The prefixes before have an order, since the search came that far.
    let found = shortest(&moments[first..], fails);
    let (moment, shortest, (stuck, places)) = match found {
        Some((moment, found)) => (moment, true, found),
        None => (moments.last().copied().unwrap_or(0), false, (stuck, whole)),
    };
    let (stuck, places) = named(spec, history, moment, (stuck, places), bytes);
    let at = |id: OpId| seen(&history.operations()[places[id]], moment);
    let mut text = headline(history, moment, shortest);
    let _ = writeln!(text, "nothing explains  {}", at(stuck.operation));
    for (state, order) in &stuck.before {
        let last = &order[order.len().saturating_sub(RECENT)..];
        let _ = write!(text, "before it could be  {state:?}");
        let _ = writeln!(text, "{}", if last.is_empty() { ", as at the beginning" } else { ", after" });
        if last.len() < order.len() {
            let _ = writeln!(text, "    ({} operations)", order.len() - last.len());
        }
        for id in last {
            let _ = writeln!(text, "    {}", at(*id));
        }
    }
    let recent = stuck.before.first().map(|(_, order)| &order[order.len().saturating_sub(RECENT)..]);
    let mut cannot: Vec<OpId> = vec![places[stuck.operation]];
    cannot.extend(stuck.open.iter().map(|id| places[*id]));
    // Operations that are open for long are many, and say least.
    cannot[1..].sort_by_key(|id| std::cmp::Reverse(history.operations()[*id].invoked));
    let mut shown = cannot.clone();
    shown.truncate(SHOWN);
    shown.extend(recent.unwrap_or_default().iter().map(|id| places[*id]));
    if stuck.open.is_empty() {
        let _ = writeln!(text, "and nothing else was open then");
    } else {
        let _ = writeln!(text, "and none of what else was open then helps ({})", stuck.open.len());
    }
    text.push_str(&picture(history.operations(), &shown, moment));
    Explanation { moment, events: count(history, moment), stuck: cannot, shortest, text }
}

/// The explanation with the operation that returns at this moment as the one that is stuck. A search may have gone back earlier, when it
/// saw that it would be too late for that one.
fn named<S: Measured>(
    spec: &S,
    history: &History<S::Op, S::Ret>,
    moment: u64,
    (stuck, places): (Stuck<S::State>, Vec<OpId>),
    bytes: usize,
) -> (Stuck<S::State>, Vec<OpId>) {
    let returns_then = |id: &OpId| ended(&history.operations()[places[*id]]) == moment;
    let last = (0..places.len()).find(returns_then);
    let Some(last) = last.filter(|_| !returns_then(&stuck.operation)) else { return (stuck, places) };
    let (before, earlier) = history.until(moment.saturating_sub(1));
    let Outcome::Order(order) = search(spec, before.operations(), bytes) else { return (stuck, places) };
    let mut state = spec.initial();
    for id in &order {
        let Operation { op, returned, .. } = &before.operations()[*id];
        let next = spec.step(&state, op, returned.as_ref().map(|(_, ret)| ret));
        state = next.expect("an order that was found explains all answers");
    }
    let place = |id: OpId| places.binary_search(&id).expect("what was there before is there later");
    let order: Vec<OpId> = order.into_iter().map(|id| place(earlier[id])).collect();
    let open =
        (0..places.len()).filter(|id| *id != last && ended(&history.operations()[places[*id]]) > moment);
    (Stuck { operation: last, open: open.collect(), before: vec![(state, order)] }, places)
}

/// Explains by the two values of a register that exclude each other.
pub(crate) fn explain_register<V: Clone + Debug + Ord + Hash>(
    history: &History<RegisterOp<V>, RegisterRet<V>>,
    conflict: Conflict,
) -> Explanation {
    let moments = returns(history.operations());
    let fails = |moment: u64| {
        let (beginning, places) = history.until(moment);
        let conflict = judge(beginning.operations())?.err()?;
        Some((conflict, places))
    };
    let (moment, shortest, (conflict, places)) = match shortest(&moments, fails) {
        Some((moment, found)) => (moment, true, found),
        None => {
            let whole = (0..history.operations().len()).collect();
            (moments.last().copied().unwrap_or(0), false, (conflict, whole))
        }
    };
    let operations = history.operations();
    let at = |id: OpId| seen(&operations[places[id]], moment);
    let mut text = headline(history, moment, shortest);
    let ids = match conflict {
        Conflict::Unwritten { read } => {
            let _ = writeln!(text, "nobody has written what this read returned:\n    {}", at(read));
            vec![read]
        }
        Conflict::BeforeWrite { read, write } => {
            let (read_as, write_as) = (at(read), at(write));
            let _ = writeln!(text, "read before it was written:\n    {read_as}\n    {write_as}");
            vec![read, write]
        }
        Conflict::Both { one, other } => {
            for (first, last) in [one, other] {
                let (from, to) = (at(first), at(last));
                let _ = writeln!(
                    text,
                    "one value was there from the end of\n    {from}\nto the beginning of\n    {to}"
                );
            }
            let _ = writeln!(text, "both cannot have been there at a time");
            vec![one.0, one.1, other.0, other.1]
        }
        Conflict::Within { outer, inner } => {
            let (from, to) = (at(outer.0), at(outer.1));
            let _ = writeln!(
                text,
                "one value was there from the end of\n    {from}\nto the beginning of\n    {to}"
            );
            let (from, to) = (at(inner.0), at(inner.1));
            let _ = writeln!(text, "another value must have been there in between:\n    {from}");
            if inner.0 != inner.1 {
                let _ = writeln!(text, "    {to}");
            }
            vec![outer.0, outer.1, inner.0, inner.1]
        }
    };
    let mut stuck: Vec<OpId> = ids.into_iter().map(|id| places[id]).collect();
    // The writes of the values in question belong to the reason.
    for id in stuck.clone() {
        let Some((_, RegisterRet::Value(Some(value)))) = &operations[id].returned else { continue };
        let wrote = |operation: &Operation<RegisterOp<V>, RegisterRet<V>>| {
            let RegisterOp::Write(written) = &operation.op else { return false };
            written == value && operation.invoked <= moment
        };
        stuck.extend(operations.iter().position(wrote));
    }
    // The operation whose return makes it so goes first.
    stuck.sort_by_key(|id| {
        let returned = ended(&operations[*id]);
        (returned != moment, operations[*id].invoked)
    });
    stuck.dedup();
    text.push_str(&picture(operations, &stuck, moment));
    Explanation { moment, events: count(history, moment), stuck, shortest, text }
}

fn ended<Op, Ret>(operation: &Operation<Op, Ret>) -> u64 {
    operation.returned.as_ref().map_or(u64::MAX, |(at, _)| operation.invoked.max(*at))
}

/// The moments of returns, in order.
fn returns<Op, Ret>(operations: &[Operation<Op, Ret>]) -> Vec<u64> {
    let mut moments: Vec<u64> = operations.iter().map(ended).filter(|moment| *moment < u64::MAX).collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

/// The first moment at which `fails` holds, given that from then on it holds at all later ones. The first of `moments` is tried first.
fn shortest<T>(moments: &[u64], fails: impl Fn(u64) -> Option<T>) -> Option<(u64, T)> {
    if let Some(found) = fails(*moments.first()?) {
        return Some((moments[0], found));
    }
    let (mut holds, mut least) = (0, None);
    let mut bound = moments.len();
    let mut ahead = 1;
    while holds + 1 < bound {
        // The steps double first, since the moment is near as a rule. Then they halve.
        let at = if least.is_none() { (holds + ahead).min(bound - 1) } else { holds.midpoint(bound) };
        match fails(moments[at]) {
            Some(found) => {
                bound = at;
                least = Some((moments[at], found));
            }
            None => holds = at,
        }
        ahead *= 2;
    }
    least
}

/// An operation as it was seen at a moment.
fn seen<Op: Debug, Ret: Debug>(operation: &Operation<Op, Ret>, moment: u64) -> String {
    let returned = operation.returned.as_ref().filter(|_| ended(operation) <= moment);
    let returned = returned.map(|(at, ret)| (*at, ret));
    let Operation { process, op, invoked, .. } = operation;
    format!("{:?}", Operation { process: *process, op, invoked: *invoked, returned })
}

fn count<Op, Ret>(history: &History<Op, Ret>, moment: u64) -> usize {
    let operations = history.operations();
    let invoked = operations.iter().filter(|operation| operation.invoked <= moment).count();
    invoked + operations.iter().filter(|operation| ended(operation) <= moment).count()
}

fn headline<Op, Ret>(history: &History<Op, Ret>, moment: u64, shortest: bool) -> String {
    let (some, all) = (count(history, moment), events(history.operations()).len());
    let before = if shortest { ", and no fewer" } else { "; whether fewer are was not found out" };
    format!("not linearizable: the first {some} of {all} events are not{before}\n")
}

/// The operations one below the other, by invocation, each with its time from left to right.
fn picture<Op: Debug, Ret: Debug>(operations: &[Operation<Op, Ret>], ids: &[OpId], moment: u64) -> String {
    let mut ids = ids.to_vec();
    ids.sort_by_key(|id| (operations[*id].invoked, *id));
    ids.dedup();
    let ends = |id: &OpId| Some(ended(&operations[*id])).filter(|end| *end <= moment);
    let moments = ids.iter().flat_map(|id| [Some(operations[*id].invoked), ends(id)]).flatten();
    let mut columns: BTreeMap<u64, usize> = moments.map(|moment| (moment, 0)).collect();
    for (column, place) in columns.values_mut().enumerate() {
        *place = column * 3;
    }
    let names: Vec<String> = ids.iter().map(|id| seen(&operations[*id], moment)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let last = columns.len() * 3;
    let mut text = String::new();
    for (id, name) in ids.iter().zip(names) {
        let from = columns[&operations[*id].invoked];
        let line = match ends(id) {
            Some(end) => format!("|{}|", "-".repeat((columns[&end] - from).saturating_sub(1))),
            None => format!("|{}>", "-".repeat(last - from)),
        };
        let _ = writeln!(text, "  {name:wide$}  {:from$}{line}", "");
    }
    text
}
