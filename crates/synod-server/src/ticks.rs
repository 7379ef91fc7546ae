//! The time, told to the log by the member that leads, as a client of itself. Nothing is told while nothing has a time.
//!
//! The store's clock moves by commands in the log alone. [`Teller`] decides what a tick says, and the models explore that; here it is decided
//! when.

use std::time::Duration;
use synod::{Msg, Phase, Process, ProcessState};
use synod_apply::{Teller, due};
use synod_runtime::changes::Changes;
use synod_runtime::disk::Disk;
use synod_runtime::door::Door;
use synod_runtime::node::{LOCAL_CLIENT, Node};
use synod_runtime::wire::Wire;

/// The time between two ticks.
const PERIOD: Duration = Duration::from_millis(250);
/// The time after which a command is said again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client of a member that tells the time.
#[derive(Debug)]
pub struct Ticker {
    id: u64,
    teller: Teller,
    /// The time at which a call that is under way is to be said again.
    again: Duration,
    /// The time of the next tick.
    next: Duration,
}

impl Ticker {
    /// The ticker of a member at one of its starts. `client` is drawn at random.
    pub fn new(member: u64, boot: u64, client: u64) -> Ticker {
        let teller = Teller::new(boot, client);
        Ticker { id: LOCAL_CLIENT | member, teller, again: Duration::ZERO, next: Duration::ZERO }
    }

    /// The id that it has as a client.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes an answer.
    pub fn hear(&mut self, msg: &Msg) {
        if let Msg::Output { number, output } = msg {
            self.teller.hear(*number, output);
        }
    }

    /// Tells the time, if it is due: `unix` is the time since the Unix epoch by this machine's clock, read now. Returns when it wants to be
    /// called again even if nothing happens, in the time of the node's wire.
    pub fn turn<C, D, W>(&mut self, node: &mut Node<Process, C, D, W>, unix: Duration) -> Duration
    where
        C: Changes<synod::Stable> + Door<Process>,
        D: Disk,
        W: Wire,
    {
        let Some(given) = node.state().and_then(given) else {
            self.teller.rest();
            return Duration::MAX;
        };
        let now = node.now();
        let is_new = !self.teller.is_waiting();
        let when = if is_new { self.next } else { self.again };
        if now < when {
            return when;
        }
        if is_new && self.teller.has_session() {
            self.next = now + PERIOD;
        }
        let unix = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        // Without room it is said again later.
        node.tell(self.id, &Msg::Ask(self.teller.ask(given, unix)));
        self.again = now + PATIENCE;
        self.again
    }
}

/// The number of times given so far, if this member leads and something has a time that runs.
fn given(state: &ProcessState) -> Option<u64> {
    let server = state.server()?;
    if !matches!(server.proposer.phase, Phase::Accepting { .. }) {
        return None;
    }
    due(server.log.as_ref()?.replica.machine())
}
