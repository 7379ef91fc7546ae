//! Cases that a reader can follow by hand. `tests/it/sessions.rs` has the properties.

use super::*;
use crate::bank::{Bank, BankCommand, BankOutput};

type Command = SessionCommand<BankCommand>;
type Output = SessionOutput<BankOutput>;

fn limits(sessions: u32, window: u32) -> Limits {
    Limits { sessions, window, reply_bytes: 32, bytes: 4096, idle: None }
}

fn bank(limits: Limits) -> Sessions<Bank> {
    Sessions::new(Bank::default(), limits).expect("limits that leave room")
}

fn deposit(session: u64, number: u64) -> Command {
    SessionCommand::Apply { session, number, command: BankCommand::Deposit { account: 1, amount: 1 } }
}

fn open(client: u64) -> Command {
    SessionCommand::Open { client }
}

fn done(new: u64) -> Output {
    SessionOutput::Output(BankOutput::Done { old: new - 1, new })
}

#[test]
fn a_command_takes_effect_once_however_often_it_comes() {
    let mut bank = bank(limits(2, 1));
    assert_eq!(bank.apply(&open(7)), SessionOutput::Opened { session: 1 });
    assert_eq!(bank.apply(&open(7)), SessionOutput::Opened { session: 1 }, "a copy of the request");
    assert_eq!(bank.apply(&deposit(1, 1)), done(1));
    assert_eq!(bank.final_answer(1, 1), Some(done(1)));
    assert_eq!(bank.apply(&deposit(1, 1)), done(1), "the answer of the first time");
    assert_eq!(bank.apply(&deposit(1, 2)), done(2));
    assert_eq!(bank.apply(&deposit(1, 1)), SessionOutput::Answered);
    assert_eq!(bank.final_answer(1, 1), Some(SessionOutput::Answered));
    assert_eq!(bank.final_answer(1, 3), None, "this one has to be executed");
    assert_eq!(bank.machine().balance(1), 2);
}

#[test]
fn a_session_that_is_over_executes_nothing_and_says_so() {
    let mut bank = bank(limits(1, 1));
    assert_eq!(bank.apply(&deposit(1, 1)), SessionOutput::Unknown);
    assert_eq!(bank.final_answer(1, 1), None, "another replica may know it");
    bank.apply(&open(7));
    bank.apply(&deposit(1, 1));
    assert_eq!(bank.apply(&open(8)), SessionOutput::Opened { session: 2 }, "the table has room for one");
    assert_eq!(bank.apply(&deposit(1, 1)), SessionOutput::Expired);
    assert_eq!(bank.apply(&deposit(1, 2)), SessionOutput::Expired);
    assert_eq!(bank.final_answer(1, 1), Some(SessionOutput::Expired));
    assert_eq!(bank.apply(&open(7)), SessionOutput::Opened { session: 3 }, "a new number, with no past");
    assert_eq!(bank.apply(&SessionCommand::Close { session: 2 }), SessionOutput::Expired);
    assert_eq!(bank.apply(&SessionCommand::Close { session: 3 }), SessionOutput::Ended);
    assert_eq!(bank.apply(&SessionCommand::Close { session: 4 }), SessionOutput::Unknown);
    assert_eq!(bank.machine().balance(1), 1);
    assert_eq!((bank.open().count(), bank.bytes()), (0, 0));
}

#[test]
fn commands_within_the_window_may_come_in_any_order() {
    let mut bank = bank(limits(1, 3));
    bank.apply(&open(7));
    for (number, output) in [
        (3, done(1)),
        (1, done(2)),
        (3, done(1)),
        (4, done(3)),
        (1, SessionOutput::Answered),
        (2, done(4)),
        (0, SessionOutput::Answered),
        (u64::MAX, done(5)),
        (u64::MAX - 3, SessionOutput::Answered),
        (u64::MAX - 2, done(6)),
    ] {
        assert_eq!(bank.apply(&deposit(1, number)), output, "{number}");
    }
}

#[test]
fn idle_sessions_expire_after_so_many_commands_of_others() {
    let mut bank = bank(Limits { idle: Some(2), ..limits(3, 1) });
    bank.apply(&open(7));
    bank.apply(&open(8));
    bank.apply(&deposit(2, 1));
    assert_eq!(bank.apply(&deposit(1, 1)), done(2), "two commands in between");
    for number in 2..=4 {
        bank.apply(&deposit(2, number));
    }
    assert_eq!(bank.apply(&deposit(1, 2)), SessionOutput::Expired, "three commands in between");
    assert_eq!(bank.apply(&deposit(1, 1)), SessionOutput::Expired);
}

