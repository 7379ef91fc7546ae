use super::*;
use crate::call::Call;
use crate::quorum::QuorumRule;

const OPERATOR: usize = 100;

pub(crate) fn three() -> Membership {
    let quorums = Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet");
    let members = Members { operators: OPERATOR..OPERATOR + 2, lag: 2, directory: None, relays: false };
    let peers = AcceptorSet::first(8);
    let rules = Rules { members, alpha: 4, quorums: Arc::new(quorums), peers };
    Membership::start(rules, Views::default())
}

pub(crate) fn ask(membership: &mut Membership, at: u64, words: &str) -> String {
    let logged = LogEntry { call: Call { client: OPERATOR.into(), number: at }, command: Value::from(words) };
    assert!(membership.governs(&logged));
    format!("{:?}", membership.execute(Instance(at), &logged))
}

pub(crate) fn join(membership: &mut Membership, at: u64, new: usize, seen: u64) -> String {
    let logged = LogEntry {
        call: Call { client: new.into(), number: seen },
        command: crate::log::changes::join(None),
    };
    format!("{:?}", membership.execute(Instance(at), &logged))
}

fn members(membership: &Membership, at: u64) -> Vec<usize> {
    membership.governing(Instance(at)).map(|it| it.members.iter().collect()).unwrap_or_default()
}

#[test]
fn a_change_governs_from_alpha_instances_later_on_and_not_before() {
    let mut three = three();
    assert_eq!(ask(&mut three, 5, "remove 1"), "\"configuration 1 from #9\"");
    assert_eq!((members(&three, 8), members(&three, 9)), (vec![0, 1, 2], vec![0, 2]));
    assert!(ask(&mut three, 8, "remove 2").contains("governs only from #9"));
    assert_eq!(ask(&mut three, 9, "remove 2"), "\"configuration 2 from #13\"");
    three.forget(Instance(12));
    assert_eq!((members(&three, 8), members(&three, 12)), (vec![], vec![0, 2]));
    assert!(!three.is_removed(2.into()) && three.is_removed(1.into()));
    three.forget(Instance(13));
    assert!(three.is_removed(2.into()) && !three.is_removed(7.into()));
}

#[test]
fn a_learner_joins_once_it_is_close_enough_and_leaves_with_the_one_that_it_replaces() {
    let mut three = three();
    assert!(join(&mut three, 0, 5, 0).contains("was not added"));
    assert_eq!(ask(&mut three, 1, "replace 2 5"), "\"5 learns\"");
    assert_eq!(members(&three, 99), [0, 1, 2]);
    assert!(join(&mut three, 9, 5, 6).contains("3 instances behind"));
    assert_eq!(join(&mut three, 9, 5, 7), "\"configuration 1 from #13\"");
    assert_eq!(members(&three, 13), [0, 1, 5]);
    assert!(ask(&mut three, 20, "add 2").contains("needs a new id"));
    assert!(ask(&mut three, 20, "add 2").contains("needs a new id"), "the same call, the same answer");
}

#[test]
fn a_change_that_was_answered_has_no_effect_later_whoever_else_asked() {
    let mut three = three();
    let call = |number, client| Call { client: Id::from(client), number };
    let mut change = |at, call, words| {
        let said = three.execute(Instance(at), &LogEntry { call, command: Value::from(words) });
        (format!("{said:?}"), three.number())
    };
    assert_eq!(change(1, call(1, OPERATOR), "remove 1").1, 1);
    let refused = change(2, call(2, OPERATOR), "remove 2");
    assert!(refused.0.contains("an earlier change"));
    assert!(change(3, call(1, OPERATOR + 1), "remove 7").0.contains("not a member"));
    assert_eq!(change(9, call(2, OPERATOR), "remove 2"), refused);
    assert_eq!(change(9, call(3, OPERATOR), "remove 2").1, 2);
    assert!(change(20, call(2, OPERATOR), "remove 2").0.contains("forgotten"));
}

#[test]
fn whoever_is_no_operator_asks_for_nothing_but_what_a_member_may_say_of_itself() {
    let three = three();
    let governs = |client: usize, command: &Value| {
        three.governs(&LogEntry { call: Call { client: client.into(), number: 1 }, command: command.clone() })
    };
    let (join, other) = (crate::log::changes::join(None), Value::from("add 3"));
    assert!(governs(1, &join) && !governs(1, &other));
    assert!(governs(1, &crate::log::changes::join(Some(7))) && !governs(1, &Value::from("join x")));
    assert!(!governs(50, &join) && governs(OPERATOR, &other));
}

