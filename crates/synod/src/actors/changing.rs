//! The part of a server of a log that follows the changes of its members. Where members do not change, nothing here does anything.

use crate::actors::log_server::LogServer;
use crate::actors::state::{ProcessState, as_learner, as_proposer, as_server};
use crate::ballot::{Ballot, Instance, Proposal, Value};
use crate::call::Call;
use crate::effects::Effects;
use crate::log::membership::Membership;
use crate::log::state::Answering;
use crate::log::views::View;
use crate::log::{answering, changes, confirm, sequence};
use crate::message::{Ask, Msg};
use crate::progress::{lead, retry};
use crate::roles::learner;
use crate::roles::proposer::Phase;
use stateright::actor::Id;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The members as a server knows them at the beginning of a step.
#[derive(Default)]
pub(super) struct Known {
    /// The number of the last configuration.
    number: u64,
    /// The first instance of the first configuration that is not over.
    first: Instance,
    learners: Vec<usize>,
    /// True if it has not said yet that it has all on its disk that was chosen under the members before.
    owes_word: bool,
    /// The cluster as those see it that are members.
    everyone: Option<View<'static>>,
}

impl LogServer<'_> {
    /// True if a message is from a process that is no member any more and goes on as if it were one. It is told so. It may go on learning, which tells it
    /// when it may be switched off.
    pub(super) fn refuses(
        &self,
        state: &mut Cow<'_, ProcessState>,
        src: Id,
        msg: &Msg,
        fx: &mut Effects,
    ) -> bool {
        let server = as_server(state);
        let Some(membership) = server.log().replica.membership() else { return false };
        let takes_part =
            matches!(msg, Msg::Prepare { .. } | Msg::Accept { .. } | Msg::Confirm { .. } | Msg::Relay { .. });
        let refused = takes_part && src != self.context.me && membership.is_removed(src);
        if refused {
            fx.send(src, Msg::Removed { number: membership.number() });
        }
        refused
    }

    /// A process acts as a member that is none as far as this server knows. If it was never heard of, this server has missed the changes that made it one, and
    /// perhaps nobody else is left to ask. If it was removed, it may be the only one that has what made it leave on its disk. So this server asks
    /// that one too, when it asks next.
    pub(super) fn note_stranger(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg) {
        let mut server = as_server(state);
        let log = server.log();
        let Some(membership) = log.replica.membership() else { return };
        let index = usize::from(src);
        let acts = match msg {
            Msg::Prepare { .. } | Msg::Accept { .. } | Msg::Chosen { .. } => true,
            Msg::CatchUp { from } => *from > log.next,
            _ => false,
        };
        if self.log.catch_up.is_some()
            && acts
            && !membership.takes_part(index)
            && !log.strangers.contains(index)
        {
            server.edit().log_mut().strangers.insert(index);
        }
    }

    /// Keeps an acceptance in an instance whose members are not known yet. It counts nowhere until they are.
    pub(super) fn keep(&self, state: &mut Cow<'_, ProcessState>, src: Id, msg: &Msg) {
        let c = self.context.cluster;
        let (Msg::Accepted { ballot, instance, value }, Some(index)) = (msg, c.acceptor(src)) else { return };
        if *instance >= as_server(state).log().next && c.told_of_acceptance().contains(&self.context.me) {
            let proposal = Proposal { ballot: *ballot, value: value.clone() };
            learner::keep(&mut as_learner(state), index, (*instance, proposal));
        }
    }

    /// Counts the acceptances that were kept in instances whose members have come to be known. Returns true if the next one is known to be chosen.
    pub(super) fn count_kept(
        &self,
        state: &mut Cow<'_, ProcessState>,
        before: Instance,
        fx: &mut Effects,
    ) -> bool {
        if self.log.members.is_none() {
            return false;
        }
        let (alpha, next) = (self.log.alpha, as_server(state).log().next);
        let range = next.max(before.plus(alpha))..next.plus(alpha);
        let kept: Vec<Instance> = as_server(state).learner.votes.range(range).map(|(at, _)| *at).collect();
        for instance in kept {
            // Enforces M1, M2: a vote counts among the members of its instance, and for one of them.
            if let Some(governing) = as_server(state).log().at(self.context.cluster, instance) {
                learner::count(&governing, as_learner(state), self.context.me, instance, fx);
                if as_server(state).known(instance).is_some() {
                    sequence::requeue_unchosen(as_server(state), instance);
                    retry::succeeded(as_proposer(state));
                }
            }
        }
        as_server(state).known(next).is_some()
    }

    /// Another server says that this one is no member any more.
    pub(super) fn on_removed(&self, state: &mut Cow<'_, ProcessState>, number: u64, fx: &mut Effects) {
        let server = as_server(state);
        let log = server.log();
        let is_news = log.replica.membership().is_some_and(|membership| membership.number() <= number);
        if is_news && log.removed.is_none() {
            as_server(state).edit().log_mut().removed = Some(number);
            self.step_down(state, fx);
            self.redirect_commands(state, fx);
        }
    }

    /// Ends a step: does what the changes that it executed call for.
    pub(super) fn follow(
        &self,
        state: &mut Cow<'_, ProcessState>,
        before: Option<Known>,
        teller: Option<Id>,
        fx: &mut Effects,
    ) {
        let me = self.context.me;
        let Some(Known { number, first, learners, owes_word, everyone }) = self.known(state) else { return };
        let before = before.unwrap_or_default();
        let Known { number: number_before, learners: learners_before, owes_word: owed, .. } = before;
        let is_preparing = matches!(as_proposer(state).phase, Phase::Preparing { .. });
        if !as_server(state).log().may_lead(me) {
            // The last instance that counts it is executed. Another server leads from now on.
            self.step_down(state, fx);
            self.redirect_commands(state, fx);
        } else if is_preparing && number != number_before
            || sequence::needs_another_ballot(self.context.cluster, self.log, &as_server(state))
        {
            // Those that have come to be members were not asked.
            self.begin_ballot(state, fx);
        }
        if let Some((old, new)) = before.everyone.as_deref().zip(everyone.as_deref()) {
            let turn = lead::changed((old, new), me, as_proposer(state), fx);
            self.take_turn(state, turn, fx);
        }
        if number != number_before {
            let everyone = self.everyone(state);
            confirm::ask(&everyone, as_server(state), fx);
        } else if first != before.first {
            let everyone = self.everyone(state);
            confirm::count_again(&everyone, as_server(state), fx);
        }
        if matches!(as_proposer(state).phase, Phase::Accepting { .. }) {
            // A new learner knows nobody who would tell it that it is one.
            for new in learners.iter().filter(|learner| !learners_before.contains(learner)) {
                self.on_catch_up(state, Id::from(*new), Instance::FIRST, fx);
            }
        }
        if let Some(teller) = teller
            && !learners_before.contains(&me.into())
        {
            // The one that told it leads, or knows who does.
            self.ask(state, &[teller], fx);
        }
        if owes_word && !owed {
            self.say_saved(state, fx);
        }
    }

    /// The members as this server knows them, where they change.
    pub(super) fn known(&self, state: &mut Cow<'_, ProcessState>) -> Option<Known> {
        let server = as_server(state);
        let (log, membership) = (server.log(), server.log().replica.membership()?);
        Some(Known {
            number: membership.number(),
            first: membership.configurations.keys().next().copied().unwrap_or_default(),
            learners: membership.learners.keys().copied().collect(),
            owes_word: membership.waits_for(self.context.me) && log.saved_below() >= membership.latest_from(),
            everyone: Some(membership.everyone()),
        })
    }

    /// A learner asks to join: the one that leads, or else the one that it has caught up with. It has executed what made it a learner, and all before.
    pub(super) fn ask_to_join(
        &self,
        state: &mut Cow<'_, ProcessState>,
        teller: Option<Id>,
        fx: &mut Effects,
    ) {
        let asked = match (self.who_leads(state), teller) {
            (leads, _) if leads.len() == 1 => leads,
            (_, Some(teller)) => vec![teller],
            (all, None) => all,
        };
        self.ask(state, &asked, fx);
    }

    fn ask(&self, state: &mut Cow<'_, ProcessState>, asked: &[Id], fx: &mut Effects) {
        let server = as_server(state);
        let (next, Some(membership)) = (server.log().next, server.log().replica.membership()) else { return };
        if membership.learners.contains_key(&self.context.me.into()) {
            let directory = self.log.members.as_ref().and_then(|members| members.directory);
            fx.broadcast(asked, &Msg::Ask(Ask::Submit { number: next.0, command: changes::join(directory) }));
        }
    }

    /// The member that leads, as far as this one knows, or else all of them: one of them may.
    fn who_leads(&self, state: &mut Cow<'_, ProcessState>) -> Vec<Id> {
        let everyone = self.everyone(state);
        let followed = lead::followed(&everyone, self.context.me, &as_proposer(state));
        let server = as_server(state);
        let promised = server.acceptor.promised.map(|promised| promised.proposer);
        let mut proposers = everyone.proposers.iter();
        let promised = proposers.find(|(_, number)| Some(*number) == promised).map(|(leads, _)| *leads);
        match (followed.or(promised), server.log().replica.membership()) {
            (Some(leads), _) => vec![leads],
            (None, Some(membership)) => Self::members(membership),
            (None, None) => Vec::new(),
        }
    }

    /// Says once more what may have been lost: that it asks to join, or that it has saved all.
    pub(super) fn remind(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        self.ask_to_join(state, None, fx);
        if self.known(state).is_some_and(|known| known.owes_word) {
            self.say_saved(state, fx);
        }
    }

    /// A member says that it has all on its disk that was chosen under the members before: to the one that leads as far as it knows, or to all.
    fn say_saved(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        let asked = self.who_leads(state);
        let server = as_server(state);
        let log = server.log();
        // Enforces M3: what is only executed is gone after a crash.
        let ask = Ask::Submit { number: log.saved_below().0, command: changes::saved() };
        fx.broadcast(&asked, &Msg::Ask(ask));
    }

    /// Notes that an acceptor answered a proposal of the ballot that is under way.
    pub(super) fn note_answer(
        state: &mut Cow<'_, ProcessState>,
        (ballot, instance): (Ballot, Instance),
        acceptor: usize,
    ) {
        let is_mine =
            matches!(as_proposer(state).phase, Phase::Accepting { ballot: mine, .. } if mine == ballot);
        let mut server = as_server(state);
        if is_mine && server.log().answering.as_ref().is_some_and(|it| it.is_news(instance, acceptor)) {
            answering::hear(server.edit().log_mut(), instance, acceptor);
        }
    }

    /// Another ballot begins, and it is not known yet who answers that.
    pub(super) fn forget_answers(state: &mut Cow<'_, ProcessState>) {
        if let Some(answering) = &mut as_server(state).edit().log_mut().answering {
            *answering = Answering::default();
        }
    }

    /// Refuses to propose what would leave too few members that answer.
    pub(super) fn refuse_to_stop(state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        answering::refuse(as_server(state).edit(), fx);
    }

    /// Has what this server's own operator asks go to the member that leads, or else to all of them. The operator can ask nobody else.
    pub(super) fn relay(
        &self,
        state: &mut Cow<'_, ProcessState>,
        (client, number): (Id, u64),
        command: &Value,
        fx: &mut Effects,
    ) {
        let me = self.context.me;
        if self.log.members.as_ref().and_then(|members| members.operator_of(me)) != Some(client) {
            return;
        }
        let mut asked = self.who_leads(state);
        if asked == [me] {
            asked = as_server(state).log().replica.membership().map(Self::members).unwrap_or_default();
        }
        asked.retain(|id| *id != me);
        fx.broadcast(&asked, &Msg::Relay { number, command: command.clone() });
    }

    /// Takes what the operator of another member asks. A server that follows another one does not, since it would propose it long after.
    pub(super) fn on_relay(
        &self,
        state: &mut Cow<'_, ProcessState>,
        (src, number): (Id, u64),
        command: &Value,
        fx: &mut Effects,
    ) {
        let is_heard = Self::takes_part(state, src);
        let operator = self.log.members.as_ref().and_then(|members| members.operator_of(src));
        if let Some(operator) = operator.filter(|_| is_heard)
            && self.leader(state).is_none()
        {
            self.on_submit(state, (operator, number), command, fx);
        }
    }

    /// True if a process is a member, or is to join.
    fn takes_part(state: &mut Cow<'_, ProcessState>, src: Id) -> bool {
        as_server(state).log().replica.membership().is_some_and(|it| it.takes_part(src.into()))
    }

    /// Tells its own operator what another member says to it. Here nobody has to propose that any more.
    pub(super) fn on_relayed(
        &self,
        state: &mut Cow<'_, ProcessState>,
        (src, number): (Id, u64),
        output: &Value,
        fx: &mut Effects,
    ) {
        let me = self.context.me;
        let operator = self.log.members.as_ref().and_then(|members| members.operator_of(me));
        let Some(client) = operator.filter(|_| Self::takes_part(state, src)) else { return };
        let (call, mut server) = (Call { client, number }, as_server(state));
        if server.log().asked.contains_key(&call) {
            answering::drop_call(server.edit(), call);
        }
        fx.send(client, Msg::Output { number, output: output.clone() });
    }

    /// Has what is said to the operator of another member go to that member, which alone speaks with it.
    pub(super) fn answer_by_members(&self, fx: &mut Effects) {
        let Some(members) = self.log.members.as_ref().filter(|members| members.relays) else { return };
        fx.reroute(|(to, msg)| match (members.member_of(to).filter(|it| *it != self.context.me), msg) {
            (None, msg) => Some((to, msg)),
            (Some(member), Msg::Output { number, output }) => Some((member, Msg::Relayed { number, output })),
            // That member finds out who leads by itself.
            (Some(_), _) => None,
        });
    }

    /// Sends the clients whose commands wait here to a member.
    fn redirect_commands(&self, state: &mut Cow<'_, ProcessState>, fx: &mut Effects) {
        let Some(leader) = self.member_instead(state) else { return };
        let mut server = as_server(state);
        if server.log().asked.is_empty() {
            return;
        }
        let server = server.edit();
        server.proposer.queue.clear();
        let clients: BTreeSet<Id> =
            std::mem::take(&mut server.log_mut().asked).into_keys().map(|call| call.client).collect();
        fx.broadcast(&clients.into_iter().collect::<Vec<_>>(), &Msg::Redirect { leader });
    }

    /// Where this process may not lead because it is no member: a member.
    pub(super) fn member_instead(&self, state: &mut Cow<'_, ProcessState>) -> Option<Id> {
        let server = as_server(state);
        let membership = server.log().replica.membership()?;
        let members = Self::members(membership);
        (!server.log().may_lead(self.context.me))
            .then(|| members.into_iter().find(|id| *id != self.context.me))?
    }

    fn members(membership: &Membership) -> Vec<Id> {
        membership.latest().into_iter().flat_map(|latest| latest.members.iter()).map(Id::from).collect()
    }
}
