use super::*;
use synod::Call;
use synod_machine::{Bank, BankCommand, BankOutput, Limits};

type Served = Applied<Bank, Compact>;

fn bank() -> Served {
    Applied::new(Sessions::new(Bank::default(), Limits::default()).expect("there is room for a session"))
}

fn value(command: &SessionCommand<BankCommand>) -> Value {
    Value::from(encode(command).as_slice())
}

/// A command, as this call of a client.
fn entry(number: u64, command: Value) -> LogEntry {
    LogEntry { call: Call { client: 9.into(), number }, command }
}

fn open() -> LogEntry {
    entry(0, value(&SessionCommand::Open { client: 9 }))
}

fn deposit(number: u64) -> LogEntry {
    let command = BankCommand::Deposit { account: 7, amount: 5 };
    entry(number, value(&SessionCommand::Apply { session: 1, number, command }))
}

fn heard(output: &Value) -> Option<SessionOutput<BankOutput>> {
    decode(output.as_bytes()).expect("the machine's own words")
}

#[test]
fn a_command_takes_effect_once_and_is_told_the_same_again() {
    let mut bank = bank();
    assert_eq!(heard(&bank.execute(Instance(0), &open())), Some(SessionOutput::Opened { session: 1 }));
    assert_eq!(bank.said(&deposit(1)), None);
    let first = bank.execute(Instance(1), &deposit(1));
    assert_eq!(heard(&first), Some(SessionOutput::Output(BankOutput::Done { old: 0, new: 5 })));
    assert_eq!(bank.said(&deposit(1)), Some(first.clone()), "without the log");
    assert_eq!(bank.execute(Instance(2), &deposit(1)), first, "and with it");
    let elsewhere = LogEntry { call: Call { client: 10.into(), number: 7 }, ..deposit(1) };
    assert_eq!(bank.said(&elsewhere), Some(first), "a session goes with its client, whatever id that has");
    let balance = value(&SessionCommand::Query(BankCommand::Balance { account: 7 }));
    let told = bank.query(&balance).map(|output| heard(&output));
    assert_eq!(told, Some(Some(SessionOutput::Output(BankOutput::Done { old: 5, new: 5 }))));
    assert_eq!(bank.query(&deposit(2).command), None, "that is no question");
}

#[test]
fn bytes_that_say_no_command_are_told_so_and_change_nothing_but_the_checksum() {
    let mut bank = bank();
    let (before, rubbish) = (bank.clone(), entry(1, Value::from("rubbish")));
    assert_eq!((bank.said(&rubbish), bank.query(&rubbish.command)), (None, None));
    assert_eq!(heard(&bank.execute(Instance(0), &rubbish)), None);
    assert_eq!(bank.machine(), before.machine());
    assert_ne!(bank.chain(), before.chain());
}

#[test]
fn a_snapshot_is_all_of_it_and_nothing_else_is_one() {
    let mut one = bank();
    for (at, command) in [open(), deposit(1)].iter().enumerate() {
        one.execute(Instance(at as u64), command);
    }
    let snapshot = one.snapshot();
    let mut two = bank().restored(&snapshot).expect("it is a snapshot");
    assert_eq!((two.snapshot(), two.checksum()), (snapshot.clone(), one.checksum()));
    assert_eq!(two.said(&deposit(1)), one.said(&deposit(1)), "the sessions are in it");
    assert_eq!(two.execute(Instance(2), &deposit(2)), one.execute(Instance(2), &deposit(2)));
    assert_eq!(two.snapshot(), one.snapshot());
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 1;
        assert!(bank().restored(&damaged).is_none(), "byte {at}");
        assert!(bank().restored(&snapshot[..at]).is_none(), "cut at {at}");
    }
}

#[test]
fn replicas_that_executed_the_same_have_the_same_snapshot_and_others_another() {
    let (mut one, mut two) = (bank(), bank());
    for (at, command) in [open(), deposit(1), deposit(2)].iter().enumerate() {
        assert_eq!(one.snapshot(), two.snapshot());
        one.execute(Instance(at as u64), command);
        assert_ne!(one.snapshot(), two.snapshot());
        two.execute(Instance(at as u64), command);
    }
    let mut copy = one.copy();
    copy.execute(Instance(3), &deposit(3));
    assert_eq!(one.snapshot(), two.snapshot(), "a copy leads a life of its own");
}

/// What is on disks and in messages of earlier versions goes on being read.
#[test]
fn a_snapshot_is_written_as_it_always_was() {
    let mut bank = bank();
    for (at, command) in [open(), deposit(1)].iter().enumerate() {
        bank.execute(Instance(at as u64), command);
    }
    let hex = "02a48e86a595db87babb0127ffffffff0fedc8e588ba9ae7e993cecbfe89c6dca1f8820101edc8e588ba9ae7e993cecbfe89c6dca1f88201\
               002702a48e86a595db87babb011b904e10808004808080200002020101090201010000000503010705";
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    assert_eq!(bank.snapshot(), (0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>());
}
