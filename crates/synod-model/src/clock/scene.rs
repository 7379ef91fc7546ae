//! A scene: who tells the time, what has a time, and which rule is broken.

/// The rule of times with one line of it broken. The table of mutants has their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Anybody may tell the time.
    TellsAnyone,
    /// A tick starts all times, those that its teller did not know too.
    KnowsAll,
    /// A time runs from the store's clock when it is given, however old that is.
    StartsAtOnce,
    /// The clock takes what was told last, also if that is earlier.
    ClockGoesBack,
    /// A replica looks at its own clock before it executes.
    OwnClock,
    /// A replica looks at its own clock when it is asked.
    AnswersByOwnClock,
}

/// A command of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Store the key's value for so many milliseconds.
    Put(u64),
    /// Take the lock for so many milliseconds, as an owner of its own.
    Lock(u64),
    /// Tell a time, which is no client's to tell.
    Tick(u64),
}

/// The members, and what may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The number of members.
    pub members: usize,
    /// The last millisecond of the world. It begins with the first.
    pub until: u64,
    /// The most ticks that each member tells.
    pub ticks: u8,
    /// The most commands that are chosen.
    pub chosen: usize,
    /// The clients' commands, one a client, each asked from the start on.
    pub asks: Vec<Asked>,
    /// By how many milliseconds each member's clock is ahead of the world's time.
    pub ahead: Vec<u64>,
    /// The broken rule.
    pub rule: Option<Rule>,
}
