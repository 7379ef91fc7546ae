//! The groups of a process on the disk and on the wire.
//!
//! One journal holds the changes of all groups, so one flush makes those of a whole turn durable. Where there is one group, its bytes are those of its
//! state alone. Otherwise:
//!
//! ```text
//! state      = 0xff groups-1:u8 stable*
//! stable     = 0 | length+1:varint bytes
//! difference = (group:u8 length:varint change)*
//! ```
//!
//! The bytes of a group are written as [`encode`] and the strategy of its actor write them. A difference holds the groups that have changed, in order. A
//! single group whose own bytes happen to begin with 0xff is written as one of several would be.

use crate::admission::Rests;
use crate::apart::{self, Apart, Named};
use crate::changes::{Changes, decode, encode};
use crate::door::Door;
use crate::varint;
use stateright::actor::Actor;
use std::marker::PhantomData;
use std::sync::Arc;
use synod_groups::{AskInGroup, Groups, InGroup, Stables};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The strategy for the groups of a process, of which each is written as `C` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByGroup<C>(PhantomData<C>);

/// The number that stands for a cluster with this name and so many groups in datagrams and journals: XXH3 with 64 bits over the name, with the number of groups
/// beyond the first as its seed. So those who do not agree on the number do not talk.
pub fn cluster_tag(name: &str, groups: usize) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), groups.saturating_sub(1) as u64)
}

/// The number that stands for a cluster whose members change, where `tag` stands for its name: XXH3 with 64 bits over the rule by which they do, all that decides who
/// the members of an instance are beside the log. So those who do not agree on it do not talk.
///
/// `first` are the ids of the first members in ascending order, `lag` is the most instances that a new member may be behind, and `alpha` the window.
pub fn changing_tag(tag: u64, first: &[u64], lag: u64, alpha: u64) -> u64 {
    let numbers = [lag, alpha].into_iter().chain(first.iter().copied());
    let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
    xxh3_64_with_seed(&bytes, tag)
}

/// The first byte of the states of several groups.
const SEVERAL: u8 = 0xff;

/// Appends a length and bytes.
fn put(extra: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint::write(bytes.len() as u64 + extra, out);
    out.extend_from_slice(bytes);
}

/// Takes so many bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], String> {
    let cut = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (taken, rest) = cut.ok_or("a group that is cut short")?;
    *bytes = rest;
    Ok(taken)
}

/// Has one group read its bytes, which may name others for it.
fn in_group<T>(
    group: u8,
    named: &mut Named,
    read: impl FnOnce(&mut Named) -> Result<T, String>,
) -> Result<T, String> {
    let mut own = Named::new();
    apart::name(&mut own, 0, named.remove(&group));
    let read = read(&mut own).map_err(|what| format!("group {group}: {what}"))?;
    apart::name(named, group, own.remove(&0).map(|apart| Apart { group, ..apart }));
    Ok(read)
}

