//! A member as an actor: a disk that may be at fault, sessions, its knowledge of peers, and a vote that a restart must not lose.
//!
//! The rule itself is `synod-admission`, called as the loop of `synod-runtime` calls it. Around the rule is a register that forgets
//! nothing as long as its disks do not. A member votes once, durably, which is its one save. A member that has voted for a value and hears of
//! another vote for it tells a client. So clients may be told two values if a vote is forgotten.
//!
//! Left out of the loop, with the reason why no claim depends on it:
//!
//! - *A greeting names the saves that the start found*, and none that it made since. A peer that hears of more can only stop the member
//!   sooner, and a stopped member is like one whose messages all take for ever.
//! - *A greeting need not name the receiver's session*, so a greeting of a start that is over may still open a session. Nothing is ever
//!   said in that session, since a member speaks only to peers that it has heard.
//! - *A member answers when a session opens, and again when `recorded` or `admitted` in its answer changes*, not once per second. The rest of an
//!   answer comes from the very start that it is for, and is about saves that this start has.
//! - *A member that one start of a peer has answered speaks to the next start at once.* The loop waits until that start has answered, too. So a
//!   member says more here, and flushes sooner what it still owes. Scenes in which it comes back itself explore that it owes something then.
//! - *A batch has one event.* A crash before the flush of a longer batch leaves what came before its first event that waits.
//! - *News of a start that takes part* are forgotten, as far as nothing was missing.
//!
//! Where members change the register is a log: see [`changing`](super::changing).

use super::process::{Alive, Directory, Drive, Fate, Life, Process, Say, Vote, Word};
use super::rules::Rule;
use super::scene::Scene;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use synod_admission::{
    Admission, Admittance, Answer, Begun, Known, Lack, Memory, Mine, Order, Owed, Reason, Rests, Standing,
    Until,
};

/// A member, as the file describes it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The scene it is in.
    pub scene: Arc<Scene>,
    /// The broken line, if one is.
    pub rule: Option<Rule>,
}

/// One step of a process under way.
pub(super) struct Turn<'a> {
    pub(super) member: &'a Member,
    pub(super) me: u64,
    pub(super) process: Process,
    drive: Drive,
    pub(super) answers: Vec<u64>,
    pub(super) told: Option<(u8, u8)>,
    flushes: bool,
}

