//! A server that keeps a log: the same roles as everywhere, and which of their messages let the log go on.

use crate::actors::state::{ProcessState, as_acceptor, as_learner, as_proposer, as_server};
use crate::actors::wiring::{acceptor_hears, learner_hears};
use crate::ballot::{Instance, Value};
use crate::call::{Call, LogEntry};
use crate::cluster::{Cluster, Log};
use crate::effects::Effects;
use crate::log::lease;
use crate::log::snapshot::{self, Chunk, Fetch};
use crate::log::state::{LeaseState, LogState, ServerState};
use crate::log::views::View;
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

/// The state of mastership when a step begins.
#[derive(Clone, Copy)]
struct Before {
    was_due: bool,
    was_busy: bool,
}

impl Before {
    fn of(server: &ServerState) -> Before {
        Before { was_due: server.is_to_take(), was_busy: server.is_leading_to_something() }
    }
}

impl<'m> LogServer<'m> {
    /// Asks at once what was missed while it was away.
    pub(crate) fn start(&self, state: &mut LogState, fx: &mut Effects) {
        self.catch_up(state, fx);
        if let Some(settings) = &self.log.master {
            lease::start(settings, state, fx);
        }
    }

    /// Takes a message, follows the changes of members that it brought, and then takes mastership if that has come to be due.
    pub(crate) fn on_msg(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg, fx: &mut Effects) {
        if self.refuses(state, src, msg, fx) {
            return;
        }
        let (before, known) = (Before::of(&as_server(state)), self.known(state));
        self.hear(state, src, msg, fx);
        self.note_stranger(state, src, msg);
        // Whoever reports what was missed may have more to report.
        let teller = Some(src).filter(|_| !matches!(msg, Msg::CatchUpReply { .. }));
        self.follow(state, known, teller, fx);
        self.keep_mastership(state, before, fx);
        self.answer_by_members(fx);
    }

    /// The same of a timer.
    pub(crate) fn on_timeout(&self, state: &mut Cow<'_, ProcessState>, timer: Timer, fx: &mut Effects) {
        let (before, known) = (Before::of(&as_server(state)), self.known(state));
        self.ring(state, timer, fx);
        self.follow(state, known, None, fx);
        self.keep_mastership(state, before, fx);
        self.answer_by_members(fx);
    }

    /// The cluster for what is said about all instances that are not executed.
    pub(super) fn everyone(&self, state: &mut Cow<'_, ProcessState>) -> View<'m> {
        as_server(state).log().everyone(self.context.cluster)
    }

    /// The settings of this server's ballots, in a part of the cluster.
    pub(super) fn among<'c>(&self, cluster: &'c Cluster) -> Context<'c>
    where
        'm: 'c,
    {
        Context { cluster, ..self.context }
    }

    /// Has mastership follow leadership: a server that leads takes it once that is due, and one that follows another leader yields it to that one.
    fn keep_mastership(&self, state: &mut Cow<'_, ProcessState>, before: Before, fx: &mut Effects) {
        let (Some(settings), me) = (&self.log.master, self.context.me) else { return };
        if !before.was_due && as_server(state).is_to_take() {
            self.go_about(state, before.was_busy, fx);
        }
        if lease::take(settings, me, as_server(state), fx) {
            self.advance(state, fx);
        }
        if self.leader(state).is_some() {
            let others = self.others(as_server(state).log());
            lease::cease(&others, me, as_server(state), fx);
        }
    }

    /// Executes and issues what can be. The members of more instances may be known then, so that more is.
    fn advance(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        loop {
            let before = as_server(state).log().next;
            sequence::advance((self.context.cluster, self.context.me), self.log, as_server(state), fx);
            if !self.count_kept(state, before, fx) {
                return;
            }
        }
    }