#[test]
fn a_configuration_begins_in_one_instance_and_the_first_one_in_none() {
    let mut three = three();
    assert!(!three.begins(Instance::FIRST));
    assert!(ask(&mut three, 1, "remove 7").contains("not a member"));
    assert!(!three.begins(Instance::FIRST));
    assert_eq!(ask(&mut three, 5, "remove 1"), "\"configuration 1 from #9\"");
    let begins: Vec<u64> = (0..20).filter(|next| three.begins(Instance(*next))).collect();
    let ends: Vec<u64> = (0..20).filter(|next| three.may_forget(Instance(*next))).collect();
    assert_eq!((begins, ends), (vec![9], (9..20).collect()));
    three.forget(Instance(9));
    assert!(three.begins(Instance(9)) && !three.may_forget(Instance(99)));
}

#[test]
fn there_is_room_for_sixteen_and_one_that_replaces_another_takes_none() {
    let mut rules = three().rules.as_ref().clone();
    rules.peers = (0..32).collect();
    let mut three = Membership::start(rules, Views::default());
    assert_eq!(ask(&mut three, 0, "replace 2 20"), "\"20 learns\"");
    for new in 3..MAX_ACCEPTORS {
        assert_eq!(ask(&mut three, new as u64, &format!("add {new}")), format!("\"{new} learns\""));
    }
    assert!(ask(&mut three, 50, "add 21").contains("16"));
    assert_eq!(ask(&mut three, 51, "replace 1 22"), "\"22 learns\"");
    // The place of a member that has left is that of the one that was to replace it.
    assert_eq!(ask(&mut three, 52, "remove 1"), "\"configuration 1 from #56\"");
    assert!(ask(&mut three, 53, "add 21").contains("16"));
    assert!(ask(&mut three, 54, "remove 22").contains("does not join"));
    assert_eq!(ask(&mut three, 55, "add 21"), "\"21 learns\"");
}

#[test]
fn a_change_that_rests_on_another_configuration_has_no_effect() {
    let mut three = three();
    assert!(ask(&mut three, 1, "remove 1 on 1").contains("rests on configuration 1, and 0 governs last"));
    assert_eq!(three.number(), 0);
    assert_eq!(ask(&mut three, 2, "add 5 on 0"), "\"5 learns\"");
    assert_eq!(join(&mut three, 3, 5, 3), "\"configuration 1 from #7\"");
    // It counts from when it is decided, not from when it governs.
    let late = ["add 6 on 0", "remove 2 on 0", "replace 2 6 on 2", "set-address 5 a on 0"];
    for (number, words) in (4..).zip(late) {
        assert!(ask(&mut three, number, words).contains("and 1 governs last"), "{words}");
    }
    assert!(three.learners.is_empty() && three.addresses.is_empty());
    assert_eq!(ask(&mut three, 30, "remove 2 on 1"), "\"configuration 2 from #34\"");
}

fn addresses(membership: &Membership) -> Vec<(usize, &str)> {
    let known = (0..MAX_MEMBERS).filter_map(|id| Some((id, membership.address(id)?)));
    known.collect()
}

#[test]
fn an_address_is_kept_as_long_as_whoever_has_it_takes_part() {
    let mut three = three();
    assert_eq!(ask(&mut three, 1, "add 5 at a"), "\"5 learns\"");
    assert_eq!(ask(&mut three, 2, "replace 1 6 at b"), "\"6 learns\"");
    assert_eq!(addresses(&three), [(5, "a"), (6, "b")]);
    assert_eq!(ask(&mut three, 3, "remove 5"), "\"5 does not join\"");
    assert_eq!(addresses(&three), [(6, "b")]);
    assert_eq!(ask(&mut three, 4, "set-address 1 c"), "\"1 has another address\"");
    join(&mut three, 5, 6, 5);
    // While a change is in flight, and until it governs, the old one takes part.
    assert_eq!(ask(&mut three, 6, "set-address 6 d"), "\"6 has another address\"");
    assert!(ask(&mut three, 7, "set-address 1 e").contains("1 is not a member"));
    assert_eq!(addresses(&three), [(1, "c"), (6, "d")]);
    three.forget(Instance(9));
    assert_eq!(addresses(&three), [(6, "d")]);
    assert!(ask(&mut three, 10, "set-address 1 e").contains("1 is not a member"));
    assert_eq!(three.number(), 1, "an address changes no configuration");
}

