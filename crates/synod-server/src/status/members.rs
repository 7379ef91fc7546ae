//! The members as one of them tells of them, where they change.

use super::read::Facts;
use super::told::{MemberTold, MembersTold, Standing};
use crate::config::Config;
use crate::member::UdpMember;
use crate::wiring::Wiring;
use std::collections::BTreeMap;
use synod::{LogState, Membership, ProcessState};

/// The log of a server whose members change, and its members.
pub(crate) fn membership(state: &ProcessState) -> Option<(&LogState, &Membership)> {
    let log = state.server()?.log.as_deref()?;
    Some((log, log.replica.membership()?))
}

/// What a member tells of the members, if it runs and they change.
pub(crate) fn members_told(
    node: &mut UdpMember,
    config: &Config,
    wiring: &Wiring,
    me: u64,
) -> Option<MembersTold> {
    let now = node.now();
    let peers: Vec<u64> = node.transport().peers().collect();
    let transport = node.transport();
    let heard = peers.into_iter().filter_map(|peer| Some((peer, transport.heard(peer)?)));
    let heard: BTreeMap<u64, u64> =
        heard.map(|(peer, heard)| (peer, now.saturating_sub(heard).as_millis() as u64)).collect();
    let state = node.state()?.of(0)?;
    let (log, membership) = membership(state)?;
    let latest = membership.latest()?;
    let leader = Facts::of(Some(state), wiring, me).leader;
    let of = |index: usize| {
        let id = index as u64;
        let standing = match () {
            () if membership.learners.contains_key(&index) => Standing::Learner,
            () if latest.members.contains(index) => Standing::Member,
            () if membership.members().contains(index) => Standing::Leaving,
            () => Standing::Removed,
        };
        let asked = || membership.answers.get(&index.into()).map(|(executed, _)| *executed);
        let behind = match standing {
            // It does not know what others have executed.
            Standing::Learner if id != me => asked().map(|executed| log.next.0.saturating_sub(executed)),
            _ => None,
        };
        let given = membership.address(index).map(str::to_owned);
        MemberTold {
            id,
            standing,
            address: given.or_else(|| config.member(id).map(|member| member.address.to_string())),
            replaces: membership.learners.get(&index).copied().flatten().map(|old| old as u64),
            behind,
            leads: leader == Some(id),
            heard_ms: if id == me { Some(0) } else { heard.get(&id).copied() },
        }
    };
    Some(MembersTold {
        member: me,
        number: latest.number,
        from: membership.latest_from().0,
        executed: log.next.0,
        may_go: membership.may_go(),
        all: membership.used.iter().map(of).collect(),
    })
}