#[test]
fn whoever_has_a_clock_proposes_and_the_log_decides() {
    let mut bank = bank(limits(2, 1));
    bank.apply(&open(7));
    let used = bank.session(1).expect("it is open").used;
    bank.apply(&deposit(1, 1));
    let expire = |used| SessionCommand::Expire { session: 1, used };
    assert_eq!(bank.apply(&expire(used)), SessionOutput::Used { used: used + 1 }, "it was used meanwhile");
    assert_eq!(bank.apply(&deposit(1, 1)), done(1));
    assert_eq!(bank.apply(&expire(bank.applied())), SessionOutput::Ended);
    assert_eq!(bank.apply(&expire(u64::MAX)), SessionOutput::Expired);
    assert_eq!(bank.apply(&SessionCommand::Expire { session: 2, used: 0 }), SessionOutput::Unknown);
}

#[test]
fn questions_need_no_session_and_nothing_else_goes_without() {
    let mut bank = bank(limits(1, 1));
    let before = bank.clone();
    let balance = SessionCommand::Query(BankCommand::Balance { account: 1 });
    assert_eq!(bank.apply(&balance), SessionOutput::Output(BankOutput::Done { old: 0, new: 0 }));
    assert_eq!(bank.query(&balance), Some(bank.apply(&balance)));
    let deposit = SessionCommand::Query(BankCommand::Deposit { account: 1, amount: 1 });
    assert_eq!(bank.apply(&deposit), SessionOutput::NeedsSession);
    assert_eq!(bank, before);
    assert_eq!(bank.query(&open(7)), None);
}

#[test]
fn an_answer_too_long_to_keep_is_given_once_and_the_command_executed_once() {
    let mut bank = bank(Limits { reply_bytes: 2, ..limits(1, 1) });
    bank.apply(&open(7));
    assert_eq!(bank.apply(&deposit(1, 1)), done(1), "three bytes");
    assert_eq!(bank.apply(&deposit(1, 1)), SessionOutput::NotKept);
    assert_eq!(bank.final_answer(1, 1), Some(SessionOutput::NotKept));
    assert_eq!(bank.machine().balance(1), 1);
}

#[test]
fn limits_that_leave_no_room_are_refused() {
    let of = |limits| Sessions::new(Bank::default(), limits).expect_err("no room").to_string();
    assert!(of(limits(0, 1)).contains("`sessions` is 0"));
    assert!(of(limits(1, 0)).contains("`window` is 0"));
    let error = of(Limits { bytes: 159, ..limits(1, 1) });
    assert!(error.contains("comes to 160 bytes"), "{error}");
    assert!(Sessions::new(Bank::default(), Limits { bytes: 160, ..limits(1, 1) }).is_ok());
    let more_than_there_is =
        Limits { window: u32::MAX, reply_bytes: u32::MAX, bytes: u64::MAX, ..limits(1, 1) };
    assert!(more_than_there_is.check().is_err());
    assert!(Limits::default().check().is_ok());
}

type Rows = Vec<(u64, u64, u64, crate::Sorted<u64, Reply<BankOutput>>)>;
type Saved = (Limits, u64, u64, Rows, crate::Blob);

/// The ways in which a table can be one that no log leads to.
#[test]
fn snapshots_that_no_log_leads_to_are_refused() {
    let mut bank = bank(limits(2, 1));
    bank.apply(&open(7));
    bank.apply(&open(8));
    bank.apply(&deposit(2, 1));
    let honest: Saved = crate::decode(&bank.snapshot()).expect("a snapshot");
    let mut restored = bank.clone();
    restored.apply(&SessionCommand::Close { session: 1 });
    let as_it_was = restored.clone();
    let mut refused = |why: &str, forge: &dyn Fn(&mut Saved)| {
        let mut forged = honest.clone();
        forge(&mut forged);
        let error = restored.restore(&crate::encode(&forged)).expect_err(why).to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(restored, as_it_was, "an error leaves the machine as it was");
    };
    refused("`window` is 0", &|saved| saved.0.window = 0);
    refused("commands applied is", &|saved| saved.1 = u64::MAX);
    refused("next session is", &|saved| saved.2 = u64::MAX);
    refused("session 2 comes after 1", &|saved| saved.2 = 2);
    refused("session 1 comes after 1", &|saved| saved.3[1].0 = 1);
    refused("session 0 comes after 0", &|saved| saved.3[0].0 = 0);
    refused("shares client 7", &|saved| saved.3[1].1 = 7);
    refused("its last use, 1 of 3", &|saved| saved.3[1].2 = 1);
    refused("its last use, 4 of 3", &|saved| saved.3[1].2 = 4);
    refused("its last use, 0 of 3", &|saved| saved.3[1].2 = 0);
    refused("answers from 1 to 2", &|saved| {
        saved.3[1].3.insert(2, Reply::NotKept);
    });
    refused("3 sessions, which come to", &|saved| {
        saved.2 = 4;
        saved.3.push((3, 9, 2, crate::Sorted::new()));
    });
    refused("cannot be restored", &|saved| saved.4 = "no bank".into());
    restored.restore(&crate::encode(&honest)).expect("the honest one");
    assert_eq!(restored, bank);
}

