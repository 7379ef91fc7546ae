//! The election alone: electors that crash and come back, with assumptions about their timers, each a switch.
//!
//! Two heartbeats on the same way are one here: a network may lose the second, and none says more than another.

use stateright::actor::Id;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use synod::{Election, ElectionState, ElectionTimer, Elector, Pace, QuorumRule, Quorums};
use synod_explore::liveness::{Assumption, Fairness, LiveProperty};
use synod_explore::{Action, Faults, InFlight, Normal, State, System};

/// The electors, and the assumptions.
#[allow(clippy::struct_excessive_bools, reason = "each assumption is a switch of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Electors {
    /// The number of electors.
    pub members: usize,
    /// The number of crashes in a run.
    pub crashes: u32,
    /// The most times that the wait before a suspicion is doubled. Two or three are as good as many, as durations mean
    /// nothing here.
    pub doublings: u32,
    /// From some point on nobody suspects one that is up.
    pub accurate: bool,
    /// An elector that waits for one that is down suspects it in the end.
    pub complete: bool,
    /// Heartbeats are sent again and again.
    pub beats: bool,
    /// Heartbeats arrive.
    pub arrive: bool,
    /// True if a leader may begin ballots only as long as a majority follows it.
    pub backed: bool,
}

impl Default for Electors {
    fn default() -> Self {
        let (members, crashes, doublings) = (3, 1, 1);
        let [accurate, complete, beats, arrive] = [true; 4];
        Self { members, crashes, doublings, accurate, complete, beats, arrive, backed: false }
    }
}

/// In the end all that are up follow one that is up, for ever, and it may begin ballots, and nobody else.
pub const LEADS: &str = "in the end one leads, for ever";
/// From every state it comes to that again.
pub const AGREED: &str = "they agree again and again";

type Whole = State<Elector, ()>;

/// Makes one heartbeat of two on the same way.
struct Merged;

impl Normal<Elector, ()> for Merged {
    fn bound(&self) -> String {
        "none".to_owned()
    }

    fn normal(&self, mut state: Whole) -> Option<Whole> {
        if let InFlight::Multiset(counts) = &mut state.network {
            *counts =
                std::mem::take(counts).into_keys().map(|envelope| (envelope, 1)).collect::<BTreeMap<_, _>>();
        }
        Some(state)
    }
}

/// The belief of a member that is up.
fn belief(state: &Whole, member: usize) -> Option<&ElectionState> {
    state.locals.get(member).and_then(|local| local.state.as_deref())
}

/// The member that one follows, if that one is up.
fn followed(state: &Whole, member: usize) -> Option<usize> {
    belief(state, member).and_then(|belief| belief.followed(state.locals.len()))
}

impl Electors {
    /// True if all that are up follow one of them that may begin ballots, and nobody else may.
    fn is_led(self, state: &Whole) -> bool {
        let up: Vec<usize> = (0..self.members).filter(|member| belief(state, *member).is_some()).collect();
        up.iter().any(|leader| {
            up.iter().all(|member| {
                let may = belief(state, *member).is_some_and(|belief| belief.ready);
                followed(state, *member) == Some(*leader) && may == (member == leader)
            })
        })
    }

    /// Tells if a step is somebody's suspicion, and if the suspected one has not deserved it: it is up, and where leaders are backed it leads, with a majority
    /// if it is who suspects. A leader that looks who has answered, and finds a majority, suspects nobody.
    fn suspicion(self, state: &Whole, action: &Action<Elector>) -> Option<bool> {
        let Action::<Elector>::Timeout(id, ElectionTimer::Suspect) = action else { return None };
        let me = usize::from(*id);
        let of = |member: usize| followed(state, member);
        let Some((suspected, _)) = of(me).and_then(|other| Some((other, belief(state, other)?))) else {
            return Some(false);
        };
        if !self.backed {
            return Some(true);
        }
        if suspected == me {
            let followers = (0..self.members).filter(|member| of(*member) == Some(me)).count();
            let is_sound = 2 * followers > self.members;
            let finds =
                belief(state, me).is_some_and(|belief| 2 * (belief.followers.len() + 1) > self.members);
            return (!is_sound || !finds).then_some(is_sound);
        }
        Some(of(suspected) == Some(suspected))
    }

    /// The system.
    pub fn system(self) -> System<Elector, ()> {
        let members: Vec<Id> = (0..self.members).map(Id::from).collect();
        let any = || Duration::ZERO..Duration::ZERO;
        let pace = Pace { beat: any(), suspect: any(), hold_off: any(), doublings: self.doublings };
        let quorums = || Quorums::new(self.members, QuorumRule::Majority, QuorumRule::Majority).ok();
        let backing = if self.backed { quorums() } else { None };
        let elector = Elector(Election { members, among: None, backing, pace });
        let mut system = System::new(vec![elector; self.members], ());
        system.names = (1..=self.members).map(|member| format!("S{member}")).collect();
        system.normal = Some(Arc::new(Merged));
        system.faults = Faults {
            crashable: vec![true; self.members],
            max_down: self.members - 1,
            max_crashes: Some(self.crashes),
            absent: Vec::new(),
        };
        system
            .liveness
            .properties
            .push(LiveProperty::stays_at_last_state(LEADS, move |state| self.is_led(state)));
        system.liveness.properties.push(LiveProperty::leads_to_state(
            AGREED,
            |_| true,
            move |state| self.is_led(state),
        ));
        let timer = |wanted: ElectionTimer| {
            move |action: &Action<Elector>, _: Option<&()>| match action {
                Action::<Elector>::Timeout(id, timer) if *timer == wanted => {
                    Some(format!("S{}", usize::from(*id) + 1))
                }
                _ => None,
            }
        };
        let mut assume = |wanted, assumption| {
            if wanted {
                system.liveness.assumptions.push(assumption);
            }
        };
        assume(true, Assumption::each("hold-offs end", Fairness::Weak, timer(ElectionTimer::HoldOff)));
        assume(
            self.beats,
            Assumption::each("leaders send heartbeats", Fairness::Weak, timer(ElectionTimer::Beat)),
        );
        let arrives = |action: &Action<Elector>, _: Option<&()>| match action {
            Action::<Elector>::Deliver { src, dst, .. } => {
                Some(format!("S{} -> S{}", usize::from(*src) + 1, usize::from(*dst) + 1))
            }
            _ => None,
        };
        assume(self.arrive, Assumption::each("heartbeats arrive", Fairness::Weak, arrives));
        let suspects =
            Assumption::each("who is down is suspected", Fairness::Weak, timer(ElectionTimer::Suspect));
        assume(
            self.complete,
            suspects.when(move |state, action| self.suspicion(state, action) == Some(false)),
        );
        let suspects = Assumption::each(
            "who is up is suspected no more",
            Fairness::Ceases,
            timer(ElectionTimer::Suspect),
        );
        assume(
            self.accurate,
            suspects.when(move |state, action| self.suspicion(state, action) == Some(true)),
        );
        system
    }
}
