//! Guarantees that who is master is a function of the log alone: every server that executed the same commands names the same master, and each
//! take is the successor of the one that its proposer had executed.
//!
//! A server *takes* mastership by a command in the log. The command names the take that its proposer executed last, and has an effect only if
//! no other take was executed since. So takes form a chain, and nobody takes mastership from a master that it has not heard of.
//! The instance of a take is its *token*: tokens rise, no two takes have the same one, and nothing but the log gives them. No setting of a server plays a
//! part in what a command does.
//!
//! A take is written `1.3!take 7 2000`: by server 1, in round 3. No client's command is written so, since the call that stands before it ends with a space
//! ([`LogEntry`](crate::call::LogEntry)). So a take is nobody's but its proposer's, whatever words a client submits and whatever id it has.
//!
//! Guarantees besides that what was written under one master has no effect under the next (E2). A *tenure* is a row of takes of one server, between
//! which no other server took mastership. The master that takes a client's command writes the tenure's first instance behind the call, as a *fence*. When the command
//! is executed, it has an effect only if the fence is that of the present tenure. All servers decide so alike, since it is a function of the log. A command
//! that is refused leaves the machine as it is, sessions included, so that its client may send it to the next master.
//!
//! Why a read at the master misses nothing then. Let a client be told that a write took effect in instance i, or of its effect, by the server P whose tenure it was. Later Q, who believes
//! itself master by a take in instance j, answers a read from what it has executed. If i is below j, Q has executed it. Otherwise P's tenure is that of j, and P is
//! Q, or it began after j. Then Q's time was over before P proposed its take (E1), so before the write was told of. Nobody else tells: a server whose tenure it is not
//! may know of the write before the master does, so it sends the client on.

use crate::ballot::{Instance, Value};
use crate::call::Call;
use stateright::actor::Id;
use std::time::Duration;

/// The take that was executed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mastership {
    /// Its instance.
    pub token: Instance,
    /// The server that proposed it, and the round of the ballot in which it did.
    pub by: Call,
    /// The instance of the first take of its tenure.
    pub since: Instance,
    /// The time for which other servers leave mastership alone, in milliseconds of their clocks, from when they execute the take.
    pub lease: u64,
}

impl Mastership {
    /// The server that is master for a part of the lease, and whose tenure it is until another takes mastership.
    pub fn member(&self) -> Id {
        self.by.client
    }

    /// The time for which others leave mastership alone.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease)
    }
}

/// The command that takes mastership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Take {
    /// The server that proposes it, and the round of its ballot.
    pub(crate) by: Call,
    /// The token of the take that its proposer executed last, if it did any.
    pub(crate) seen: Option<Instance>,
    /// The lease, in milliseconds.
    pub(crate) lease: u64,
}

impl Take {
    /// The value in the log: `1.3!take 7 2000` after instance 7, or `1.3!take - 2000` before any other.
    pub(crate) fn value(self) -> Value {
        Value::from(self.words().as_str())
    }

    fn words(self) -> String {
        let seen = self.seen.map_or_else(|| "-".to_owned(), |Instance(token)| token.to_string());
        format!("{:?}!take {seen} {}", self.by, self.lease)
    }

    /// The take that a value stands for, if it is one. No two values stand for the same.
    pub(crate) fn read(command: &Value) -> Option<Take> {
        if command.as_bytes().len() > LONGEST {
            return None;
        }
        let mut words = std::str::from_utf8(command.as_bytes()).ok()?.split(' ');
        let (by, seen, lease) = (words.next()?.strip_suffix("!take")?, words.next()?, words.next()?);
        let seen = if seen == "-" { None } else { Some(Instance(seen.parse().ok()?)) };
        let take = Take { by: call(by)?, seen, lease: lease.parse().ok()? };
        (take.words().as_bytes() == command.as_bytes()).then_some(take)
    }
}

/// True if a value takes mastership. A server proposes it for itself; no client does.
pub fn is_take(command: &Value) -> bool {
    Take::read(command).is_some()
}

fn call(text: &str) -> Option<Call> {
    let (client, number) = text.split_once('.')?;
    let client: u64 = client.parse().ok()?;
    Some(Call { client: Id::from(usize::try_from(client).ok()?), number: number.parse().ok()? })
}

/// The part of a server's machine that knows who is master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mastery {
    /// The take that was executed last.
    last: Option<Mastership>,
}

/// The longest take, and the longest line that stands before the machine in a snapshot: five numbers of at most twenty digits, and what is between them.
const LONGEST: usize = 128;

impl Mastery {
    pub(crate) fn last(&self) -> Option<Mastership> {
        self.last
    }