impl Turn<'_> {
    pub(super) fn is(&self, rule: Rule) -> bool {
        self.member.rule == Some(rule)
    }

    fn answer(&self, peer: u64) -> Answer {
        let memory = &self.process.memory;
        let mut known = memory.known(peer);
        if self.is(Rule::AnswersDurableOnly) {
            known = self.process.directory.known.get(&peer).copied();
        }
        let recorded = memory.is_recorded(peer) || self.is(Rule::RecordsLater);
        Answer { known, recorded, admitted: self.process.directory.mine.admitted, number: self.number() }
    }

    fn flush(&mut self) {
        let process = &mut self.process;
        process.directory.log.clone_from(&process.executed);
        process.directory.known.extend(process.memory.unwritten());
        process.memory.written();
        let keeps = self.member.keeps(self.me, &self.drive);
        self.drive.replace(self.process.directory.clone(), keeps);
        self.flushes = true;
    }

    pub(super) fn vote(&mut self, place: u8, value: u8) {
        self.drive.votes += 1;
        let process = &mut self.process;
        process.directory.votes.insert(place, (value, self.drive.votes));
        process.directory.saves += 1;
        process.order.owe(Owed::Save);
        process.order.flush();
    }

    fn takes_part(&mut self) {
        self.process.takes_part = true;
        self.process.learns = false;
        self.process.directory.mine.admitted = true;
        self.process.heard.clear();
        self.answers.extend(self.process.links.keys());
        self.flush();
    }

    /// Judges what was heard. Says why the member must not take part, if so.
    pub(super) fn judge(&mut self, heard: Option<(u64, Answer)>) -> Option<Reason> {
        let mut mine = self.process.directory.mine.clone();
        let saves = self.process.directory.saves;
        let before = self.process.heard.iter().map(|(peer, answer)| (*peer, *answer));
        let mut said: BTreeMap<u64, Answer> = before.chain(heard).collect();
        let is_beginning = self.member.is_first(self.me) && !mine.admitted;
        let ignored = if is_beginning { Rule::BeginsAgain } else { Rule::NumberNotCompared };
        for answer in said.values_mut() {
            *answer = self.member.doctored(&mut mine, saves, *answer);
            answer.number = if self.is(ignored) { 0 } else { answer.number };
        }
        let mut admittance = self.admittance(mine);
        for (peer, answer) in said {
            admittance.hear(peer, answer, saves);
        }
        if self.process.abstains {
            return None;
        }
        if self.process.takes_part {
            return match admittance.verdict() {
                Admission::Abstains(reason)
                    if !self.is(Rule::JudgesAtStartOnly) && !is_of_log(reason.lack) =>
                {
                    Some(reason)
                }
                _ => None,
            };
        }
        // Their knowledge was judged by now.
        self.process.heard.extend(heard.map(|(peer, answer)| (peer, Answer { known: None, ..answer })));
        let verdict = self.member.verdict(&mut admittance, self.process.directory.mine.admitted);
        self.process.learns = false;
        match verdict {
            // It may still turn out that it is known at the beginning.
            Admission::Abstains(Reason { lack: Lack::Begun { .. }, .. }) | Admission::Waiting { .. } => {}
            Admission::Abstains(reason) => return Some(reason),
            Admission::Admitted => self.takes_part(),
            Admission::Learns(_) => {
                self.process.learns = true;
                self.process.teaches = admittance.may_teach();
            }
        }
        None
    }

    /// Ends the batch: what has to be durable is flushed, and what is new is said.
    fn end(mut self, before: &BTreeSet<(u64, u8, Word)>, out: &mut Out<Member>) -> Alive {
        let says = self.says();
        let mut sends: Vec<(u64, u8, Word)> = says.difference(before).copied().collect();
        if !sends.is_empty() {
            self.process.order.holds(Rests::OnAll);
        }
        if self.told.is_some() {
            self.process.order.holds(Rests::OnSaves);
        }
        // The broken member crashes before the flush or goes on without it, and nothing else has left yet.
        let is_early = self.told.is_some() && self.is(Rule::ToldBeforeSaved);
        if is_early {
            sends.clear();
        }
        let flush = self.process.order.needs_flush() && !is_early;
        if flush {
            self.flush();
        }
        self.process.order.end(flush);
        if self.is(Rule::ForgetsOwed) {
            self.process.order = Order::default();
        }
        if self.flushes {
            out.save(self.drive.clone());
        }
        for peer in std::mem::take(&mut self.answers) {
            let Some(start) = self.process.links.get(&peer).copied() else { continue };
            out.send(Id::from(peer as usize), Say::Answer { start, answer: self.answer(peer) });
        }
        let (from, standing, has) = (self.process.start, self.process.standing(), self.process.votes());
        let cast = self.drive.votes;
        for (peer, to, word) in sends {
            let has = has.clone();
            let say = match word {
                Word::Vote(place) => {
                    let Some(vote) = self.process.directory.votes.get(&place).copied() else { continue };
                    Say::Vote { from, to, standing, place, vote, has, cast }
                }
                Word::Chosen(_) => {
                    Say::Chosen { from, to, standing, log: self.process.executed.clone(), has, cast }
                }
                Word::Join => Say::Join { from, to, standing },
            };
            out.send(Id::from(peer as usize), say);
        }
        if let Some((place, value)) = self.told {
            out.send(Id::from(self.member.scene.members), Say::Told(place, value));
        }
        Alive { life: Life::Up(Box::new(self.process)), drive: self.drive }
    }
}

impl Member {
    pub(super) fn is(&self, rule: Rule) -> bool {
        self.rule == Some(rule)
    }

    pub(super) fn peers(&self, me: u64, alone: bool) -> impl Iterator<Item = u64> + use<> {
        (0..self.scene.members as u64).filter(move |peer| *peer != me && !alone)
    }

    /// The number of earlier contents of its disk that matter.
    fn keeps(&self, me: u64, drive: &Drive) -> usize {
        let may = self.scene.cut.contains(&(me as usize)) && drive.faults == 0;
        if may { self.scene.back } else { 0 }
    }

    /// An answer, after a broken comparison.
    fn doctored(&self, mine: &mut Mine, saves: u64, mut answer: Answer) -> Answer {
        answer.admitted |= self.is(Rule::AnyoneAnswers);
        let Some(known) = &mut answer.known else { return answer };
        match self.rule {
            Some(Rule::BaseNotCompared) => {
                mine.starts.iter_mut().for_each(|begun| begun.saves = begun.saves.max(saves));
            }
            Some(Rule::ProcessNotCompared) => {
                let listed = known.boot.checked_sub(mine.first);
                let begun = listed.and_then(|at| mine.starts.get(at as usize));
                known.nonce = begun.map_or(known.nonce, |begun| begun.nonce);
            }
            Some(Rule::StartNotCompared) if known.boot > mine.boot() => {
                let standing = mine.standing(saves);
                (known.boot, known.nonce) = (standing.boot, standing.nonce);
            }
            Some(Rule::DirectoryNotCompared) if known.disk != mine.disk => answer.known = None,
            _ => {}
        }
        answer
    }

