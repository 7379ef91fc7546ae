//! Keeps a leader from proposing that a member leaves when those that answer are no quorum of the rest. A cluster would come to a stop by it
//! that has lost another member. Nothing here is needed for safety.

use crate::ballot::{Instance, Value};
use crate::call::LogEntry;
use crate::effects::Effects;
use crate::log::changes::Change;
use crate::log::membership::Membership;
use crate::log::state::{Answering, LogState, ServerState};
use crate::log::views::Configuration;
use crate::message::Msg;
use crate::roles::proposer::Phase;

impl Answering {
    /// True if it was not noted yet that this acceptor answered in this instance.
    pub(crate) fn is_news(&self, instance: Instance, acceptor: usize) -> bool {
        let known = if instance == self.at { self.now } else { self.before };
        instance > self.at || !known.contains(acceptor)
    }

    /// Notes that an acceptor answered a proposal in an instance. Answers to several instances count together until they are of a quorum, since those
    /// of the leader itself come first.
    fn hear(&mut self, latest: Option<&Configuration>, instance: Instance, acceptor: usize) {
        if instance > self.at {
            self.at = instance;
            if latest.is_some_and(|latest| latest.quorums.is_phase2(self.now)) {
                self.before = std::mem::take(&mut self.now);
            }
        }
        if instance == self.at {
            self.now.insert(acceptor);
        } else {
            self.before.insert(acceptor);
        }
    }
}

/// Notes that an acceptor answered a proposal in an instance.
pub(crate) fn hear(log: &mut LogState, instance: Instance, acceptor: usize) {
    if let Some(answering) = &mut log.answering {
        answering.hear(log.replica.membership().and_then(Membership::latest), instance, acceptor);
    }
}

/// The calls that wait to be proposed and must not be, and the acceptors that answer.
pub(crate) fn to_refuse(server: &ServerState) -> Vec<LogEntry> {
    let log = server.log();
    let (Some(answering), Some(membership)) = (&log.answering, log.replica.membership()) else {
        return Vec::new();
    };
    let (here, latest) = (answering.now.with(answering.before), membership.latest());
    // A leader that has proposed nothing yet knows nothing of the others.
    if here.is_empty() || !matches!(server.proposer.phase, Phase::Accepting { .. }) {
        return Vec::new();
    }
    let members = latest.map(|latest| latest.members).unwrap_or_default();
    let stops = |logged: &LogEntry| {
        let Some(Change::Remove(gone)) = Change::read(&logged.command) else { return false };
        let rest = membership.configuration(0, members.without([gone].into_iter().collect()));
        members.contains(gone)
            && rest.is_ok_and(|rest| !rest.quorums.is_phase1(here) || !rest.quorums.is_phase2(here))
    };
    let waiting = server.proposer.queue.iter().filter_map(LogEntry::read);
    waiting.filter(|logged| membership.governs(logged) && stops(logged)).collect()
}

/// Answers those calls and forgets them. If another server proposes one, it has its effect all the same.
pub(crate) fn refuse(server: &mut ServerState, fx: &mut Effects) {
    for logged in to_refuse(server) {
        let is_it = |queued: &Value| LogEntry::read(queued).is_some_and(|queued| queued.call == logged.call);
        server.proposer.queue.retain(|queued| !is_it(queued));
        server.log_mut().asked.remove(&logged.call);
        let said = "unknown: this server did not propose it, since too few of those that would remain answer";
        fx.send(logged.call.client, Msg::Output { number: logged.call.number, output: said.into() });
    }
}
