//! Progress only: whom each server takes for the leader, and so who begins ballots (PMS §2.4, §3). Nothing here is needed for
//! safety: several may take themselves for it at once, or nobody, and Paxos is only slower.
//!
//! Everyone follows the first of the members that it does not suspect. Who follows itself leads: it sends heartbeats, and
//! after a hold-off it may begin ballots. Whoever follows another and does not hear of it for a while suspects it. A heartbeat
//! of a suspected one shows that the suspicion was wrong; then the next one takes longer, so that timers become accurate
//! once messages take a bounded time, however long. Durations are drawn from ranges, so that not all suspect at once.
//!
//! Proposers and servers whose cluster has an [`Election`] run it beside their ballots; `retry` asks it before it begins one.
//! [`Elector`] runs the very same functions by themselves, as an actor.

use crate::effects::Effects;
use crate::message::{Msg, Timer};
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

/// A leader says that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Heartbeat;

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ElectionTimer {
    /// A leader's next heartbeat is due.
    Beat,
    /// Nothing was heard of the one it follows for too long.
    Suspect,
    /// The hold-off of a new leader is over.
    HoldOff,
}

/// How often, and how long. Means nothing to a model, whose timers run out at any moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Between two heartbeats.
    pub beat: Range<Duration>,
    /// How long nothing must be heard of the one that is followed; doubled for each suspicion that was wrong.
    pub suspect: Range<Duration>,
    /// How long a new leader holds off, so that an old one's ballot can end.
    pub hold_off: Range<Duration>,
    /// How often at most the time before a suspicion is doubled.
    pub doublings: u32,
}

/// What a member believes. All of it is volatile: who comes back suspects nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ElectionState {
    /// Members that were not heard of for too long, by their place; never itself.
    pub suspected: BTreeSet<usize>,
    /// How often the time before a suspicion was doubled.
    pub doubled: u32,
    /// Whether it leads and its hold-off is over, so that it may begin ballots.
    pub ready: bool,
}

/// Who may lead, and when who does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// All members; the first that is not suspected is followed.
    pub members: Vec<Id>,
    /// How often, and how long.
    pub pace: Pace,
}

/// A member of an election, and nothing else.
#[derive(Clone, Debug)]
pub struct Elector(pub Election);

/// Where a member's heartbeats go, and its timers.
pub(crate) trait Beats {
    fn beat(&mut self, to: Id);
    fn set(&mut self, timer: ElectionTimer, after: Range<Duration>);
    fn cancel(&mut self, timer: ElectionTimer);
}

impl ElectionState {
    /// The place of the member that is followed, out of so many: the first that is not suspected.
    pub fn followed(&self, members: usize) -> Option<usize> {
        (0..members).find(|member| !self.suspected.contains(member))
    }
}

/// Each event leaves its heartbeats and timers in `out`, and gives the state that comes after it, if it is another.
impl Election {
    fn place(&self, id: Id) -> Option<usize> {
        self.members.iter().position(|member| *member == id)
    }

    fn followed(&self, state: &ElectionState) -> Option<usize> {
        state.followed(self.members.len())
    }

    /// Whom a process follows, unless that is itself.
    pub(crate) fn leader(&self, me: Id, state: &ElectionState) -> Option<Id> {
        self.followed(state).map(|place| self.members[place]).filter(|leader| *leader != me)
    }

    /// A process starts, or comes back. Who is no member takes no part.
    pub(crate) fn start(&self, me: Id, state: &ElectionState, out: &mut impl Beats) {
        if let Some(me) = self.place(me) {
            self.begin(me, state, out);
        }
    }

    /// A heartbeat arrives.
    pub(crate) fn on_heartbeat(
        &self,
        (me, from): (Id, Id),
        state: &ElectionState,
        out: &mut impl Beats,
    ) -> Option<ElectionState> {
        let (me, from, followed) = (self.place(me)?, self.place(from)?, self.followed(state)?);
        // Who comes after the one that is followed will hear of that one, and follow it too.
        if from > followed || from == me {
            return None;
        }
        if from == followed {
            self.wait(state, out);
            return None;
        }
        let mut next = state.clone();
        next.suspected.remove(&from);
        next.doubled = self.pace.doublings.min(next.doubled + 1);
        next.ready = false;
        self.begin(me, &next, out);
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
                self.beat(me, out);
                return None;
            }
            ElectionTimer::HoldOff if followed == me => next.ready = true,
            ElectionTimer::Suspect if followed != me => {
                next.suspected.insert(followed);
                self.begin(me, &next, out);
            }
            _ => return None,
        }
        Some(next)
    }

    /// Begins to lead if it follows itself, and to wait for its leader if it follows another.
    fn begin(&self, me: usize, state: &ElectionState, out: &mut impl Beats) {
        if self.followed(state) == Some(me) {
            out.cancel(ElectionTimer::Suspect);
            out.set(ElectionTimer::HoldOff, self.pace.hold_off.clone());
            self.beat(me, out);
        } else {
            out.cancel(ElectionTimer::Beat);
            out.cancel(ElectionTimer::HoldOff);
            self.wait(state, out);
        }
    }

    /// Only those that come after it wait for it: whoever comes before follows itself or one that comes before it.
    fn beat(&self, me: usize, out: &mut impl Beats) {
        for member in self.members.iter().skip(me + 1) {
            out.beat(*member);
        }
        out.set(ElectionTimer::Beat, self.pace.beat.clone());
    }

    fn wait(&self, state: &ElectionState, out: &mut impl Beats) {
        out.set(ElectionTimer::Suspect, doubled(&self.pace.suspect, state.doubled));
    }
}