    fn verdict(&self, admittance: &mut Admittance, admitted: bool) -> Admission {
        let verdict = admittance.verdict();
        if let Admission::Learns(Until::Answers { .. }) = verdict
            && self.is(Rule::ConfigurationsNotAsked)
        {
            return Admission::Admitted;
        }
        let Admission::Waiting { silent, .. } = &verdict else { return verdict };
        let members = self.scene.members;
        let majority = members - silent.len() > members / 2;
        let enough = match self.rule {
            Some(Rule::MajorityRecords) => !admitted && majority,
            Some(Rule::NobodyAsked) => admitted,
            _ => false,
        };
        if enough { Admission::Admitted } else { verdict }
    }

    /// Goes on with what the disk has come to have, once it is certain how much of the log its snapshot has.
    fn opened(&self, me: usize, mut drive: Drive, fate: Fate, out: &mut Out<Self>) -> Alive {
        let executed = drive.directory.as_ref().map(|it| it.snapshot..=it.log.len() as u8);
        match executed {
            Some(has) if has.start() < has.end() && !matches!(fate, Fate::Snapshot(_)) => {
                if self.scene.snapshots.contains(&me) {
                    out.choose_random("snapshot", has.map(Fate::Snapshot).collect());
                    return Alive { life: Life::Opening, drive };
                }
                drive.directory.iter_mut().for_each(|it| it.snapshot = it.log.len() as u8);
            }
            _ => {}
        }
        self.boot(me as u64, drive, fate == Fate::Alone, out)
    }

    /// Starts with what the disk has come to have.
    fn boot(&self, me: u64, mut drive: Drive, alone: bool, out: &mut Out<Self>) -> Alive {
        let before = drive.directory.clone();
        let mut directory = before.clone().unwrap_or_else(|| {
            drive.directories += 1;
            let mine = Mine { disk: u64::from(drive.directories), ..Mine::default() };
            Directory { mine, alone, ..Directory::default() }
        });
        if directory.alone != alone && !self.is(Rule::ListNotBound) {
            return Alive { life: Life::Away(false), drive };
        }
        drive.starts += 1;
        directory.mine.count_start(Begun { nonce: u64::from(drive.starts), saves: directory.saves });
        if !self.is(Rule::StartNotDurable) || before.is_none() {
            let keeps = self.keeps(me, &drive);
            drive.replace(directory.clone(), keeps);
        }
        let process = Process {
            start: drive.starts,
            memory: Memory::read(directory.known.clone()),
            executed: directory.log.clone(),
            directory,
            order: Order::default(),
            links: BTreeMap::new(),
            standings: BTreeMap::new(),
            counted: BTreeSet::new(),
            learns: false,
            teaches: false,
            answered: BTreeSet::new(),
            heard: BTreeMap::new(),
            rests: BTreeSet::new(),
            takes_part: false,
            abstains: false,
            alone,
        };
        let greet = Say::Greet { start: process.start, standing: process.standing(), alone };
        let mut turn = self.turn(me, process, drive);
        // Alone means at once.
        turn.flushes = true;
        turn.judge(None);
        let life = turn.end(&BTreeSet::new(), out);
        for peer in self.peers(me, alone) {
            out.send(Id::from(peer as usize), greet.clone());
        }
        life
    }

