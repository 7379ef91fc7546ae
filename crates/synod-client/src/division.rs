//! The way of a command to its group, and the answers of all groups put together.
//!
//! A list asks every group, and each answers for its own keys. So it is no cut through all of them at one moment: of two changes in two groups it may show the later
//! one alone.

use crate::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use synod_machine::{
    Blob, Item, Lies, MOST_LISTED, MOST_TOLD, Operation, Outcome, StoreCommand, StoreOutput,
};

/// The function that takes the result of a call. It runs in the thread that turns the loop, so it must not wait for anything.
pub(crate) type Then = Box<dyn FnOnce(Result<StoreOutput, Error>) + Send>;

/// The groups that a command is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The one that its names say, or all for a list.
    WhereItLies,
    /// This one.
    Group(u8),
}

/// Sends a command on its way: `leave` leaves it for one group. The result comes to `then`.
pub(crate) fn divide(
    groups: usize,
    to: To,
    command: StoreCommand,
    then: Then,
    mut leave: impl FnMut(u8, StoreCommand, Then),
) {
    let lies = match to {
        To::Group(group) => Lies::In(group),
        To::WhereItLies => command.lies(groups),
    };
    match lies {
        Lies::In(group) => leave(group, command, then),
        Lies::Across(why) => then(Err(Error::Across(why))),
        Lies::InAll => {
            let mut command = command;
            let limit = ask_for_a_share(&mut command, groups);
            let gathered = Arc::new(Mutex::new(Gathered::new(limit, groups, then)));
            for group in (0..=u8::MAX).take(groups) {
                let gathered = Arc::clone(&gathered);
                let then = move |output| Gathered::add(&gathered, output);
                leave(group, command.clone(), Box::new(then));
            }
        }
    }
}

/// Has a list ask each group for twice its share of the items, and two more: most of what a group tells then has a place in the list. Returns the most items
/// of the whole list.
fn ask_for_a_share(command: &mut StoreCommand, groups: usize) -> usize {
    let StoreCommand::Transact { then, .. } = command else { return MOST_LISTED };
    let [Operation::List { limit, .. }] = &mut then[..] else { return MOST_LISTED };
    let most = (*limit as usize).clamp(1, MOST_LISTED);
    *limit = u32::try_from(most.min(2 * most / groups.max(1) + 2)).unwrap_or(u32::MAX);
    most
}

/// The list of one group, and whether it goes on.
type List = (Vec<(Blob, Item)>, bool);

/// The lists that have come so far, as one. What they tell beyond the bounds of one group's list is dropped at once, since any client can have them made: a question
/// holds one page and the answer that comes, however many groups there are.
struct Gathered {
    limit: usize,
    missing: usize,
    list: List,
    /// None once there is a result.
    then: Option<Then>,
}

impl Gathered {
    fn new(limit: usize, groups: usize, then: Then) -> Gathered {
        Gathered { limit, missing: groups, list: (Vec::new(), false), then: Some(then) }
    }

    fn add(gathered: &Mutex<Gathered>, output: Result<StoreOutput, Error>) {
        let mut all = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if all.then.is_none() {
            return;
        }
        let (items, more) = std::mem::take(&mut all.list);
        let result = match output.map(list_of) {
            // The first error is the result, and so is an answer that is no list.
            Err(error) => Err(error),
            Ok(Err(other)) => Ok(other),
            Ok(Ok(list)) => {
                let (items, more) = merge((items, more), list, all.limit);
                all.missing -= 1;
                if all.missing > 0 {
                    all.list = (items, more);
                    return;
                }
                Ok(StoreOutput::Done(vec![Outcome::Listed { items, more }]))
            }
        };
        let then = all.then.take();
        drop(all);
        if let Some(then) = then {
            then(result);
        }
    }
}

