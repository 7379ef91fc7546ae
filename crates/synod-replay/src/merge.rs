//! Merges the members' records into one history: any order in which nothing is received before it was sent.
//!
//! Every such order is a run the system could have had, and one in which each member saw exactly what it saw. So a
//! claim that falls in it has fallen.

use crate::groups;
use crate::judge::Judge;
use crate::member::{Happening, Member, Stepped};
use crate::records::Lives;
use crate::verdict::{Unreadable, Verdict, Violation};
use rustc_hash::FxHashSet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::Actor;
use synod::Msg;
use synod_explore::Subject;
use synod_groups::{Groups, InGroup};
use synod_model::Inside;
use synod_runtime::changes::Changes;
use synod_runtime::groups::ByGroup;
use synod_runtime::node::LOCAL_CLIENT;
use synod_runtime::record::{self, Output, Recorded, Trigger};
use synod_server::Wiring;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The result of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Events re-run.
    pub events: u64,
    /// Starts that had lost something recorded but never flushed.
    pub cut: u64,
    /// Instances in which a value was chosen.
    pub chosen: u64,
    /// The verdict on the run; `None` if nothing is wrong.
    pub verdict: Option<Verdict>,
}

/// So many events of one member are taken before another has its turn.
const STRIDE: usize = 64;

fn fingerprint(src: u64, dst: u64, msg: &[u8]) -> u64 {
    // Of a short message the seed is but added and subtracted. With small ids in it, two messages that differ by little would be one.
    let mut ends = [0; 16];
    ends[..8].copy_from_slice(&src.to_le_bytes());
    ends[8..].copy_from_slice(&dst.to_le_bytes());
    xxh3_64_with_seed(msg, xxh3_64(&ends))
}

/// One step of the merged run, for whoever follows along.
pub(crate) struct Seen<'s, A: Actor> {
    pub(crate) group: u8,
    pub(crate) member: u64,
    pub(crate) step: &'s Stepped<'s, A>,
}

/// Replays the records of a cluster; `actor` makes the actor of a member from the wiring of one group. Each group is judged by itself.
///
/// # Errors
/// When a record is damaged. A run that went wrong is no error but a verdict.
pub fn replay<A, C>(lives: Lives<'_>, actor: impl Fn(&Wiring, u64) -> A) -> Result<Replayed, Unreadable>
where
    A: Subject<Msg = Msg>,
    A::Msg: Serialize,
    A::Timer: Serialize + DeserializeOwned,
    A::State: Inside,
    C: Changes<A::Storage>,
{
    follow::<A, C>(lives, actor, &mut |_| {})
}

pub(crate) fn follow<A, C>(
    lives: Lives<'_>,
    actor: impl Fn(&Wiring, u64) -> A,
    along: &mut dyn FnMut(Seen<'_, A>),
) -> Result<Replayed, Unreadable>
where
    A: Subject<Msg = Msg>,
    A::Timer: Serialize + DeserializeOwned,
    A::State: Inside,
    C: Changes<A::Storage>,
{
    let is_divided = lives.wiring.groups > 1;
    let groups = (0..=u8::MAX).take(lives.wiring.groups);
    let mut judges: Vec<Judge> =
        groups.map(|group| Judge::new(lives.wiring.of_group(group).cluster())).collect();
    let mut members: Vec<Member<'_, Groups<A>>> = lives
        .members
        .into_iter()
        .map(|(id, lives)| {
            let lives = lives.into_iter().map(|life| {
                let actor = life.wiring.of_groups(|one| actor(one, id));
                (life, actor)
            });
            Member::new(id, lives.collect())
        })
        .collect::<Result<_, _>>()?;
    let mut sent: FxHashSet<u64> = FxHashSet::default();
    let mut done = Replayed { events: 0, cut: 0, chosen: 0, verdict: None };
    while done.verdict.is_none() && members.iter().any(|member| member.next().is_some()) {
        let mut moved = false;
        for member in &mut members {
            for _ in 0..STRIDE {
                if !member.next().is_some_and(|entry| is_possible(member.id, entry, &sent)) {
                    break;
                }
                moved = true;
                let Some(entry) = member.next() else { break };
                for output in record::outputs(entry.outputs) {
                    if let Output::Send { to, msg } = output
                        && to < LOCAL_CLIENT
                    {
                        sent.insert(fingerprint(member.id, to, msg));
                    }
                }
                let id = member.id;
                done.verdict = member.step::<ByGroup<C>>(&mut |step| {
                    groups::each(&step, &mut |group, step| {
                        along(Seen { group, member: id, step: &step });
                        let fell = judges[usize::from(group)].step(id, &step);
                        let group = is_divided.then_some(group);
                        fell.map(|violation| Verdict::Violated(Violation { group, ..violation }))
                    })
                })?;
                if done.verdict.is_some() {
                    break;
                }
            }
            if done.verdict.is_some() {
                break;
            }
        }
        if !moved {
            done.verdict = Some(Verdict::Unsent { waiting: members.iter().filter_map(waiting).collect() });
        }
    }
    done.events = members.iter().map(|member| member.steps).sum();
    done.cut = members.iter().map(|member| member.cut).sum();
    done.chosen = judges.iter().map(Judge::chosen).sum();
    Ok(done)
}

/// True if the message that a member took next had been sent. Clients keep no records, so theirs always had.
fn is_possible(member: u64, entry: &Recorded<'_>, sent: &FxHashSet<u64>) -> bool {
    match entry.event {
        Trigger::Deliver { src, msg } if src < LOCAL_CLIENT => sent.contains(&fingerprint(src, member, msg)),
        _ => true,
    }
}

fn waiting<A>(member: &Member<'_, Groups<A>>) -> Option<String>
where
    A: Subject<Msg = Msg>,
    A::Timer: Serialize + DeserializeOwned,
{
    let Trigger::Deliver { src, msg } = member.next()?.event else { return None };
    let said = postcard::from_bytes::<InGroup<Msg>>(msg)
        .map_or_else(|_| "an unreadable message".to_owned(), |m| format!("{m:?}"));
    Some(format!("{}: {said} from member {src}", member.place()))
}

impl<A: Actor> Stepped<'_, A> {
    /// The message it took, and from whom, if it took one.
    pub(crate) fn delivered(&self) -> Option<(u64, &A::Msg)> {
        match &self.event {
            Happening::Deliver(src, msg) => Some((usize::from(*src) as u64, msg)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use synod::{Ballot, Instance, Value};

    /// A vote was once taken for sent since the proposal was, to another member.
    #[test]
    fn short_messages_between_few_members_are_told_apart() {
        let mut seen = BTreeMap::new();
        for instance in (0..40).map(Instance) {
            for round in 1..4 {
                let (ballot, value) = (Ballot { round, proposer: 0 }, Value::no_op());
                let accepted = Msg::Accepted { ballot, instance, value: value.clone() };
                for msg in [Msg::Accept { ballot, instance, value }, accepted] {
                    let bytes = postcard::to_allocvec(&msg).expect("a message can be encoded");
                    for (src, dst) in (0..6).flat_map(|src| (0..6).map(move |dst| (src, dst))) {
                        let other = seen.insert(fingerprint(src, dst, &bytes), (src, dst, msg.clone()));
                        assert_eq!(other, None, "as {msg:?} from {src} to {dst}");
                    }
                }
            }
        }
    }
}