    fn turn(&self, me: u64, process: Process, drive: Drive) -> Turn<'_> {
        Turn { member: self, me, process, drive, answers: Vec::new(), told: None, flushes: false }
    }

    /// A process that has long taken part, as have all others: this is the second start of each, and all have answered it.
    fn running(&self, me: u64, out: &mut Out<Self>) -> Alive {
        let known = Known { disk: 1, boot: 2, nonce: 2, saves: 0 };
        let peers: Vec<u64> = self.peers(me, false).filter(|peer| self.is_first(*peer)).collect();
        let known: BTreeMap<u64, Known> = peers.iter().map(|peer| (*peer, known)).collect();
        let mut directory = Directory {
            mine: Mine { disk: 1, admitted: true, ..Mine::default() },
            known,
            ..Directory::default()
        };
        directory.mine.count_start(Begun { nonce: 1, saves: 0 });
        let mut drive = Drive { starts: 2, directories: 1, ..Drive::default() };
        let keeps = self.keeps(me, &drive);
        drive.replace(directory.clone(), keeps);
        directory.mine.count_start(Begun { nonce: 2, saves: 0 });
        drive.replace(directory.clone(), keeps);
        out.save(drive.clone());
        let process = Process {
            start: 2,
            memory: Memory::read(directory.known.clone()),
            executed: Vec::new(),
            directory,
            order: Order::default(),
            standings: self.standings(&peers),
            counted: BTreeSet::new(),
            learns: false,
            teaches: false,
            links: peers.iter().map(|peer| (*peer, 2)).collect(),
            answered: peers.into_iter().collect(),
            heard: BTreeMap::new(),
            rests: BTreeSet::new(),
            takes_part: true,
            abstains: false,
            alone: false,
        };
        let (start, standing) = (process.start, process.standing());
        for peer in self.peers(me, false) {
            out.send(Id::from(peer as usize), Say::Greet { start, standing, alone: false });
        }
        Alive { life: Life::Up(Box::new(process)), drive }
    }

    /// The contents that the disk of a member may come to have.
    fn fates(&self, me: usize, drive: &Drive) -> Vec<Fate> {
        let mut fates = vec![Fate::Whole];
        let unfailed = drive.faults == 0 && drive.directory.is_some();
        if unfailed && self.scene.cut.contains(&me) {
            fates.extend((1..=drive.past.len() as u8).map(Fate::Back));
        }
        if unfailed && self.scene.wiped.contains(&me) {
            fates.push(Fate::Wiped);
        }
        let aside = drive.was_aside || drive.directory.is_none();
        if !aside && self.scene.elsewhere.contains(&me) {
            fates.push(Fate::Elsewhere);
        }
        if self.scene.alone.contains(&me) {
            fates.push(Fate::Alone);
        }
        fates
    }

    fn greeted(&self, turn: &mut Turn<'_>, peer: u64, start: u8, standing: &Standing, out: &mut Out<Self>) {
        if turn.process.links.get(&peer).is_some_and(|link| *link >= start) {
            return;
        }
        let known = turn.process.memory.known(peer);
        let contradicts = turn.contradicts(peer, standing);
        let contradicted = contradicts.is_some() && !self.is(Rule::RecordsAnother);
        let too_early = self.is(Rule::AnswersBeforeSession) && turn.process.links.contains_key(&peer);
        if contradicted || too_early {
            // It is told so, and nothing else.
            let answer = turn.answer(peer);
            let answer = Answer { known: contradicts.or(answer.known), ..answer };
            out.send(Id::from(peer as usize), Say::Answer { start, answer });
            return;
        }
        turn.process.links.insert(peer, start);
        if self.scene.log.is_some() {
            // What a peer said in an earlier session says nothing in this one.
            turn.process.standings.insert(peer, *standing);
            if !turn.binds(peer, standing) {
                turn.answers.push(peer);
                return;
            }
        }
        if self.is(Rule::RecordsAnother) && known.is_some_and(|known| known.disk != standing.disk) {
            turn.process.directory.known.insert(peer, Known::of(standing));
            turn.process.memory = Memory::read(turn.process.directory.known.clone());
            turn.flush();
        } else if self.is(Rule::GreetingTakenOver) {
            turn.process.memory.rest_on(peer, standing);
        } else {
            turn.process.memory.greet(peer, standing);
        }
        if !turn.process.memory.is_recorded(peer) && !self.is(Rule::RecordsLater) {
            turn.process.order.flush();
        }
        turn.answers.push(peer);
    }

    /// Takes note that something rests on a peer's votes from here on.
    pub(super) fn rest_on(&self, turn: &mut Turn<'_>, peer: u64, standing: &Standing, has: &BTreeSet<u8>) {
        if self.scene.may_fail(peer as usize) {
            turn.process.rests.extend(has.iter().map(|which| (peer, *which)));
        }
        if !turn.binds(peer, standing) {
            return;
        }
        turn.process.memory.rest_on(peer, standing);
        if !turn.process.memory.is_durable(peer) && !self.is(Rule::KnowledgeNotDurable) {
            turn.process.order.owe(Owed::Peer);
        }
    }

    fn voted(turn: &mut Turn<'_>, (value, _): Vote) {
        match turn.process.directory.votes.get(&0) {
            None => {
                turn.vote(0, value);
                turn.told = Some((0, value));
            }
            Some((mine, _)) if *mine == value => turn.told = Some((0, value)),
            Some(_) => {}
        }
    }

    /// Judges an answer, or what was executed, and stops or stays away if it has to. Returns false if it stops.
    pub(super) fn judged(&self, turn: &mut Turn<'_>, heard: Option<(u64, Answer)>) -> bool {
        let took_part = turn.process.takes_part;
        let Some(reason) = turn.judge(heard) else { return true };
        turn.process.heard.clear();
        turn.process.abstains = true;
        let Some(_) = &self.scene.log else { return reason.lack == Lack::Directory };
        (turn.process.learns, turn.process.takes_part) = (false, false);
        turn.process.counted.clear();
        !took_part && reason.known.disk != reason.mine.disk
    }
}

