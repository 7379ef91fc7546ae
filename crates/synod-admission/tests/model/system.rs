//! The system: disks, starts, sessions, what is remembered and said, faults of disks; and a register that forgets nothing as long
//! as its disks do not.
//!
//! Each member votes once for a value, durably, which is its one save. Whoever has voted for what it hears another vote for tells
//! a client: with three members two votes are a majority. So a vote that is forgotten can have two values told.

use crate::mutants::Mutant;
use std::collections::{BTreeMap, BTreeSet};
use synod_admission::{Admission, Admittance, Answer, Begun, Known, Memory, Mine, Order, Standing};

/// What a member's data directory has.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Disk {
    pub(crate) mine: Mine,
    pub(crate) known: BTreeMap<u64, Known>,
    pub(crate) saves: u64,
    /// The value voted for, and which of all votes of this member it is.
    pub(crate) vote: Option<(u8, u64)>,
}

/// What a process has in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Process {
    /// Which of all starts of this member it is.
    pub(crate) start: u64,
    pub(crate) disk: Disk,
    pub(crate) memory: Memory,
    pub(crate) admittance: Admittance,
    pub(crate) order: Order,
    /// In which start of each peer it is in a session.
    pub(crate) links: BTreeMap<u64, u64>,
    /// What it told each peer last.
    pub(crate) said: BTreeMap<u64, Answer>,
    /// The peers that answered this start from within a session: it may speak to them.
    pub(crate) answered: BTreeSet<u64>,
    /// The votes of others that anything sent from now on rests on.
    pub(crate) rests: BTreeSet<(u64, u64)>,
    pub(crate) takes_part: bool,
    pub(crate) alone: bool,
}

/// What is on its way; it may take any time, or be lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Packet {
    Answer { from: u64, to: u64, start: u64, answer: Answer },
    Vote { from: u64, from_start: u64, to: u64, start: u64, standing: Standing, vote: (u8, u64) },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Member {
    pub(crate) disk: Option<Disk>,
    /// What was durable before, the last at the end.
    pub(crate) past: Vec<Disk>,
    pub(crate) process: Option<Process>,
    /// How many starts, directories and votes it ever had.
    pub(crate) starts: u64,
    pub(crate) disks: u64,
    pub(crate) votes: u64,
    /// Whether its disk was ever at fault, and whether it has been since it last had an effect.
    pub(crate) faulty: bool,
    /// The directories with which it ever took part.
    pub(crate) took_part: BTreeSet<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct State {
    pub(crate) members: Vec<Member>,
    pub(crate) net: BTreeSet<Packet>,
    pub(crate) told: BTreeSet<u8>,
    /// Who had an effect that rests on which vote of whom; a client is nobody's peer.
    pub(crate) acted: BTreeSet<(u64, u64, u64)>,
    pub(crate) starts: u8,
    pub(crate) asks: u8,
    pub(crate) wipes: u8,
    pub(crate) cuts: u8,
    /// A member took part without a vote that somebody had acted on who had not answered it.
    pub(crate) excused: bool,
    /// A member stepped a message of one that lacks what it acted on.
    pub(crate) heard_behind: bool,
    /// A member whose disk was never at fault was told that it lacks something.
    pub(crate) accused: bool,
}

impl State {
    /// An answer that is still on its way when a later one leaves is lost.
    fn send_answer(&mut self, from: u64, to: u64, start: u64, answer: Answer) {
        let earlier = |packet: &Packet| matches!(packet, Packet::Answer { from: f, to: t, .. } if (*f, *t) == (from, to));
        self.net.retain(|packet| !earlier(packet));
        self.net.insert(Packet::Answer { from, to, start, answer });
    }
}

/// The knower that never answers.
pub(crate) const CLIENT: u64 = 99;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Start(u64),
    StartAlone(u64),
    Crash(u64),
    /// The first takes a session with the second's present start.
    Settle(u64, u64),
    Tell(u64, u64),
    Ask(u64),
    Deliver(Packet),
    Wipe(u64),
    /// The disk is as it was so many flushes ago.
    Cut(u64, usize),
}

/// How far back a disk may fall, in flushes.
const PAST: usize = 3;

pub(crate) struct System {
    pub(crate) members: u64,
    pub(crate) mutant: Option<Mutant>,
    /// Whether all begin with directories that took part.
    pub(crate) running: bool,
    pub(crate) starts: u8,
    pub(crate) asks: u8,
    pub(crate) wipes: u8,
    pub(crate) cuts: u8,
    /// Whether a member may be started with a list of itself alone.
    pub(crate) alone: bool,
    /// Whether others than those whose disks may be at fault crash; a member that is down is like one that nothing reaches.
    pub(crate) all_crash: bool,
}

