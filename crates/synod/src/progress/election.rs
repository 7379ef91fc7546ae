//! The election: whom each member takes for the leader, and so which process begins ballots (PMS §2.4, §3). Nothing here is
//! needed for safety: if several members take themselves for the leader, or none does, Paxos is only slower.
//!
//! Each member follows the first of the members that it does not suspect. A member that follows itself leads: it sends
//! heartbeats, and after a hold-off it may begin ballots. A member that follows another and does not hear of it for a while
//! suspects it. A heartbeat of a suspected member shows that the suspicion was wrong. Then the next suspicion takes longer, so
//! that timers become accurate once messages take a bounded time, however long. Durations are drawn from ranges, so that not all
//! members suspect at once.
//!
//! **Backing.** A leader that is heard but hears nobody would keep all others from following one that could lead, and two leaders
//! that do not hear each other would duel at a third member. So where the members are the acceptors ([`Election::backing`]) three
//! rules are added. First, followers answer each heartbeat, and a member may begin ballots only if a quorum follows it. Second, a
//! leader that no quorum answers for a while suspects *itself*, falls silent, and follows the next member. A member that suspects
//! all starts again with the first one, but leaves itself out as long as it has heard of no other since, so that a deaf member
//! does not draw others to itself a second time. Third, a heartbeat says whether a quorum follows its sender. A follower of such
//! a leader stays with it, whichever member comes back or comes first in order, and all others go over to it. So at most one
//! member has a quorum that stays; a quorum whose members hear each other is led by one of its own; and a leader that falls
//! silent again and again, as one with a slow disk does, is not followed again as long as another leads. (Check-quorum of Raft:
//! Ongaro's dissertation, §6.2; quorum-connected leaders: Ng et al., *Omni-Paxos*, `EuroSys` 2023, §4.)
//!
//! Proposers and servers whose cluster has an [`Election`] run it beside their ballots, and `retry` asks it before it begins one.
//! [`crate::Elector`] runs the same functions by themselves, as an actor.

use crate::effects::Effects;
use crate::election::{Beat, Election, ElectionState, ElectionTimer};
use crate::message::{Msg, Timer};
use stateright::actor::Id;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// The outputs of a member: its messages and timers.
pub(crate) trait Beats {
    fn say(&mut self, to: Id, beat: Beat);
    fn set(&mut self, timer: ElectionTimer, after: Range<Duration>);
    fn cancel(&mut self, timer: ElectionTimer);
}

