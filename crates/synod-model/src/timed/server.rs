//! A server of a log that takes mastership, as it is served or with a broken rule of the lease or of fencing.

use super::words::{ANY_TIME, TICK};
use serde::Deserialize;
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    Ask, Call, LeaseState, LogEntry, LogState, Mastership, Msg, Process, ProcessState, Slot, Stable, Timer,
    Value, is_take,
};

/// A broken rule of the lease, by its name in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// Others do not wait for the end of the lease.
    Impatient,
    /// A master counts from when it executes its take.
    Executing,
    /// A master counts from when it executes its renewal.
    Renewing,
    /// A renewal uses the timer of the take before, which then rings later.
    OneTimer,
    /// The timer that ends a take's time rings a tick late, as in a loop that does something else first.
    LateRing,
    /// A take of an earlier run makes its proposer master.
    AnyRun,
    /// The time of a take that is not decided is put off when it is over, as if it had been proposed again.
    AnyTake,
    /// A master that yields goes on believing itself master for the rest of its time.
    Yielding,
    /// An heir believes itself master from when it hears of a yield, for a time that begins then.
    Inheriting,
    /// A take has an effect for its proposer whatever take was executed before it, and stays open when another one is executed.
    Unconditional,
    /// A server that starts from a snapshot in which the last take is its own believes itself master, for a time that begins then.
    Restoring,
    /// A yield counts for whatever take of its sender was executed last.
    Heeding,
    /// Any server takes commands and tells of them, with the fence of whoever is master.
    Unfenced,
    /// The fence is looked at before a command is proposed, and not when it is executed: it has an effect in a later tenure, and its client is told.
    Late,
    /// A server answers questions in its own tenure, and does not look at its lease again.
    Cached,
    /// A server answers questions in another's tenure, once it is confirmed that it leads.
    Confirmed,
}

/// The id of the operator who removes a server. It is no actor, so its answers are dropped.
pub(super) const OPERATOR: usize = 100;

/// An actor that speaks as a server does.
pub(super) trait Speaker:
    Actor<Msg = Msg, Timer = Timer, Storage = Stable, Random = Infallible>
{
}

impl<A: Actor<Msg = Msg, Timer = Timer, Storage = Stable, Random = Infallible>> Speaker for A {}

/// A server, as it is served or with a broken rule.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) process: Process,
    pub(super) hold: Range<Duration>,
    pub(super) heir: Option<Id>,
    /// A client that it tells when it comes to be master.
    pub(super) news: Option<Id>,
    pub(super) leaves: bool,
    pub(super) breach: Option<Breach>,
}

pub(super) fn lease(state: &ProcessState) -> Option<&LeaseState> {
    state.server()?.log.as_ref()?.lease.as_ref()
}

/// The take that a server executed last.
pub(super) fn last(state: &ProcessState) -> Option<Mastership> {
    state.server()?.log.as_ref()?.replica.mastership()
}

/// The server that proposed a take.
pub(super) fn taker(value: &Value) -> Option<Id> {
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|_| is_take(value))?;
    text.split('.').next()?.parse::<usize>().ok().map(Id::from)
}

/// True if a server has yielded what it took last, and waits for its heir.
pub(super) fn has_yielded(me: Id, state: &ProcessState) -> bool {
    last(state).is_some_and(|last| last.member() == me) && lease(state).is_some_and(|lease| lease.respects)
}

/// True if a server has executed that it is no member any more.
pub(super) fn has_left(me: usize, state: &ProcessState) -> bool {
    let membership = log(state).and_then(|log| log.replica.membership());
    membership.is_some_and(|membership| !membership.members().contains(me))
}

/// True if a server knows from nothing but its snapshot that the last take is its own.
pub(super) fn is_restored(me: Id, state: &ProcessState) -> bool {
    let is_mine = last(state).is_some_and(|last| last.member() == me);
    let knows = |server: &synod::ServerState| server.learner.learned.keys().next().is_some();
    is_mine && !state.server().is_some_and(knows)
}

/// True if a client's command was executed without an effect.
pub(super) fn has_refused(state: &ProcessState) -> bool {
    let (Some(server), Some(log)) = (state.server(), log(state)) else { return false };
    let mut entries = server.learner.learned.range(..log.next).filter_map(|(_, value)| LogEntry::read(value));
    entries.any(|entry| log.replica.machine().said(&entry).is_none())
}

fn lease_of(state: &mut ProcessState) -> Option<&mut LeaseState> {
    let ProcessState::Server(server) = state else { return None };
    server.log.as_mut()?.lease.as_mut()
}

