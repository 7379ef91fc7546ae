//! A machine that is run twice, as an oracle of the tests: one that is not deterministic is stopped at the first command that shows it, with
//! both values named.

use std::fmt::{self, Debug};
use synod_machine::{NotRestored, StateMachine};

/// A machine that runs every command on two copies, and compares outputs and states.
///
/// The second copy is made through a snapshot, so that what a clone would share, such as the seed of a hash map, differs
/// between them. Comparing the states costs their size at every command: this is for tests and models. Outputs that depend on
/// something both copies share, say the time of day, can be equal by chance; that is what replays of real runs are for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Twice<M> {
    one: M,
    two: M,
}

/// Two copies of a machine did not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unequal {
    /// The command, or other action, after which they differ.
    pub after: String,
    /// The thing that differs: "output", "state" or "snapshot".
    pub what: &'static str,
    /// The value of one copy.
    pub one: String,
    /// The value of the other.
    pub two: String,
}

impl fmt::Display for Unequal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unequal { after, what, one, two } = self;
        write!(
            f,
            "the machine is not deterministic: after {after} the {what} is {one} in one copy and {two} in the other"
        )
    }
}

impl std::error::Error for Unequal {}

/// Compares two values of the copies.
fn same<T: PartialEq + Debug>(
    what: &'static str,
    after: &dyn Debug,
    one: &T,
    two: &T,
) -> Result<(), Unequal> {
    if one == two {
        return Ok(());
    }
    Err(Unequal { after: format!("{after:?}"), what, one: format!("{one:?}"), two: format!("{two:?}") })
}

impl<M: StateMachine> Twice<M> {
    /// Doubles a machine; the second copy is `blank` with the first one's snapshot restored.
    ///
    /// # Errors
    /// The snapshot cannot be restored, or the copies differ.
    pub(crate) fn new(one: M, mut blank: M) -> Result<Self, NotRestored> {
        blank.restore(&one.snapshot())?;
        same("state", &"a restored snapshot", &one, &blank)
            .map_err(|unequal| NotRestored::because(unequal.to_string()))?;
        Ok(Twice { one, two: blank })
    }

    /// Runs a command on both copies.
    ///
    /// # Errors
    /// The copies differ in their outputs, states or snapshots. They cannot be used any more.
    pub(crate) fn try_apply(&mut self, command: &M::Command) -> Result<M::Output, Unequal> {
        let (one, two) = (self.one.apply(command), self.two.apply(command));
        same("output", command, &one, &two)?;
        same("state", command, &self.one, &self.two)?;
        same("snapshot", command, &self.one.snapshot(), &self.two.snapshot())?;
        Ok(one)
    }
}

impl<M: StateMachine> StateMachine for Twice<M> {
    type Command = M::Command;
    type Output = M::Output;

    /// # Panics
    /// When the copies differ, with [`Unequal`] as the message. To go on would be to serve one of two answers.
    fn apply(&mut self, command: &M::Command) -> M::Output {
        self.try_apply(command).unwrap_or_else(|unequal| panic!("{unequal}"))
    }

    fn query(&self, command: &M::Command) -> Option<M::Output> {
        self.one.query(command)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.one.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        self.one.restore(snapshot)?;
        self.two.restore(snapshot)
    }
}
