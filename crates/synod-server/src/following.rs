//! The work of a member beside its log where members change: whom it talks with, what its operator asks, and when it may end.

use crate::config::Config;
use crate::member::UdpMember;
use crate::notice::{Notice, ServeError};
use crate::operator::{Asked, Calls, Desk, Reply, Request};
use crate::status::{members_told, membership};
use crate::wiring::Wiring;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use synod::{Ask, Instance, Membership, Msg, ProcessState, Value};
use synod_groups::InGroup;
use synod_runtime::admission::{Admission, Members};

/// The follower of the changes of members.
pub(crate) struct Following {
    config: Config,
    wiring: Wiring,
    me: u64,
    desk: Desk,
    calls: Calls,
    seen: Option<Seen>,
    is_moved: bool,
    /// True once the calls of earlier starts are voided.
    voids: bool,
}

/// The members as they were seen last.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    configurations: Vec<(Instance, u64)>,
    learners: BTreeMap<usize, Option<usize>>,
    addresses: BTreeMap<usize, Value>,
}

impl Seen {
    fn is_of(&self, membership: &Membership) -> bool {
        self.configurations.len() == membership.configurations.len()
            && self.configurations.iter().zip(&membership.configurations).all(
                |((from, number), (other, configuration))| from == other && *number == configuration.number,
            )
            && self.learners == membership.learners
            && self.addresses == membership.addresses
    }

    fn of(membership: &Membership) -> Seen {
        let all = membership.configurations.iter();
        Seen {
            configurations: all.map(|(from, configuration)| (*from, configuration.number)).collect(),
            learners: membership.learners.clone(),
            addresses: membership.addresses.clone(),
        }
    }
}

impl Following {
    /// The follower of a member, if its cluster's members change.
    ///
    /// # Errors
    /// When there can be no socket for its operator.
    pub(crate) fn new(config: &Config, me: u64, node: &UdpMember) -> Result<Option<Following>, ServeError> {
        let Some(member) = config.member(me).filter(|_| config.changing.is_some()) else { return Ok(None) };
        let desk = Desk::open(&member.data, node.wire().waker()).map_err(|error| {
            let data = member.data.display();
            ServeError::new(format!("{data}: there can be no socket for its operator there: {error}"))
        })?;
        let boot = node.store().map_or(0, |store| store.standing().boot);
        Ok(Some(Following {
            config: config.clone(),
            wiring: Wiring::from(config),
            me,
            desk,
            calls: Calls::new(me, boot),
            seen: None,
            is_moved: false,
            voids: false,
        }))
    }

    /// Takes what was told to the operator as a client.
    pub(crate) fn hear(&mut self, node: &mut UdpMember, to: u64, msg: &Msg) {
        if let Msg::Output { number, output } = msg
            && to == self.calls.id()
        {
            self.calls.hear(*number, output, node.now());
        }
    }

    /// Follows what the member has executed, and does what its operator asks. Returns when it wants to be called again even if nothing happens.
    pub(crate) fn attend(&mut self, node: &mut UdpMember, notice: &mut dyn FnMut(Notice)) -> Duration {
        self.follow(node, notice);
        let questions: Vec<Asked> = self.desk.questions().collect();
        let now = node.now();
        if !self.voids && self.obstacle(node).is_none() {
            self.voids = true;
            self.calls.void_earlier(now);
        }
        for (request, to) in questions {
            match request {
                Request::List => {
                    let reply = self.told(node);
                    let _ = to.try_send(reply);
                }
                Request::Change { words, timeout_ms } => match self.obstacle(node) {
                    Some(why) => {
                        let _ = to.try_send(Reply::Refused(why));
                    }
                    None => self.calls.begin(now, (&words, timeout_ms), to),
                },
            }
        }
        let mut said = None;
        let state = node.state().and_then(|all| all.of(0));
        let Some((_, membership)) = state.and_then(membership) else { return Duration::MAX };
        let wakes = self.calls.turn(now, membership, &mut |number, command| said = Some((number, command)));
        if let Some((number, command)) = said {
            // Without room it is said again later.
            let what = Msg::Ask(Ask::Submit { number, command });
            node.tell(self.calls.id(), &InGroup { group: 0, what });
        }
        wakes
    }

    /// The reason why this member asks for no change now, if there is one.
    fn obstacle(&self, node: &mut UdpMember) -> Option<String> {
        let state = node.state().and_then(|all| all.of(0));
        let is_removed = |(_, it): (_, &Membership)| it.is_removed((self.me as usize).into());
        if state.and_then(membership).is_some_and(is_removed) {
            return Some(format!("member {} is none any more; ask another one", self.me));
        }
        match node.admission() {
            Admission::Admitted => None,
            Admission::Learns(until) => {
                Some(format!("member {} only learns until {until}; ask another one", self.me))
            }
            Admission::Waiting { .. } | Admission::Abstains(_) => {
                Some(format!("member {} does not take part; ask another one", self.me))
            }
        }
    }