/// Each function leaves messages and timers in `out`, and returns the next state if it is another.
impl Election {
    /// Those that are members at present, with their places.
    fn placed(&self) -> impl Iterator<Item = (usize, Id)> + '_ {
        let counts = |id: Id| self.among.is_none_or(|among| among.contains(usize::from(id)));
        self.members.iter().copied().enumerate().filter(move |(_, id)| counts(*id))
    }

    fn place(&self, id: Id) -> Option<usize> {
        self.placed().find(|(_, member)| *member == id).map(|(place, _)| place)
    }

    /// The places of those that are no members at present.
    fn absent(&self) -> BTreeSet<usize> {
        let present: BTreeSet<usize> = self.placed().map(|(place, _)| place).collect();
        (0..self.members.len()).filter(|place| !present.contains(place)).collect()
    }

    /// The beliefs of a process that starts: it suspects nobody who is a member.
    pub(crate) fn first(&self) -> ElectionState {
        ElectionState { suspected: self.absent(), ..ElectionState::default() }
    }

    fn followed(&self, state: &ElectionState) -> Option<usize> {
        state.followed(self.members.len())
    }

    /// The member that a process follows. `None` if that is itself, or one that no quorum is known to follow: two that follow
    /// each other would send clients to and fro.
    pub(crate) fn leader(&self, me: Id, state: &ElectionState) -> Option<Id> {
        let followed = self.followed(state).filter(|_| self.backing.is_none() || state.backed);
        followed.map(|place| self.members[place]).filter(|leader| *leader != me)
    }

    /// A process starts, or comes back. One that is no member does nothing.
    pub(crate) fn start(&self, me: Id, state: &ElectionState, out: &mut impl Beats) {
        if let Some(me) = self.place(me) {
            self.follow_or_lead(me, state, out);
        }
    }

    /// A heartbeat or an answer to one arrives.
    pub(crate) fn on_beat(
        &self,
        (me, from): (Id, Id),
        state: &ElectionState,
        beat: Beat,
        out: &mut impl Beats,
    ) -> Option<ElectionState> {
        let (me, from, followed) = (self.place(me)?, self.place(from)?, self.followed(state)?);
        if from == me {
            return None;
        }
        let hears = self.backing.is_some() && !state.heard && state.suspected.contains(&me);
        let state = if hears {
            Cow::Owned(ElectionState { heard: true, ..state.clone() })
        } else {
            Cow::Borrowed(state)
        };
        let next = match beat {
            Beat::Follow => self.on_follow(me, from, &state, out),
            Beat::Heartbeat { backed } => self.on_heartbeat(me, from, followed, &state, backed, out),
            Beat::Cede(heir) => {
                let heir = self.place(heir).filter(|heir| from == followed && *heir != from);
                heir.map(|heir| self.go_over(me, from, heir, &state, out))
            }
        };
        next.or_else(|| hears.then(|| state.into_owned()))
    }

    /// A leader hands leadership to another member, and tells all. Others go over to that one, so that it has a quorum as soon as they have heard its
    /// first heartbeat. If it does not come to lead, they suspect it after a while, as they would any leader.
    pub(crate) fn cede(
        &self,
        me: Id,
        state: &ElectionState,
        heir: Id,
        out: &mut impl Beats,
    ) -> Option<ElectionState> {
        let (me, heir) = (self.place(me)?, self.place(heir)?);
        if self.followed(state) != Some(me) || heir == me {
            return None;
        }
        for (_, member) in self.placed().filter(|(place, _)| *place != me) {
            out.say(member, Beat::Cede(self.members[heir]));
        }
        Some(self.go_over(me, me, heir, state, out))
    }

    /// Follows the heir of a leader.
    fn go_over(
        &self,
        me: usize,
        leader: usize,
        heir: usize,
        state: &ElectionState,
        out: &mut impl Beats,
    ) -> ElectionState {
        let mut next =
            ElectionState { backed: false, ready: false, followers: BTreeSet::new(), ..state.clone() };
        next.suspected.extend((0..heir).chain([leader]));
        next.suspected.remove(&heir);
        next.heard = next.suspected.contains(&me);
        self.follow_or_lead(me, &next, out);
        next
    }

    /// Members have changed. A member goes on to follow the one that it follows, if that one stays, and else the next. One that is new starts.
    pub(crate) fn changed(
        &self,
        before: &Election,
        me: Id,
        state: &ElectionState,
        out: &mut impl Beats,
    ) -> ElectionState {
        let was_member = before.place(me).is_some();
        let Some(me) = self.place(me) else {
            if was_member {
                out.cancel(ElectionTimer::Beat);
                out.cancel(ElectionTimer::Suspect);
                out.cancel(ElectionTimer::HoldOff);
            }
            return self.first();
        };
        let stays = self.followed(state).filter(|place| was_member && self.holds(*place));
        let mut next = ElectionState { suspected: self.absent(), ..state.clone() };
        next.suspected.extend(state.suspected.iter().filter(|place| before.holds(**place)));
        if let Some(followed) = stays {
            // Those that are new and come first in order are not followed as long as this one is.
            next.suspected.extend(0..followed);
            if followed == me && !next.ready {
                self.follow_or_lead(me, &next, out);
            }
            return next;
        }
        if self.followed(&next).is_none() {
            next.suspected = self.absent();
        }
        (next.ready, next.backed) = (false, false);
        next.followers.clear();
        self.follow_or_lead(me, &next, out);
        next
    }

    fn holds(&self, place: usize) -> bool {
        self.placed().any(|(present, _)| present == place)
    }

    fn on_heartbeat(
        &self,
        me: usize,
        from: usize,
        followed: usize,
        state: &ElectionState,
        backed: bool,
        out: &mut impl Beats,
    ) -> Option<ElectionState> {
        // A member behind the followed one will hear of that one and follow it too, unless a quorum follows it already.
        let is_content = self.backing.is_some() && if followed == me { state.ready } else { state.backed };
        if from != followed && (is_content || !backed && from > followed) {
            return None;
        }
        if self.backing.is_some() {
            out.say(self.members[from], Beat::Follow);
        }
        if from == followed {
            self.wait(state, out);
            return (state.backed != backed).then(|| ElectionState { backed, ..state.clone() });
        }
        let mut next = ElectionState { backed, ready: false, followers: BTreeSet::new(), ..state.clone() };
        if next.suspected.remove(&from) {
            next.doubled = self.pace.doublings.min(next.doubled + 1);
        }
        next.suspected.extend(0..from);
        next.heard = next.suspected.contains(&me);
        self.follow_or_lead(me, &next, out);
        Some(next)
    }

    /// Counts a follower. The follower that makes a quorum starts the hold-off.
    fn on_follow(
        &self,
        me: usize,
        from: usize,
        state: &ElectionState,
        out: &mut impl Beats,
    ) -> Option<ElectionState> {
        self.backing.as_ref()?;
        // The answer came too late: the next suspicion takes longer.
        if state.suspected.contains(&me) && state.doubled < self.pace.doublings {
            return Some(ElectionState { doubled: state.doubled + 1, ..state.clone() });
        }
        if self.followed(state) != Some(me) || state.followers.contains(&from) {
            return None;
        }
        let had = self.is_backed(me, state);
        let mut next = state.clone();
        next.followers.insert(from);
        if !had && !next.ready && self.is_backed(me, &next) {
            out.set(ElectionTimer::HoldOff, self.pace.hold_off.clone());
        }
        Some(next)
    }

    /// A timer runs out.
    pub(crate) fn on_timer(
        &self,
        me: Id,
        state: &ElectionState,
        timer: ElectionTimer,
        out: &mut impl Beats,
    ) -> Option<ElectionState> {
        let (me, followed) = (self.place(me)?, self.followed(state)?);
        let mut next = state.clone();
        match timer {
            ElectionTimer::Beat if followed == me => {
                self.beat(me, state, out);
                return None;
            }
            ElectionTimer::HoldOff if followed == me && self.is_backed(me, state) => {
                next.ready = true;
                if self.backing.is_some() {
                    self.beat(me, &next, out);
                }
            }
            ElectionTimer::Suspect
                if followed == me && self.is_backed(me, state) && self.backing.is_some() =>
            {
                self.wait(state, out);
                // A member that still holds off keeps its followers. Otherwise it would lose them at every count, and never come
                // to begin a ballot.
                if !state.ready {
                    return None;
                }
                next.followers.clear();
            }
            ElectionTimer::Suspect if followed != me || self.backing.is_some() => {
                next.suspected.insert(followed);
                next.heard &= followed != me;
                (next.ready, next.backed) = (false, false);
                next.followers.clear();
                if self.followed(&next).is_none() {
                    self.begin_anew(me, &mut next, out);
                }
                self.follow_or_lead(me, &next, out);
            }
            _ => return None,
        }
        Some(next)
    }

    /// No member is left to follow: each gets another chance. A member that has heard of no other since it suspected itself
    /// leaves itself out, since it may be deaf. The others still hear those that are silent for this reason, so they are not.
    fn begin_anew(&self, me: usize, next: &mut ElectionState, out: &mut impl Beats) {
        next.suspected = self.absent();
        if next.heard {
            next.heard = false;
            return;
        }
        next.suspected.insert(me);
        for (_, member) in self.placed().filter(|(place, _)| *place != me) {
            out.say(member, Beat::Follow);
        }
    }

    /// True if a quorum follows a member that follows itself, as far as it knows.
    fn is_backed(&self, me: usize, state: &ElectionState) -> bool {
        let index = |place: usize| self.among.map_or(place, |_| usize::from(self.members[place]));
        let followers = || state.followers.iter().copied().chain([me]).map(index).collect();
        self.backing.as_ref().is_none_or(|quorums| {
            let followers = followers();
            quorums.is_phase1(followers) && quorums.is_phase2(followers)
        })
    }

    /// Starts to lead if it follows itself, or to wait for its leader if it follows another.
    fn follow_or_lead(&self, me: usize, state: &ElectionState, out: &mut impl Beats) {
        if self.followed(state) == Some(me) {
            if self.backing.is_some() {
                self.wait(state, out);
            } else {
                out.cancel(ElectionTimer::Suspect);
            }
            if self.is_backed(me, state) {
                out.set(ElectionTimer::HoldOff, self.pace.hold_off.clone());
            }
            self.beat(me, state, out);
        } else {
            out.cancel(ElectionTimer::Beat);
            out.cancel(ElectionTimer::HoldOff);
            self.wait(state, out);
        }
    }

    /// Without backing, only the members behind the leader wait for it: each one before it follows itself or one further ahead.
    fn beat(&self, me: usize, state: &ElectionState, out: &mut impl Beats) {
        let is_for_all = self.backing.is_some();
        for (place, member) in self.placed() {
            if place > me || is_for_all && place < me {
                out.say(member, Beat::Heartbeat { backed: is_for_all && state.ready });
            }
        }
        out.set(ElectionTimer::Beat, self.pace.beat.clone());
    }

    fn wait(&self, state: &ElectionState, out: &mut impl Beats) {
        out.set(ElectionTimer::Suspect, doubled(&self.pace.suspect, state.doubled));
    }
}

