//! A scene: the members that tell the time and their settings, what has a time, and which rule is broken.

use synod_machine::Settings;

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
    /// A replica goes by its own settings when it executes.
    OwnSettings,
    /// The token of a guarded write is compared when the write is proposed, and not when it is executed.
    FenceAtPropose,
    /// A guarded write needs the lock to be held, under whichever token.
    FenceAnyToken,
    /// A session does not keep that a command was refused.
    ForgetsRefusals,
}

/// A command of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Store the key's value for so many milliseconds.
    Put(u64),
    /// Take the lock for so many milliseconds, as an owner of its own.
    Lock(u64),
    /// Store the key's value for ever, if the lock is held under the token that an earlier command was granted. It is asked once that command was
    /// granted one; the number is that command's place.
    Guarded(usize),
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
    /// The clients' commands, one a client, each asked from the start on if it is not guarded.
    pub asks: Vec<Asked>,
    /// The number of copies of each client's command, where its client asks again or the network doubles it. At least 1.
    pub copies: usize,
    /// By how many milliseconds each member's clock is ahead of the world's time.
    pub ahead: Vec<u64>,
    /// The settings in each member's configuration.
    pub settings: Vec<Settings>,
    /// True if the defaults were told before the first state, so that who has them has none to tell.
    pub are_told: bool,
    /// The broken rule.
    pub rule: Option<Rule>,
}
