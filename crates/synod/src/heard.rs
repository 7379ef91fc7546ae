//! Guarantees that a message is heard only from those who may say it. A process that is not a member may only ask.
//!
//! In Paxos messages may be late, lost and repeated, but not made up (PMS §2.1), and the sender is part of a message's meaning. A
//! promise counts for the acceptor that made it, and a ballot belongs to the proposer that drew it. Every process checks this
//! here, from the message and its sender, before any role sees the message. `MESSAGES.md` has the same rules as a table, and the
//! tests below hold the table against every message.

use crate::ballot::Ballot;
use crate::call::LogEntry;
use crate::cluster::Cluster;
use crate::message::{Ask, Msg};
use stateright::actor::Id;

impl Cluster {
    /// True if a process of the cluster hears this message from this sender. A process hears its own messages by the same rules.
    pub(crate) fn hears(&self, src: Id, msg: &Msg) -> bool {
        match msg {
            // Any process may ask as a client: its question commits nobody.
            Msg::Ask(ask) => self.takes(ask),
            // Enforces V1: a ballot is the proposer's that draws it, so that no two issue a value in one.
            Msg::Prepare { ballot, .. } | Msg::Confirm { ballot, .. } => self.draws(src, *ballot),
            // An accepted value has to fit into a later report. The longest that this process takes from clients is no measure: a proposer
            // may have been started with another, and a value that it issues and others drop would hold up all that come after it.
            Msg::Accept { ballot, value, .. } => {
                self.draws(src, *ballot) && value.as_bytes().len() <= self.max_accepted
            }
            // Enforces P2c, B0, L1: each message counts for the acceptor that sent it.
            Msg::Promise { .. } | Msg::Accepted { .. } | Msg::Confirmed { .. } => self.is_acceptor(src),
            // A nack about a ballot that nobody can have drawn would silence a proposer that goes above it.
            Msg::Nack { promised, .. } => self.is_acceptor(src) && promised.can_be_drawn(),
            // Enforces B0: only a process that can know a choice announces it.
            Msg::Chosen { .. } => self.is_learner(src) || self.is_proposer(src),
            // Enforces B0, X1, E1: only servers tell each other what was chosen and executed, and yield mastership, each its own.
            Msg::CatchUp { .. }
            | Msg::CatchUpReply { .. }
            | Msg::Chunk { .. }
            | Msg::Fetch { .. }
            | Msg::Checksum { .. }
            | Msg::Yield { .. }
            | Msg::Removed { .. }
            | Msg::Relayed { .. } => self.is_server(src),
            // What an operator asks comes from its own server, and is no longer than what servers take from clients.
            Msg::Relay { command, .. } => {
                let length = command.as_bytes().len().saturating_add(LogEntry::COSTS);
                self.is_server(src) && length <= self.max_value
            }
            // No member has another hand mastership over. The program that runs a server speaks to it in a name that is no member's.
            Msg::Give { .. } => !self.plays_a_role(src),
            Msg::Beat(_) => self.election.as_ref().is_some_and(|election| election.members.contains(&src)),
            // Answers are for clients.
            Msg::Response { .. } | Msg::Unset { .. } | Msg::Output { .. } | Msg::Redirect { .. } => false,
        }
    }

    /// True if this proposer can have drawn the ballot.
    fn draws(&self, proposer: Id, ballot: Ballot) -> bool {
        ballot.can_be_drawn() && self.proposers.contains(&(proposer, ballot.proposer))
    }

    fn takes(&self, ask: &Ask) -> bool {
        match ask {
            // A server that keeps a log says of those that are too long that they are: see `too_long`.
            Ask::Read { .. } | Ask::Submit { .. } | Ask::Query { .. } | Ask::StaleQuery { .. } => true,
            Ask::Request { value, .. } => value.as_bytes().len() <= self.max_value,
        }
    }

    /// The number of a call that is too long to be taken, if it is one.
    pub(crate) fn too_long(&self, ask: &Ask) -> Option<u64> {
        let (number, length) = match ask {
            // In the log the call stands before the command.
            Ask::Submit { number, command } => {
                (number, command.as_bytes().len().saturating_add(LogEntry::COSTS))
            }
            Ask::Query { number, command } | Ask::StaleQuery { number, command } => {
                (number, command.as_bytes().len())
            }
            Ask::Request { .. } | Ask::Read { .. } => return None,
        };
        (length > self.max_value).then_some(*number)
    }