    /// Executes a take. Returns true if it has an effect.
    pub(crate) fn execute(&mut self, instance: Instance, take: &Take) -> bool {
        // Enforces E1: a take has an effect only if its proposer knew of the last one, so that it waited for the end of that one's lease.
        if self.is_over(take) {
            return false;
        }
        let before = self.last.filter(|last| last.member() == take.by.client);
        let since = before.map_or(instance, |before| before.since);
        self.last = Some(Mastership { token: instance, by: take.by, since, lease: take.lease });
        true
    }

    /// The fence of a command that is taken now: `None` before the first take.
    pub(crate) fn fence(&self) -> Option<Instance> {
        self.last.map(|last| last.since)
    }

    /// True if a client's command with this fence has an effect now, and may have one later.
    pub(crate) fn admits(&self, fence: Option<Instance>) -> bool {
        // Enforces E2: what the master before has taken has no effect any more. Tenures do not come back, so that is for ever.
        self.fence() == fence
    }

    /// True if a take cannot have an effect any more.
    pub(crate) fn is_over(&self, take: &Take) -> bool {
        take.seen != self.last.map(|last| last.token)
    }

    /// The line that stands for it before the machine in a snapshot. There is none before the first take.
    fn line(&self) -> String {
        let line = |last: Mastership| {
            format!("master {} {:?} {} {}\n", last.token.0, last.by, last.since.0, last.lease)
        };
        self.last.map_or_else(String::new, line)
    }

    /// A snapshot of it and of a machine. Before the first take it is the machine's alone, as servers without mastership write it.
    pub(crate) fn seal(&self, mut machine: Vec<u8>) -> Vec<u8> {
        machine.splice(0..0, self.line().into_bytes());
        machine
    }

    /// The mastery that a snapshot was written with after a take, and the machine in it. The bytes may be anything.
    pub(crate) fn unseal(snapshot: &[u8]) -> Option<(Mastery, &[u8])> {
        let end = snapshot.iter().take(LONGEST).position(|byte| *byte == b'\n')?;
        let (line, machine) = snapshot.split_at(end + 1);
        let mut words = std::str::from_utf8(&line[..end]).ok()?.strip_prefix("master ")?.split(' ');
        let mastership = Mastership {
            token: Instance(words.next()?.parse().ok()?),
            by: call(words.next()?)?,
            since: Instance(words.next()?.parse().ok()?),
            lease: words.next()?.parse().ok()?,
        };
        let mastery = Mastery { last: Some(mastership) };
        (mastery.line().as_bytes() == line).then_some((mastery, machine))
    }