/// A range of durations, doubled so often.
pub(crate) fn doubled(range: &Range<Duration>, times: u32) -> Range<Duration> {
    let factor = 2_u32.saturating_pow(times);
    range.start.saturating_mul(factor)..range.end.saturating_mul(factor)
}

impl Beats for Effects {
    fn beat(&mut self, to: Id) {
        self.send(to, Msg::Heartbeat);
    }
    fn set(&mut self, timer: ElectionTimer, after: Range<Duration>) {
        self.set_timer(Timer::Election(timer), after);
    }
    fn cancel(&mut self, timer: ElectionTimer) {
        self.cancel_timer(Timer::Election(timer));
    }
}

impl Beats for Out<Elector> {
    fn beat(&mut self, to: Id) {
        self.send(to, Heartbeat);
    }
    fn set(&mut self, timer: ElectionTimer, after: Range<Duration>) {
        self.set_timer(timer, after);
    }
    fn cancel(&mut self, timer: ElectionTimer) {
        self.cancel_timer(timer);
    }
}

impl Actor for Elector {
    type Msg = Heartbeat;
    type Timer = ElectionTimer;
    type State = ElectionState;
    type Storage = ();
    type Random = Infallible;

    fn on_start(&self, me: Id, _: &Option<()>, out: &mut Out<Self>) -> ElectionState {
        let state = ElectionState::default();
        self.0.start(me, &state, out);
        state
    }

    fn on_msg(
        &self,
        me: Id,
        state: &mut Cow<'_, ElectionState>,
        src: Id,
        Heartbeat: Heartbeat,
        out: &mut Out<Self>,
    ) {
        if let Some(next) = self.0.on_heartbeat((me, src), state, out) {
            *state.to_mut() = next;
        }
    }

    fn on_timeout(
        &self,
        me: Id,
        state: &mut Cow<'_, ElectionState>,
        timer: &ElectionTimer,
        out: &mut Out<Self>,
    ) {
        if let Some(next) = self.0.on_timer(me, state, *timer, out) {
            *state.to_mut() = next;
        }
    }

    fn name(&self) -> String {
        "Elector".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stateright::actor::Command;

    /// The second of three members; it waits 100 to 200 ms for the first.
    fn second() -> Elector {
        let ms = Duration::from_millis;
        let pace = Pace {
            beat: ms(10)..ms(20),
            suspect: ms(100)..ms(200),
            hold_off: ms(300)..ms(400),
            doublings: 2,
        };
        Elector(Election { members: (0..3).map(Id::from).collect(), pace })
    }

    /// The range in which a timer was set, if it was.
    fn set(out: &Out<Elector>, wanted: ElectionTimer) -> Option<Range<u128>> {
        out.iter().find_map(|command| match command {
            Command::SetTimer(timer, range) if *timer == wanted => {
                Some(range.start.as_millis()..range.end.as_millis())
            }
            _ => None,
        })
    }

    #[test]
    fn a_suspicion_that_was_wrong_doubles_the_time_to_the_next_up_to_a_limit() {
        let (elector, me, first) = (second(), Id::from(1), Id::from(0));
        let mut out = Out::new();
        let mut state = elector.on_start(me, &None, &mut out);
        assert_eq!(set(&out, ElectionTimer::Suspect), Some(100..200));
        for expected in [200..400, 400..800, 400..800] {
            let (mut next, mut out) = (Cow::Owned(state), Out::new());
            elector.on_timeout(me, &mut next, &ElectionTimer::Suspect, &mut out);
            assert_eq!(next.followed(3), Some(1));
            assert_eq!(set(&out, ElectionTimer::HoldOff), Some(300..400));
            assert!(!next.ready, "it holds off");
            elector.on_timeout(me, &mut next, &ElectionTimer::HoldOff, &mut Out::new());
            assert!(next.ready);
            let mut out = Out::new();
            elector.on_msg(me, &mut next, first, Heartbeat, &mut out);
            assert_eq!(set(&out, ElectionTimer::Suspect), Some(expected));
            assert!(!next.ready && next.followed(3) == Some(0));
            state = next.into_owned();
        }
    }

    #[test]
    fn heartbeats_of_strangers_and_of_those_who_come_later_are_ignored() {
        let (elector, me) = (second(), Id::from(1));
        for from in [2, 1, 7] {
            let state = elector.on_start(me, &None, &mut Out::new());
            let (mut next, mut out) = (Cow::Borrowed(&state), Out::new());
            elector.on_msg(me, &mut next, Id::from(from), Heartbeat, &mut out);
            assert!(matches!(next, Cow::Borrowed(_)) && out.is_empty(), "from {from}");
        }
        // Who is no member takes no part.
        let mut out = Out::new();
        elector.on_start(Id::from(9), &None, &mut out);
        assert!(out.is_empty());
    }
}
