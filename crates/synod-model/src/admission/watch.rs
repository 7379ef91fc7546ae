//! The history of a run: who acted on whose votes, who takes part with what, and what clients were told.

use super::member::Member;
use super::process::{Alive, Fate, Life, Process, Say};
use super::scene::Scene;
use stateright::actor::Command;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use synod_admission::Answer;
use synod_explore::{Observer, Step, Trigger};

/// The knower that never answers.
const CLIENT: u64 = u64::MAX;
/// A client too, told by a member that has forgotten since on whose vote that rests.
const FORGOTTEN: u64 = u64::MAX - 1;

/// The votes that a member that takes part is seen to have lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    /// The votes that it cast and does not have; none if it does not take part.
    lost: BTreeSet<u8>,
    /// The peers that have answered it, if there are any.
    answered: BTreeSet<u64>,
}

/// The history of a run.
// Fields: one for each thing that a claim asks about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Past {
    views: Vec<View>,
    /// The effects that rest on votes: who acted, on whose vote, and on which. Only votes that may be lost are kept, and only as long as the disk of the member that
    /// acted was not at fault since.
    acted: BTreeSet<(u64, u64, u8)>,
    /// The same of members that have only told a client, and whose knowledge of the voter is not durable yet. A crash forgets that
    /// they acted. Then only the client still does.
    told_by: BTreeSet<(u64, u64, u8)>,
    /// The directories with which each member ever took part.
    took_part: Vec<BTreeSet<u64>>,
    faulty: Vec<bool>,
    told: BTreeSet<(u8, u8)>,
    /// The cluster began with so many, and its log has so many places.
    first: usize,
    places: usize,
    /// A new directory of a member of the beginning took part, not its first, though somebody who has executed a change had answered it.
    again: Option<u64>,
    /// The views of members that took part without a vote of theirs and are not up any more.
    over: BTreeSet<(u64, View)>,
    /// A member took part without a vote that somebody acted on, before or after, who had not answered it.
    excused: bool,
    /// A member stepped a message of one that lacks what it acted on.
    heard_behind: Option<(u64, u64)>,
    /// A member whose disk was never at fault was told that it lacks something.
    accused: Option<u64>,
    /// A member came to take part without a vote that somebody acted on, and no majority of others has said that it did not.
    unheard: Option<u64>,
}

/// The meaning of one step.
// Fields: one for each thing that a claim or a witness asks about.
#[allow(clippy::struct_excessive_bools, reason = "each is something else")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    actor: u64,
    view: View,
    acted: BTreeSet<(u64, u64, u8)>,
    /// The effects of what it told a client.
    told_by: BTreeSet<(u64, u64, u8)>,
    /// The peers of which it knows more than is durable. None if it is not up.
    unsure: Option<BTreeSet<u64>>,
    told: Option<(u8, u8)>,
    /// The values that it has executed now, with their places.
    executed: Vec<(u8, u8)>,
    /// Whose message it stepped, and which votes its sender has.
    stepped: Option<(u64, BTreeSet<u8>)>,
    at_fault: bool,
    lacks: bool,
    /// It came to know a configuration as one that only learns, and was admitted before.
    teaches: bool,
    /// It is on a directory that is new, and another one stood aside once.
    astray: bool,
    /// It is up with a directory that was never admitted.
    is_new: bool,
    took_part: Option<Took>,
}

/// A member came to take part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Took {
    /// The directory with which it did.
    directory: u64,
    /// Those who have said, with a directory that was admitted, that they know no better.
    said: BTreeSet<u64>,
    /// The configurations in force, as far as it and those who have answered have executed.
    in_force: Vec<BTreeSet<u64>>,
    /// Somebody who has executed a change had answered it.
    begun: bool,
    /// It learned before.
    learned: bool,
}

/// Watches.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The scene.
    pub scene: Arc<Scene>,
}

fn process(alive: Option<&Alive>) -> Option<&Process> {
    match &alive?.life {
        Life::Up(process) => Some(process),
        _ => None,
    }
}