    /// Takes a message. Servers choose the instances, so a client's message that names one is ignored.
    fn hear(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg, fx: &mut Effects) {
        let everyone = self.everyone(state);
        let c = &*everyone;
        if let Msg::Ask(ask) = msg
            && let Some(number) = c.too_long(ask)
        {
            // Not in the log, so that a report about whatever is there fits into a message.
            if let Some(output) = self.log.machine.too_long(c.max_value.saturating_sub(LogEntry::COSTS)) {
                fx.send(src, Msg::Output { number, output });
            }
            return;
        }
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
                    snapshot::offer(self.log, as_server(state), src, *from, fx);
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
                    self.advance(state, fx);
                    confirm::ask(c, as_server(state), fx);
                }
            }
            Msg::Accepted { ballot, instance, .. } => {
                // Enforces M1, M2: a vote counts among the members of its instance, and for one of them.
                let Some(governing) = as_server(state).log().at(self.context.cluster, *instance) else {
                    return self.keep(state, src, msg);
                };
                let c = &*governing;
                let Some(index) = c.acceptor(src) else { return };
                let vote = (*ballot, *instance);
                Self::note_answer(state, vote, index);
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
                let turn = lead::on_beat(self.among(c), as_proposer(state), src, *beat, fx);
                self.take_turn(state, turn, fx);
                // The leader may wait for the end of a lease that is over.
                if self.leader(state) == Some(src) {
                    lease::yield_again(src, self.context.me, &as_server(state), fx);
                }
            }
            Msg::Give { since, heir } => self.on_give(state, *since, *heir, fx),
            Msg::Yield { token } => lease::on_yield(src, *token, as_server(state), fx),
            Msg::Confirm { ballot, round } => {
                confirm::on_confirm(c, &as_acceptor(state), src, (*ballot, *round), fx);
            }
            Msg::Confirmed { ballot, round } => {
                let Some(index) = c.acceptor(src) else { return };
                confirm::on_confirmed(c, as_server(state), index, (*ballot, *round), fx);
            }
            Msg::Removed { number } => self.on_removed(state, *number, fx),
            Msg::Relay { number, command } => self.on_relay(state, (src, *number), command, fx),
            Msg::Relayed { number, output } => self.on_relayed(state, (src, *number), output, fx),
            _ => self.on_snapshot(state, src, msg, fx),
        }
    }

    /// Takes a message about snapshots.
    fn on_snapshot(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg, fx: &mut Effects) {
        let Some(truncate) = &self.log.truncate else { return };
        let everyone = self.everyone(state);
        let servers = everyone.learners.as_slice();
        match msg {
            Msg::Chunk { of, sum, length, at, bytes } => {
                let chunk = Chunk { of: *of, sum: *sum, length: *length, at: *at, bytes };
                if snapshot::on_chunk((truncate, servers, self.context.me), as_server(state), src, chunk, fx)
                {
                    self.go_on(state, src, fx);
                }
            }
            Msg::Fetch { of, sum, at } => {
                let fetch = Fetch { of: *of, sum: *sum, at: *at };
                snapshot::on_fetch(truncate, as_server(state), src, fetch, fx);
            }
            Msg::Checksum { below, sum } => {
                snapshot::compare(&everyone.acceptors, as_server(state), src, (*below, *sum));
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
        self.count_kept(state, Instance::FIRST, fx);
        self.advance(state, fx);
        if self.log.catch_up.is_some() {
            fx.send(src, Msg::CatchUp { from: as_server(state).log().next });
        }
    }

    fn ring(&self, state: &mut Cow<'_, ProcessState>, timer: Timer, fx: &mut Effects) {
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
                let others = self.others_and_strangers(as_server(state).log());
                if snapshot::ask_again(self.log.truncate.as_ref(), as_server(state), &others, fx) {
                    self.watch_catch_up(fx);
                } else {
                    self.catch_up(as_server(state).log(), fx);
                }
                self.remind(state, fx);
            }
            Timer::Snapshot => {
                if let Some(truncate) = &self.log.truncate {
                    let others = self.others(as_server(state).log());
                    snapshot::take(truncate, as_server(state), &others, fx);
                }
            }
            Timer::Election(timer) if as_server(state).log().removed.is_none() => {
                let everyone = self.everyone(state);
                let turn = lead::on_timer(self.among(&everyone), as_proposer(state), timer, fx);
                self.take_turn(state, turn, fx);
            }
            Timer::Hold(_) | Timer::Respect | Timer::Seek => lease::on_timeout(as_server(state), timer),
            // One that is no member any more elects nobody.
            Timer::Election(_) | Timer::Resend => {}
        }
    }

    pub(super) fn on_submit(
        &self,
        state: &mut Cow<'_, ProcessState>,
        (client, number): (Id, u64),
        command: &Value,
        fx: &mut Effects,
    ) {
        if !as_server(state).log().hears_clients(self.context.me) {
            // Enforces E2: only the server whose tenure it is takes commands, and answers those that took effect.
            self.send_on(state, client, fx);
            return self.relay(state, (client, number), command, fx);
        }
        if let Some(leader) = self.member_instead(state) {
            fx.send(client, Msg::Redirect { leader });
            return self.relay(state, (client, number), command, fx);
        }
        let was_busy = as_server(state).is_leading_to_something();
        let is_new =
            sequence::on_submit(self.context.cluster, as_server(state), (client, number), command, fx);
        if let Some(leader) = self.leader(state) {
            fx.send(client, Msg::Redirect { leader });
            self.relay(state, (client, number), command, fx);
        }
        if is_new {
            self.go_about(state, was_busy, fx);
            if self.log.members.as_ref().is_some_and(|members| members.is_operator(client)) {
                Self::refuse_to_stop(state, fx);
            }
            self.advance(state, fx);
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
    pub(super) fn leader(&self, state: &mut Cow<'_, ProcessState>) -> Option<Id> {
        let everyone = self.everyone(state);
        lead::followed(&everyone, self.context.me, &as_proposer(state))
            .or(as_server(state).log().held)
            .or_else(|| self.member_instead(state))
    }

    /// A server that comes to lead takes over at once, so that what others left open is brought to an end (PMS §3). One that no
    /// longer leads gives up its ballot.
    pub(super) fn take_turn(&self, state: &mut Cow<'_, ProcessState>, turn: Option<Turn>, fx: &mut Effects) {
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
        let server = as_server(state);
        if !server.log().hears_clients(self.context.me) {
            // Enforces E2: another server, who is master, may not know yet what is known here.
            return self.send_on(state, client, fx);
        }
        // Enforces E2: only a server that is master in this step knows without asking all that clients were told.
        if server.log().lease.as_ref().is_some_and(LeaseState::is_master) {
            return confirm::answer_stale(&server, Call { client, number }, command, fx);
        }
        if let Some(leader) = self.leader(state) {
            return fx.send(client, Msg::Redirect { leader });
        }
        let was_busy = as_server(state).is_leading_to_something();
        let everyone = self.everyone(state);
        confirm::on_query(&everyone, as_server(state), Call { client, number }, command, fx);
        if as_server(state).log().questions.are_open() {
            self.go_about(state, was_busy, fx);
        }
    }

    /// Sends a client to the server that leads. Where none is elected, to the one whose tenure it is. A server that leads itself is to be master soon.
    fn send_on(&self, state: &mut Cow<'_, ProcessState>, client: Id, fx: &mut Effects) {
        let is_idle = as_proposer(state).phase == Phase::Idle;
        let otherwise = if self.context.cluster.election.is_none() {
            // It is another's. A tenant that a server does not follow may be gone.
            as_server(state).log().tenant().filter(|_| is_idle)
        } else {
            Some(self.context.me).filter(|_| !is_idle)
        };
        if let Some(leader) = self.leader(state).or(otherwise) {
            fx.send(client, Msg::Redirect { leader });
        }
    }

    /// Hands leadership and mastership over, if this server is master in this tenure.
    fn on_give(&self, state: &mut Cow<'_, ProcessState>, since: Instance, heir: Id, fx: &mut Effects) {
        let server = as_server(state);
        let log = server.log();
        let is_tenure = log.replica.mastership().is_some_and(|last| last.since == since);
        // A take that is open may be executed after the yield, which names the one before. Then the heir would wait for a lease.
        let may_give = log.lease.as_ref().is_some_and(|lease| lease.is_master() && lease.open.is_none());
        // One that is no member cannot lead, so that nobody would be master until the lease is over.
        let others = self.others(log);
        if !is_tenure || !may_give || !others.contains(&heir) || !log.counts(heir) {
            return;
        }
        lease::cease(&others, self.context.me, as_server(state), fx);
        let everyone = self.everyone(state);
        let turn = lead::cede(self.among(&everyone), as_proposer(state), heir, fx);
        self.take_turn(state, turn, fx);
    }

    /// One phase 1 for all instances from the first unknown one on (PMS §3).
    pub(super) fn begin_ballot(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        let may_lead = as_server(state).log().may_lead(self.context.me);
        if !may_lead || !retry::may_begin(self.context.cluster, &as_proposer(state)) {
            return;
        }
        sequence::reclaim(as_server(state));
        Self::forget_answers(state);
        let from = as_server(state).log().next;
        let everyone = self.everyone(state);
        retry::begin_ballot(self.among(&everyone), as_proposer(state), from, fx);
    }

    /// Learns a value that is known to be chosen.
    fn learn(&self, state: &mut Cow<'_, ProcessState>, instance: Instance, value: Value, fx: &mut Effects) {
        // Values below the log's start were known once.
        if instance >= as_acceptor(state).log_start && as_server(state).known(instance).is_none() {
            let everyone = self.everyone(state);
            learner::on_chosen(&everyone, as_learner(state), self.context.me, (instance, value), fx);
            self.learned(state, instance, fx);
        }
    }

    fn learned(&self, state: &mut Cow<'_, ProcessState>, instance: Instance, fx: &mut Effects) {
        if as_server(state).known(instance).is_some() {
            sequence::requeue_unchosen(as_server(state), instance);
            retry::succeeded(as_proposer(state));
            self.advance(state, fx);
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
    pub(super) fn step_down(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
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
        state.proposer().is_some_and(|proposer| retry::owes(self.context, proposer, state.server()))
    }

    /// A leader sends again what may be lost. A server in phase 1 begins a higher ballot. A nack tells a leader that it no longer
    /// leads.
    fn on_retry(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        if !self.owes(state) {
            return;
        }
        if let Phase::Accepting { .. } = as_proposer(state).phase {
            sequence::repeat(self.context.cluster, &as_server(state), fx);
            confirm::repeat(&self.everyone(state), &as_server(state), fx);
        } else {
            self.context.retry.failed(as_proposer(state));
            self.begin_ballot(state, fx);
        }
    }

    /// Asks the others what was chosen from the first unknown instance on, and again some time later. One that was removed does so until it knows that it may
    /// be switched off.
    fn catch_up(&self, log: &LogState, fx: &mut Effects) {
        if self.log.catch_up.is_some() && !log.may_end(self.context.me) {
            fx.broadcast(&self.others_and_strangers(log), &Msg::CatchUp { from: log.next });
            self.watch_catch_up(fx);
        }
    }

    fn watch_catch_up(&self, fx: &mut Effects) {
        if let Some(after) = &self.log.catch_up {
            fx.set_timer(Timer::CatchUp, after.clone());
        }
    }

    /// Those whom it asks what it has missed.
    fn others_and_strangers(&self, log: &LogState) -> Vec<Id> {
        let strangers = log.strangers.iter().map(Id::from);
        self.others(log).into_iter().chain(strangers).collect()
    }

    fn others(&self, log: &LogState) -> Vec<Id> {
        let everyone = log.everyone(self.context.cluster);
        everyone.learners.iter().copied().filter(|id| *id != self.context.me).collect()
    }

    pub(super) fn on_catch_up(
        &self,
        state: &mut Cow<'_, ProcessState>,
        src: Id,
        from: Instance,
        fx: &mut Effects,
    ) {
        let mut server = as_server(state);
        if snapshot::offer(self.log, server.again(), src, from, fx) {
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
        } else if now >= next {
            self.ask_to_join(state, Some(src), fx);
        }
    }
}
