//! Guarantees that whoever follows the changes of keys sees each of them once, in order, or learns that some are no longer kept.
//!
//! Each group is asked by itself, and no group waits for another: one that does not answer holds back no change of the others, and what went wrong in one is
//! told however much comes from the others.

use crate::client::Client;
use crate::division::To;
use crate::error::Error;
use crate::message::Reading;
use crate::requests::{self, Changed};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use synod_machine::{Blob, Change, group_of, group_of_prefix};

/// The pauses between two questions to a group where nothing changes: they double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// The longest wait for changes. A longer one is as good as none.
const YEAR: Duration = Duration::from_hours(365 * 24);

/// A place in the sequence of changes. Where there are several groups, each has a sequence of its own: changes of one key come in their order, those of keys in
/// two groups in any.
pub struct Watch {
    client: Client,
    prefix: Blob,
    places: Places,
    answers: (Sender<Answer>, Receiver<Answer>),
}

/// A group's answer to a question for changes.
type Answer = (u8, Result<Changed, Error>);

/// The reasons why changes could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// Changes after the version that was seen last are not kept any more.
    Truncated {
        /// The group of these changes, if keys with this prefix are of several groups.
        group: Option<u8>,
        /// The oldest version after which changes are kept. Versions count in each group by themselves.
        oldest: u64,
    },
    /// A group could not be asked. Its place is the same as before, so asking again leaves no gap, and the other groups go on.
    Failed {
        /// The group, if keys with this prefix are of several groups.
        group: Option<u8>,
        /// The reason.
        error: Error,
    },
    /// A watch needs one version per group that has keys with its prefix.
    Versions {
        /// The versions that were given.
        given: usize,
        /// The groups.
        groups: usize,
    },
}

impl std::fmt::Display for WatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WatchError::Truncated { group: None, oldest } => write!(
                f,
                "changes up to version {oldest} are not kept any more, so some were missed; read the keys anew and watch from version \
                 {} on",
                oldest.saturating_add(1)
            ),
            WatchError::Truncated { group: Some(group), oldest } => write!(
                f,
                "changes of group {group} up to its version {oldest} are not kept any more, so some were missed; read the keys anew and watch from \
                 version {} of this group on, and from where they were in the other groups",
                oldest.saturating_add(1)
            ),
            WatchError::Failed { group: None, error } => error.fmt(f),
            WatchError::Failed { group: Some(group), error } => write!(f, "group {group}: {error}"),
            WatchError::Versions { given, groups } => {
                write!(
                    f,
                    "{given} versions for {groups} groups, each with versions of its own; give one per group"
                )
            }
        }
    }
}

impl std::error::Error for WatchError {}

/// The groups that have keys with a prefix, of so many.
fn groups_of(prefix: &Blob, groups: usize) -> Vec<u8> {
    match group_of_prefix(prefix, groups) {
        Some(group) => vec![group],
        None => (0..=u8::MAX).take(groups).collect(),
    }
}

impl Watch {
    /// Follows the changes of keys with a prefix from the first one that is kept, as [`Watch::after`] version 0 of each group.
    pub fn from_the_first(client: Client, prefix: impl Into<Blob>) -> Watch {
        let prefix = prefix.into();
        let groups = groups_of(&prefix, client.groups());
        let places = groups.into_iter().map(|group| (group, 0)).collect();
        Watch::at(client, prefix, places)
    }

    /// Follows the changes of keys with a prefix after those that were seen: after one version per group, as [`Watch::versions`] tells them.
    ///
    /// # Errors
    /// [`WatchError::Versions`] if there is not one per group.
    pub fn after(client: Client, prefix: impl Into<Blob>, versions: &[u64]) -> Result<Watch, WatchError> {
        let prefix = prefix.into();
        let groups = groups_of(&prefix, client.groups());
        if groups.len() != versions.len() {
            return Err(WatchError::Versions { given: versions.len(), groups: groups.len() });
        }
        let places = groups.into_iter().zip(versions.iter().copied()).collect();
        Ok(Watch::at(client, prefix, places))
    }

    /// Follows the changes of keys with a prefix from now on. All groups are asked at once.
    ///
    /// # Errors
    /// [`WatchError::Failed`] if a group cannot be asked: nobody else knows its latest version.
    pub fn from_now(client: Client, prefix: impl Into<Blob>) -> Result<Watch, WatchError> {
        let prefix = prefix.into();
        let groups = groups_of(&prefix, client.groups());
        let places = latest_of(&groups, |group, tell| {
            client.start_in(To::Group(group), requests::latest(), move |answer| {
                // Another group may have failed.
                let _ = tell.send((group, answer));
            });
        });
        Ok(Watch::at(client, prefix, places?))
    }