impl Watch {
    fn view(&self, actor: usize, alive: Option<&Alive>) -> View {
        let process = process(alive).filter(|process| process.takes_part() && self.scene.may_fail(actor));
        let Some((process, alive)) = process.zip(alive) else { return View::default() };
        let lost: BTreeSet<u8> =
            (1..=alive.votes()).filter(|which| !process.votes().contains(which)).collect();
        // Nothing more is asked about a member that has lost nothing.
        if lost.is_empty() { View::default() } else { View { lost, answered: process.answered().clone() } }
    }
}

impl Watch {
    fn took(
        &self,
        actor: u64,
        before: Option<&Process>,
        after: &Process,
        heard: &BTreeMap<u64, Answer>,
    ) -> Took {
        let admitted = || heard.iter().filter(|(_, answer)| answer.admitted);
        let number = admitted().map(|(_, answer)| answer.number).max().unwrap_or_default();
        let in_force = match &self.scene.log {
            None => vec![(0..self.scene.members as u64).collect()],
            Some(log) => {
                let members = log.members(actor, after.executed());
                let later = (number > members.number).then(|| log.latest(number));
                members.configurations.into_iter().chain(later).collect()
            }
        };
        Took {
            directory: after.directory(),
            said: admitted().map(|(peer, _)| *peer).collect(),
            in_force,
            begun: heard.values().any(|answer| answer.number > 0),
            learned: before.is_some_and(Process::learns),
        }
    }
}

impl Observer<Member> for Watch {
    type History = Past;
    type Note = Note;

    fn initial(&self) -> Past {
        let members = self.scene.members;
        Past {
            views: vec![View::default(); members],
            took_part: vec![BTreeSet::new(); members],
            faulty: vec![false; members],
            first: self.scene.log.as_ref().map_or(members, |log| log.first as usize),
            places: self.scene.log.as_ref().map_or(1, |log| log.entries.len()),
            ..Past::default()
        }
    }

    fn note(&self, step: &Step<'_, Member>) -> Option<Note> {
        let index = usize::from(step.actor);
        let actor = index as u64;
        let mut note = Note {
            actor,
            view: self.view(index, step.after),
            acted: BTreeSet::new(),
            told_by: BTreeSet::new(),
            unsure: None,
            told: None,
            executed: Vec::new(),
            stepped: None,
            at_fault: matches!(step.trigger, Trigger::Random { choice: Fate::Back(_) | Fate::Wiped, .. }),
            lacks: false,
            teaches: false,
            astray: step.after.is_some_and(Alive::was_aside)
                && process(step.after).is_none_or(|it| !it.admitted()),
            is_new: process(step.after).is_some_and(|process| !process.admitted()),
            took_part: None,
        };
        let (before, after) = (process(step.before), process(step.after));
        let takes_part = |process: Option<&Process>| process.is_some_and(Process::takes_part);
        if let Some(after) = after.filter(|_| takes_part(after) && !takes_part(before)) {
            let mut heard: BTreeMap<u64, Answer> =
                before.into_iter().flat_map(Process::heard).map(|(peer, answer)| (*peer, *answer)).collect();
            if let Trigger::Deliver { src, msg: Say::Answer { answer, .. } } = step.trigger {
                heard.insert(usize::from(src) as u64, *answer);
            }
            note.took_part = Some(self.took(actor, before, after, &heard));
        }
        note.teaches = before.is_some_and(|it| it.learns() && it.teaches())
            && step.outputs.iter().any(|it| matches!(it, Command::Send(_, Say::Chosen { .. })));
        let known = before.map_or(0, |before| before.executed().len());
        let executed = after.map_or(&[][..], Process::executed).iter().enumerate().skip(known);
        note.executed = executed.map(|(place, value)| (place as u8, *value)).collect();
        let away = matches!(step.after, Some(Alive { life: Life::Away(true), .. }));
        let abstains = |process: Option<&Process>| process.is_some_and(Process::abstains);
        note.lacks = (away && before.is_some()) || (abstains(after) && !abstains(before));
        if let (
            Trigger::Deliver { src, msg: Say::Vote { has, cast, .. } | Say::Chosen { has, cast, .. } },
            Some(after),
        ) = (step.trigger, after)
        {
            let peer = usize::from(src) as u64;
            let rests = has.iter().any(|which| after.rests().contains(&(peer, *which)));
            let stepped = before.is_some_and(Process::hears) && !step.is_no_op() && rests;
            // Where it votes more than once, it may have voted again since it said this.
            let later = self.scene.log.iter().flat_map(|_| *cast + 1..=u8::MAX);
            note.stepped = stepped.then(|| (peer, has.iter().copied().chain(later).collect()));
        }
        for output in step.outputs {
            let Command::Send(_, say) = output else { continue };
            if let Say::Told(place, value) = say {
                note.told = Some((*place, *value));
                let own = after.filter(|_| self.scene.may_fail(index)).map(Process::votes);
                note.acted.extend(own.into_iter().flatten().map(|which| (CLIENT, actor, which)));
            }
            let rests = || after.into_iter().flat_map(Process::rests).map(|(of, which)| (actor, *of, *which));
            match say {
                Say::Told(..) => note.told_by.extend(rests()),
                Say::Vote { .. } | Say::Chosen { .. } => note.acted.extend(rests()),
                _ => {}
            }
        }
        note.unsure = after.map(|after| {
            let peers = after.rests().iter().map(|(peer, _)| *peer);
            peers.filter(|peer| !after.knows_durably(*peer)).collect()
        });
        Some(note)
    }

