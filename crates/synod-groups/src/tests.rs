//! The groups of a process are actors of their own, and the process keeps the contract of one.

use super::*;
use std::time::Duration;

/// Counts what it is told. It saves its count before it answers.
struct Counter;

impl Actor for Counter {
    type Msg = u16;
    type Timer = u16;
    type State = u16;
    type Storage = u16;
    type Random = u16;

    fn on_start(&self, me: Id, saved: &Option<u16>, o: &mut Out<Self>) -> u16 {
        let count = saved.unwrap_or(0);
        o.save(count + 1);
        o.send(me, count);
        count + 1
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u16>, src: Id, msg: u16, o: &mut Out<Self>) {
        if msg == 0 {
            return;
        }
        *state.to_mut() += msg;
        o.save(**state);
        o.send(src, **state);
        o.set_timer(msg, Duration::ZERO..Duration::ZERO);
        o.choose_random("k", vec![msg]);
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u16>, timer: &u16, _: &mut Out<Self>) {
        *state.to_mut() += 100 * timer;
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, u16>, random: &u16, o: &mut Out<Self>) {
        *state.to_mut() += 1000;
        o.cancel_timer(*random);
    }
}

const ME: usize = 7;

fn in_group<T>(group: u8, what: T) -> InGroup<T> {
    InGroup { group, what }
}

fn three() -> Groups<Counter> {
    Groups::new(vec![Counter, Counter, Counter])
}

fn stables(all: [Option<u16>; 3]) -> Stables<u16> {
    Stables(all.map(|stable| stable.map(Arc::new)).to_vec())
}

fn counts(state: &States<u16, u16>) -> Vec<u16> {
    state.all().map(|(_, count)| *count).collect()
}

#[test]
fn a_start_saves_once_for_all_and_then_speaks() {
    let mut out = Out::new();
    let state = three().on_start(ME.into(), &Some(stables([None, Some(5), Some(8)])), &mut out);
    assert_eq!(counts(&state), [1, 6, 9]);
    let said: Vec<String> = out.iter().map(|command| format!("{command:?}")).collect();
    let saved = format!("{:?}", Command::<u8, u8, u8, _>::Save(stables([Some(1), Some(6), Some(9)])));
    assert_eq!(said[0], saved);
    assert_eq!(said[1..], ["Send(Id(7), 0)", "Send(Id(7), 5 of group 1)", "Send(Id(7), 8 of group 2)"]);
}

#[test]
fn a_step_is_of_one_group_and_saves_what_the_others_saved_with_it() {
    for is_owned in [false, true] {
        for group in 0..3 {
            let start = three().on_start(ME.into(), &None, &mut Out::new());
            let mut state = if is_owned { Cow::Owned(start.clone()) } else { Cow::Borrowed(&start) };
            let mut out = Out::new();
            three().on_msg(ME.into(), &mut state, 3.into(), in_group(group, 4), &mut out);
            let mut expected = [1, 1, 1];
            expected[usize::from(group)] = 5;
            assert_eq!(counts(&state), expected);
            let mut commands = out.into_iter();
            assert!(
                matches!(commands.next(), Some(Command::Save(saved)) if saved == stables(expected.map(Some)))
            );
            assert!(
                matches!(commands.next(), Some(Command::Send(to, msg)) if (to, msg) == (3.into(), in_group(group, 5)))
            );
            let Some(Command::SetTimer(timer, _)) = commands.next() else { panic!("no timer") };
            assert_eq!(timer, in_group(group, 4));
            let Some(Command::ChooseRandom(key, choices)) = commands.next() else { panic!("no choice") };
            assert_eq!(key == "k", group == 0, "{key}: choices of two groups do not replace each other");
            three().on_timeout(ME.into(), &mut state, &timer, &mut Out::new());
            let mut out = Out::new();
            three().on_random(ME.into(), &mut state, &choices[0], &mut out);
            assert!(matches!(&out[..], [Command::CancelTimer(other)] if *other == timer));
            expected[usize::from(group)] += 1400;
            assert_eq!(counts(&state), expected);
        }
    }
}

#[test]
fn what_changes_nothing_and_what_is_of_no_group_copies_nothing() {
    let start = three().on_start(ME.into(), &None, &mut Out::new());
    for msg in [in_group(1, 0), in_group(3, 9), in_group(255, 9)] {
        let (mut state, mut out) = (Cow::Borrowed(&start), Out::new());
        three().on_msg(ME.into(), &mut state, 3.into(), msg, &mut out);
        assert!(matches!(state, Cow::Borrowed(_)) && out.is_empty(), "{msg:?}");
    }
}

#[test]
fn group_0_has_the_bytes_of_its_actor_and_others_one_more() {
    let what = (3u64, "x".to_owned());
    let alone = postcard::to_allocvec(&what).expect("it encodes");
    for group in 0..=u8::MAX {
        let it = in_group(group, what.clone());
        let bytes = postcard::to_allocvec(&it).expect("it encodes");
        let rest: &[u8] = if group == 0 { &[] } else { &[group] };
        assert_eq!(bytes, [&alone, rest].concat());
        let read: (InGroup<(u64, String)>, &[u8]) =
            postcard::take_from_bytes(&bytes).expect("it was written");
        assert_eq!(read, (it, &[][..]));
        let AskInGroup(read) = postcard::from_bytes(&bytes).expect("it was written");
        assert_eq!(read, in_group(group, what.clone()));
    }
    let wrong = |bytes: &[u8]| postcard::from_bytes::<InGroup<(u64, String)>>(bytes).is_err();
    assert!(wrong(&[&alone[..], &[0]].concat()), "a group that is left out has no byte");
    assert!((0..alone.len()).all(|cut| wrong(&alone[..cut])));
}