    /// A checksum of it and of a machine: FNV-1a over the line that stands for it, from the machine's checksum. Before the first take, the machine's.
    pub(crate) fn checksum(&self, machine: u64) -> u64 {
        let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.line().bytes().fold(machine, step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::LogEntry;

    fn take(member: usize, number: u64, seen: Option<u64>) -> Take {
        let by = Call { client: member.into(), number };
        let take = Take { by, seen: seen.map(Instance), lease: 9 };
        assert_eq!(Take::read(&take.value()), Some(take));
        assert_eq!(LogEntry::read(&take.value()), None, "it is no client's");
        take
    }

    fn token(mastery: &Mastery) -> Option<(u64, usize)> {
        mastery.last().map(|last| (last.token.0, usize::from(last.member())))
    }

    #[test]
    fn a_take_has_an_effect_only_after_the_one_that_its_proposer_had_seen() {
        let mut mastery = Mastery::default();
        for (at, member, seen, expected) in [
            (3, 0, Some(0), None),
            (4, 1, None, Some((4, 1))),
            (5, 2, None, Some((4, 1))),
            (6, 2, Some(3), Some((4, 1))),
            (7, 2, Some(4), Some((7, 2))),
            (8, 2, Some(7), Some((8, 2))),
            (9, 1, Some(7), Some((8, 2))),
        ] {
            let take = take(member, 1, seen);
            let has_effect = expected == Some((at, member));
            assert_eq!(mastery.is_over(&take), !has_effect, "{at}");
            assert_eq!(mastery.execute(Instance(at), &take), has_effect, "{at}");
            assert_eq!(token(&mastery), expected, "{at}");
            assert!(mastery.is_over(&take), "{at}: a copy has no effect");
        }
    }

    #[test]
    fn a_command_has_an_effect_in_the_tenure_in_which_it_was_taken() {
        let mut mastery = Mastery::default();
        assert!(mastery.fence().is_none() && mastery.admits(None) && !mastery.admits(Some(Instance(4))));
        // Server 1, its renewal, server 2, and server 1 again.
        let mut seen = None;
        for (at, member, since) in [(4, 1, 4), (5, 1, 4), (6, 2, 6), (7, 1, 7), (8, 1, 7)] {
            assert!(mastery.execute(Instance(at), &take(member, 1, seen)), "{at}");
            seen = Some(at);
            assert_eq!(mastery.fence(), Some(Instance(since)), "{at}");
            for fence in [None, Some(4), Some(5), Some(6), Some(7), Some(8)] {
                assert_eq!(mastery.admits(fence.map(Instance)), fence == Some(since), "{at} {fence:?}");
            }
        }
    }

    /// All sequences of commands of two members who have seen anything: the tokens are a chain.
    #[test]
    fn tokens_rise_and_each_take_names_the_one_before() {
        let seen = [None, Some(0), Some(1), Some(2), Some(3)];
        let all: Vec<_> = (0..2).flat_map(|member| seen.map(|seen| (seen, take(member, 7, seen)))).collect();
        let mut walks = vec![(Mastery::default(), None)];
        for at in 0..4 {
            let mut next = Vec::new();
            for (before, last) in &walks {
                for (seen, command) in &all {
                    let mut after = before.clone();
                    let took = after.execute(Instance(at), command);
                    assert_eq!(took, after.last() != before.last());
                    assert_eq!(took, seen == last, "{command:?} after {last:?}");
                    assert!(!took || after.last().is_some_and(|after| after.token == Instance(at)));
                    next.push((after, if took { Some(at) } else { *last }));
                }
            }
            walks = next;
        }
        assert_eq!(walks.len(), 10_000);
    }

    #[test]
    fn words_that_are_no_take_and_those_of_clients_take_nothing() {
        for words in [
            "",
            "1.3!take",
            "1.3!take - ",
            "1.3!take -",
            "1.3!take - 9 ",
            "1.3!take - 09",
            "1.3!take +1 9",
            "1.3!take 00 9",
            "1.3!Take - 9",
            "1.3!take  - 9",
            "1.3!take - 9 1",
            "1.3 take - 9",
            "01.3!take - 9",
            "1!take - 9",
            "!take - 9",
            "take - 9",
        ] {
            assert!(!is_take(&Value::from(words)), "{words:?}");
        }
        let call = Call { client: 1.into(), number: 3 };
        for words in ["take - 9", "!take - 9", "1.3!take - 9"] {
            let logged = LogEntry { call, command: Value::from(words) };
            assert!(!is_take(&logged.value()) && !is_take(&logged.fenced(Instance(7))), "{words:?}");
        }
        assert!(!is_take(&Value::from([&b"1.3!take - "[..], &[b'1'; 4096]].concat().as_slice())));
    }

    #[test]
    fn a_snapshot_is_all_of_it_and_nothing_else_is_one() {
        let mut some = Mastery::default();
        assert_eq!((some.seal(b"machine".to_vec()), some.checksum(5)), (b"machine".to_vec(), 5));
        assert_eq!(Mastery::unseal(b"machine\n"), None);
        let mut written = Vec::new();
        for (at, seen) in [(0, None), (u64::MAX - 1, Some(0)), (u64::MAX, Some(u64::MAX - 1))] {
            let by = Call { client: usize::MAX.into(), number: u64::MAX };
            let take = Take { by, seen: seen.map(Instance), lease: u64::MAX };
            assert_eq!(Take::read(&take.value()), Some(take));
            assert!(some.execute(Instance(at), &take));
            written.push(some.clone());
        }
        let by = Call { client: 1.into(), number: u64::MAX };
        let last =
            Mastership { token: Instance(u64::MAX), by, since: Instance(u64::MAX - 1), lease: u64::MAX };
        written.push(Mastery { last: Some(last) });
        for one in &written {
            let snapshot = one.seal(b"\nmachine".to_vec());
            assert_eq!(Mastery::unseal(&snapshot), Some((one.clone(), &b"\nmachine"[..])));
            assert_eq!(written.iter().filter(|other| other.checksum(5) == one.checksum(5)).count(), 1);
            assert_ne!(one.checksum(5), one.checksum(6));
        }
        for bytes in [
            "",
            "1",
            "x\n",
            "master\n",
            "master 1\n",
            "master 1 2.3 4\n",
            "master 1 2.3 4 05\n",
            "master 1 2.3 4 5 6\n",
            "master 1 2.3 4 x\n",
            "master 1 02.3 4 5\n",
            "master 1  2.3 4 5\n",
            "master -1 2.3 4 5\n",
            "1 2.3 4 5\n",
        ] {
            assert_eq!(Mastery::unseal(bytes.as_bytes()), None, "{bytes:?}");
        }
        assert_eq!(Mastery::unseal(&[b'1'; 4096]), None, "no line is that long");
    }
}