impl Server {
    /// Hands over the outputs of a step, and breaks the rule.
    fn end(
        &self,
        (me, hears_yield): (Id, bool),
        before: &ProcessState,
        after: &mut Cow<'_, ProcessState>,
        real: Out<Process>,
        out: &mut Out<impl Speaker>,
    ) {
        let (was, is) = (lease(before), lease(after));
        let real: Vec<Command<_, _, _, _>> = real.into_iter().collect();
        let yields = real.iter().any(|command| matches!(command, Command::Send(_, Msg::Yield { .. })));
        for command in real {
            match command {
                // Its client is told later.
                Command::Send(_, Msg::Redirect { .. }) if self.breach == Some(Breach::Late) => {}
                Command::Send(to, _) if to == Id::from(OPERATOR) => {}
                Command::Send(to, msg) => out.send(to, msg),
                Command::SetTimer(Timer::Respect, _) if self.breach == Some(Breach::Impatient) => {
                    out.set_timer(Timer::Respect, ANY_TIME);
                }
                Command::CancelTimer(Timer::Hold(_)) if self.breach == Some(Breach::Yielding) && yields => {}
                Command::CancelTimer(Timer::Hold(_)) if self.breach == Some(Breach::Unconditional) => {}
                Command::SetTimer(timer @ Timer::Hold(_), time) => {
                    let before =
                        was.and_then(|was| was.held).filter(|_| self.breach == Some(Breach::OneTimer));
                    if let Some(before) = before {
                        out.set_timer(Timer::Hold(before), time.clone());
                    }
                    let late = if self.breach == Some(Breach::LateRing) { TICK } else { Duration::ZERO };
                    out.set_timer(timer, time.start..time.end + late);
                }
                Command::SetTimer(timer, time) => out.set_timer(timer, time),
                Command::CancelTimer(timer) => out.cancel_timer(timer),
                Command::Save(stable) => out.save(stable),
                Command::ChooseRandom(..) => {}
            }
        }
        if let Some(to) = self.news
            && is.is_some_and(LeaseState::is_master)
            && !was.is_some_and(LeaseState::is_master)
        {
            out.send(to, Msg::Redirect { leader: me });
        }
        match self.breach {
            Some(Breach::Yielding) if yields => {
                let held = was.and_then(|was| was.held);
                if let Some(lease) = lease_of(after.to_mut()) {
                    lease.held = held;
                }
            }
            Some(Breach::Inheriting)
                if last(before) == last(after)
                    && was.is_some_and(|was| was.respects)
                    && is.is_some_and(|is| !is.respects)
                    && hears_yield =>
            {
                if let Some(lease) = lease_of(after.to_mut()) {
                    lease.held = Some(Slot::B);
                    out.set_timer(Timer::Hold(Slot::B), self.hold.clone());
                }
            }
            Some(Breach::Late) => executes_late(before, after, out),
            Some(Breach::Unconditional) => takes_anyway(before, after),
            Some(Breach::Renewing)
                if was.is_some_and(LeaseState::is_master)
                    && was.map(|was| was.held) != is.map(|is| is.held) =>
            {
                if let Some(slot) = is.and_then(|is| is.held) {
                    out.set_timer(Timer::Hold(slot), self.hold.clone());
                }
            }
            Some(Breach::Executing) if was.map(|was| was.held) != is.map(|is| is.held) => {
                if let Some(slot) = is.and_then(|is| is.held) {
                    out.set_timer(Timer::Hold(slot), self.hold.clone());
                }
            }
            Some(Breach::AnyRun)
                if last(before) != last(after)
                    && last(after).is_some_and(|last| last.member() == me)
                    && !is.is_some_and(LeaseState::is_master) =>
            {
                if let Some(lease) = lease_of(after.to_mut()) {
                    (lease.held, lease.respects) = (Some(Slot::A), false);
                    out.cancel_timer(Timer::Respect);
                    out.set_timer(Timer::Hold(Slot::A), self.hold.clone());
                }
            }
            Some(Breach::AnyTake) => {
                let over = |lease: Option<&LeaseState>| lease?.open.as_ref().map(|open| open.runs);
                if let (Some(Some(slot)), Some(None)) = (over(was), over(is)) {
                    if let Some(open) = lease_of(after.to_mut()).and_then(|lease| lease.open.as_mut()) {
                        open.runs = Some(slot);
                    }
                    out.set_timer(Timer::Hold(slot), self.hold.clone());
                }
            }
            _ => {}
        }
    }

    pub(super) fn start(&self, me: Id, saved: Option<&Stable>, out: &mut Out<impl Speaker>) -> ProcessState {
        let mut real = Out::new();
        let state = self.process.on_start(me, &saved.cloned(), &mut real);
        let mut after = Cow::Owned(state.clone());
        self.end((me, false), &state, &mut after, real, out);
        let is_mine = last(&after).is_some_and(|last| last.member() == me);
        if let (Some(Breach::Restoring), true, Some(lease)) = (self.breach, is_mine, lease_of(after.to_mut()))
        {
            (lease.held, lease.respects) = (Some(Slot::A), false);
            out.cancel_timer(Timer::Respect);
            out.set_timer(Timer::Hold(Slot::A), self.hold.clone());
        }
        after.into_owned()
    }

