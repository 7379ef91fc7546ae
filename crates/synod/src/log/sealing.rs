//! Guarantees that a snapshot holds all that decides the members from there on, and that one which was written under other rules is none.

use crate::ballot::{Instance, Value};
use crate::log::changes::address;
use crate::log::membership::{Membership, Rules};
use crate::quorum::{AcceptorSet, MAX_ACCEPTORS, MAX_MEMBERS};
use stateright::actor::Id;

/// The line that stands for the members begins so.
const MARK: &str = "members ";

/// The longest such line. Of 256 callers each has one answer in it, and of 128 processes each an address and a directory.
const LONGEST: usize = 131_072;

impl Rules {
    /// The rules, as far as they decide what becomes of a change.
    fn words(&self) -> String {
        let Rules { members, alpha, quorums, .. } = self;
        let operators = &members.operators;
        format!("{alpha} {} {}-{} {}", members.lag, operators.start, operators.end, quorums.rules())
    }
}

impl Membership {
    /// The line that stands for it before the machine in a snapshot.
    fn line(&self) -> String {
        let set = |set: AcceptorSet| set.iter().map(|index| index.to_string()).collect::<Vec<_>>().join(",");
        let configurations = self.configurations.iter();
        let configurations =
            configurations.map(|(from, it)| format!("{} {} {}", from.0, it.number, set(it.members)));
        let learners = self.learners.iter().map(|(learner, replaces)| match replaces {
            Some(old) => format!("{learner} {old}"),
            None => learner.to_string(),
        });
        let addresses = self.addresses.iter();
        let addresses =
            addresses.map(|(id, address)| format!("{id} {}", String::from_utf8_lossy(address.as_bytes())));
        let directories = self.directories.iter().map(|(id, directory)| format!("{id} {directory}"));
        let answers = self.answers.iter().map(|(caller, (number, said))| {
            format!("{} {number} {}", usize::from(*caller), String::from_utf8_lossy(said.as_bytes()))
        });
        let parts = [
            self.rules.words(),
            configurations.collect::<Vec<_>>().join("|"),
            learners.collect::<Vec<_>>().join(","),
            set(self.used),
            set(self.saved),
            addresses.collect::<Vec<_>>().join(","),
            directories.collect::<Vec<_>>().join(","),
            answers.collect::<Vec<_>>().join("|"),
        ];
        format!("{MARK}{}\n", parts.join(";"))
    }

    /// A snapshot of it and of a machine.
    pub(crate) fn seal(&self, machine: &[u8]) -> Vec<u8> {
        [self.line().as_bytes(), machine].concat()
    }

    /// What wrote a snapshot of all below an instance, and the machine in it. The bytes may be anything.
    pub(crate) fn unseal<'b>(&self, next: Instance, snapshot: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let end = snapshot.iter().take(LONGEST).position(|byte| *byte == b'\n')?;
        let (line, machine) = snapshot.split_at(end + 1);
        let whole = self.read(std::str::from_utf8(&line[..end]).ok()?.strip_prefix(MARK)?)?;
        // Under other rules the same log makes other members.
        (whole.line().as_bytes() == line && whole.is_sound(next)).then(|| (whole.seen(), machine))
    }

    /// True if the commands below an instance may have left it so. What a snapshot says of the members is believed by all that follows.
    fn is_sound(&self, next: Instance) -> bool {
        let learners: AcceptorSet = self.learners.keys().copied().collect();
        let (latest, members) = (self.latest().map(|it| it.members).unwrap_or_default(), self.members());
        let takes_part = members.with(learners);
        let mut numbers = self.configurations.values().map(|it| it.number);
        let numbers = (numbers.next(), numbers.next());
        let is_caller = |id: Id| self.rules.members.is_operator(id) || self.rules.peers.contains(id.into());
        // Enforces M1: whatever instance is next has members, and none from alpha later on has other ones that the commands below decide.
        let governs = self.governing(next).is_some() && self.knows(next, self.latest_from());
        governs
            && matches!(numbers, (Some(one), two) if one < u64::MAX - 1 && two.is_none_or(|two| two == one + 1))
            && self.rules.peers.includes(self.used)
            && self.used.includes(takes_part)
            && latest.includes(self.saved)
            && learners.len() <= MAX_ACCEPTORS
            && !learners.iter().any(|learner| latest.contains(learner))
            && self.addresses.keys().chain(self.directories.keys()).all(|id| takes_part.contains(*id))
            && self.answers.keys().all(|id| is_caller(*id))
    }

    /// What is wrong with a snapshot that begins otherwise than this server's do: it was written where members do not change, or under other rules.
    pub(crate) fn misfit(&self, snapshot: &[u8]) -> Option<String> {
        let ours = self.rules.words();
        let Some(line) = snapshot.strip_prefix(MARK.as_bytes()) else {
            return Some(
                "the snapshot was written where members do not change: start the server as it was".to_owned(),
            );
        };
        let end = line.iter().take(LONGEST).position(|byte| *byte == b';')?;
        let theirs = String::from_utf8_lossy(&line[..end]);
        (theirs != ours.as_str()).then(|| {
            format!(
                "the snapshot was written under the rules {theirs:?} (window, lag, operators, quorums), and this server has {ours:?}: \
                 start it with those of the snapshot"
            )
        })
    }

    fn read(&self, line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.splitn(8, ';').collect();
        let [_, configurations, learners, used, saved, addresses, directories, answers] = parts.as_slice()
        else {
            return None;
        };
        let mut whole = Membership::start(Rules::clone(&self.rules), self.views());
        whole.configurations.clear();
        (whole.used, whole.saved) = (set(used)?, set(saved)?);
        // No more are in force at a time. To find the quorums of each takes a while.
        if configurations.split('|').count() > 2 {
            return None;
        }
        for configuration in configurations.split('|') {
            let words: Vec<&str> = configuration.split(' ').collect();
            let [from, number, members] = words.as_slice() else { return None };
            let configuration = self.configuration(number.parse().ok()?, set(members)?).ok()?;
            whole.configurations.insert(Instance(from.parse().ok()?), configuration);
        }
        for learner in words(learners) {
            let (learner, replaces) = match learner.split_once(' ') {
                Some((learner, old)) => (learner, Some(old.parse().ok()?)),
                None => (learner, None),
            };
            whole.learners.insert(learner.parse().ok()?, replaces);
        }
        for place in words(addresses) {
            let (id, word) = place.split_once(' ')?;
            whole.addresses.insert(id.parse().ok()?, address(word)?);
        }
        for place in words(directories) {
            let (id, directory) = place.split_once(' ')?;
            whole.directories.insert(id.parse().ok()?, directory.parse().ok()?);
        }
        for answer in answers.split('|').filter(|answer| !answer.is_empty()) {
            let (caller, answer) = answer.split_once(' ')?;
            let (number, said) = answer.split_once(' ')?;
            let caller = Id::from(caller.parse::<usize>().ok()?);
            whole.answers.insert(caller, (number.parse().ok()?, Value::from(said)));
        }
        Some(whole)
    }

    /// A checksum of it and of a machine: FNV-1a over the line that stands for it, from the machine's checksum.
    pub(crate) fn checksum(&self, machine: u64) -> u64 {
        let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.line().bytes().fold(machine, step)
    }
}

