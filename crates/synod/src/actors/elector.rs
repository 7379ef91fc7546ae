//! An election by itself, as an actor: the same rules that proposers and servers run beside their ballots.

use crate::election::{Beat, Election, ElectionState, ElectionTimer};
use crate::progress::election::Beats;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

/// A member of an election, and nothing else.
#[derive(Clone, Debug)]
pub struct Elector(pub Election);

impl Beats for Out<Elector> {
    fn say(&mut self, to: Id, beat: Beat) {
        self.send(to, beat);
    }
    fn set(&mut self, timer: ElectionTimer, after: Range<Duration>) {
        self.set_timer(timer, after);
    }
    fn cancel(&mut self, timer: ElectionTimer) {
        self.cancel_timer(timer);
    }
}

impl Actor for Elector {
    type Msg = Beat;
    type Timer = ElectionTimer;
    type State = ElectionState;
    type Storage = ();
    type Random = Infallible;

    fn on_start(&self, me: Id, _: &Option<()>, out: &mut Out<Self>) -> ElectionState {
        let state = ElectionState::default();
        self.0.start(me, &state, out);
        state
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, ElectionState>, src: Id, beat: Beat, out: &mut Out<Self>) {
        if let Some(next) = self.0.on_beat((me, src), state, beat, out) {
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
    use crate::election::Pace;
    use crate::quorum::{QuorumRule, Quorums};
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
        Elector(Election { members: (0..3).map(Id::from).collect(), among: None, backing: None, pace })
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
            elector.on_msg(me, &mut next, first, Beat::Heartbeat { backed: false }, &mut out);
            assert_eq!(set(&out, ElectionTimer::Suspect), Some(expected));
            assert!(!next.ready && next.followed(3) == Some(0));
            state = next.into_owned();
        }
    }

    #[test]
    fn a_look_while_it_holds_off_does_not_keep_a_leader_from_coming_to_the_end_of_it() {
        let Elector(election) = second();
        let backing = Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).ok();
        let (elector, me) = (Elector(Election { backing, ..election }), Id::from(0));
        let state = elector.on_start(me, &None, &mut Out::new());
        let (mut next, mut out) = (Cow::Owned(state), Out::new());
        elector.on_msg(me, &mut next, Id::from(1), Beat::Follow, &mut out);
        assert_eq!(set(&out, ElectionTimer::HoldOff), Some(300..400));
        let mut out = Out::new();
        elector.on_timeout(me, &mut next, &ElectionTimer::Suspect, &mut out);
        assert_eq!(set(&out, ElectionTimer::Suspect), Some(100..200), "it looks again");
        elector.on_timeout(me, &mut next, &ElectionTimer::HoldOff, &mut Out::new());
        assert!(next.ready);
        // From then on each count asks for answers anew.
        elector.on_timeout(me, &mut next, &ElectionTimer::Suspect, &mut Out::new());
        assert!(next.ready && next.followers.is_empty());
        elector.on_timeout(me, &mut next, &ElectionTimer::Suspect, &mut Out::new());
        assert!(!next.ready && next.followed(3) == Some(1));
    }

    #[test]
    fn heartbeats_of_strangers_and_of_those_who_come_later_are_ignored() {
        let (elector, me) = (second(), Id::from(1));
        for from in [2, 1, 7] {
            let state = elector.on_start(me, &None, &mut Out::new());
            let (mut next, mut out) = (Cow::Borrowed(&state), Out::new());
            elector.on_msg(me, &mut next, Id::from(from), Beat::Heartbeat { backed: false }, &mut out);
            assert!(matches!(next, Cow::Borrowed(_)) && out.is_empty(), "from {from}");
        }
        // A process that is no member does nothing.
        let mut out = Out::new();
        elector.on_start(Id::from(9), &None, &mut out);
        assert!(out.is_empty());
    }
}