/// The limits as they are after each step, with what two sessions are told then; each step also goes through a snapshot.
#[test]
fn a_wider_window_executes_nothing_again_and_a_narrower_one_forgets_the_oldest_answers() {
    let mut bank = bank(limits(2, 2));
    bank.apply(&open(7));
    let session = 1;
    for number in 1..=5 {
        assert_eq!(bank.apply(&deposit(session, number)), done(number));
    }
    let widen = |bank: &mut Sessions<Bank>, window| {
        bank.limit(limits(2, window)).expect("room for a session");
        let mut restored = super::tests::bank(limits(1, 1));
        restored.restore(&bank.snapshot()).expect("its own snapshot");
        assert_eq!(restored, *bank);
    };
    for window in [4, 3, 9] {
        widen(&mut bank, window);
        for number in 1..=3 {
            assert_eq!(bank.apply(&deposit(session, number)), SessionOutput::Answered, "{window} {number}");
        }
        assert_eq!(bank.apply(&deposit(session, 4)), done(4), "the answer is kept");
    }
    widen(&mut bank, 1);
    assert_eq!(bank.apply(&deposit(session, 4)), SessionOutput::Answered);
    assert_eq!(bank.apply(&deposit(session, 5)), done(5));
    widen(&mut bank, 3);
    assert_eq!(bank.apply(&deposit(session, 4)), SessionOutput::Answered);
    assert_eq!(bank.apply(&deposit(session, 7)), done(6));
    assert_eq!(bank.apply(&deposit(session, 6)), done(7), "it was never executed");
    assert_eq!(bank.machine().balance(1), 7);
}

#[test]
fn lower_limits_end_the_sessions_that_went_unused_longest() {
    let mut bank = bank(limits(3, 2));
    for client in 0..3 {
        bank.apply(&open(client));
    }
    let sessions = [1, 2, 3];
    bank.apply(&deposit(sessions[0], 1));
    let before = bank.clone();
    assert_eq!(bank.limit(limits(0, 2)), Err(LimitsError::NoSession));
    assert_eq!(bank, before);
    bank.limit(limits(1, 2)).expect("room for a session");
    assert_eq!(bank.open().map(|(id, _)| id).collect::<Vec<_>>(), [sessions[0]]);
    assert_eq!(bank.apply(&deposit(sessions[2], 1)), SessionOutput::Expired);
    bank.limit(Limits { reply_bytes: 0, ..limits(1, 2) }).expect("room for a session");
    assert_eq!(bank.apply(&deposit(sessions[0], 1)), SessionOutput::NotKept, "it was executed once");
    assert_eq!(bank.machine().balance(1), 1, "what was stored stays");
}

#[test]
fn a_refusal_is_final_and_what_was_executed_is_not_refused() {
    let mut bank = bank(limits(2, 2));
    bank.apply(&open(7));
    assert_eq!(bank.refuse(1, 1), SessionOutput::NotAdmitted);
    assert_eq!(bank.apply(&deposit(1, 1)), SessionOutput::NotAdmitted, "a copy that would be executed");
    assert_eq!(bank.final_answer(1, 1), Some(SessionOutput::NotAdmitted));
    let mut restored = super::tests::bank(limits(1, 1));
    restored.restore(&bank.snapshot()).expect("its own snapshot");
    assert_eq!((&restored, restored.bytes()), (&bank, 96 + 32));
    assert_eq!(bank.apply(&deposit(1, 2)), done(1));
    assert_eq!(bank.refuse(1, 2), done(1), "a copy that would be refused");
    assert_eq!(bank.apply(&deposit(1, 3)), done(2));
    assert_eq!(bank.refuse(1, 1), SessionOutput::Answered);
    assert_eq!(bank.refuse(2, 1), SessionOutput::Unknown);
    bank.apply(&SessionCommand::Close { session: 1 });
    assert_eq!(bank.refuse(1, 4), SessionOutput::Expired);
    assert_eq!((bank.machine().balance(1), bank.open().count()), (2, 0));
}