/// A range of durations, doubled `times` times.
pub(crate) fn doubled(range: &Range<Duration>, times: u32) -> Range<Duration> {
    let factor = 2_u32.saturating_pow(times);
    range.start.saturating_mul(factor)..range.end.saturating_mul(factor)
}

impl Beats for Effects {
    fn say(&mut self, to: Id, beat: Beat) {
        self.send(to, Msg::Beat(beat));
    }
    fn set(&mut self, timer: ElectionTimer, after: Range<Duration>) {
        self.set_timer(Timer::Election(timer), after);
    }
    fn cancel(&mut self, timer: ElectionTimer) {
        self.cancel_timer(Timer::Election(timer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::Pace;
    use crate::quorum::{AcceptorSet, QuorumRule, Quorums};

    #[derive(Default)]
    struct Said(Vec<String>);

    impl Beats for Said {
        fn say(&mut self, to: Id, beat: Beat) {
            self.0.push(format!("{beat:?} to {}", usize::from(to)));
        }
        fn set(&mut self, timer: ElectionTimer, _: Range<Duration>) {
            self.0.push(format!("{timer:?}"));
        }
        fn cancel(&mut self, timer: ElectionTimer) {
            self.0.push(format!("no {timer:?}"));
        }
    }

    /// The election of these, of five processes.
    fn among(members: &[usize]) -> Election {
        let any = Duration::ZERO..Duration::ZERO;
        let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 2 };
        let among: AcceptorSet = members.iter().copied().collect();
        let quorums = Quorums::new(5, QuorumRule::Majority, QuorumRule::Majority);
        let backing = quorums.and_then(|quorums| quorums.among(among)).expect("majorities meet");
        Election { members: (0..5).map(Id::from).collect(), among: Some(among), backing: Some(backing), pace }
    }

    fn state(suspected: &[usize], followers: &[usize]) -> ElectionState {
        let all = |places: &[usize]| places.iter().copied().collect();
        ElectionState { suspected: all(suspected), followers: all(followers), ..ElectionState::default() }
    }

    /// What becomes of a member when others are members.
    fn changed(
        from: &[usize],
        to: &[usize],
        me: usize,
        state: &ElectionState,
    ) -> (ElectionState, Vec<String>) {
        let mut said = Said::default();
        let next = among(to).changed(&among(from), me.into(), state, &mut said);
        (next, said.0)
    }

    const FOLLOWS: [&str; 3] = ["no Beat", "no HoldOff", "Suspect"];

    fn quiet(next: ElectionState) -> (ElectionState, Vec<String>) {
        (next, Vec::new())
    }

    fn says(next: ElectionState, said: &[&str]) -> (ElectionState, Vec<String>) {
        (next, said.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn one_that_leaves_stops_and_one_that_comes_begins() {
        let stops = ["no Beat", "no Suspect", "no HoldOff"];
        let leads = ElectionState { ready: true, ..state(&[3, 4], &[1]) };
        assert_eq!(changed(&[0, 1, 2], &[1, 2], 0, &leads), says(state(&[0, 3, 4], &[]), &stops));
        let no_member = state(&[3, 4], &[]);
        assert_eq!(changed(&[0, 1, 2], &[1, 2], 3, &no_member), quiet(state(&[0, 3, 4], &[])));
        assert_eq!(changed(&[0, 1, 2], &[0, 1, 2, 3], 3, &no_member), says(state(&[4], &[]), &FOLLOWS));
    }

    #[test]
    fn the_one_that_is_followed_stays_so_and_what_is_known_of_the_others_stays() {
        let follows = |suspected: &[usize]| ElectionState { backed: true, ..state(suspected, &[]) };
        // One that is new comes first in order, or later.
        assert_eq!(changed(&[1, 2, 4], &[0, 1, 2, 4], 2, &follows(&[0, 3])), quiet(follows(&[0, 3])));
        assert_eq!(changed(&[0, 1], &[0, 1, 2], 1, &follows(&[2, 3, 4])), quiet(follows(&[3, 4])));
        // One that is suspected is suspected still.
        assert_eq!(changed(&[0, 1, 2], &[0, 1, 2, 3], 2, &follows(&[1, 3, 4])), quiet(follows(&[1, 4])));
    }

    #[test]
    fn a_leader_goes_on_and_holds_off_if_those_that_remain_follow_it() {
        let leads = |ready, suspected: &[usize]| ElectionState { ready, ..state(suspected, &[1]) };
        let holds_off = ["Suspect", "HoldOff", "Heartbeat to 1", "Beat"];
        let (before, after) = (&[0, 1, 2, 3], &[0, 1]);
        assert_eq!(
            changed(before, after, 0, &leads(false, &[4])),
            says(leads(false, &[2, 3, 4]), &holds_off)
        );
        assert_eq!(changed(before, after, 0, &leads(true, &[4])), quiet(leads(true, &[2, 3, 4])));
    }

    #[test]
    fn the_next_that_is_not_suspected_is_followed_when_the_one_that_was_has_left() {
        let follows = |suspected: &[usize]| ElectionState { backed: true, ..state(suspected, &[]) };
        let next = changed(&[0, 1, 2], &[1, 2], 2, &follows(&[3, 4]));
        assert_eq!(next, says(state(&[0, 3, 4], &[]), &FOLLOWS));
        let leads = ["Suspect", "Heartbeat to 1", "Heartbeat to 3", "Beat"];
        let next = changed(&[0, 1, 2, 3], &[1, 2, 3], 2, &follows(&[1, 4]));
        assert_eq!(next, says(state(&[0, 1, 4], &[]), &leads));
        // If all are suspected, each gets another chance.
        let next = changed(&[0, 1, 2], &[1, 2], 1, &follows(&[1, 2, 3, 4]));
        assert_eq!(next, says(state(&[0, 3, 4], &[]), &["Suspect", "Heartbeat to 2", "Beat"]));
    }

    #[test]
    fn only_one_that_leads_hands_leadership_over_and_to_another_member() {
        let election = among(&[0, 1, 2]);
        let cede = |me: usize, state: &ElectionState, heir: usize| {
            let mut said = Said::default();
            let next = election.cede(me.into(), state, heir.into(), &mut said);
            (next, said.0)
        };
        let leads = ElectionState { ready: true, backed: true, ..state(&[3, 4], &[1, 2]) };
        let follows = ["Cede(2) to 1", "Cede(2) to 2", "no Beat", "no HoldOff", "Suspect"];
        let next = ElectionState { heard: true, ..state(&[0, 1, 3, 4], &[]) };
        assert_eq!(cede(0, &leads, 2), (Some(next.clone()), says(next, &follows).1));
        for (me, heir) in [(0, 0), (0, 3), (1, 2), (3, 1)] {
            assert_eq!(cede(me, &leads, heir), (None, Vec::new()), "{me} to {heir}");
        }
    }

    #[test]
    fn the_heir_of_the_one_that_is_followed_is_followed_and_no_other() {
        let election = among(&[0, 1, 2]);
        let hears = |me: usize, from: usize, heir: usize| {
            let (mut said, state) = (Said::default(), ElectionState { backed: true, ..state(&[3, 4], &[]) });
            let next = election.on_beat((me.into(), from.into()), &state, Beat::Cede(heir.into()), &mut said);
            (next, said.0)
        };
        let suspects = state(&[0, 3, 4], &[]);
        assert_eq!(hears(2, 0, 1), (Some(suspects.clone()), says(suspects.clone(), &FOLLOWS).1));
        let leads = ["Suspect", "Heartbeat to 0", "Heartbeat to 2", "Beat"];
        assert_eq!(hears(1, 0, 1), (Some(suspects.clone()), says(suspects, &leads).1));
        // It does not follow that one, the one that it follows names itself, or one that is no member.
        for (from, heir) in [(1, 2), (1, 0), (0, 0), (0, 3)] {
            assert_eq!(hears(2, from, heir), (None, Vec::new()), "{from} names {heir}");
        }
    }

    #[test]
    fn one_that_is_no_member_is_not_followed_and_does_not_begin() {
        let election = among(&[1, 2]);
        assert_eq!(election.first(), state(&[0, 3, 4], &[]));
        for (me, begins) in [(0, false), (1, true), (2, true), (3, false)] {
            let mut said = Said::default();
            election.start(me.into(), &election.first(), &mut said);
            assert_eq!(!said.0.is_empty(), begins, "{me}");
        }
    }
}