    fn update(&self, past: &Past, note: &Note) -> Option<Past> {
        let (mut next, me) = (past.clone(), note.actor as usize);
        if note.at_fault {
            next.faulty[me] = true;
            next.acted.retain(|(who, _, _)| *who != note.actor);
        }
        next.settle(note);
        if let Some((whose, has)) = &note.stepped {
            let lost = |(who, of, known): &(u64, u64, u8)| {
                (*who, *of) == (note.actor, *whose) && !has.contains(known)
            };
            if next.all_acted().any(lost) {
                next.heard_behind = Some((note.actor, *whose));
            }
        }
        let before = std::mem::replace(&mut next.views[me], note.view.clone());
        if note.view.lost.is_empty() && !before.lost.is_empty() {
            next.over.insert((note.actor, before));
        }
        next.acted.extend(&note.acted);
        next.told.extend(note.told.iter().chain(&note.executed));
        if note.lacks && !next.faulty[me] && !note.astray {
            next.accused = Some(note.actor);
        }
        if let Some(Took { directory, said, in_force, begun, .. }) = &note.took_part {
            let is_another = !next.took_part[me].is_empty() && !next.took_part[me].contains(directory);
            if is_another && *begun && me < next.first {
                next.again = Some(note.actor);
            }
            next.took_part[me].insert(*directory);
            let acted = next
                .all_acted()
                .filter(|(_, whose, which)| *whose == note.actor && note.view.lost.contains(which));
            let acted: BTreeSet<u64> = acted.map(|(who, _, _)| *who).collect();
            let heard: BTreeSet<u64> = said.difference(&acted).copied().chain([note.actor]).collect();
            let majority = |ids: &BTreeSet<u64>| ids.intersection(&heard).count() > ids.len() / 2;
            // Nobody of the beginning remembers it, and of others it was not told.
            let others = || (0..next.first).filter(|other| *other != me);
            let forgotten = self.scene.log.is_some() && me < next.first && is_another;
            let forgotten = forgotten && !*begun && others().all(|other| next.faulty[other]);
            if !acted.is_empty() && !forgotten && !in_force.iter().all(majority) {
                next.unheard = Some(note.actor);
            }
        }
        next.excused |= next.behind(false).is_some() || next.was_behind();
        (next != *past).then_some(next)
    }
}

impl Past {
    /// All effects that rest on votes.
    fn all_acted(&self) -> impl Iterator<Item = &(u64, u64, u8)> {
        self.acted.iter().chain(&self.told_by)
    }

    /// Keeps what a member told a client apart for as long as a crash would forget on what it rests.
    fn settle(&mut self, note: &Note) {
        self.told_by.extend(&note.told_by);
        let mine = self.told_by.extract_if(.., |(who, whose, _)| {
            *who == note.actor && note.unsure.as_ref().is_none_or(|unsure| !unsure.contains(whose))
        });
        let who = if note.unsure.is_some() { note.actor } else { FORGOTTEN };
        self.acted.extend(mine.map(|(_, whose, which)| (who, whose, which)));
    }

    /// A member that acted on a vote and the member whose vote that was. The latter takes part and lacks the vote, and the former has `answered` it or not.
    fn behind(&self, answered: bool) -> Option<(u64, u64)> {
        self.all_acted().find_map(|(who, whose, which)| {
            let view = &self.views[*whose as usize];
            (view.lost.contains(which) && view.answered.contains(who) == answered).then_some((*who, *whose))
        })
    }

