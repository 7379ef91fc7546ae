//! The division of a store's names among groups: which of several logs a command belongs to.
//!
//! Every name belongs to one group: a key, a lock, and an account by its number in decimal digits. The group is that of XXH3 with 64 bits over the name, modulo the
//! number of groups. If the name has a `{`, a `}` behind the first one, and something between the two, only that is hashed, so `{ann}.mail` and `{ann}.name` are of
//! one group. Clients send a command to its group, and members drop what comes to another one ([`StoreCommand::lies_in`]). Both have to agree on the rule for as long as
//! the cluster lives, so it never changes.

use super::words::{Condition, Operation, StoreCommand};
use crate::bank::BankCommand;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// The group or the groups in which a command is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lies {
    /// In one group.
    In(u8),
    /// In all of them: each answers for its own keys, and the answers are put together.
    InAll,
    /// Nowhere: no group can do it alone.
    Across(Across),
}

/// The reasons why no group can do a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Across {
    /// Two of its names are of two groups.
    Names {
        /// A name and its group.
        one: (String, u8),
        /// Another name and its group.
        other: (String, u8),
    },
    /// Two accounts are of two groups.
    Accounts {
        /// An account and its group.
        one: (u64, u8),
        /// Another account and its group.
        other: (u64, u8),
    },
    /// It asks for what each group has of its own: a list beside other operations, changes, a version or a clock.
    EachItsOwn,
}

impl fmt::Display for Across {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Across::Names { one: (one, first), other: (other, second) } => write!(
                f,
                "{one} is of group {first} and {other} of group {second}, and one command is done in one group; give names that belong \
                 together a common part in braces, such as {{ann}}.mail and {{ann}}.name"
            ),
            Across::Accounts { one: (one, first), other: (other, second) } => write!(
                f,
                "account {one} is of group {first} and account {other} of group {second}, and one command is done in one group; a withdrawal \
                 from the one and a deposit to the other are two commands, and a stop between the two leaves the amount in neither"
            ),
            Across::EachItsOwn => f.write_str(
                "each group has its own versions, changes and clock, and lists its own keys; ask for a list alone, and follow changes with a watch",
            ),
        }
    }
}

/// The group of a name, where there are so many groups: from 1 to 256.
pub fn group_of(name: &[u8], groups: usize) -> u8 {
    let groups = groups.clamp(1, 256) as u64;
    (xxh3_64(hashed(name)) % groups) as u8
}

/// The group of all names with a prefix, if the prefix alone decides it: there is one group, or the braces are closed in it.
pub fn group_of_prefix(prefix: &[u8], groups: usize) -> Option<u8> {
    let is_decided = groups <= 1 || in_braces(prefix).is_some_and(|inside| !inside.is_empty());
    is_decided.then(|| group_of(prefix, groups))
}

/// The bytes of a name that are hashed.
fn hashed(name: &[u8]) -> &[u8] {
    in_braces(name).filter(|inside| !inside.is_empty()).unwrap_or(name)
}

/// The bytes between the first `{` and the first `}` behind it.
fn in_braces(name: &[u8]) -> Option<&[u8]> {
    let open = name.iter().position(|byte| *byte == b'{');
    let inside = open.map(|open| &name[open + 1..])?;
    inside.iter().position(|byte| *byte == b'}').map(|end| &inside[..end])
}

impl StoreCommand {
    /// The group or the groups that this command lies in, where there are so many.
    pub fn lies(&self, groups: usize) -> Lies {
        let StoreCommand::Transact { when, then } = self else { return Lies::In(0) };
        if groups <= 1 {
            return Lies::In(0);
        }
        if when.is_empty()
            && let [Operation::List { prefix, .. }] = &then[..]
        {
            return group_of_prefix(prefix, groups).map_or(Lies::InAll, Lies::In);
        }
        let (mut found, mut is_each) = (None, None);
        let mut see = |name: &[u8]| {
            let group = group_of(name, groups);
            match &found {
                None => found = Some((shown(name), group)),
                Some(one) if one.1 != group => {
                    return Err(Across::Names { one: one.clone(), other: (shown(name), group) });
                }
                Some(_) => {}
            }
            Ok(())
        };
        let seen = when.iter().try_for_each(|condition| see(name_of(condition))).and_then(|()| {
            then.iter().try_for_each(|operation| match names_of(operation) {
                Names::One(name) => see(name),
                Names::Accounts([one, other]) => {
                    let group = |account: u64| (account, group_of(account.to_string().as_bytes(), groups));
                    match (one.map(group), other.map(group)) {
                        (Some(one), Some(other)) if one.1 != other.1 => Err(Across::Accounts { one, other }),
                        _ => one.iter().try_for_each(|account| see(account.to_string().as_bytes())),
                    }
                }
                Names::Each { beside_a_name } => {
                    // What is asked beside a name is asked of its group.
                    is_each = is_each.max(Some(!beside_a_name));
                    Ok(())
                }
            })
        });
        match (seen, is_each, found) {
            (Err(across), ..) => Lies::Across(across),
            (Ok(()), Some(true), _) | (Ok(()), Some(false), None) => Lies::Across(Across::EachItsOwn),
            (Ok(()), _, found) => Lies::In(found.map_or(0, |(_, group)| group)),
        }
    }