/// True if the log says so, and not a peer. One that takes part is not asked again about that.
fn is_of_log(lack: Lack) -> bool {
    matches!(lack, Lack::Joined | Lack::Begun { .. })
}

impl Actor for Member {
    type Msg = Say;
    type State = Alive;
    type Timer = ();
    type Random = Fate;
    type Storage = Drive;

    fn on_start(&self, id: Id, saved: &Option<Drive>, out: &mut Out<Self>) -> Alive {
        let me = usize::from(id);
        if saved.is_none() && self.scene.running && self.is_first(me as u64) {
            return self.running(me as u64, out);
        }
        let mut drive = saved.clone().unwrap_or_default();
        if drive.aside.is_some() {
            drive.directory = drive.aside.take();
        }
        let fates = self.fates(me, &drive);
        if fates.len() == 1 {
            return self.opened(me, drive, Fate::Whole, out);
        }
        out.choose_random("disk", fates);
        Alive { life: Life::Opening, drive }
    }

    fn on_random(&self, id: Id, state: &mut Cow<'_, Alive>, fate: &Fate, out: &mut Out<Self>) {
        let mut drive = state.drive.clone();
        match fate {
            Fate::Whole | Fate::Alone => {}
            Fate::Back(flushes) => {
                let at = drive.past.len() - usize::from(*flushes);
                drive.directory = drive.past.drain(at..).next();
            }
            Fate::Wiped => drive.directory = None,
            Fate::Elsewhere => {
                drive.aside = drive.directory.take();
                drive.was_aside = true;
            }
            Fate::Snapshot(has) => {
                if let Some(directory) = &mut drive.directory {
                    directory.log.truncate(usize::from(*has));
                    directory.snapshot = *has;
                }
            }
        }
        if matches!(fate, Fate::Back(_) | Fate::Wiped) {
            drive.faults += 1;
            drive.past.clear();
        }
        *state.to_mut() = self.opened(usize::from(id), drive, *fate, out);
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, Alive>, src: Id, say: Say, out: &mut Out<Self>) {
        let (me, peer) = (usize::from(id) as u64, usize::from(src) as u64);
        let Life::Up(process) = &state.life else { return };
        let mut turn = self.turn(me, Process::clone(process), state.drive.clone());
        let before = turn.says();
        let stays = match &say {
            Say::Ask(value) => {
                turn.asked(*value);
                self.executed(&mut turn, process.executed.len())
            }
            Say::Greet { start, standing, alone } => {
                if process.alone == *alone || self.is(Rule::ListsTalk) {
                    self.greeted(&mut turn, peer, *start, standing, out);
                }
                true
            }
            Say::Answer { start, answer } => {
                process.start != *start || {
                    turn.process.answered.insert(peer);
                    self.judged(&mut turn, Some((peer, *answer)))
                }
            }
            Say::Vote { from, to, standing, place, vote, has, .. } => {
                let log = self.scene.log.as_ref();
                let is_open = log.is_none_or(|log| log.is_open(usize::from(*place), process.executed.len()));
                if is_open && turn.steps(peer, *from, *to, standing, true) {
                    self.rest_on(&mut turn, peer, standing, has);
                    match &self.scene.log {
                        None => Self::voted(&mut turn, *vote),
                        Some(log) => turn.counts(log, peer, *place, vote.0),
                    }
                }
                self.executed(&mut turn, process.executed.len())
            }
            Say::Join { from, to, standing } => {
                if let Some(place) = turn.lets_join(peer)
                    && turn.steps(peer, *from, *to, standing, false)
                {
                    self.rest_on(&mut turn, peer, standing, &BTreeSet::new());
                    turn.joins(place, standing);
                }
                self.executed(&mut turn, process.executed.len())
            }
            Say::Chosen { from, to, standing, log, has, .. } => {
                let is_more = log.len() > process.executed.len();
                if is_more && turn.steps(peer, *from, *to, standing, true) {
                    self.rest_on(&mut turn, peer, standing, has);
                    turn.is_told(log);
                }
                self.executed(&mut turn, process.executed.len())
            }
            Say::Told(..) => true,
        };
        if !stays {
            *state.to_mut() = Alive { life: Life::Away(true), drive: turn.drive };
            return;
        }
        let after = turn.end(&before, out);
        if after != **state {
            *state.to_mut() = after;
        }
    }
}
