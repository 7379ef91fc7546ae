//! Networks and faults: how messages travel, and which actors can crash.

/// The delivery order and multiplicity of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// A message stays for ever: it can be late, repeated, overtaken, or never arrive, all at once.
    Set,
    /// A message arrives at most once, in any order.
    Multiset,
    /// A message arrives at most once; those from one sender to one receiver arrive in order.
    Ordered,
}

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The way in which messages are delivered.
    pub delivery: Delivery,
    /// True if losing a message is a step of its own. Needed only if a message that never arrives differs
    /// from one that is late: in an ordered network, or for properties that look at the network.
    pub loss: bool,
}

/// The crashes that can happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Faults {
    /// The actors that can crash, by index. Those beyond the end cannot.
    pub crashable: Vec<bool>,
    /// The most actors that are down at once, absent ones not counted.
    pub max_down: usize,
    /// The most crashes in a whole run; `None` for any number, which makes fewer states.
    pub max_crashes: Option<u32>,
    /// The actors that are down from the first state on and never start, by index. Those beyond the end are not.
    pub absent: Vec<bool>,
}

impl Faults {
    /// No actor ever crashes.
    pub fn none() -> Self {
        Self { crashable: Vec::new(), max_down: 0, max_crashes: None, absent: Vec::new() }
    }

    /// True if the actor can crash at all.
    pub(crate) fn can_crash(&self, actor: usize) -> bool {
        self.max_down > 0 && self.crashable.get(actor).copied().unwrap_or(false)
    }

    /// True if the actor never starts.
    pub(crate) fn is_absent(&self, actor: usize) -> bool {
        self.absent.get(actor).copied().unwrap_or(false)
    }

    /// True if there is room for one more crash when so many actors are down, the absent ones included.
    pub(crate) fn crash_fits(&self, down: usize, crashes: u32) -> bool {
        let absent = self.absent.iter().filter(|&&absent| absent).count();
        down < self.max_down + absent && self.max_crashes.is_none_or(|max| crashes < max)
    }

    /// The number of crashes after one more.
    pub(crate) fn count(&self, crashes: u32) -> u32 {
        if self.max_crashes.is_some() { crashes + 1 } else { crashes }
    }
}
