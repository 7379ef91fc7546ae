//! A train, a controller and a gate (Alur and Dill, *A theory of timed automata*, 1994, section 4.4, with inclusive bounds).
//!
//! A train announces itself between `approach.0` and `approach.1` ticks before it is at the crossing, and says when it is gone. The
//! controller lowers the gate `lower` ticks after the announcement, and the gate is down within `down` more. Once the train is gone the gate
//! goes up, unless another comes first.
//!
//! *When the gate is down in time.* Messages take no time, and clocks keep real time. The claim holds exactly if the soonest train is later than the
//! latest gate: approach.0 > lower + down. If the two moments coincide, the train may come first. Messages do not overtake each other, as at
//! least a tick lies between two of one sender; with drift it would have to be two.
//!
//! *What comes about.* A train that comes is gone in the end, by its own timers and no further assumption. It is not, if it may stop on the crossing.

use super::words::{ANY_TIME, Bell, Outputs, Say, ticks};
use stateright::actor::Id;

/// The name of the claim.
pub(super) const CLAIM: &str = "gate-down";
/// The name of what must come about.
pub(super) const COMES_ABOUT: &str = "train-passes";

const CONTROLLER: usize = 1;
const GATE: usize = 2;

/// A train, a controller and a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The ticks from a train's announcement to the crossing.
    pub approach: (u32, u32),
    /// The ticks on the crossing; `None` if a train may stop there.
    pub crossing: Option<(u32, u32)>,
    /// The ticks that the controller takes before it lowers the gate.
    pub lower: u32,
    /// The most ticks that the gate takes to come down.
    pub down: u32,
}

/// The state of a train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Train {
    /// It is not to be seen.
    Away,
    /// It has announced itself.
    Near,
    /// It is on the crossing.
    Crossing,
}

/// The state of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bar {
    /// It is up.
    Up,
    /// It comes down.
    Falling,
    /// It is down.
    Down,
    /// It goes up.
    Rising,
}

/// The train, when a timer of it rings.
pub(super) fn drive(gate: &Gate, at: Train, bell: Bell, o: &mut Outputs) -> Option<Train> {
    match (at, bell) {
        (Train::Away, Bell::Begin) => {
            o.send(Id::from(CONTROLLER), Say::Comes);
            o.set_timer(Bell::Enter, ticks(gate.approach.0, gate.approach.1));
            Some(Train::Near)
        }
        (Train::Near, Bell::Enter) => {
            o.set_timer(Bell::Exit, gate.crossing.map_or(ANY_TIME, |(least, most)| ticks(least, most)));
            Some(Train::Crossing)
        }
        (Train::Crossing, Bell::Exit) => {
            o.send(Id::from(CONTROLLER), Say::Gone);
            o.set_timer(Bell::Leave, ticks(1, 1));
            Some(Train::Away)
        }
        (Train::Away, Bell::Leave) => {
            o.set_timer(Bell::Begin, ANY_TIME);
            None
        }
        _ => None,
    }
}

/// The controller, when it hears something.
pub(super) fn control(gate: &Gate, msg: Say, o: &mut Outputs) {
    match msg {
        Say::Comes => {
            o.cancel_timer(Bell::Raise);
            o.set_timer(Bell::Lower, ticks(gate.lower, gate.lower));
        }
        Say::Gone => o.set_timer(Bell::Raise, ticks(0, 1)),
        _ => {}
    }
}

/// The controller, when a timer of it rings.
pub(super) fn command(bell: Bell, o: &mut Outputs) {
    let order = if bell == Bell::Lower { Say::Lower } else { Say::Raise };
    o.send(Id::from(GATE), order);
}

/// The gate, when it gets an order.
pub(super) fn order(gate: &Gate, at: Bar, msg: Say, o: &mut Outputs) -> Option<Bar> {
    match (at, msg) {
        (Bar::Up | Bar::Rising, Say::Lower) => {
            o.set_timer(Bell::Stands, ticks(0, gate.down));
            Some(Bar::Falling)
        }
        (Bar::Down | Bar::Falling, Say::Raise) => {
            o.set_timer(Bell::Stands, ticks(1, 2));
            Some(Bar::Rising)
        }
        _ => None,
    }
}

/// The gate, when it has come to a stand.
pub(super) fn stand(at: Bar) -> Option<Bar> {
    match at {
        Bar::Falling => Some(Bar::Down),
        Bar::Rising => Some(Bar::Up),
        Bar::Up | Bar::Down => None,
    }
}