    /// True if every name in this command is of a group, where there are so many. What names nothing may be asked of any.
    pub fn lies_in(&self, group: u8, groups: usize) -> bool {
        let StoreCommand::Transact { when, then } = self else { return true };
        let is_here = |name: &[u8]| group_of(name, groups) == group;
        let has_account = |account: u64| is_here(account.to_string().as_bytes());
        groups <= 1
            || when.iter().all(|condition| is_here(name_of(condition)))
                && then.iter().all(|operation| match names_of(operation) {
                    Names::One(name) => is_here(name),
                    Names::Accounts(accounts) => accounts.into_iter().flatten().all(has_account),
                    Names::Each { .. } => true,
                })
    }
}

/// A name for people.
fn shown(name: &[u8]) -> String {
    format!("\"{}\"", name.escape_ascii())
}

/// The name in a condition.
fn name_of(condition: &Condition) -> &[u8] {
    match condition {
        Condition::Key { key, .. } | Condition::Unchanged { key, .. } => key,
        Condition::Lock { lock, .. } => lock,
    }
}

/// The names in an operation.
enum Names<'a> {
    One(&'a [u8]),
    Accounts([Option<u64>; 2]),
    /// None: it is about whatever its group has.
    Each {
        beside_a_name: bool,
    },
}