    fn is_acceptor(&self, id: Id) -> bool {
        self.acceptors.contains(&id)
    }

    fn is_proposer(&self, id: Id) -> bool {
        self.proposers.iter().any(|(proposer, _)| *proposer == id)
    }

    fn is_learner(&self, id: Id) -> bool {
        self.learners.contains(&id)
    }

    fn plays_a_role(&self, id: Id) -> bool {
        self.is_acceptor(id) || self.is_proposer(id) || self.is_learner(id)
    }

    /// A server plays all three roles.
    fn is_server(&self, id: Id) -> bool {
        self.is_acceptor(id) && self.is_proposer(id) && self.is_learner(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ballot::{Instance, Value};
    use crate::cluster::Learning;
    use crate::election::{Beat, Election, Pace};
    use crate::per_instance::PerInstance;
    use crate::quorum::{QuorumRule, Quorums};
    use crate::{Asking, Client, Want};
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    const TABLE: &str = include_str!("../MESSAGES.md");

    /// Every kind of sender, and one of it. Roles of their own are in the one layout, servers in the other.
    const ROLES: [(&str, usize); 4] = [("acceptor", 0), ("proposer", 3), ("learner", 5), ("stranger", 90)];
    const SERVERS: [(&str, usize); 2] = [("server", 1), ("stranger", 90)];

    fn cluster(acceptors: [usize; 3], proposers: &[usize], learners: &[usize]) -> Cluster {
        let ids = |ids: &[usize]| ids.iter().map(|id| Id::from(*id)).collect::<Vec<_>>();
        let any = Duration::ZERO..Duration::ZERO;
        let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 0 };
        Cluster {
            acceptors: ids(&acceptors),
            proposers: ids(proposers).into_iter().zip(1..).collect(),
            learners: ids(learners),
            clients: vec![90.into()],
            waiting_limit: 1,
            quorums: Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet"),
            learning: Learning::Everyone,
            nacks: true,
            report: usize::MAX,
            max_value: 8 + LogEntry::COSTS,
            max_accepted: 10 + LogEntry::COSTS,
            keeps: usize::MAX,
            log: None,
            election: Some(Election { members: ids(proposers), among: None, backing: None, pace }),
        }
    }

    /// Its name in the table. Whoever adds a message has to add it here, and there.
    fn name(msg: &Msg) -> &'static str {
        match msg {
            Msg::Ask(Ask::Request { .. }) => "Request",
            Msg::Ask(Ask::Read { .. }) => "Read",
            Msg::Ask(Ask::Submit { .. }) => "Submit",
            Msg::Ask(Ask::Query { .. }) => "Query",
            Msg::Ask(Ask::StaleQuery { .. }) => "StaleQuery",
            Msg::Prepare { .. } => "Prepare",
            Msg::Promise { .. } => "Promise",
            Msg::Accept { .. } => "Accept",
            Msg::Accepted { .. } => "Accepted",
            Msg::Nack { .. } => "Nack",
            Msg::Chosen { .. } => "Chosen",
            Msg::Response { .. } => "Response",
            Msg::Unset { .. } => "Unset",
            Msg::Output { .. } => "Output",
            Msg::Redirect { .. } => "Redirect",
            Msg::CatchUp { .. } => "CatchUp",
            Msg::CatchUpReply { .. } => "CatchUpReply",
            Msg::Confirm { .. } => "Confirm",
            Msg::Confirmed { .. } => "Confirmed",
            Msg::Chunk { .. } => "Chunk",
            Msg::Fetch { .. } => "Fetch",
            Msg::Checksum { .. } => "Checksum",
            Msg::Beat(Beat::Heartbeat { .. }) => "Heartbeat",
            Msg::Beat(Beat::Follow) => "Follow",
            Msg::Beat(Beat::Cede(_)) => "Cede",
            Msg::Give { .. } => "Give",
            Msg::Yield { .. } => "Yield",
            Msg::Removed { .. } => "Removed",
            Msg::Relay { .. } => "Relay",
            Msg::Relayed { .. } => "Relayed",
        }
    }

