//! The time and the settings, told to the log by the member that leads, as a client of itself. No time is told while nothing has one, and no
//! settings while those of its configuration hold.
//!
//! The store's clock and settings change by commands in the log alone. [`Teller`] decides what is told, and the models explore that; here it is
//! decided when.

use std::time::Duration;
use synod::{Msg, Phase, Process, ProcessState};
use synod_apply::{Due, Teller, due};
use synod_groups::{Groups, InGroup, Stables};
use synod_machine::Settings;
use synod_runtime::changes::Changes;
use synod_runtime::disk::Disk;
use synod_runtime::door::Door;
use synod_runtime::node::{LOCAL_CLIENT, Node};
use synod_runtime::wire::Wire;

/// The time between two ticks.
const PERIOD: Duration = Duration::from_millis(250);
/// The time after which a command is said again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client of a member that tells the time and the settings to one group.
#[derive(Debug)]
pub struct Ticker {
    id: u64,
    group: u8,
    /// The settings of the member's configuration.
    settings: Settings,
    teller: Teller,
    /// The time at which a call that is under way is to be said again.
    again: Duration,
    /// The time of what is told next.
    next: Duration,
}

impl Ticker {
    /// The ticker of a group and a member at one of its starts. `client` is drawn at random; `settings` are those of its configuration.
    pub fn new((group, member): (u8, u64), boot: u64, client: u64, settings: Settings) -> Ticker {
        let (id, teller) = (LOCAL_CLIENT | member, Teller::new(boot, client));
        Ticker { id, group, settings, teller, again: Duration::ZERO, next: Duration::ZERO }
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

    /// Tells what is due: `unix` is the time since the Unix epoch by this machine's clock, read now. Returns when it wants to be
    /// called again even if nothing happens, in the time of the node's wire.
    pub fn turn<C, D, W>(&mut self, node: &mut Node<Groups<Process>, C, D, W>, unix: Duration) -> Duration
    where
        C: Changes<Stables<synod::Stable>> + Door<Groups<Process>>,
        D: Disk,
        W: Wire,
    {
        let me = self.id & !LOCAL_CLIENT;
        let Some(due) = node.state().and_then(|all| due_at(all.of(self.group)?, me, &self.settings)) else {
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
        let what = Msg::Ask(self.teller.ask(due, unix));
        node.tell(self.id, &InGroup { group: self.group, what });
        self.again = now + PATIENCE;
        self.again
    }
}

/// The command that this member should tell the log, if it leads, and clients are heard where it does.
fn due_at(state: &ProcessState, me: u64, settings: &Settings) -> Option<Due> {
    let server = state.server()?;
    let log = server.log.as_ref()?;
    if !matches!(server.proposer.phase, Phase::Accepting { .. }) || !log.hears_clients((me as usize).into()) {
        return None;
    }
    due(log.replica.machine(), settings)
}
