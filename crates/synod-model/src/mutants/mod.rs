//! Mutants: one rule or one machine is broken, to show what breaks without a guard.
//!
//! A mutant decorates the real [`Process`]. It doctors the inputs of the real handler or its outputs,
//! and never repeats the handler's code. So a mutant dies for the one thing that it changes.

mod admits;
mod kinds;
mod leading;
mod logs;
mod members;
mod rules;
mod table;
mod times;

use crate::observer::Inside;
pub use kinds::{Breaks, Mutant};
pub use rules::Rule;
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;
use synod::{Msg, Phase, Process, ProcessState, Stable, Timer};
pub use table::{MUTANTS, find};

/// A process with what a model changes of it: a rule is broken, or ballots are drawn at any height, or both.
#[derive(Clone, Debug)]
pub struct Decorated {
    /// The real process.
    pub process: Process,
    /// The broken rule.
    pub rule: Rule,
    /// True if a proposer may begin each of its ballots at any height, its first one included, and not only right above
    /// those it knows of. That breaks nothing: ballots need only be its own, and rise (PMS §2.5). See [`crate::ballots`].
    pub draws: bool,
}

/// The real state, and what else a broken machine knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DecoratedState {
    pub(crate) inner: ProcessState,
    /// The state that others were told of and that is not on the disk yet.
    pub(crate) unsaved: Option<Stable>,
    /// The contents of the disk, as far as a broken disk needs to know.
    pub(crate) saved: Option<Stable>,
}

impl Inside for DecoratedState {
    fn inside(&self) -> &ProcessState {
        &self.inner
    }
    fn with(&self, inner: ProcessState) -> DecoratedState {
        DecoratedState { inner, ..self.clone() }
    }
}

/// The contents of a disk: the last save, and for a stale disk the save before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DecoratedStable {
    /// The last save.
    pub now: Stable,
    /// The one before it, for a stale disk.
    pub before: Option<Stable>,
}

/// The real timers, and the moment at which a slow disk gets round to saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DecoratedTimer {
    /// One of the process's own.
    Real(Timer),
    /// The save happens.
    Flush,
    /// A proposer that draws its ballots begins the next one, above so many live ballots that are above its last.
    Above(u64),
}

impl Decorated {
    /// Translates what the real process wants done, and breaks the machine on the way if that is the mutant's rule.
    fn flush(&self, real: Out<Process>, state: &mut Cow<'_, DecoratedState>, out: &mut Out<Self>) {
        let mut commands: Vec<_> = real.into_iter().collect();
        self.rule.doctor_commands(&mut commands);
        self.rule.doctor_leading(&mut commands);
        for command in commands {
            match command {
                Command::Send(_, Msg::Accept { value, .. })
                    if self.rule == Rule::FillsNothing && value.is_no_op() => {}
                Command::Send(to, msg) => out.send(to, msg),
                // At which other heights it may ring depends on the ballots that are live, and is not for one process to know.
                Command::SetTimer(Timer::Retry, after) if self.draws => {
                    out.set_timer(DecoratedTimer::Above(0), after);
                }
                Command::CancelTimer(Timer::Retry) if self.draws => {
                    out.cancel_timer(DecoratedTimer::Above(0));
                }
                Command::SetTimer(timer, after) => out.set_timer(DecoratedTimer::Real(timer), after),
                Command::CancelTimer(timer) => out.cancel_timer(DecoratedTimer::Real(timer)),
                Command::ChooseRandom(_, never) => debug_assert!(never.is_empty()),
                // The mutant's state is saved, which need not be the state that the real process meant.
                Command::Save(_) if self.rule == Rule::SendsBeforeSave => {
                    state.to_mut().unsaved = Some(rules::stable(&state.inner));
                    out.set_timer(DecoratedTimer::Flush, Duration::ZERO..Duration::ZERO);
                }
                Command::Save(_) => {
                    let now = rules::stable(&state.inner);
                    let before = match self.rule {
                        Rule::StaleDisk => state.to_mut().saved.replace(now.clone()),
                        _ => None,
                    };
                    out.save(DecoratedStable { now, before });
                }
            }
        }
    }
}

/// Undoes the first ballot of a proposer that draws its ballots. The code begins one as soon as a client asks. Here only the
/// timer that begins a ballot stays set, and nobody has heard of the ballot.
fn postpone(before: &ProcessState, after: &mut ProcessState, out: &mut Out<Process>) {
    let idle = before.proposer().filter(|proposer| proposer.phase == Phase::Idle);
    let (Some(idle), Some(begun)) = (idle, rules::proposer_of(after)) else { return };
    if begun.phase != Phase::Idle {
        begun.phase = Phase::Idle;
        begun.tried = idle.tried;
        let mut kept = Out::new();
        for command in std::mem::take(out) {
            if let Command::SetTimer(timer, after) = command {
                kept.set_timer(timer, after);
            }
        }
        *out = kept;
    }
}