    /// True once a group has answered, with changes or without.
    pub fn has_answered(&self) -> bool {
        self.places.has_answered
    }

    fn at(client: Client, prefix: Blob, places: Vec<(u8, u64)>) -> Watch {
        Watch { client, prefix, places: Places::new(places), answers: channel() }
    }

    /// The version up to which all changes were seen, of each group that has keys with the prefix, in the order of the groups. There is
    /// one for a cluster of one group, and for a prefix that says its group in braces.
    pub fn versions(&self) -> Vec<u64> {
        self.places.all.iter().map(|place| place.after).collect()
    }

    /// The group of a change, if keys with the prefix are of several.
    pub fn group_of(&self, change: &Change) -> Option<u8> {
        (self.places.all.len() > 1).then(|| group_of(&change.key, self.client.groups()))
    }

    /// The next changes, those of each group oldest first. Waits for some, but no longer than `most`: then there are none.
    ///
    /// # Errors
    /// Some were missed, or the cluster cannot be asked. Changes that came from other groups at the same time are told first, and the error by the
    /// next call.
    pub fn next(&mut self, most: Duration) -> Result<Vec<Change>, WatchError> {
        let Watch { client, prefix, places, answers: (tell, answers) } = self;
        let is_alone = places.all.len() == 1;
        let ask = |group: u8, after: u64| {
            let request = requests::changes(prefix.clone(), after, u32::MAX, Reading::Linearizable);
            if is_alone {
                // There is nothing else to wait for, so this thread may fetch the answer itself.
                let _ = tell.send((group, client.run_in(To::Group(group), request)));
            } else {
                let tell = tell.clone();
                client.start_in(To::Group(group), request, move |answer| {
                    // The watch may have gone.
                    let _ = tell.send((group, answer));
                });
            }
        };
        places.next(most, answers, ask)
    }
}

/// The latest version of each group, all asked at once; or the first error.
fn latest_of(
    groups: &[u8],
    ask: impl Fn(u8, Sender<(u8, Result<u64, Error>)>),
) -> Result<Vec<(u8, u64)>, WatchError> {
    let (tell, answers) = channel();
    for group in groups {
        ask(*group, tell.clone());
    }
    drop(tell);
    let is_one_of_several = groups.len() > 1;
    let place = |(group, answer): (u8, Result<u64, Error>)| match answer {
        Ok(version) => Ok((group, version)),
        Err(error) => Err(WatchError::Failed { group: is_one_of_several.then_some(group), error }),
    };
    let mut places = answers.into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    Ok(places)
}

/// The places in the sequences of all groups.
struct Places {
    all: Vec<Place>,
    has_answered: bool,
    /// The errors that are not told yet.
    errors: VecDeque<WatchError>,
}

struct Place {
    group: u8,
    /// The version up to which changes were seen.
    after: u64,
    is_asked: bool,
    /// The moment of the next question.
    due: Instant,
    pause: Duration,
}

impl Places {
    fn new(all: Vec<(u8, u64)>) -> Places {
        let due = Instant::now();
        let place = |(group, after)| Place { group, after, is_asked: false, due, pause: FIRST_PAUSE };
        Places { all: all.into_iter().map(place).collect(), has_answered: false, errors: VecDeque::new() }
    }