    pub(super) fn hear(
        &self,
        me: Id,
        before: &ProcessState,
        (src, msg): (Id, Msg),
        out: &mut Out<impl Speaker>,
    ) -> Option<ProcessState> {
        let (mut after, mut real) = (Cow::Borrowed(before), Out::new());
        if self.breach == Some(Breach::Cached)
            && last(before).is_some_and(|last| last.member() == me)
            && let Msg::Ask(Ask::Query { number, command }) = &msg
        {
            let log = before.server()?.log.as_ref()?;
            let output = log.replica.machine().query(command)?;
            out.send(src, Msg::Output { number: *number, output });
            return None;
        }
        let (mut msg, last, mut as_whom) = (msg, last(before), me);
        match (self.breach, &mut msg, last) {
            // It takes the command as the master would.
            (Some(Breach::Unfenced), Msg::Ask(Ask::Submit { .. }), Some(last))
            | (Some(Breach::Confirmed), Msg::Ask(Ask::Query { .. }), Some(last)) => as_whom = last.member(),
            (Some(Breach::Heeding), Msg::Yield { token }, Some(last)) => *token = last.token,
            _ => {}
        }
        let hears_yield = matches!(msg, Msg::Yield { .. });
        self.process.on_msg(as_whom, &mut after, src, msg, &mut real);
        self.end((me, hears_yield), before, &mut after, real, out);
        changed(after)
    }

    pub(super) fn ring(
        &self,
        me: Id,
        before: &ProcessState,
        timer: Timer,
        out: &mut Out<impl Speaker>,
    ) -> Option<ProcessState> {
        let (mut after, mut real) = (Cow::Borrowed(before), Out::new());
        let would_renew = timer == Timer::Seek && lease(before).is_some_and(LeaseState::is_master);
        match self.heir.zip(last(before)) {
            _ if self.leaves && would_renew => {
                let command = Value::from(format!("remove {}", usize::from(me)).as_str());
                let remove = Ask::Submit { number: 1, command };
                self.process.on_msg(me, &mut after, OPERATOR.into(), remove.into(), &mut real);
            }
            Some((heir, Mastership { since, .. })) if would_renew => {
                // Its owner's name is nobody else's.
                self.process.on_msg(
                    me,
                    &mut after,
                    Id::from(usize::MAX),
                    Msg::Give { since, heir },
                    &mut real,
                );
            }
            _ => self.process.on_timeout(me, &mut after, &timer, &mut real),
        }
        self.end((me, false), before, &mut after, real, out);
        changed(after)
    }
}

fn log(state: &ProcessState) -> Option<&LogState> {
    state.server()?.log.as_deref()
}

/// Has an open take stay open when another one is executed, and make its proposer master when it is executed itself.
fn takes_anyway(before: &ProcessState, after: &mut Cow<'_, ProcessState>) {
    let (Some(was), Some(is)) = (log(before), log(after)) else { return };
    let Some(open) = was.lease.as_ref().and_then(|lease| lease.open.clone()) else { return };
    let (from, to, is_open) =
        (was.next, is.next, is.lease.as_ref().is_some_and(|lease| lease.open.is_some()));
    let ProcessState::Server(server) = &**after else { return };
    let is_executed = server.learner.learned.range(from..to).any(|(_, value)| *value == open.value);
    let is_master = lease(after).is_some_and(LeaseState::is_master);
    if let Some(lease) = lease_of(after.to_mut()) {
        match (is_executed, open.runs) {
            (true, Some(slot)) if !is_master => {
                (lease.held, lease.open, lease.respects) = (Some(slot), None, false);
            }
            (false, _) if !is_open => lease.open = Some(open),
            _ => {}
        }
    }
}

/// Executes the commands of earlier tenures that were executed without an effect in this step, and tells the clients that asked for them.
fn executes_late(before: &ProcessState, after: &mut Cow<'_, ProcessState>, out: &mut Out<impl Speaker>) {
    let (Some(was), Some(is)) = (log(before), log(after)) else { return };
    if was.next == is.next {
        return;
    }
    let ProcessState::Server(server) = after.to_mut() else { return };
    let Some(log) = server.log.as_mut() else { return };
    // A client that was sent on in this step waits here all the same.
    let is_told = |call: &Call, log: &LogState| log.replica.machine().said(&entry(was, call)).is_some();
    let waits: Vec<(Call, Value)> = was
        .asked
        .iter()
        .filter(|(call, _)| !log.asked.contains_key(call) && !is_told(call, log))
        .map(|(call, value)| (*call, value.clone()))
        .collect();
    log.asked.extend(waits);
    for (at, value) in server.learner.learned.range(was.next..log.next) {
        let Some(entry) = LogEntry::read(value).filter(|it| log.replica.machine().said(it).is_none()) else {
            continue;
        };
        let mut machine = log.replica.machine().copy();
        let output = machine.execute(*at, &entry);
        log.replica = log.replica.with_machine(Arc::from(machine));
        if log.asked.remove(&entry.call).is_some() {
            out.send(entry.call.client, Msg::Output { number: entry.call.number, output });
        }
    }
}

fn entry(log: &LogState, call: &Call) -> LogEntry {
    log.asked.get(call).and_then(LogEntry::read).expect("a client's command")
}

fn changed(after: Cow<'_, ProcessState>) -> Option<ProcessState> {
    match after {
        Cow::Borrowed(_) => None,
        Cow::Owned(after) => Some(after),
    }
}
