//! The part of a member that comes with a log: what it hears, counts and executes where members change, as the loop of `synod-runtime` and the roles do.
//!
//! At each place of the log those who govern there vote once, durably: for a value for which a client asks, or for the directory of one that wants to join. A member
//! votes and counts only at places whose members it knows (M1), and executes what a majority of them has voted for, or what it is told. What it has executed since
//! its last flush is lost at a crash; of the rest the snapshot has some, or all.
//!
//! Left out of the loop, beside what [`member`](super::member) lists:
//!
//! - *Questions.* Whoever has executed more says so in each session, unasked.
//! - *A second record.* A directory that comes to be admitted in a session is recorded when something rests on it, and not when it says so.
//! - *The wait for a first configuration.* A process knows at once what its snapshot has.
//! - *What is heard of a new directory of the beginning that others have changed without* ([`Lack::Begun`](synod_admission::Lack::Begun)) is a wait here, since it may end.

use super::log::{Entry, Log};
use super::member::{Member, Turn};
use super::process::Word;
use super::rules::Rule;
use std::collections::{BTreeMap, BTreeSet};
use synod_admission::{Admittance, Known, Mine, Standing};

impl Turn<'_> {
    fn log(&self) -> Option<&Log> {
        self.member.scene.log.as_ref()
    }

    /// The number of the last configuration that it has executed.
    pub(super) fn number(&self) -> u64 {
        self.log().map_or(0, |log| log.number(self.process.executed.len()))
    }

    /// To whom it says what. Until the log names a directory of its id, it wants to join.
    pub(super) fn says(&self) -> BTreeSet<(u64, u8, Word)> {
        let joins = |log: &Log| log.members(self.me, &self.process.executed).directory.is_none();
        let joins = !self.member.is_first(self.me) && self.log().is_some_and(joins);
        self.process.says(self.member.rule, joins)
    }

    /// The rule, before anything was heard.
    pub(super) fn admittance(&self, mine: Mine) -> Admittance {
        let Some(log) = self.log() else {
            return Admittance::new(mine, self.member.peers(self.me, self.process.alone));
        };
        let mut members = log.members(self.me, &self.process.executed);
        if !self.member.is_first(self.me) {
            match self.member.rule {
                Some(Rule::JoinsUnasked) => members.directory = members.directory.or(Some(mine.disk)),
                Some(Rule::AnotherJoined) => members.directory = members.directory.map(|_| mine.disk),
                _ => {}
            }
        }
        if self.is(Rule::LatestAlone) {
            members.configurations.drain(..members.configurations.len() - 1);
        }
        let mut admittance = Admittance::changing(mine, self.me, 0..log.first);
        admittance.configure(members);
        admittance
    }

    /// True if a directory is to be recorded, as the transport says it.
    pub(super) fn binds(&self, peer: u64, standing: &Standing) -> bool {
        let both_first = self.member.is_first(self.me) && self.member.is_first(peer);
        self.log().is_none() || standing.admitted || both_first || self.is(Rule::RecordsNew)
    }

    /// The knowledge that a start of a peer cannot follow, as the transport finds it.
    pub(super) fn contradicts(&self, peer: u64, new: &Standing) -> Option<Known> {
        let now = self.process.standings.get(&peer);
        let gives_way = |now: &Standing| !self.binds(peer, now) && new.admitted && new.disk != now.disk;
        let now = now.filter(|now| !gives_way(now) || self.is(Rule::GivesNoWay)).map(Known::of);
        let known = self.process.memory.known(peer);
        [known, now].into_iter().flatten().find(|known| !known.admits(new))
    }

    /// Takes note that a peer has said whether its directory was admitted.
    pub(super) fn note_admitted(&mut self, peer: u64, admitted: bool) {
        if let Some(standing) = self.process.standings.get_mut(&peer) {
            standing.admitted |= admitted;
        }
    }

    /// True if it steps a message of a peer in this session. Of a directory that was never admitted it hears only that it wants to join.
    pub(super) fn steps(&mut self, peer: u64, from: u8, to: u8, standing: &Standing, counts: bool) -> bool {
        let steps = self.process.steps(peer, from, to, self.member.rule);
        let is_new = self.log().is_some() && counts && !standing.admitted;
        if !steps || is_new {
            return false;
        }
        self.note_admitted(peer, standing.admitted);
        true
    }

    /// Votes at a place where it governs and has not voted.
    fn votes(&mut self, log: &Log, place: usize, value: u8) {
        let speaks = self.process.speaks(self.member.rule);
        let is_open = log.is_open(place, self.process.executed.len());
        let has = self.process.directory.votes.contains_key(&(place as u8));
        if speaks && is_open && !has && log.governs(place).contains(&self.me) {
            self.vote(place as u8, value);
        }
    }

    /// Takes a client's question.
    pub(super) fn asked(&mut self, value: u8) {
        let Some(log) = self.log().cloned() else {
            if self.process.takes_part && self.process.directory.votes.is_empty() {
                self.vote(0, value);
                // Alone it is a majority.
                self.told = self.process.alone.then_some((0, value));
            }
            return;
        };
        let governs =
            |place: &usize| log.entries[*place] == Entry::Value && log.governs(*place).contains(&self.me);
        let open = |place: &usize| log.is_open(*place, self.process.executed.len());
        if let Some(place) = (0..log.entries.len()).filter(open).find(governs) {
            self.votes(&log, place, value);
        }
    }

    /// True if a wish to join has an effect.
    pub(super) fn lets_join(&self, peer: u64) -> Option<usize> {
        let log = self.log()?;
        let place = log.joins(peer)?;
        let has = self.process.directory.votes.contains_key(&(place as u8));
        let governs = log.governs(place).contains(&self.me) && self.process.takes_part;
        (governs && !has && log.is_open(place, self.process.executed.len())).then_some(place)
    }

    /// Takes a wish to join.
    pub(super) fn joins(&mut self, place: usize, standing: &Standing) {
        if let Some(log) = self.log().cloned() {
            self.votes(&log, place, standing.disk as u8);
        }
    }

    /// Counts a peer's vote, and votes likewise if it has not voted.
    pub(super) fn counts(&mut self, log: &Log, peer: u64, place: u8, value: u8) {
        if log.governs(usize::from(place)).contains(&peer) {
            self.process.counted.insert((place, peer, value));
            self.votes(log, usize::from(place), value);
        }
    }

    /// Is told what was chosen.
    pub(super) fn is_told(&mut self, chosen: &[u8]) {
        let more = chosen.iter().skip(self.process.executed.len());
        self.process.executed.extend(more);
    }

    /// Executes what is chosen as far as it has counted.
    fn execute(&mut self, log: &Log) {
        loop {
            let place = self.process.executed.len();
            if place >= log.entries.len() {
                break;
            }
            let governs = log.governs(place);
            let mut votes: BTreeMap<u8, BTreeSet<u64>> = BTreeMap::new();
            let mine = self.process.directory.votes.get(&(place as u8)).map(|vote| (self.me, vote.0));
            let counted = self.process.counted.iter().filter(|(at, _, _)| usize::from(*at) == place);
            for (who, value) in counted.map(|(_, who, value)| (*who, *value)).chain(mine) {
                votes.entry(value).or_default().extend(governs.contains(&who).then_some(who));
            }
            let Some(chosen) = votes.into_iter().find(|(_, who)| who.len() > governs.len() / 2) else {
                break;
            };
            self.process.executed.push(chosen.0);
            if log.entries[place] == Entry::Value && self.process.takes_part {
                self.told = Some((place as u8, chosen.0));
            }
        }
        let executed = self.process.executed.len();
        self.process.counted.retain(|(place, _, _)| usize::from(*place) >= executed);
    }
}

impl Member {
    /// True if the cluster began with this id.
    pub(super) fn is_first(&self, id: u64) -> bool {
        self.scene.log.as_ref().is_none_or(|log| id < log.first)
    }

    /// The standings of peers that have long taken part.
    pub(super) fn standings(&self, peers: &[u64]) -> BTreeMap<u64, Standing> {
        let at = Standing { disk: 1, boot: 2, nonce: 2, saves: 0, admitted: true };
        self.scene.log.iter().flat_map(|_| peers.iter().map(|peer| (*peer, at))).collect()
    }

    /// Executes what a message has made known, and is judged anew if it has. Returns false if it stops.
    pub(super) fn executed(&self, turn: &mut Turn<'_>, before: usize) -> bool {
        let Some(log) = self.scene.log.as_ref().filter(|_| turn.process.hears()) else { return true };
        turn.execute(log);
        let executed = turn.process.executed.len();
        if executed == before {
            return true;
        }
        if log.number(executed) != log.number(before) {
            turn.answers.extend(turn.process.links.keys());
        }
        self.judged(turn, None)
    }
}
