//! Keeps a leader from proposing that a member leaves when those that answer are no quorum of the rest. A cluster would come to a stop by it
//! that has lost another member. Keeps one call, too, of each that asks for changes. Nothing here is needed for safety.

use crate::ballot::{Instance, Value};
use crate::call::{Call, LogEntry};
use crate::effects::{Effects, Share};
use crate::log::changes::{Change, ChangeKind};
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
fn to_refuse(server: &ServerState) -> Vec<LogEntry> {
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
        let Some(Change { kind: ChangeKind::Remove(gone), .. }) = Change::read(&logged.command) else {
            return false;
        };
        let rest = membership.rules.quorums.among(members.without([gone].into_iter().collect()));
        members.contains(gone) && rest.is_ok_and(|rest| !rest.is_phase1(here) || !rest.is_phase2(here))
    };
    let waiting = server.proposer.queue.iter().filter_map(LogEntry::read);
    waiting.filter(|logged| membership.governs(logged) && stops(logged)).collect()
}

/// Forgets a call that waits to be proposed.
pub(crate) fn drop_call(server: &mut ServerState, call: Call) {
    let is_it = |queued: &Value| LogEntry::read(queued).is_some_and(|queued| queued.call == call);
    server.proposer.queue.retain(|queued| !is_it(queued));
    server.log_mut().asked.remove(&call);
}

/// Forgets the calls of the same caller before this one that wait to be proposed: it has given them up. Returns true if none waits that it made
/// after this one. So whoever asks for changes takes one place, however much it asks.
pub(crate) fn make_way(mut server: Share<'_, ServerState>, call: Call) -> bool {
    let all = Call { number: 0, ..call }..=Call { number: u64::MAX, ..call };
    let waits: Vec<Call> =
        server.log().asked.range(all).map(|(it, _)| *it).filter(|it| *it != call).collect();
    if waits.last().is_some_and(|last| *last > call) {
        return false;
    }
    for given_up in waits {
        drop_call(server.edit(), given_up);
    }
    true
}

/// Answers those calls and forgets them. If another server proposes one, it has its effect all the same.
pub(crate) fn refuse(server: &mut ServerState, fx: &mut Effects) {
    for logged in to_refuse(server) {
        drop_call(server, logged.call);
        let said = "unknown: this server did not propose it, since too few of those that would remain answer; another server may";
        fx.send(logged.call.client, Msg::Output { number: logged.call.number, output: said.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::membership::tests::three;
    use crate::quorum::AcceptorSet;

    fn set(indices: &[usize]) -> AcceptorSet {
        indices.iter().copied().collect()
    }

    #[test]
    fn who_answered_is_news_once_in_the_last_instance_and_once_before() {
        let some = Answering { at: Instance(5), now: set(&[1]), before: set(&[2]) };
        let news = |instance| (0..4).filter(|it| some.is_news(Instance(instance), *it)).collect::<Vec<_>>();
        assert_eq!(
            (news(6), news(5), news(4), news(0)),
            (vec![0, 1, 2, 3], vec![0, 2, 3], vec![0, 1, 3], vec![0, 1, 3])
        );
    }

    #[test]
    fn answers_count_together_until_a_quorum_has_answered_in_one_instance() {
        let (three, mut some) = (three(), Answering::default());
        let mut heard = |instance, acceptor| {
            some.hear(three.latest(), Instance(instance), acceptor);
            some.clone()
        };
        let is = |at, now: &[usize], before: &[usize]| Answering {
            at: Instance(at),
            now: set(now),
            before: set(before),
        };
        assert_eq!(heard(1, 0), is(1, &[0], &[]));
        assert_eq!(heard(2, 0), is(2, &[0], &[]));
        assert_eq!(heard(2, 1), is(2, &[0, 1], &[]));
        assert_eq!(heard(2, 2), is(2, &[0, 1, 2], &[]));
        assert_eq!(heard(3, 0), is(3, &[0], &[0, 1, 2]));
        assert_eq!(heard(4, 1), is(4, &[0, 1], &[0, 1, 2]));
        // What is not answered any more is forgotten.
        assert_eq!(heard(5, 1), is(5, &[1], &[0, 1]));
        assert_eq!(heard(4, 2), is(5, &[1], &[0, 1, 2]));
    }
}