fn names_of(operation: &Operation) -> Names<'_> {
    match operation {
        Operation::Get { key }
        | Operation::Put { key, .. }
        | Operation::PutIf { key, .. }
        | Operation::Add { key, .. }
        | Operation::Live { key, .. }
        | Operation::Delete { key } => Names::One(key),
        Operation::Holder { lock } | Operation::Acquire { lock, .. } | Operation::Release { lock, .. } => {
            Names::One(lock)
        }
        Operation::Bank(command) => Names::Accounts(match *command {
            BankCommand::Balance { account }
            | BankCommand::Deposit { account, .. }
            | BankCommand::Withdraw { account, .. } => [Some(account), None],
            BankCommand::Transfer { from, to, .. } => [Some(from), Some(to)],
        }),
        // The names that they are about are of the group of the prefix, if it has one.
        Operation::List { prefix, .. } | Operation::Changes { prefix, .. }
            if in_braces(prefix).is_some_and(|inside| !inside.is_empty()) =>
        {
            Names::One(prefix)
        }
        Operation::List { .. } | Operation::Changes { .. } => Names::Each { beside_a_name: false },
        Operation::Clock | Operation::Latest => Names::Each { beside_a_name: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Blob;
    use crate::store::words::Lives;

    fn get(key: &str) -> Operation {
        Operation::Get { key: Blob::from(key) }
    }

    fn lies(then: Vec<Operation>) -> Lies {
        StoreCommand::Transact { when: Vec::new(), then }.lies(16)
    }

    /// Data directories depend on these: they must never change.
    #[test]
    fn the_groups_of_names_are_these_for_ever() {
        let groups: Vec<u8> = ["", "a", "b", "greeting", "7", "{ann}.mail"]
            .iter()
            .map(|name| group_of(name.as_bytes(), 16))
            .collect();
        assert_eq!(groups, [2, 15, 15, 1, 10, 8]);
        assert_eq!(group_of(b"a", 1), 0);
    }

    #[test]
    fn names_are_spread_evenly() {
        let mut counts = [0; 16];
        for key in 0..16_000 {
            counts[usize::from(group_of(format!("key-{key}").as_bytes(), 16))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_part_in_braces_decides() {
        for (name, part) in
            [("{ann}.mail", "ann"), ("x{ann}{bob}", "ann"), ("{}{ann}", "{}{ann}"), ("{ann", "{ann")]
        {
            assert_eq!(hashed(name.as_bytes()), part.as_bytes());
        }
        let together = vec![get("{ann}.mail"), get("{ann}.name"), Operation::Holder { lock: "ann".into() }];
        assert_eq!(lies(together), Lies::In(group_of(b"ann", 16)));
    }

    #[test]
    fn what_no_group_can_do_is_told_by_name() {
        let told = |lies: Lies| match lies {
            Lies::Across(across) => across.to_string(),
            lies => panic!("{lies:?}"),
        };
        let other =
            (0..1000).map(|n| format!("k{n}")).find(|key| group_of(key.as_bytes(), 16) != group_of(b"a", 16));
        let other = other.expect("there are others");
        let said = told(lies(vec![get("a"), get(&other)]));
        assert!(
            said.contains("\"a\" is of group") && said.contains(&other) && said.contains("in braces"),
            "{said}"
        );
        let lock = Condition::Lock { lock: "a".into(), token: 1 };
        let put = Operation::Put { key: other.as_str().into(), value: "v".into(), lives: Lives::Forever };
        let fenced = StoreCommand::Transact { when: vec![lock], then: vec![put] };
        assert!(told(fenced.lies(16)).contains("is of group"));
        assert_eq!(fenced.lies(1), Lies::In(0));
        let transfer = |from, to| vec![Operation::Bank(BankCommand::Transfer { from, to, amount: 1 })];
        let across =
            (0..1000).find(|to| matches!(lies(transfer(7, *to)), Lies::Across(_))).expect("there are others");
        let said = told(lies(transfer(7, across)));
        assert!(said.contains("account 7 is of group") && said.contains("stop between the two"), "{said}");
    }

    #[test]
    fn a_list_alone_is_of_all_groups_and_a_version_of_the_group_of_the_name_beside_it() {
        let list = || Operation::List { prefix: "".into(), after: None, limit: 3 };
        assert_eq!(lies(vec![list()]), Lies::InAll);
        assert_eq!(lies(vec![get("a"), Operation::Latest]), Lies::In(group_of(b"a", 16)));
        for each in
            [vec![Operation::Latest], vec![Operation::Clock], vec![list(), get("a")], vec![list(), list()]]
        {
            assert_eq!(lies(each), Lies::Across(Across::EachItsOwn));
        }
        assert_eq!(lies(vec![]), Lies::In(0));
    }

    #[test]
    fn a_prefix_with_closed_braces_is_of_the_group_of_its_keys() {
        for prefix in ["{ann}", "{ann}.", "x{ann}y"] {
            let group = group_of_prefix(prefix.as_bytes(), 16);
            assert_eq!(group, Some(group_of(format!("{prefix}mail").as_bytes(), 16)), "{prefix}");
            let list = Operation::List { prefix: prefix.into(), after: None, limit: 3 };
            assert_eq!(Some(lies(vec![list.clone()])), group.map(Lies::In));
            assert_eq!(Some(lies(vec![list, get("{ann}.mail")])), group.map(Lies::In));
            let changes = Operation::Changes { prefix: prefix.into(), after: 0, limit: 3 };
            assert_eq!(Some(lies(vec![changes])), group.map(Lies::In));
        }
        for prefix in ["", "ann", "{ann", "{}", "{}{ann}"] {
            assert_eq!(group_of_prefix(prefix.as_bytes(), 16), None, "{prefix}");
            assert_eq!(group_of_prefix(prefix.as_bytes(), 1), Some(0), "{prefix}");
        }
    }

    /// Members go by this: a command is done in a group only if all that it names is of that group.
    #[test]
    fn a_command_lies_in_a_group_if_each_name_does() {
        let of = group_of(b"a", 16);
        let other = (0..1000).map(|n| format!("k{n}")).find(|key| group_of(key.as_bytes(), 16) != of);
        let other = other.expect("there are others");
        let list = || Operation::List { prefix: "".into(), after: None, limit: 3 };
        let lies_in = |then: Vec<Operation>| -> Vec<u8> {
            let command = StoreCommand::Transact { when: Vec::new(), then };
            assert!(command.lies_in(0, 1));
            (0..16).filter(|group| command.lies_in(*group, 16)).collect()
        };
        let any: Vec<u8> = (0..16).collect();
        assert_eq!(lies_in(vec![get("a")]), [of]);
        assert_eq!(lies_in(vec![get("a"), list(), Operation::Latest]), [of], "whatever is asked beside it");
        assert_eq!(lies_in(vec![get("a"), get(&other)]), [] as [u8; 0]);
        assert_eq!(lies_in(vec![Operation::Release { lock: "a".into(), token: 3 }]), [of]);
        for each in [vec![], vec![list()], vec![Operation::Clock], vec![Operation::Latest]] {
            assert_eq!(lies_in(each), any);
        }
        let transfer = |to| vec![Operation::Bank(BankCommand::Transfer { from: 7, to, amount: 1 })];
        let account = |account: u64| group_of(account.to_string().as_bytes(), 16);
        let (same, across) = (
            (8..1000).find(|to| account(*to) == account(7)).expect("there are some"),
            (8..1000).find(|to| account(*to) != account(7)).expect("there are some"),
        );
        assert_eq!(lies_in(transfer(same)), [account(7)]);
        assert_eq!(lies_in(transfer(across)), [] as [u8; 0]);
        let when = vec![Condition::Lock { lock: "a".into(), token: 1 }];
        let fenced = StoreCommand::Transact { when, then: vec![get(&other)] };
        assert!((0..16).all(|group| !fenced.lies_in(group, 16)));
        assert!((0..16).all(|group| StoreCommand::Tick { now: 1, given: 0 }.lies_in(group, 16)));
    }
}