fn list_of(output: StoreOutput) -> Result<List, StoreOutput> {
    match output {
        StoreOutput::Done(mut outcomes) if matches!(outcomes[..], [Outcome::Listed { .. }]) => {
            match outcomes.pop() {
                Some(Outcome::Listed { items, more }) => Ok((items, more)),
                _ => Err(StoreOutput::Done(outcomes)),
            }
        }
        other => Err(other),
    }
}

/// One list of two, in the order of the keys. A list that goes on says nothing about the keys behind its last one, so these wait for the next question. Lists that are
/// added one by one, in any order, come to the same as all at once: a key that is dropped is behind the end of the list from then on.
fn merge(one: List, other: List, limit: usize) -> List {
    let ends = [&one, &other].into_iter().filter(|(_, more)| *more);
    // A list that goes on and is empty sorts first: nothing can be told.
    let end: Option<Option<Blob>> = ends.map(|(items, _)| items.last().map(|(key, _)| key.clone())).min();
    let mut more = end.is_some();
    let (mut items, _) = one;
    items.extend(other.0);
    if let Some(end) = end {
        items.retain(|(key, _)| end.as_ref().is_some_and(|end| key <= end));
    }
    items.sort_by(|one, other| one.0.cmp(&other.0));
    // The bounds of one group's list hold for all together.
    let mut bytes = 0;
    let fits = items.iter().take(limit).take_while(|(key, item)| {
        let is_room = bytes < MOST_TOLD;
        bytes += (key.len() + item.value.len()) as u64;
        is_room
    });
    let fits = fits.count();
    more |= items.len() > fits;
    items.truncate(fits);
    items.shrink_to_fit();
    (items, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: &str, more: bool) -> List {
        let item = || Item { value: Blob::from("v"), version: 1, left: None };
        (keys.chars().map(|key| (Blob::from(key.to_string().as_str()), item())).collect(), more)
    }

    fn keys((items, more): &List) -> (String, bool) {
        let keys = items.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned());
        (keys.collect(), *more)
    }

    fn merge_all(lists: impl IntoIterator<Item = List>, limit: usize) -> List {
        lists.into_iter().fold((Vec::new(), false), |all, list| merge(all, list, limit))
    }

    #[test]
    fn lists_are_put_together_in_order_up_to_where_all_are_known() {
        for (lists, limit, expected) in [
            (vec![list("ad", false), list("bc", false)], 9, ("abcd", false)),
            (vec![list("ad", true), list("bce", false)], 9, ("abcd", true)),
            (vec![list("ad", true), list("bc", true)], 9, ("abc", true)),
            (vec![list("ad", false), list("bc", false)], 3, ("abc", true)),
            (vec![list("", false), list("", false)], 3, ("", false)),
            (vec![list("", true), list("a", false)], 3, ("", true)),
        ] {
            let backwards: Vec<List> = lists.iter().rev().cloned().collect();
            for lists in [lists, backwards] {
                let merged = merge_all(lists, limit);
                assert_eq!(keys(&merged), (expected.0.to_owned(), expected.1));
            }
        }
    }

    #[test]
    fn a_list_of_all_groups_keeps_to_the_bounds_of_one_and_asks_each_for_little_more_than_its_share() {
        let long =
            |key: &str| (Blob::from(key), Item { value: vec![0; 200 << 10].into(), version: 1, left: None });
        let merged = merge((vec![long("a"), long("c")], false), (vec![long("b")], false), 9);
        assert_eq!(keys(&merged), ("ab".to_owned(), true), "the first that is beyond 256 KiB is the last");
        for (limit, most, each) in
            [(0, 1, 1), (1, 1, 1), (10, 10, 3), (1000, 1000, 127), (u32::MAX, 1000, 127)]
        {
            let list = Operation::List { prefix: "".into(), after: None, limit };
            let mut command = StoreCommand::Transact { when: Vec::new(), then: vec![list] };
            assert_eq!(ask_for_a_share(&mut command, 16), most);
            let StoreCommand::Transact { then, .. } = command else { unreachable!("it is one") };
            assert!(matches!(then[..], [Operation::List { limit, .. }] if limit == each), "{then:?}");
        }
    }

    /// Each of 64 groups tells 320 KiB. The bytes are counted after each answer, and after one group has failed.
    #[test]
    fn a_list_of_all_groups_holds_no_more_than_a_page_while_it_waits() {
        const VALUE: usize = 64 << 10;
        let held = |gathered: &Mutex<Gathered>| {
            let all = gathered.lock().expect("nothing panics with it");
            all.list.0.iter().map(|(key, item)| key.len() + item.value.len()).sum::<usize>()
        };
        let answer = |group: usize| {
            let item = || Item { value: vec![0; VALUE].into(), version: 1, left: None };
            let key = |n: usize| Blob::from(format!("{n}-{group:02}").as_str());
            Outcome::Listed { items: (0..5).map(|n| (key(n), item())).collect(), more: true }
        };
        let answer = |group| Ok(StoreOutput::Done(vec![answer(group)]));
        let (tell, told) = std::sync::mpsc::channel();
        let new = || {
            let tell = tell.clone();
            let then = move |output| tell.send(output).expect("it is waited for");
            Mutex::new(Gathered::new(MOST_LISTED, 64, Box::new(then)))
        };
        let most = MOST_TOLD as usize + VALUE + 8;

        let gathered = new();
        for group in 0..63 {
            Gathered::add(&gathered, answer(group));
            let held = held(&gathered);
            assert!(0 < held && held <= most, "{held} bytes after {} groups", group + 1);
        }
        assert!(told.try_recv().is_err(), "one group is missing");
        Gathered::add(&gathered, answer(63));
        assert_eq!(held(&gathered), 0);
        let Ok(Ok(StoreOutput::Done(outcomes))) = told.try_recv() else { panic!("it is a list") };
        let [Outcome::Listed { items, more: true }] = &outcomes[..] else { panic!("{outcomes:?}") };
        let keys: Vec<_> = items.iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
        assert_eq!(keys, ["0-00", "0-01", "0-02", "0-03"], "the first of all, up to the bound");

        let gathered = new();
        Gathered::add(&gathered, answer(0));
        Gathered::add(&gathered, Err(Error::NotReached));
        assert_eq!(told.try_recv(), Ok(Err(Error::NotReached)));
        Gathered::add(&gathered, answer(1));
        assert_eq!(held(&gathered), 0, "nothing is kept for a question that has its result");
        assert!(told.try_recv().is_err(), "there is one result");
    }

    /// Asking on after the last key lists every key once, for any number of groups and any bounds.
    #[test]
    fn asking_on_lists_every_key_once() {
        for groups in 1..5usize {
            for (bound, limit) in [(1, 9), (2, 3), (3, 2), (9, 1)] {
                let names: Vec<String> = (0..26).map(|n| char::from(b'a' + n).to_string()).collect();
                let of_group = |group: usize, after: &Option<Blob>| {
                    let mine = names.iter().filter(|name| {
                        usize::from(synod_machine::group_of(name.as_bytes(), groups)) == group
                            && after.as_ref().is_none_or(|after| name.as_bytes() > &after[..])
                    });
                    let mine: Vec<&str> = mine.map(String::as_str).collect();
                    let bound = bound.min(limit);
                    list(&mine[..mine.len().min(bound)].concat(), mine.len() > bound)
                };
                let (mut after, mut all) = (None, String::new());
                loop {
                    let merged = merge_all((0..groups).map(|group| of_group(group, &after)), limit);
                    let (listed, more) = keys(&merged);
                    assert!(!more || !listed.is_empty(), "it goes on");
                    all += &listed;
                    after = merged.0.last().map(|(key, _)| key.clone()).or(after);
                    if !more {
                        break;
                    }
                }
                assert_eq!(all, names.concat(), "{groups} groups, {bound} and {limit} at a time");
            }
        }
    }
}