impl Actor for Decorated {
    type Msg = Msg;
    type Timer = DecoratedTimer;
    type State = DecoratedState;
    type Storage = DecoratedStable;
    type Random = Infallible;

    fn on_start(&self, me: Id, saved: &Option<DecoratedStable>, out: &mut Out<Self>) -> DecoratedState {
        let mut found = saved.as_ref().map(|disk| match self.rule {
            Rule::StaleDisk => disk.before.clone().unwrap_or_default(),
            _ => disk.now.clone(),
        });
        self.rule.doctor_start(&mut found);
        let mut real = Out::new();
        let mut inner = self.process.on_start(me, &found, &mut real);
        self.rule.doctor_started(&self.process, &mut inner);
        let saved = found.filter(|_| self.rule == Rule::StaleDisk);
        let mut state = Cow::Owned(DecoratedState { inner, unsaved: None, saved });
        self.flush(real, &mut state, out);
        state.into_owned()
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, DecoratedState>, src: Id, msg: Msg, out: &mut Out<Self>) {
        let (mut inner, mut src, mut msg) = (state.inner.clone(), src, msg);
        let (asker, heard) = (src, msg.clone());
        let mut real = Out::new();
        if let ProcessState::Server(server) = &mut inner {
            members::doctor_right(self.rule, server, &msg);
        }
        if !self.rule.doctor_input(&self.process, &mut inner, &mut src, &mut msg) {
            self.rule.doctor_answers((asker, &heard), &state.inner, &state.inner, &mut real);
            self.flush(real, state, out);
            return;
        }
        let mut next = Cow::Owned(inner);
        self.process.on_msg(me, &mut next, src, msg, &mut real);
        let mut next = next.into_owned();
        if self.draws {
            postpone(&state.inner, &mut next, &mut real);
        }
        self.rule.doctor_state(&heard, &state.inner, &mut next);
        if let (ProcessState::Server(old), ProcessState::Server(new)) = (&state.inner, &mut next) {
            let log = rules::cluster_of(&self.process).and_then(|cluster| cluster.log.as_ref());
            members::doctor_members(self.rule, &heard, old, new, log.map_or(1, |log| log.alpha));
            members::ignore_basis(self.rule, old, new, &mut real);
            if let Some((to, msg)) = members::says_saved(self.rule, me, old, new) {
                to.iter().for_each(|id| real.send(id.into(), msg.clone()));
            }
            for (to, answer) in members::keep_confirmations(self.rule, old, new) {
                real.send(to, answer);
            }
        }
        self.rule.doctor_answers((asker, &heard), &state.inner, &next, &mut real);
        if next != state.inner {
            state.to_mut().inner = next;
        }
        self.flush(real, state, out);
    }

    fn on_timeout(
        &self,
        me: Id,
        state: &mut Cow<'_, DecoratedState>,
        timer: &DecoratedTimer,
        out: &mut Out<Self>,
    ) {
        let mut inner = state.inner.clone();
        let timer = match timer {
            DecoratedTimer::Real(timer) => timer,
            DecoratedTimer::Above(passed) => {
                // Live ballots are two rounds apart, and the real handler adds the one that leads into the gap.
                if let Some(proposer) = rules::proposer_of(&mut inner) {
                    proposer.tried = proposer.tried.saturating_add(2 * passed);
                }
                out.cancel_timer(DecoratedTimer::Above(0));
                &Timer::Retry
            }
            DecoratedTimer::Flush => {
                if let Some(now) = state.to_mut().unsaved.take() {
                    out.save(DecoratedStable { now, before: None });
                }
                return;
            }
        };
        self.rule.doctor_timeout(&mut inner);
        let mut real = Out::new();
        if self.rule.stays(&self.process, (me, *timer), &inner, &mut real) {
            return self.flush(real, state, out);
        }
        let mut next = Cow::Owned(inner);
        self.process.on_timeout(me, &mut next, timer, &mut real);
        self.rule.doctor_turn(&self.process, (me, *timer), &state.inner, &mut next, &mut real);
        // One that draws and has nothing to do begins no ballot, and then has tried none.
        let idle = self.draws && real.is_empty();
        if !idle && *next != state.inner {
            state.to_mut().inner = next.into_owned();
        }
        self.flush(real, state, out);
    }

    fn name(&self) -> String {
        self.process.name()
    }
}