    /// True if somebody acted on a vote that a member lacked when it took part, and had not answered it.
    fn was_behind(&self) -> bool {
        self.over.iter().any(|(of, view)| {
            let mut acted =
                self.all_acted().filter(|(_, whose, which)| whose == of && view.lost.contains(which));
            acted.any(|(who, _, _)| !view.answered.contains(who))
        })
    }

    pub(super) fn one_directory(&self) -> Result<(), String> {
        for (id, took_part) in self.took_part.iter().enumerate() {
            // The log names the directory of an id that is not of the beginning. Only others of the beginning remember those that are.
            let mut others =
                self.faulty.iter().enumerate().filter(|(other, _)| *other != id && *other < self.first);
            let remembered = id >= self.first || others.any(|(_, faulty)| !faulty);
            if took_part.len() > 1 && remembered {
                return Err(format!(
                    "M{} took part with {} directories, and a peer's disk was never at fault, or the log names one",
                    id + 1,
                    took_part.len()
                ));
            }
        }
        self.again.map_or(Ok(()), |who| {
            Err(format!(
                "M{} takes part with a new directory, though it was told that members have changed",
                who + 1
            ))
        })
    }

    pub(super) fn never_behind(&self) -> Result<(), String> {
        self.behind(true).map_or(Ok(()), |(who, whose)| {
            Err(format!(
                "M{} has answered M{}, and acted on a vote that M{} does not have",
                who + 1,
                whose + 1,
                whose + 1
            ))
        })
    }

    pub(super) fn never_listened_to(&self) -> Result<(), String> {
        self.heard_behind.map_or(Ok(()), |(who, whose)| {
            Err(format!(
                "M{} takes a message of M{}, and acted on a vote that M{} does not have",
                who + 1,
                whose + 1,
                whose + 1
            ))
        })
    }

    pub(super) fn one_value(&self) -> Result<(), String> {
        let places: BTreeSet<u8> = self.told.iter().map(|(place, _)| *place).collect();
        if self.told.len() == places.len() || self.excused {
            return Ok(());
        }
        Err(format!("clients were told {:?}", self.told))
    }

    pub(super) fn no_false_alarm(&self) -> Result<(), String> {
        self.accused.map_or(Ok(()), |who| {
            Err(format!("M{} is told that it lacks something, and its disk was never at fault", who + 1))
        })
    }

    pub(super) fn noticed(&self) -> Result<(), String> {
        self.unheard.map_or(Ok(()), |who| Err(format!("M{} takes part without a vote that its peers acted on, and no majority has said that it knows no better", who + 1)))
    }

    pub(super) fn told(&self) -> bool {
        !self.told.is_empty()
    }

    pub(super) fn acted(&self) -> bool {
        self.all_acted().next().is_some()
    }

    pub(super) fn lost(&self) -> bool {
        self.views.iter().any(|view| !view.lost.is_empty())
    }

    pub(super) fn forgotten(&self) -> bool {
        self.acted.iter().any(|(who, _, _)| *who == FORGOTTEN)
    }

    pub(super) fn excused(&self) -> bool {
        self.excused
    }

    pub(super) fn executed_all(&self) -> bool {
        self.told.iter().map(|(place, _)| *place).collect::<BTreeSet<_>>().len() == self.places
    }

    pub(super) fn two_values(&self) -> bool {
        let places: BTreeSet<u8> = self.told.iter().map(|(place, _)| *place).collect();
        self.told.len() > places.len()
    }
}

impl Note {
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn stepped(&self) -> bool {
        self.stepped.is_some()
    }

    pub(super) fn took_part(&self) -> bool {
        self.took_part.is_some()
    }

    pub(super) fn lacks(&self) -> bool {
        self.lacks
    }

    pub(super) fn another_directory(&self) -> bool {
        self.took_part.as_ref().is_some_and(|took| took.directory > 1)
    }

    pub(super) fn learned(&self) -> bool {
        self.took_part.as_ref().is_some_and(|took| took.learned)
    }

    pub(super) fn teaches(&self) -> bool {
        self.teaches
    }
}