    /// One of every message. Ballots, where it carries any, are these.
    fn all(ballot: Ballot, promised: Ballot) -> Vec<Msg> {
        let (instance, value, number) = (Instance(1), Value::from("x"), 1);
        vec![
            Ask::Request { instance, value: value.clone() }.into(),
            Ask::Read { instance }.into(),
            Ask::Submit { number, command: value.clone() }.into(),
            Ask::Query { number, command: value.clone() }.into(),
            Ask::StaleQuery { number, command: value.clone() }.into(),
            Msg::Prepare { ballot, from: instance },
            Msg::Promise { ballot, accepted: PerInstance::new(), rest: None },
            Msg::Accept { ballot, instance, value: value.clone() },
            Msg::Accepted { ballot, instance, value: value.clone() },
            Msg::Nack { ballot, promised },
            Msg::Chosen { instance, value: value.clone() },
            Msg::Response { instance, value: value.clone() },
            Msg::Unset { instance },
            Msg::Output { number, output: value.clone() },
            Msg::Redirect { leader: 0.into() },
            Msg::CatchUp { from: instance },
            Msg::CatchUpReply { values: PerInstance::new(), next: instance },
            Msg::Confirm { ballot, round: 1 },
            Msg::Confirmed { ballot, round: 1 },
            Msg::Chunk { of: instance, sum: 0, length: 1, at: 0, bytes: value.clone() },
            Msg::Fetch { of: instance, sum: 0, at: 0 },
            Msg::Checksum { below: instance, sum: 0 },
            Msg::Beat(Beat::Heartbeat { backed: true }),
            Msg::Beat(Beat::Follow),
            Msg::Beat(Beat::Cede(0.into())),
            Msg::Give { since: Instance(0), heir: 0.into() },
            Msg::Yield { token: Instance(0) },
            Msg::Removed { number },
            Msg::Relay { number, command: value.clone() },
            Msg::Relayed { number, output: value },
        ]
    }