    /// Asks each group that owes no answer, and takes what comes.
    fn next(
        &mut self,
        most: Duration,
        answers: &Receiver<Answer>,
        ask: impl Fn(u8, u64),
    ) -> Result<Vec<Change>, WatchError> {
        if let Some(error) = self.errors.pop_front() {
            return Err(error);
        }
        let until = Instant::now() + most.min(YEAR);
        loop {
            let (now, mut wake) = (Instant::now(), until);
            for place in self.all.iter_mut().filter(|place| !place.is_asked) {
                if place.due <= now {
                    place.is_asked = true;
                    ask(place.group, place.after);
                } else {
                    wake = wake.min(place.due);
                }
            }
            let mut changes = Vec::new();
            let first = answers.recv_timeout(wake.saturating_duration_since(Instant::now()));
            for (group, answer) in first.into_iter().chain(answers.try_iter()) {
                self.take(group, answer, &mut changes);
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
            if let Some(error) = self.errors.pop_front() {
                return Err(error);
            }
            if Instant::now() >= until {
                return Ok(changes);
            }
        }
    }

    /// Takes the answer of a group.
    fn take(&mut self, group: u8, answer: Result<Changed, Error>, changes: &mut Vec<Change>) {
        let is_one_of_several = self.all.len() > 1;
        let Some(place) = self.all.iter_mut().find(|place| place.group == group) else { return };
        (place.is_asked, place.due) = (false, Instant::now());
        self.has_answered |= answer.is_ok();
        let told = is_one_of_several.then_some(group);
        match answer {
            Err(error) => self.errors.push_back(WatchError::Failed { group: told, error }),
            Ok(Changed::Truncated { oldest }) => {
                self.errors.push_back(WatchError::Truncated { group: told, oldest });
            }
            Ok(Changed::Changes { changes: new, last }) => {
                place.after = last;
                if new.is_empty() {
                    place.due += place.pause;
                    place.pause = (place.pause * 2).min(LONGEST_PAUSE);
                } else {
                    place.pause = FIRST_PAUSE;
                }
                changes.extend(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn change(group: u8, version: u64) -> Change {
        Change { version, key: Blob::from(format!("g{group}").as_str()), value: None }
    }

    /// Group 0 always has a change, group 3 has forgotten some, group 5 does not answer and group 7 fails. Group 15 has one.
    #[test]
    fn no_group_holds_another_back_and_each_error_is_told() {
        let (tell, answers) = channel();
        let mut places = Places::new((0..16).map(|group| (group, 0)).collect());
        let asked = RefCell::new(Vec::new());
        let ask = |group: u8, after: u64| {
            asked.borrow_mut().push((group, after));
            let one = |version| Changed::Changes { changes: vec![change(group, version)], last: version };
            let answer = match (group, after) {
                (0, _) => Ok(one(after + 1)),
                (3, _) => Ok(Changed::Truncated { oldest: 9 }),
                (5, _) => return,
                (7, _) => Err(Error::NotReached),
                (15, 0) => Ok(one(4)),
                _ => Ok(Changed::Changes { changes: Vec::new(), last: after }),
            };
            tell.send((group, answer)).expect("it is waited for");
        };
        let mut told: Vec<_> = (0..6).map(|_| places.next(Duration::from_secs(5), &answers, ask)).collect();
        let first = told.remove(0).expect("group 0 has one");
        assert_eq!(first, [change(0, 1), change(15, 4)]);
        assert_eq!(told.remove(0), Err(WatchError::Truncated { group: Some(3), oldest: 9 }));
        assert_eq!(told.remove(0), Err(WatchError::Failed { group: Some(7), error: Error::NotReached }));
        assert!(places.has_answered);
        assert_eq!(told.remove(0), Ok(vec![change(0, 2)]), "it goes on");
        assert!(told.iter().all(Result::is_err), "and the errors do too: {told:?}");
        assert_eq!(
            asked.borrow().iter().filter(|(group, _)| *group == 5).count(),
            1,
            "one question at a time"
        );
        assert_eq!(places.all[15].after, 4);
    }

    /// Groups answer in another order than they are asked, and one with nobody to lead it fails. No other is waited for before all are asked.
    #[test]
    fn the_latest_versions_are_asked_for_at_once_and_an_error_names_its_group() {
        let groups: Vec<u8> = (0..16).collect();
        let latest = |failing: Option<u8>| {
            let waiting = RefCell::new(Vec::new());
            latest_of(&groups, |group, tell| {
                let mut waiting = waiting.borrow_mut();
                waiting.push((group, tell));
                if waiting.len() == groups.len() {
                    for (group, tell) in waiting.drain(..).rev() {
                        let is_failing = failing == Some(group);
                        let answer =
                            if is_failing { Err(Error::NotReached) } else { Ok(100 + u64::from(group)) };
                        tell.send((group, answer)).expect("it is waited for");
                    }
                }
            })
        };
        assert_eq!(latest(None), Ok((0..16).map(|group| (group, 100 + u64::from(group))).collect()));
        let failed = latest(Some(5)).expect_err("group 5 has no leader");
        assert_eq!(failed, WatchError::Failed { group: Some(5), error: Error::NotReached });
        assert_eq!(failed.to_string(), format!("group 5: {}", Error::NotReached));
    }

    #[test]
    fn a_group_without_changes_is_asked_less_and_less_often_and_no_wait_is_too_long() {
        let (tell, answers) = channel();
        let mut places = Places::new(vec![(2, 7)]);
        let count = RefCell::new(0);
        let ask = |group, after| {
            *count.borrow_mut() += 1;
            let changes = if *count.borrow() < 4 { Vec::new() } else { vec![change(2, 8)] };
            let last = after + changes.len() as u64;
            tell.send((group, Ok(Changed::Changes { changes, last }))).expect("it is waited for");
        };
        assert_eq!(places.next(Duration::ZERO, &answers, ask), Ok(Vec::new()), "it was asked once");
        assert_eq!(places.all[0].pause, 2 * FIRST_PAUSE);
        assert_eq!(places.next(Duration::MAX, &answers, ask), Ok(vec![change(2, 8)]));
        assert_eq!((*count.borrow(), places.all[0].after, places.all[0].pause), (4, 8, FIRST_PAUSE));
    }
}