impl<S, C> Changes<Stables<S>> for ByGroup<C>
where
    S: Clone,
    C: Changes<S>,
{
    fn difference(new: &Stables<S>, old: &Stables<S>, out: &mut Vec<u8>) {
        if let ([Some(new)], [Some(old)]) = (&new.0[..], &old.0[..]) {
            return C::difference(new, old, out);
        }
        let mut change = Vec::new();
        for (group, stable) in new.all() {
            let before = old.0.get(usize::from(group)).and_then(Option::as_ref);
            if before.is_some_and(|before| Arc::ptr_eq(before, stable)) {
                continue;
            }
            change.clear();
            encode::<S, C>(stable, before.map(|before| &**before), &mut change);
            out.push(group);
            put(0, &change, out);
        }
    }

    fn apply(state: &mut Stables<S>, mut bytes: &[u8], named: &mut Named) -> Result<(), String> {
        if let [Some(one)] = &mut state.0[..] {
            return C::apply(Arc::make_mut(one), bytes, named);
        }
        let mut least = 0;
        while let Some((group, rest)) = bytes.split_first() {
            bytes = rest;
            let length = varint::read(&mut bytes).ok_or("a group that is cut short")?;
            let change = take(&mut bytes, length)?;
            let Some(stable) = state.0.get_mut(usize::from(*group)).filter(|_| *group >= least) else {
                return Err(format!("a change of group {group}, which there is not here"));
            };
            least = group.saturating_add(1);
            let mut own = stable.take().map(Arc::unwrap_or_clone);
            in_group(*group, named, |named| decode::<S, C>(&mut own, change, named))?;
            *stable = own.map(Arc::new);
        }
        Ok(())
    }

    fn snapshot(state: &Stables<S>, out: &mut Vec<u8>) {
        if let [Some(one)] = &state.0[..] {
            let start = out.len();
            C::snapshot(one, out);
            if out.get(start) != Some(&SEVERAL) {
                return;
            }
            out.truncate(start);
        }
        out.extend_from_slice(&[SEVERAL, (state.0.len() - 1) as u8]);
        let mut whole = Vec::new();
        for stable in &state.0 {
            let Some(stable) = stable else {
                out.push(0);
                continue;
            };
            whole.clear();
            C::snapshot(stable, &mut whole);
            put(1, &whole, out);
        }
    }

    fn restore(bytes: &[u8], named: &mut Named) -> Result<Stables<S>, String> {
        named.clear();
        let [SEVERAL, last, rest @ ..] = bytes else {
            return Ok(Stables(vec![Some(Arc::new(C::restore(bytes, named)?))]));
        };
        let (mut bytes, mut stables) = (rest, Vec::new());
        for group in 0..=*last {
            let stable = match varint::read(&mut bytes).ok_or("a group that is cut short")? {
                0 => None,
                length => {
                    let whole = take(&mut bytes, length - 1)?;
                    Some(Arc::new(in_group(group, named, |named| C::restore(whole, named))?))
                }
            };
            stables.push(stable);
        }
        if !bytes.is_empty() {
            return Err(format!("{} bytes too many after the groups", bytes.len()));
        }
        if stables.iter().all(Option::is_none) {
            return Err("a state of no group".to_owned());
        }
        Ok(Stables(stables))
    }

    /// One group after the other, each in its own pieces.
    fn part(state: &Stables<S>, before: Option<&Stables<S>>, bytes: usize) -> Option<Stables<S>> {
        let mut part = before.cloned().unwrap_or_else(|| Stables(vec![None; state.0.len()]));
        let under_way = part.0.iter().rposition(Option::is_some).unwrap_or(0);
        for (group, stable) in state.0.iter().enumerate().skip(under_way) {
            let before = part.0[group].as_deref();
            let next = stable.as_ref().and_then(|stable| C::part(stable, before, bytes));
            if let Some(next) = next {
                part.0[group] = Some(Arc::new(next));
                return Some(part);
            }
        }
        None
    }

    fn apart(state: &Stables<S>, found: &mut dyn FnMut(Apart, Arc<[u8]>)) {
        for (group, stable) in state.all() {
            C::apart(stable, &mut |apart, bytes| found(Apart { group, ..apart }, bytes));
        }
    }

    fn rejoin(state: &mut Stables<S>, apart: &Apart, bytes: Arc<[u8]>) {
        if let Some(Some(stable)) = state.0.get_mut(usize::from(apart.group)) {
            C::rejoin(Arc::make_mut(stable), &Apart { group: 0, ..*apart }, bytes);
        }
    }
}

/// Numbers of calls are of one group. Those of others are this far away.
const CALLS: u64 = 1 << 56;

impl<A: Actor, C: Door<A>> Door<Groups<A>> for ByGroup<C> {
    type Ask = AskInGroup<C::Ask>;

    fn call(msg: &InGroup<A::Msg>) -> Option<u64> {
        Some(C::call(&msg.what)?.wrapping_add(u64::from(msg.group) * CALLS))
    }

    /// Enforces that a group hears nothing that is of another group, or of one that there is not.
    fn is_for(actor: &Groups<A>, msg: &InGroup<A::Msg>) -> bool {
        let groups = actor.actors().len();
        usize::from(msg.group) < groups && C::lies_in(&msg.what, msg.group, groups)
    }

    fn is_vote(msg: &InGroup<A::Msg>) -> bool {
        C::is_vote(&msg.what)
    }

    fn rings_first(timer: &InGroup<A::Timer>) -> bool {
        C::rings_first(&timer.what)
    }

    fn teaches(msg: &InGroup<A::Msg>) -> bool {
        C::teaches(&msg.what)
    }

    fn asks_to_learn(msg: &InGroup<A::Msg>) -> bool {
        C::asks_to_learn(&msg.what)
    }

    fn tells_chosen(msg: &InGroup<A::Msg>) -> bool {
        C::tells_chosen(&msg.what)
    }