    /// The rows of the table: which kinds of sender a message is heard from, and of receiver, by its name.
    fn table() -> BTreeMap<String, [BTreeSet<String>; 2]> {
        let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
        let row = |line: &str| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let kinds = |cell: &str| cell.split(", ").map(str::to_owned).collect();
            (cells[1].trim_matches('`').to_owned(), [kinds(cells[2]), kinds(cells[3])])
        };
        rows.map(row).collect()
    }

    /// The senders whose message is heard, by a process of the cluster or, where answers are meant, by a client.
    fn heard(
        cluster: &Cluster,
        senders: &[(&'static str, usize)],
        msg: &Msg,
        by_client: bool,
    ) -> BTreeSet<&'static str> {
        let client = Client {
            number: 1,
            instance: Instance(1),
            want: Want::Read,
            asks: Vec::new(),
            heeds: cluster.learners.clone(),
            asking: Asking::Everyone,
            pause: None,
            resend: None,
        };
        let hears = |id: usize| {
            if by_client { client.hears(id.into(), msg) } else { cluster.hears(id.into(), msg) }
        };
        senders.iter().filter(|(_, id)| hears(*id)).map(|(kind, _)| *kind).collect()
    }

    #[test]
    fn every_message_is_heard_from_those_in_the_table_and_from_nobody_else() {
        let table = table();
        let roles = cluster([0, 1, 2], &[3, 4], &[5, 6]);
        let servers = cluster([0, 1, 2], &[0, 1, 2], &[0, 1, 2]);
        let ballot = |proposer| Ballot { round: 1, proposer };
        let mut names = BTreeSet::new();
        // The first proposer has number 1, and the second server, who speaks here, number 2.
        for (layout, senders, own) in [(&roles, &ROLES[..], 1), (&servers, &SERVERS[..], 2)] {
            for msg in all(ballot(own), ballot(1)) {
                let name = name(&msg);
                names.insert(name);
                let [from, to] = table.get(name).unwrap_or_else(|| panic!("{name} is not in the table"));
                let may = |kind: &str| {
                    let is_asked = from.contains("anyone");
                    let is_own = from.contains("owner");
                    let is_roles = !from.contains("client") && !is_own;
                    is_asked
                        || from.contains(kind)
                        || (kind == "server" && is_roles)
                        || (kind == "stranger" && is_own)
                };
                for by_client in [true, false] {
                    let expected: BTreeSet<&str> = if to.contains("client") == by_client {
                        senders.iter().map(|(kind, _)| *kind).filter(|kind| may(kind)).collect()
                    } else {
                        BTreeSet::new()
                    };
                    let heard = heard(layout, senders, &msg, by_client);
                    assert_eq!(heard, expected, "{msg:?}, by a client: {by_client}");
                }
            }
        }
        let rows: BTreeSet<&str> = table.keys().map(String::as_str).collect();
        assert_eq!(rows, names, "a row for every message, and a message for every row");
    }

    #[test]
    fn what_servers_say_to_each_other_is_heard_from_nobody_who_plays_a_role_less() {
        // The first process plays all roles. Of the others each lacks one: learner, proposer, acceptor.
        let cluster = cluster([0, 1, 2], &[0, 1, 3], &[0, 2, 3]);
        let learn = Msg::CatchUp { from: Instance(1) };
        assert_eq!(
            [0, 1, 2, 3].map(|id: usize| cluster.hears(id.into(), &learn)),
            [true, false, false, false]
        );
    }

    #[test]
    fn a_ballot_is_heard_from_nobody_but_the_proposer_whose_number_it_carries() {
        let cluster = cluster([0, 1, 2], &[0, 1, 2], &[0, 1, 2]);
        for (sender, number) in [(0, 1), (1, 2), (2, 3), (90, 1), (90, 4)] {
            for drawn in 0..=4 {
                let ballot = Ballot { round: 1, proposer: drawn };
                for msg in all(ballot, ballot) {
                    let carries =
                        matches!(msg, Msg::Prepare { .. } | Msg::Accept { .. } | Msg::Confirm { .. });
                    let expected = sender < 3 && drawn == number;
                    if carries {
                        assert_eq!(cluster.hears(sender.into(), &msg), expected, "{msg:?} from {sender}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_round_that_no_proposer_can_have_come_to_is_not_heard_of() {
        let cluster = cluster([0, 1, 2], &[0, 1, 2], &[0, 1, 2]);
        for (round, expected) in [(Ballot::ROUNDS - 1, true), (Ballot::ROUNDS, false), (u64::MAX, false)] {
            let (ballot, low) = (Ballot { round, proposer: 1 }, Ballot { round: 1, proposer: 1 });
            for msg in all(ballot, low) {
                if let Msg::Prepare { .. } | Msg::Accept { .. } | Msg::Confirm { .. } = msg {
                    assert_eq!(cluster.hears(0.into(), &msg), expected, "{msg:?}");
                }
            }
            let nack = Msg::Nack { ballot: low, promised: ballot };
            assert_eq!(cluster.hears(0.into(), &nack), expected, "{nack:?}");
        }
    }

    #[test]
    fn a_value_that_is_too_long_is_neither_asked_for_nor_accepted() {
        let cluster = cluster([0, 1, 2], &[0, 1, 2], &[0, 1, 2]);
        let (instance, number, ballot) = (Instance(1), 1, Ballot { round: 1, proposer: 1 });
        for (length, expected) in [(0, true), (8, true), (9, false), (10, false), (11, false), (1000, false)]
        {
            let command = Value::from(vec![7; length].as_slice());
            let value = Value::from(vec![7; length + LogEntry::COSTS].as_slice());
            let request = Ask::Request { instance, value: value.clone() }.into();
            assert_eq!(cluster.hears(0.into(), &request), expected, "{length}: {request:?}");
            // A proposer that takes more from clients than this process is heard all the same.
            let relay = Msg::Relay { number, command: command.clone() };
            assert_eq!(cluster.hears(0.into(), &relay), expected, "{length}: {relay:?}");
            let accept = Msg::Accept { ballot, instance, value: value.clone() };
            assert_eq!(cluster.hears(0.into(), &accept), length <= 10, "{length}: {accept:?}");
            for ask in [
                Ask::Submit { number, command },
                Ask::Query { number, command: value.clone() },
                Ask::StaleQuery { number, command: value.clone() },
            ] {
                assert_eq!(cluster.too_long(&ask), (!expected).then_some(number), "{length}: {ask:?}");
                assert!(cluster.hears(0.into(), &ask.into()), "it has an answer all the same");
            }
            // A chosen value is learned, however long: it was accepted.
            assert!(cluster.hears(0.into(), &Msg::Chosen { instance, value }));
        }
    }
}