impl System {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Members are alike at first, so that those whose disks may be at fault may be named: the last ones.
    fn may_fail(&self, id: u64) -> bool {
        id + u64::from(self.wipes.max(self.cuts)) >= self.members
    }

    fn majority(&self, process: &Process) -> usize {
        if process.alone { 1 } else { self.members as usize / 2 + 1 }
    }

    pub(crate) fn begin(&self) -> State {
        let member = Member {
            disk: None,
            past: Vec::new(),
            process: None,
            starts: 0,
            disks: 0,
            votes: 0,
            faulty: false,
            took_part: BTreeSet::new(),
        };
        let mut state = State {
            members: vec![member; self.members as usize],
            net: BTreeSet::new(),
            told: BTreeSet::new(),
            acted: BTreeSet::new(),
            starts: self.starts,
            asks: self.asks,
            wipes: self.wipes,
            cuts: self.cuts,
            excused: false,
            heard_behind: false,
            accused: false,
        };
        if self.running {
            let right = System { mutant: None, ..*self };
            state.starts = u8::MAX;
            let everyone = || 0..self.members;
            everyone().for_each(|id| right.start(&mut state, id, false));
            for _ in 0..4 {
                for (one, other) in everyone().flat_map(|one| everyone().map(move |other| (one, other))) {
                    right.settle(&mut state, one, other);
                    right.tell(&mut state, one, other);
                }
                for packet in state.net.clone() {
                    right.deliver(&mut state, &packet);
                }
            }
            assert!(state.members.iter().all(|member| member.process.as_ref().is_some_and(|p| p.takes_part)));
            state.net.clear();
            state.starts = self.starts;
            state.members.iter_mut().for_each(|member| member.past.clear());
        }
        state
    }

    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        let ids = || 0..self.members;
        for (id, member) in ids().zip(&state.members) {
            let Some(process) = &member.process else {
                if state.starts > 0 {
                    steps.push(Step::Start(id));
                    if self.alone && member.disk.is_some() {
                        steps.push(Step::StartAlone(id));
                    }
                }
                if state.wipes > 0 && member.disk.is_some() && self.may_fail(id) {
                    steps.push(Step::Wipe(id));
                }
                if state.cuts > 0 {
                    steps.extend((0..member.past.len()).map(|back| Step::Cut(id, back)));
                }
                continue;
            };
            if state.starts > 0 && (self.all_crash || self.may_fail(id)) {
                steps.push(Step::Crash(id));
            }
            if state.asks > 0 && process.takes_part && process.disk.vote.is_none() {
                steps.push(Step::Ask(id));
            }
            for other in ids().filter(|other| *other != id) {
                let start = state.members[other as usize].process.as_ref().map(|process| process.start);
                if start.is_some_and(|start| process.links.get(&other) != Some(&start)) {
                    steps.push(Step::Settle(id, other));
                }
                let at_start = start.is_some() && process.links.get(&other) == start.as_ref();
                if at_start && process.said.get(&other) != Some(&self.answer(process, other)) {
                    steps.push(Step::Tell(id, other));
                }
            }
        }
        steps.extend(state.net.iter().cloned().map(Step::Deliver));
    }

    pub(crate) fn step(&self, state: &State, step: &Step) -> State {
        let mut next = state.clone();
        match step {
            Step::Start(id) => self.start(&mut next, *id, false),
            Step::StartAlone(id) => self.start(&mut next, *id, true),
            Step::Crash(id) => next.members[*id as usize].process = None,
            Step::Settle(id, other) => self.settle(&mut next, *id, *other),
            Step::Tell(id, other) => self.tell(&mut next, *id, *other),
            Step::Ask(id) => {
                let value = self.asks - next.asks + 1;
                next.asks -= 1;
                self.vote(&mut next, *id, value, false);
            }
            Step::Deliver(packet) => self.deliver(&mut next, packet),
            Step::Wipe(id) => {
                next.wipes -= 1;
                let member = &mut next.members[*id as usize];
                (member.disk, member.past, member.faulty) = (None, Vec::new(), true);
                next.acted.retain(|(who, _, _)| who != id);
            }
            Step::Cut(id, back) => {
                next.cuts -= 1;
                let member = &mut next.members[*id as usize];
                let disk = member.past[*back].clone();
                member.past.truncate(*back);
                (member.disk, member.faulty) = (Some(disk), true);
                next.acted.retain(|(who, _, _)| who != id);
            }
        }
        Self::look(&mut next);
        next
    }

    fn start(&self, state: &mut State, id: u64, alone: bool) {
        state.starts -= 1;
        let member = &mut state.members[id as usize];
        if alone && !self.is(Mutant::ListNotCompared) {
            // Its directory was made for all.
            return;
        }
        member.starts += 1;
        let before = member.disk.clone();
        let mut disk = before.clone().unwrap_or_else(|| {
            member.disks += 1;
            Disk { mine: Mine { disk: member.disks, ..Mine::default() }, ..Disk::default() }
        });
        disk.mine.begin(Begun { nonce: member.starts, saves: disk.saves });
        if !self.is(Mutant::BootNotDurable) || before.is_none() {
            member.past.extend(before.filter(|_| self.cuts > 0 && self.may_fail(id)));
            member.disk = Some(disk.clone());
        }
        let peers = (0..self.members).filter(|peer| *peer != id && !alone);
        let mut mine = disk.mine.clone();
        if self.is(Mutant::BaseNotCompared) {
            mine.starts.iter_mut().for_each(|begun| begun.saves = u64::MAX);
        }
        member.process = Some(Process {
            start: member.starts,
            memory: Memory::read(disk.known.clone()),
            admittance: Admittance::new(mine, peers),
            disk,
            order: Order::default(),
            links: BTreeMap::new(),
            said: BTreeMap::new(),
            answered: BTreeSet::new(),
            rests: BTreeSet::new(),
            takes_part: false,
            alone,
        });
        self.admit(state, id);
        self.prune(state);
    }

    /// What nobody can take any more need not be kept.
    fn prune(&self, state: &mut State) {
        let at = |id: u64| state.members[id as usize].process.as_ref().map(|process| process.start);
        let starts: Vec<Option<u64>> = (0..self.members).map(at).collect();
        state.net.retain(|packet| {
            let (Packet::Answer { to, start, .. } | Packet::Vote { to, start, .. }) = packet;
            starts[*to as usize] == Some(*start)
        });
    }

    /// Makes all that a process has staged durable.
    fn flush(&self, state: &mut State, id: u64) {
        let member = &mut state.members[id as usize];
        let process = member.process.as_mut().expect("it runs");
        process.disk.known.extend(process.memory.unwritten());
        process.memory.written();
        if member.disk.as_ref() != Some(&process.disk) {
            let before = member.disk.replace(process.disk.clone());
            member.past.extend(before.filter(|_| self.cuts > 0 && self.may_fail(id)));
            if member.past.len() > PAST {
                member.past.remove(0);
            }
        }
    }

    fn settle(&self, state: &mut State, id: u64, other: u64) {
        let Some(peer) = state.members[other as usize].process.as_ref() else { return };
        let (start, standing) = (peer.start, peer.disk.mine.standing(peer.disk.saves));
        let Some(process) = state.members[id as usize].process.as_mut() else { return };
        if id == other
            || process.alone != state.members[other as usize].process.as_ref().is_some_and(|p| p.alone)
        {
            return;
        }
        let process = state.members[id as usize].process.as_mut().expect("it runs");
        if process.memory.known(other).is_some_and(|known| !known.admits(&standing)) {
            // It is told so, and nothing else.
            let answer = self.answer(process, other);
            state.send_answer(id, other, start, answer);
            return;
        }
        if self.is(Mutant::AnswersBeforeSession) && process.links.contains_key(&other) {
            let answer = self.answer(process, other);
            state.send_answer(id, other, start, answer);
            return;
        }
        process.links.insert(other, start);
        process.said.remove(&other);
        process.memory.greet(other, &standing);
        if !process.memory.is_recorded(other) && !self.is(Mutant::RecordedNotDurably) {
            process.order.flush();
            self.flush(state, id);
        }
        self.tell(state, id, other);
    }

    fn answer(&self, process: &Process, to: u64) -> Answer {
        let mut known = process.memory.known(to);
        if self.is(Mutant::AnswersDurableOnly) {
            known = process.disk.known.get(&to).copied();
        }
        let recorded = process.memory.is_recorded(to) || self.is(Mutant::RecordedNotDurably);
        Answer { known, recorded, admitted: process.disk.mine.admitted }
    }

    fn tell(&self, state: &mut State, id: u64, other: u64) {
        let Some(process) = state.members[id as usize].process.as_mut() else { return };
        let Some(start) = process.links.get(&other).copied() else { return };
        let answer = self.answer(process, other);
        process.said.insert(other, answer);
        state.send_answer(id, other, start, answer);
    }

    /// Whether two processes have sessions with each other in which the first may speak.
    fn speaks(&self, process: &Process, to: u64) -> bool {
        process.links.contains_key(&to)
            && (process.answered.contains(&to) || self.is(Mutant::SpeaksUnanswered))
    }

    fn send_vote(&self, state: &mut State, id: u64, to: u64) {
        let process = state.members[id as usize].process.as_ref().expect("it runs");
        let (Some(vote), true, Some(start)) =
            (process.disk.vote, self.speaks(process, to), process.links.get(&to))
        else {
            return;
        };
        let standing = process.disk.mine.standing(process.disk.saves);
        let packet = Packet::Vote { from: id, from_start: process.start, to, start: *start, standing, vote };
        let rests = process.rests.clone();
        state.net.insert(packet);
        state.acted.extend(rests.into_iter().map(|(whose, which)| (id, whose, which)));
    }

    fn admit(&self, state: &mut State, id: u64) {
        let process = state.members[id as usize].process.as_mut().expect("it runs");
        match process.admittance.verdict() {
            Admission::Waiting { .. } => {}
            Admission::Admitted => {
                if !process.takes_part {
                    process.takes_part = true;
                    process.disk.mine.admitted = true;
                    let disk = process.disk.mine.disk;
                    state.members[id as usize].took_part.insert(disk);
                    self.flush(state, id);
                }
                for to in 0..self.members {
                    self.send_vote(state, id, to);
                }
            }
            Admission::Abstains(_) => {
                state.accused |= !state.members[id as usize].faulty;
                if !(process_goes_on(state, id) && self.is(Mutant::JudgesAtStartOnly)) {
                    state.members[id as usize].process = None;
                    self.prune(state);
                }
            }
        }
    }

    fn vote(&self, state: &mut State, id: u64, value: u8, tell: bool) {
        let member = &mut state.members[id as usize];
        member.votes += 1;
        let process = member.process.as_mut().expect("it runs");
        process.disk.vote = Some((value, member.votes));
        process.disk.saves += 1;
        process.order.wait(0);
        let tells = tell || self.majority(process) == 1;
        self.flush(state, id);
        for to in 0..self.members {
            self.send_vote(state, id, to);
        }
        if tells {
            Self::tell_client(state, id, value);
        }
        state.members[id as usize].process.as_mut().expect("it runs").order.end(true);
    }

    fn tell_client(state: &mut State, id: u64, value: u8) {
        state.told.insert(value);
        let process = state.members[id as usize].process.as_ref().expect("it runs");
        let own = process.disk.vote.map(|(_, which)| (CLIENT, id, which));
        let rests: Vec<_> = process.rests.iter().map(|(whose, which)| (id, *whose, *which)).collect();
        state.acted.extend(rests.into_iter().chain(own));
    }

    fn deliver(&self, state: &mut State, packet: &Packet) {
        state.net.remove(packet);
        match packet {
            Packet::Answer { from, to, start, answer } => {
                let Some(process) = state.members[*to as usize].process.as_mut() else { return };
                if process.start != *start {
                    return;
                }
                process.answered.insert(*from);
                process.admittance.hear(*from, *answer, process.disk.saves);
                self.admit(state, *to);
            }
            Packet::Vote { from, from_start, to, start, standing, vote } => {
                let Some(process) = state.members[*to as usize].process.as_mut() else { return };
                let in_session =
                    process.links.get(from) == Some(from_start) || self.is(Mutant::StepsEarlierStarts);
                if process.start != *start || !process.takes_part || !in_session {
                    return;
                }
                let lost = |whose: u64, which: u64| whose == *from && which != vote.1;
                state.heard_behind |=
                    state.acted.iter().any(|(who, whose, which)| who == to && lost(*whose, *which));
                process.rests.insert((*from, vote.1));
                process.memory.rest_on(*from, standing);
                if !process.memory.is_durable(*from) && !self.is(Mutant::KnowledgeNotDurable) {
                    process.order.wait(0);
                }
                match process.disk.vote {
                    None => self.vote(state, *to, vote.0, true),
                    Some((value, _)) => {
                        // What it tells a client is all that it sends.
                        let sends = usize::from(value == vote.0);
                        let flush = process.order.needs_flush(sends);
                        if flush {
                            self.flush(state, *to);
                        }
                        if sends > 0 {
                            Self::tell_client(state, *to, value);
                        }
                        let process = state.members[*to as usize].process.as_mut().expect("it runs");
                        process.order.end(flush);
                    }
                }
            }
        }
    }

    /// Whether somebody acted on a vote that a member which takes part does not have, and has answered it or not.
    pub(crate) fn behind(state: &State, answered: bool) -> bool {
        state.acted.iter().any(|(who, whose, which)| {
            let process =
                state.members[*whose as usize].process.as_ref().filter(|process| process.takes_part);
            process.is_some_and(|process| {
                let lost = process.disk.vote.is_none_or(|(_, mine)| mine != *which);
                lost && process.answered.contains(who) == answered
            })
        })
    }

    fn look(state: &mut State) {
        state.excused |= Self::behind(state, false);
    }
}

fn process_goes_on(state: &State, id: u64) -> bool {
    state.members[id as usize].process.as_ref().is_some_and(|process| process.takes_part)
}