#[test]
fn an_address_is_of_one_member_but_for_the_one_that_takes_its_place() {
    let mut three = three();
    assert_eq!(ask(&mut three, 1, "set-address 0 a"), "\"0 has another address\"");
    assert_eq!(ask(&mut three, 2, "set-address 0 a"), "\"0 has another address\"");
    for (number, words) in [(3, "set-address 1 a"), (4, "add 5 at a"), (5, "replace 1 5 at a")] {
        assert!(ask(&mut three, number, words).contains("refused: 0 has that address"), "{words}");
    }
    assert!(three.learners.is_empty() && !three.used.contains(5));
    // A lost disk is replaced where it was.
    assert_eq!(ask(&mut three, 30, "replace 0 5 at a"), "\"5 learns\"");
    assert_eq!(ask(&mut three, 31, "set-address 5 b"), "\"5 has another address\"");
    assert_eq!(ask(&mut three, 32, "set-address 5 a"), "\"5 has another address\"");
    assert_eq!(addresses(&three), [(0, "a"), (5, "a")]);
    assert!(ask(&mut three, 33, "set-address 1 a").contains("has that address"));
}

#[test]
fn a_directory_is_that_of_the_join_that_had_an_effect() {
    let mut three = three();
    let join = |three: &mut Membership, at, new: usize, seen, directory| {
        let command = crate::log::changes::join(directory);
        let logged = LogEntry { call: Call { client: new.into(), number: seen }, command };
        format!("{:?}", three.execute(Instance(at), &logged))
    };
    ask(&mut three, 1, "add 5");
    assert!(join(&mut three, 9, 5, 2, Some(77)).contains("7 instances behind"));
    assert_eq!(three.directory(5), None);
    assert_eq!(join(&mut three, 10, 5, 9, Some(78)), "\"configuration 1 from #14\"");
    assert!(join(&mut three, 15, 5, 14, Some(79)).contains("was not added"));
    assert_eq!((three.directory(5), three.directory(0)), (Some(78), None));
    ask(&mut three, 20, "remove 5");
    assert_eq!(three.directory(5), Some(78), "it takes part yet");
    three.forget(Instance(24));
    assert_eq!(three.directory(5), None);
    ask(&mut three, 30, "add 6");
    join(&mut three, 31, 6, 31, None);
    assert_eq!(three.directory(6), None);
}

#[test]
fn each_member_has_an_operator_at_its_place_if_it_has_one() {
    let some = Members { operators: 100..103, lag: 0, directory: None, relays: true };
    let none = Members { relays: false, ..some.clone() };
    let ids = |of: &dyn Fn(Id) -> Option<Id>, ids: [usize; 4]| ids.map(|id| of(id.into()).map(usize::from));
    let places = [0, 2, 3, usize::MAX];
    assert_eq!(ids(&|id| some.operator_of(id), places), [Some(100), Some(102), None, None]);
    assert_eq!(ids(&|id| none.operator_of(id), places), [None; 4]);
    let operators = [99, 100, 102, 103];
    assert_eq!(ids(&|id| some.member_of(id), operators), [None, Some(0), Some(2), None]);
    assert_eq!(ids(&|id| none.member_of(id), operators), [None; 4]);
}

#[test]
fn one_member_is_replaced_by_one_process() {
    let mut three = three();
    assert_eq!(ask(&mut three, 0, "replace 1 5"), "\"5 learns\"");
    assert!(
        ask(&mut three, 1, "replace 1 6")
            .contains("5 is to replace 1 already; if it never comes, remove 5 first")
    );
    assert_eq!(ask(&mut three, 2, "replace 2 6"), "\"6 learns\"");
}

#[test]
fn the_old_members_may_go_once_a_quorum_of_the_others_has_saved_all() {
    let mut three = three();
    assert!(three.may_go(), "there are none");
    let saved = |three: &mut Membership, by: usize, below: u64| {
        let call = Call { client: by.into(), number: below };
        format!(
            "{:?}",
            three.execute(Instance(30), &LogEntry { call, command: crate::log::changes::saved() })
        )
    };
    ask(&mut three, 5, "replace 1 5");
    join(&mut three, 6, 5, 6);
    assert!(!three.may_go() && three.waits_for(5.into()) && !three.waits_for(1.into()));
    assert!(saved(&mut three, 0, 9).contains("1 instances behind"));
    assert_eq!(saved(&mut three, 0, 10), "\"0 has saved it\"");
    assert!(!three.may_go() && !three.waits_for(0.into()));
    assert!(saved(&mut three, 1, 10).contains("not a member"));
    assert_eq!(saved(&mut three, 5, 11), "\"5 has saved it\"");
    assert!(three.may_go() && !three.waits_for(2.into()));
    ask(&mut three, 40, "remove 0");
    assert!(!three.may_go(), "others are old now");
}
