//! A server that keeps a log: the same roles as everywhere, and which of their messages let the log go on.

use crate::actors::state::{ProcessState, as_acceptor, as_learner, as_proposer, as_server};
use crate::actors::wiring::{acceptor_hears, learner_hears};
use crate::ballot::{Instance, Value};
use crate::call::Call;
use crate::cluster::Log;
use crate::effects::Effects;
use crate::log::snapshot::{self, Chunk, Fetch};
use crate::log::{confirm, sequence};
use crate::message::{Ask, Msg, Timer};
use crate::per_instance::{PerInstance, bounded};
use crate::progress::lead::{self, Turn};
use crate::progress::retry::{self, Context};
use crate::roles::learner;
use crate::roles::proposer::{self, Phase, Promise};
use stateright::actor::Id;
use std::borrow::Cow;

/// A server that keeps a log, and what it was made with.
#[derive(Clone, Copy)]
pub(crate) struct LogServer<'m> {
    pub(crate) context: Context<'m>,
    pub(crate) log: &'m Log,
}

impl LogServer<'_> {
    /// Asks at once what was missed while it was away.
    pub(crate) fn start(&self, next: Instance, fx: &mut Effects) {
        self.catch_up(next, fx);
    }

    /// Takes a message. Servers choose the instances, so a client's message that names one is ignored.
    pub(crate) fn on_msg(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg, fx: &mut Effects) {
        let c = self.context.cluster;
        match msg {
            Msg::Ask(Ask::Submit { number, command }) => {
                self.on_submit(state, (src, *number), command, fx);
            }
            Msg::Ask(Ask::Query { number, command }) => self.on_query(state, (src, *number), command, fx),
            Msg::Ask(Ask::StaleQuery { number, command }) => {
                confirm::answer_stale(&as_server(state), Call { client: src, number: *number }, command, fx);
            }
            Msg::Prepare { from, .. } => {
                acceptor_hears(c, state, src, msg, fx);
                if *from < as_acceptor(state).log_start {
                    snapshot::offer(self.log, &as_server(state), src, *from, fx);
                }
            }
            Msg::Accept { .. } => {
                acceptor_hears(c, state, src, msg, fx);
                self.hold_off(state, src, msg, fx);
            }
            Msg::Promise { ballot, accepted, rest } => {
                let Some(acceptor) = c.acceptor(src) else { return };
                let promise = Promise { acceptor, ballot: *ballot, accepted: accepted.clone(), rest: *rest };
                if proposer::on_promise(c, as_proposer(state), promise, fx) {
                    sequence::advance(c, self.log, as_server(state), fx);
                    confirm::ask(c, as_server(state), fx);
                }
            }
            Msg::Accepted { ballot, instance, .. } => {
                let Some(index) = c.acceptor(src) else { return };
                let vote = (*ballot, *instance);
                let chosen =
                    proposer::on_accepted(c, as_proposer(state), index, vote, Some(self.context.me), fx);
                if let Some(value) = chosen {
                    self.learn(state, *instance, value, fx);
                }
                if c.told_of_acceptance().contains(&self.context.me)
                    && *instance >= as_acceptor(state).log_start
                {
                    learner_hears(c, self.context.me, state, src, msg, fx);
                    self.learned(state, *instance, fx);
                }
            }
            Msg::Chosen { instance, value } => self.learn(state, *instance, value.clone(), fx),
            Msg::Nack { ballot, promised } => {
                let is_refused = retry::on_nack(self.context, as_proposer(state), (*ballot, *promised));
                if is_refused {
                    self.give_way(state, fx);
                }
            }
            Msg::CatchUp { from } => self.on_catch_up(state, src, *from, fx),
            Msg::CatchUpReply { values, next } => self.on_catch_up_reply(state, src, (values, *next), fx),
            Msg::Beat(beat) => {
                let turn = lead::on_beat(self.context, as_proposer(state), src, *beat, fx);
                self.take_turn(state, turn, fx);
            }
            Msg::Confirm { ballot, round } => {
                confirm::on_confirm(c, &as_acceptor(state), src, (*ballot, *round), fx);
            }
            Msg::Confirmed { ballot, round } => {
                let Some(index) = c.acceptor(src) else { return };
                confirm::on_confirmed(c, as_server(state), index, (*ballot, *round), fx);
            }
            _ => self.on_snapshot(state, src, msg, fx),
        }
    }

    /// Takes a message about snapshots.
    fn on_snapshot(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg, fx: &mut Effects) {
        let Some(truncate) = &self.log.truncate else { return };
        match msg {
            Msg::Chunk { of, sum, length, at, bytes } => {
                let chunk = Chunk { of: *of, sum: *sum, length: *length, at: *at, bytes };
                let servers = self.context.cluster.learners.len();
                if snapshot::on_chunk((truncate, servers), as_server(state), src, chunk, fx) {
                    self.go_on(state, src, fx);
                }
            }
            Msg::Fetch { of, sum, at } => {
                let fetch = Fetch { of: *of, sum: *sum, at: *at };
                snapshot::on_fetch(truncate, as_server(state).log(), src, fetch, fx);
            }
            Msg::Checksum { below, sum } => {
                snapshot::compare(self.context.cluster.learners.len(), as_server(state), src, (*below, *sum));
            }
            _ => {}
        }
    }

    /// Goes on from another server's snapshot: executes what is known beyond it, and asks for the rest.
    fn go_on(&self, state: &mut Cow<'_, ProcessState>, src: Id, fx: &mut Effects) {
        // A ballot that asks about what others have forgotten would not end.
        if matches!(as_proposer(state).phase, Phase::Preparing { .. }) {
            if as_server(state).is_leading_to_something() {
                self.begin_ballot(state, fx);
            } else {
                as_proposer(state).edit().phase = Phase::Idle;
            }
        }
        sequence::advance(self.context.cluster, self.log, as_server(state), fx);
        if self.log.catch_up.is_some() {
            fx.send(src, Msg::CatchUp { from: as_server(state).log().next });
        }
    }

    pub(crate) fn on_timeout(&self, state: &mut Cow<'_, ProcessState>, timer: Timer, fx: &mut Effects) {
        match timer {
            Timer::Retry => self.on_retry(state, fx),
            Timer::HoldOff => {
                as_server(state).edit().log_mut().held = None;
                if as_server(state).is_leading_to_something()
                    && as_server(state).proposer.phase == Phase::Idle
                {
                    self.begin_ballot(state, fx);
                }
            }
            Timer::CatchUp => {
                if snapshot::ask_again(as_server(state), &self.others(), fx) {
                    self.watch_catch_up(fx);
                } else {
                    self.catch_up(as_server(state).log().next, fx);
                }
            }
            Timer::Snapshot => {
                if let Some(truncate) = &self.log.truncate {
                    snapshot::take(truncate, as_server(state), &self.others(), fx);
                }
            }
            Timer::Election(timer) => {
                let turn = lead::on_timer(self.context, as_proposer(state), timer, fx);
                self.take_turn(state, turn, fx);
            }
            Timer::Resend => {}
        }
    }

    fn on_submit(
        &self,
        state: &mut Cow<'_, ProcessState>,
        (client, number): (Id, u64),
        command: &Value,
        fx: &mut Effects,
    ) {
        let was_busy = as_server(state).is_leading_to_something();
        let is_new =
            sequence::on_submit(self.context.cluster, as_server(state), (client, number), command, fx);
        let leader = self.leader(state);
        if let Some(leader) = leader {
            fx.send(client, Msg::Redirect { leader });
        }
        if is_new {
            self.go_about(state, was_busy, fx);
            sequence::advance(self.context.cluster, self.log, as_server(state), fx);
        }
    }

    /// Begins a ballot for what has come to be wanted, unless one is under way or put off.
    fn go_about(&self, state: &mut Cow<'_, ProcessState>, was_busy: bool, fx: &mut Effects) {
        let is_put_off = self.context.retry.is_put_off(was_busy) || self.leader(state).is_some();
        if as_proposer(state).phase == Phase::Idle && !is_put_off {
            self.begin_ballot(state, fx);
        }
    }

    /// The server that leads in place of this one, as far as it knows.
    fn leader(&self, state: &mut Cow<'_, ProcessState>) -> Option<Id> {
        lead::followed(self.context.cluster, self.context.me, &as_proposer(state))
            .or(as_server(state).log().held)
    }

    /// A server that comes to lead takes over at once, so that what others left open is brought to an end (PMS §3). One that no
    /// longer leads gives up its ballot.
    fn take_turn(&self, state: &mut Cow<'_, ProcessState>, turn: Option<Turn>, fx: &mut Effects) {
        match turn {
            Some(Turn::Leads) => self.begin_ballot(state, fx),
            Some(Turn::Follows) => self.step_down(state, fx),
            None => {}
        }
    }

    /// Answers a question alone, or sends the client to the server that leads.
    fn on_query(
        &self,
        state: &mut Cow<'_, ProcessState>,
        (client, number): (Id, u64),
        command: &Value,
        fx: &mut Effects,
    ) {
        if let Some(leader) = self.leader(state) {
            return fx.send(client, Msg::Redirect { leader });
        }
        let was_busy = as_server(state).is_leading_to_something();
        confirm::on_query(self.context.cluster, as_server(state), Call { client, number }, command, fx);
        if as_server(state).log().questions.are_open() {
            self.go_about(state, was_busy, fx);
        }
    }

    /// One phase 1 for all instances from the first unknown one on (PMS §3).
    fn begin_ballot(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        if !retry::may_begin(self.context.cluster, &as_proposer(state)) {
            return;
        }
        sequence::reclaim(as_server(state));
        let from = as_server(state).log().next;
        retry::begin_ballot(self.context, as_proposer(state), from, fx);
    }

    /// Learns a value that is known to be chosen.
    fn learn(&self, state: &mut Cow<'_, ProcessState>, instance: Instance, value: Value, fx: &mut Effects) {
        // Values below the log's start were known once.
        if instance >= as_acceptor(state).log_start && as_server(state).known(instance).is_none() {
            learner::on_chosen(
                self.context.cluster,
                as_learner(state),
                self.context.me,
                (instance, value),
                fx,
            );
            self.learned(state, instance, fx);
        }
    }

    fn learned(&self, state: &mut Cow<'_, ProcessState>, instance: Instance, fx: &mut Effects) {
        if as_server(state).known(instance).is_some() {
            sequence::requeue_unchosen(as_server(state), instance);
            retry::succeeded(as_proposer(state));
            sequence::advance(self.context.cluster, self.log, as_server(state), fx);
        }
    }

    /// Implicit leadership (spec D3): a server that sees another's Accept gives up its own ballot below it, and holds back its
    /// submissions for a while. That avoids duels. Safety does not rest on it.
    fn hold_off(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg, fx: &mut Effects) {
        let (Some(after), Msg::Accept { ballot, .. }) = (&self.log.hold_off, msg) else { return };
        if src == self.context.me || as_acceptor(state).accepted_in != Some(*ballot) {
            return;
        }
        if as_server(state).log().held != Some(src) {
            as_server(state).edit().log_mut().held = Some(src);
        }
        self.step_down(state, fx);
        fx.set_timer(Timer::HoldOff, after.clone());
    }

    /// Gives up the ballot that is under way. Clients with open questions are sent to the server that leads, if one is seen to.
    fn step_down(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        if as_proposer(state).phase != Phase::Idle {
            sequence::reclaim(as_server(state));
            as_proposer(state).edit().phase = Phase::Idle;
        }
        if let Some(leader) = self.leader(state) {
            confirm::redirect(as_server(state), leader, fx);
        }
    }

    /// Gives up a ballot that was refused: for a higher one at once, or for the server that leads.
    fn give_way(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        let is_eager = self.context.retry.is_eager(&as_proposer(state));
        self.context.retry.failed(as_proposer(state));
        if let Some(after) = &self.log.hold_off {
            // Another server proposes. The next Accept will tell which.
            self.step_down(state, fx);
            fx.set_timer(Timer::HoldOff, after.clone());
        } else if is_eager && as_server(state).has_work(self.context.cluster) {
            self.begin_ballot(state, fx);
        } else {
            // Proposals of this ballot would be sent again in vain. The timer, if it is set, begins another ballot.
            self.step_down(state, fx);
            if self.owes(state) {
                self.context.retry.watch(&as_proposer(state), fx);
            }
        }
    }

    fn owes(&self, state: &ProcessState) -> bool {
        state.proposer().is_some_and(|proposer| retry::owes(self.context.cluster, proposer, state.server()))
    }

    /// A leader sends again what may be lost. A server in phase 1 begins a higher ballot. A nack tells a leader that it no longer
    /// leads.
    fn on_retry(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        if !self.owes(state) {
            return;
        }
        if let Phase::Accepting { .. } = as_proposer(state).phase {
            sequence::repeat(self.context.cluster, &as_server(state), fx);
            confirm::repeat(self.context.cluster, &as_server(state), fx);
        } else {
            self.context.retry.failed(as_proposer(state));
            self.begin_ballot(state, fx);
        }
    }

    /// Asks the others what was chosen from the first unknown instance on, and again some time later.
    fn catch_up(&self, from: Instance, fx: &mut Effects) {
        if self.log.catch_up.is_some() {
            fx.broadcast(&self.others(), &Msg::CatchUp { from });
            self.watch_catch_up(fx);
        }
    }

    fn watch_catch_up(&self, fx: &mut Effects) {
        if let Some(after) = &self.log.catch_up {
            fx.set_timer(Timer::CatchUp, after.clone());
        }
    }

    fn others(&self) -> Vec<Id> {
        self.context.cluster.learners.iter().copied().filter(|id| *id != self.context.me).collect()
    }

    fn on_catch_up(&self, state: &mut Cow<'_, ProcessState>, src: Id, from: Instance, fx: &mut Effects) {
        let server = as_server(state);
        if snapshot::offer(self.log, &server, src, from, fx) {
            return;
        }
        let (values, _) = bounded(&server.learner.learned, from, self.context.cluster.report, |value| value);
        if !values.is_empty() {
            fx.send(src, Msg::CatchUpReply { values, next: server.log().next });
        }
    }

    /// Learns what another server knows, and asks for more if that was not all.
    fn on_catch_up_reply(
        &self,
        state: &mut Cow<'_, ProcessState>,
        src: Id,
        (values, next): (&PerInstance<Value>, Instance),
        fx: &mut Effects,
    ) {
        let before = as_server(state).log().next;
        for (instance, value) in values {
            self.learn(state, *instance, value.clone(), fx);
        }
        let now = as_server(state).log().next;
        if before < now && now < next {
            fx.send(src, Msg::CatchUp { from: now });
        }
    }
}