    fn rests(msg: &InGroup<A::Msg>) -> Rests {
        C::rests(&msg.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::Whole;
    use proptest::prelude::*;

    type State = Stables<Vec<u8>>;
    type Several = ByGroup<Whole>;

    fn stables(all: &[Option<Vec<u8>>]) -> State {
        Stables(all.iter().map(|stable| stable.clone().map(Arc::new)).collect())
    }

    /// Stable states of so many groups, of which one at least has saved.
    fn states(groups: usize) -> impl Strategy<Value = State> {
        let stable = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..4));
        let all = proptest::collection::vec(stable, groups).prop_map(|all| stables(&all));
        all.prop_filter("none has saved", |all| all.all().next().is_some())
    }

    proptest! {
        #[test]
        fn states_come_back_and_differences_lead_to_them((old, new) in (1usize..5).prop_flat_map(|groups| (states(groups), states(groups)))) {
            let mut bytes = Vec::new();
            Several::snapshot(&new, &mut bytes);
            prop_assert_eq!(Several::restore(&bytes, &mut Named::new()), Ok(new.clone()));
            // A group that has saved keeps what it saved, or saves anew.
            let all: Vec<_> = new.0.iter().zip(&old.0).map(|(new, old)| new.clone().or(old.clone())).collect();
            let (mut state, new) = (old.clone(), Stables(all));
            let mut change = Vec::new();
            Several::difference(&new, &old, &mut change);
            Several::apply(&mut state, &change, &mut Named::new()).expect("it was written");
            prop_assert_eq!(&state, &new);
            let (mut part, mut parts): (Option<State>, _) = (None, 0);
            while let Some(next) = Several::part(&new, part.as_ref(), 1) {
                parts += 1;
                part = Some(next);
            }
            prop_assert_eq!((part.as_ref(), parts), (Some(&new), new.all().count()));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(prop_oneof![0u8..4, Just(0xff), any::<u8>()], 0..12), old in states(3)) {
            let _: Result<State, _> = Several::restore(&bytes, &mut Named::new());
            let _ = Several::apply(&mut old.clone(), &bytes, &mut Named::new());
        }
    }

    #[test]
    fn one_group_is_written_as_its_state_alone() {
        let (old, new) = (vec![1, 2], vec![3]);
        let write = |new: &State, old: Option<&State>| {
            let mut bytes = Vec::new();
            encode::<State, Several>(new, old, &mut bytes);
            bytes
        };
        let (one, two) = (stables(&[Some(old.clone())]), stables(&[Some(new.clone())]));
        for before in [None, Some((&one, &old))] {
            let mut alone = Vec::new();
            encode::<Vec<u8>, Whole>(&new, before.map(|(_, old)| old), &mut alone);
            assert_eq!(write(&two, before.map(|(all, _)| all)), alone);
        }
    }

    #[test]
    fn a_difference_holds_the_group_that_has_changed_and_no_other() {
        let old = stables(&[Some(vec![7; 100]), None, Some(vec![8; 100])]);
        let mut new = old.clone();
        new.0[1] = Some(Arc::new(vec![9]));
        let mut bytes = Vec::new();
        Several::difference(&new, &old, &mut bytes);
        assert_eq!(bytes, [1, 3, 0, 1, 9], "group 1, three bytes: whole, of one byte, a nine");
    }

    #[test]
    fn what_no_process_writes_is_refused() {
        let refused = |bytes: &[u8]| {
            let read: Result<State, String> = Several::restore(bytes, &mut Named::new());
            read.expect_err("it is wrong")
        };
        assert!(refused(&[0xff, 1, 0, 0]).contains("no group"));
        assert!(refused(&[0xff, 1, 0, 9, 1]).contains("cut short"));
        assert!(refused(&[0xff, 1, 0]).contains("cut short"));
        assert!(refused(&[0xff, 0, 2, 0, 5]).contains("too many"));
        let mut state = stables(&[Some(vec![1]), Some(vec![2])]);
        let mut apply = |bytes: &[u8]| Several::apply(&mut state, bytes, &mut Named::new());
        assert!(apply(&[2, 2, 0, 0]).is_err_and(|what| what.contains("group 2")));
        assert!(apply(&[1, 2, 0, 0, 0, 2, 0, 0]).is_err_and(|what| what.contains("group 0")), "out of order");
    }
}