    fn told(&self, node: &mut UdpMember) -> Reply {
        let told = members_told(node, &self.config, &self.wiring, self.me);
        told.map_or_else(
            || Reply::Refused(format!("member {} does not take part yet", self.me)),
            |told| Reply::Members(Box::new(told)),
        )
    }

    /// Talks with those whom the log names, as soon as it names others.
    fn follow(&mut self, node: &mut UdpMember, notice: &mut dyn FnMut(Notice)) {
        let state = node.state().and_then(|all| all.of(0));
        let Some((log, membership)) = state.and_then(membership) else { return };
        let below = log.next.0;
        if self.seen.as_ref().is_some_and(|seen| seen.is_of(membership)) {
            return;
        }
        let before = self.seen.replace(Seen::of(membership));
        let peers = self.peers(membership);
        let latest = ids(membership.latest().into_iter().flat_map(|latest| latest.members.iter()));
        let number = membership.number();
        let news = Notice::Members {
            number,
            from: membership.latest_from().0,
            members: latest.clone(),
            learners: ids(membership.learners.keys().copied()),
        };
        let here = self.config.member(self.me).map(|member| member.address);
        let given = membership.address(self.me as usize).map(str::to_owned);
        let in_force = membership.configurations.values();
        let members = Members {
            number,
            configurations: in_force.map(|it| it.members.iter().map(|id| id as u64).collect()).collect(),
            directory: membership.directory(self.me as usize),
        };
        node.configure(members);
        node.set_peers(&peers);
        let me = here.map(|here| (self.me, here));
        if let Some(listed) = listed(peers.iter().copied().chain(me), &latest) {
            node.transport().set_listed(below, &listed);
        }
        // The first configuration is no news, nor is what the member had executed before it started.
        if before.is_some() || number > 0 {
            notice(news);
        }
        if let (Some(given), Some(here)) = (given, here)
            && given.parse() != Ok(here)
            && !self.is_moved
        {
            self.is_moved = true;
            notice(Notice::Moved { given, here });
        }
    }

    /// The address of a process in the file.
    fn in_file(&self, id: u64) -> Option<SocketAddr> {
        self.config.member(id).map(|member| member.address)
    }

    /// The address of a process: as the log has it, or else as the file has it.
    fn address(&self, membership: &Membership, id: u64) -> Option<SocketAddr> {
        let is_v4 = self.in_file(self.me).is_none_or(|here| here.is_ipv4());
        let given = membership.address(id as usize).and_then(|word| word.parse::<SocketAddr>().ok());
        // The socket sends to addresses of one kind.
        given.filter(|address| address.is_ipv4() == is_v4).or_else(|| self.in_file(id))
    }

    /// Those that it talks with: all that take part, and those in the file that never did, or of which it has not heard that they do. Of two at one address the
    /// one that counts is there; a learner makes itself heard.
    fn peers(&self, membership: &Membership) -> Vec<(u64, SocketAddr)> {
        let latest = membership.latest().map(|latest| latest.members).unwrap_or_default();
        let leaving = membership.members().without(latest);
        let known = latest.iter().chain(leaving.iter()).chain(membership.learners.keys().copied());
        let known = ids(known).into_iter().filter_map(|id| Some((id, self.address(membership, id)?)));
        let others =
            self.config.members.iter().filter(|member| !membership.used.contains(member.id as usize));
        let mut peers: Vec<(u64, SocketAddr)> = Vec::new();
        for (id, address) in known.chain(others.map(|member| (member.id, member.address))) {
            if id != self.me && peers.iter().all(|(_, taken)| *taken != address) {
                peers.push((id, address));
            }
        }
        peers
    }

    /// Ends what its operator asked for.
    pub(crate) fn end(&mut self) {
        self.calls.end();
    }
}

/// The members that clients are told of, and where each listens. `None` if that is not known of all: a client takes those that it is told of for all.
fn listed(known: impl Iterator<Item = (u64, SocketAddr)>, latest: &[u64]) -> Option<Vec<(u64, SocketAddr)>> {
    let listed: Vec<_> = known.filter(|(id, _)| latest.contains(id)).collect();
    (listed.len() == latest.len()).then_some(listed)
}

fn ids(indices: impl Iterator<Item = usize>) -> Vec<u64> {
    indices.map(|index| index as u64).collect()
}

/// True if the log says that a member was removed, and may be switched off.
pub(crate) fn is_over(state: &ProcessState, me: u64) -> bool {
    membership(state).is_some_and(|(log, _)| log.may_end((me as usize).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_of_all_members_or_of_none() {
        let at = |id: u64| (id, SocketAddr::from(([127, 0, 0, 1], 7000 + id as u16)));
        let known = || [0, 1, 5].into_iter().map(at);
        assert_eq!(listed(known(), &[0, 5]), Some(vec![at(0), at(5)]));
        assert_eq!(listed(known(), &[0, 2, 5]), None, "nobody knows where 2 is");
    }
}