/// Indices of members, separated by commas. The bytes may be anything.
fn set(text: &str) -> Option<AcceptorSet> {
    words(text).map(|index| index.parse::<usize>().ok().filter(|index| *index < MAX_MEMBERS)).collect()
}

/// What stands between commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::membership::tests::{ask, join, three};

    #[test]
    fn a_snapshot_is_all_of_it_and_nothing_else_is_one() {
        let mut some = three();
        let mut written = vec![some.clone()];
        for (at, words) in [
            (0, "add 5"),
            (1, "replace 1 6 at [::1]:9"),
            (2, "remove 2"),
            (3, "remove 0"),
            (9, "remove 2"),
            (10, "grow\n;|"),
            (11, "set-address 5 a"),
            (12, "set-address 5 b"),
        ] {
            ask(&mut some, at, words);
            written.push(some.clone());
        }
        for one in &written {
            let snapshot = one.seal(b"\nmachine");
            assert_eq!(three().unseal(Instance(16), &snapshot), Some((one.clone(), &b"\nmachine"[..])));
            assert_eq!(written.iter().filter(|other| other.checksum(5) == one.checksum(5)).count(), 1);
            assert_ne!(one.checksum(5), one.checksum(6));
        }
    }

    fn sealed(line: &str) -> Option<Membership> {
        let bytes = format!("{MARK}{};{line}\nmachine", three().rules.words());
        three().unseal(Instance(16), bytes.as_bytes()).map(|(read, machine)| {
            assert_eq!(machine, b"machine");
            read
        })
    }

    #[test]
    fn a_line_is_read_in_one_spelling() {
        assert!(sealed("0 0 0;;0;;;;").is_some());
        assert!(sealed("0 0 0;5;0,5;;0 a,5 b;5 7;").is_some());
        for line in [
            "",
            ";;;;;;",
            "0 0 0;;0;;;;x",
            "0 0 0,0;;0;;;;",
            "00 0 0;;0;;;;",
            "0 0 0;5 ;0,5;;;;",
            "0 0 0;;0;;0;;",
            "0 0 0;;0;;0 ;;",
            "0 0 0;;0;;0 a b;;",
            "0 0 0;;0;;00 a;;",
            "0 0 0;;0;;;0;",
            "0 0 0;;0;;;0 x;",
            "0 0 0;;0;;;0 07;",
        ] {
            assert_eq!(sealed(line), None, "{line:?}");
        }
        let endless = [MARK.as_bytes(), &vec![b'1'; LONGEST]].concat();
        assert_eq!(three().unseal(Instance(16), &endless), None, "no line is that long");
    }

    /// Each pair is of what the commands below instance 16 may have left, and of what they cannot.
    #[test]
    fn a_membership_that_no_log_makes_is_none() {
        for (line, flawed) in [
            // Two configurations are in force at a time, and no more.
            ("0 0 0,1,2|4 1 0,1;;0,1,2;;;;", "0 0 0,1,2|4 1 0,1|8 2 0;;0,1,2;;;;"),
            // One of them governs what is next.
            ("16 1 0,1;;0,1,2;;;;", "17 1 0,1;;0,1,2;;;;"),
            // What is executed decides the next four instances.
            ("0 0 0,1,2|19 1 0,1;;0,1,2;;;;", "0 0 0,1,2|20 1 0,1;;0,1,2;;;;"),
            // Each has the next number.
            ("0 0 0,1,2|4 1 0,1;;0,1,2;;;;", "0 0 0,1,2|4 2 0,1;;0,1,2;;;;"),
            ("0 3 0,1,2|4 4 0,1;;0,1,2;;;;", "0 3 0,1,2|4 3 0,1;;0,1,2;;;;"),
            ("0 18446744073709551613 0;;0;;;;", "0 18446744073709551614 0;;0;;;;"),
            // No process has another id, and whoever takes part was added.
            ("0 0 0;;0,7;;;;", "0 0 0;;0,8;;;;"),
            ("0 0 0;;0;;;;", "0 0 0;;0,128;;;;"),
            ("0 0 0;7;0,7;;;;", "0 0 0;8;0,8;;;;"),
            ("0 0 0,1;;0,1;;;;", "0 0 0,1;;0;;;;"),
            ("0 0 0;5;0,5;;;;", "0 0 0;5;0;;;;"),
            // One that is to join is no member.
            ("0 0 0,1|4 1 0;1;0,1;;;;", "0 0 0,1|4 1 0,1;1;0,1;;;;"),
            // Members of the last configuration have saved what was chosen under the one before.
            ("0 0 0,1|4 1 0;;0,1;0;;;", "0 0 0,1|4 1 0;;0,1;1;;;"),
            // Nobody else has a place.
            ("0 0 0;5;0,5,6;;5 a;;", "0 0 0;5;0,5,6;;6 a;;"),
            ("0 0 0;5;0,5,6;;;5 1;", "0 0 0;5;0,5,6;;;6 1;"),
            // Operators and processes ask, and nobody else.
            ("0 0 0;;0;;;;100 1 x|101 1 x", "0 0 0;;0;;;;102 1 x"),
            ("0 0 0;;0;;;;7 1 x", "0 0 0;;0;;;;8 1 x"),
        ] {
            assert!(sealed(line).is_some(), "{line:?}");
            assert_eq!(sealed(flawed), None, "{flawed:?}");
        }
    }

    /// More are never to join at a time.
    #[test]
    fn a_membership_of_many_learners_is_none() {
        let mut many = three();
        many.rules = std::sync::Arc::new(Rules { peers: (0..64).collect(), ..Rules::clone(&many.rules) });
        let among = |learners: usize| {
            let mut some = many.clone();
            some.learners = (3..3 + learners).map(|id| (id, None)).collect();
            some.used = (0..64).collect();
            some.is_sound(Instance(16))
        };
        assert_eq!((among(16), among(17)), (true, false));
    }

    /// The longest line there can be is read again.
    #[test]
    fn whatever_callers_and_processes_there_are_a_snapshot_can_be_read() {
        let mut some = three();
        let refused = crate::log::changes::Refusal::Elsewhere(u64::MAX, u64::MAX).to_string();
        for id in 0..2 * crate::quorum::MAX_MEMBERS {
            let caller = Id::from(usize::MAX - id);
            some.answers.insert(caller, (u64::MAX, Value::from(refused.as_str())));
        }
        for id in 0..crate::quorum::MAX_MEMBERS {
            some.addresses.insert(id, Value::from("x".repeat(crate::log::changes::LONGEST_ADDRESS).as_str()));
            some.directories.insert(id, u64::MAX);
            some.learners.insert(id, Some(id));
            some.used.insert(id);
            some.saved.insert(id);
        }
        let whole = some.configuration(u64::MAX, AcceptorSet::first(16)).expect("majorities meet");
        some.configurations =
            [Instance(u64::MAX - 1), Instance(u64::MAX)].map(|from| (from, whole.clone())).into();
        let some = some.seen();
        let line = some.line();
        let words =
            line.strip_prefix(MARK).and_then(|line| line.strip_suffix('\n')).expect("a line of members");
        assert!(line.len() < LONGEST);
        assert_eq!(three().read(words).map(Membership::seen), Some(some));
    }

    #[test]
    fn a_snapshot_of_other_rules_or_without_members_is_none() {
        let mut some = three();
        join(&mut some, 3, 5, 3);
        let snapshot = some.seal(b"machine");
        let mut other = three();
        let rules = Rules::clone(&other.rules);
        other.rules = std::sync::Arc::new(Rules { alpha: rules.alpha + 1, ..rules });
        assert_eq!(other.unseal(Instance(16), &snapshot), None);
        assert_ne!(other.checksum(5), three().checksum(5));
        assert_eq!(three().unseal(Instance(16), b"machine\n"), None);
    }
}
