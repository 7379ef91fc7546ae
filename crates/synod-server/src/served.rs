//! The machine that is served, as the settings have it.

use crate::settings::{LONG_MESSAGE, LogSettings};
use std::sync::Arc;
use synod::Machine;
use synod_apply::Served;
use synod_machine::Lengths;
use synod_runtime::node::is_local_client;

/// The bytes that a message has beside an answer, at least.
const MESSAGE: usize = 64;

/// The machine before the first command, for values of at most so many bytes.
///
/// # Panics
/// When the limits leave no room for a session; configurations and flight records are checked for that.
pub(crate) fn machine(settings: &LogSettings, max_value: usize) -> Served {
    let lengths = Lengths { key: settings.max_key, value: max_value };
    Served::new(settings.sessions, lengths, |call| is_local_client(usize::from(call.client) as u64))
        .expect("the limits were checked when they came")
        .with_answers_up_to(settings.longest_command(max_value).max(LONG_MESSAGE) - MESSAGE)
}

/// The same, to be shared.
///
/// # Panics
/// Like [`machine`].
pub(crate) fn shared(settings: &LogSettings, max_value: usize) -> Arc<dyn Machine> {
    Arc::new(machine(settings, max_value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::{Call, Instance, LogEntry, Value};
    use synod_machine::{
        Blob, Condition, Expect, Lives, Operation, SessionCommand, SessionOutput, StoreCommand, StoreOutput,
        decode, encode,
    };
    use synod_runtime::node::{FIRST_CLIENT, LOCAL_CLIENT};

    fn says(machine: &mut Served, client: u64, command: &SessionCommand<StoreCommand>) -> Said {
        let call = Call { client: (client as usize).into(), number: 1 };
        let logged = LogEntry { call, command: Value::from(encode(command).as_slice()) };
        decode(machine.execute(Instance(0), &logged).as_bytes()).expect("an answer")
    }

    type Said = Option<SessionOutput<StoreOutput>>;

    fn machine() -> (Served, u64) {
        let mut machine = super::machine(&LogSettings { max_key: 5, ..LogSettings::default() }, 10);
        match says(&mut machine, FIRST_CLIENT | 1, &SessionCommand::Open { client: 7 }) {
            Some(SessionOutput::Opened { session }) => (machine, session),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_local_client_tells_the_time() {
        let (mut machine, session) = machine();
        let tick = |number, now| {
            let command = StoreCommand::Tick { now, given: 0 };
            SessionCommand::Apply { session, number, command }
        };
        for other in [0, 2, FIRST_CLIENT, FIRST_CLIENT | 1, u64::MAX] {
            let (clock, sum) = (machine.sessions().machine().clock(), machine.checksum());
            let said = says(&mut machine, other, &tick(1, 1000));
            assert_eq!(said, Some(SessionOutput::NotAdmitted), "{other:x}");
            assert_eq!(machine.sessions().machine().clock(), clock);
            assert_ne!(machine.checksum(), sum, "it is in the log all the same");
        }
        let said = says(&mut machine, LOCAL_CLIENT | 2, &tick(1, 1000));
        assert!(matches!(said, Some(SessionOutput::Output(StoreOutput::Time { now: 1000, .. }))), "{said:?}");
    }

    #[test]
    fn names_and_values_that_are_too_long_are_refused_and_the_longest_are_not() {
        let (mut machine, session) = machine();
        let put = |key: usize, value: usize| {
            let (key, value) = (Blob::from(vec![b'k'; key]), Blob::from(vec![b'v'; value]));
            Operation::Put { key, value, lives: Lives::Forever }
        };
        let lock = |name: usize, owner: usize| {
            let (lock, owner) = (Blob::from(vec![b'l'; name]), Blob::from(vec![b'o'; owner]));
            Operation::Acquire { lock, owner, lives: Lives::Forever }
        };
        let key = |length: usize| {
            vec![Condition::Key { key: Blob::from(vec![b'k'; length]), expect: Expect::Absent }]
        };
        let cases = [
            (vec![], put(5, 10), true),
            (vec![], put(6, 10), false),
            (vec![], put(5, 11), false),
            (vec![], lock(5, 5), true),
            (vec![], lock(6, 1), false),
            (vec![], lock(1, 6), false),
            (key(5), put(1, 1), true),
            (key(6), put(1, 1), false),
        ];
        for (number, (when, then, fits)) in (1..).zip(cases) {
            let command = StoreCommand::Transact { when: when.clone(), then: vec![then.clone()] };
            let said = says(&mut machine, FIRST_CLIENT, &SessionCommand::Apply { session, number, command });
            assert_eq!(said != Some(SessionOutput::NotAdmitted), fits, "{when:?} {then:?}");
        }
    }

    #[test]
    fn an_answer_that_no_message_holds_is_said_to_be_too_long() {
        let mut machine = super::machine(&LogSettings::default(), 1 << 20);
        let Some(SessionOutput::Opened { session }) =
            says(&mut machine, FIRST_CLIENT, &SessionCommand::Open { client: 7 })
        else {
            panic!("no session")
        };
        let key = Blob::from("k");
        let put = Operation::Put { key: key.clone(), value: vec![7; 1 << 20].into(), lives: Lives::Forever };
        let get = |times: usize| vec![Operation::Get { key: key.clone() }; times];
        let command = |then| StoreCommand::Transact { when: Vec::new(), then };
        let apply = |number, then| SessionCommand::Apply { session, number, command: command(then) };
        let said = says(&mut machine, FIRST_CLIENT, &apply(1, vec![put]));
        assert!(matches!(said, Some(SessionOutput::Output(_))), "{said:?}");
        let add = Operation::Add { key: Blob::from("n"), by: 1 };
        // The fourth copy and what stands around them is too much.
        for (number, times, fits) in [(2, 3, true), (3, 4, false)] {
            let asked = encode(&SessionCommand::Query(command(get(times))));
            let answer = machine.query(&Value::from(asked.as_slice())).expect("a question");
            assert!(answer.as_bytes().len() < LONG_MESSAGE);
            let said: Said = decode(answer.as_bytes()).expect("an answer");
            assert_eq!(matches!(said, Some(SessionOutput::Output(_))), fits);
            assert_eq!(matches!(said, Some(SessionOutput::TooLong { bytes: 4_194_305.. })), !fits);
            let said =
                says(&mut machine, FIRST_CLIENT, &apply(number, [get(times), vec![add.clone()]].concat()));
            assert_eq!(matches!(said, Some(SessionOutput::TooLong { .. })), !fits);
        }
        let sum = says(&mut machine, FIRST_CLIENT, &apply(4, vec![add]));
        let Some(SessionOutput::Output(StoreOutput::Done(sum))) = sum else { panic!("{sum:?}") };
        assert!(
            matches!(sum[..], [synod_machine::Outcome::Sum { sum: 3, .. }]),
            "both were executed: {sum:?}"
        );
    }

    #[test]
    fn a_command_with_the_longest_names_and_values_fits_and_no_byte_is_left_for_more_of_it() {
        for (max_key, max_value) in [(1, 1), (127, 128), (1024, 64 << 10), (1 << 20, 16 << 20)] {
            let settings = LogSettings { max_key, ..LogSettings::default() };
            let (name, value) = (Blob::from(vec![7; max_key]), Blob::from(vec![7; max_value]));
            let when = vec![Condition::Key { key: name.clone(), expect: Expect::Value(value.clone()) }];
            let then = vec![Operation::Put { key: name, value, lives: Lives::For(u64::MAX) }];
            let command = StoreCommand::Transact { when, then };
            let command = SessionCommand::Apply { session: u64::MAX, number: u64::MAX, command };
            let call = Call { client: usize::MAX.into(), number: u64::MAX };
            let logged = LogEntry { call, command: Value::from(encode(&command).as_slice()) };
            let (length, most) = (logged.value().as_bytes().len(), settings.longest_command(max_value));
            assert!(length <= most && most - length < 64, "{length} bytes, and {most} is the most");
        }
    }

    #[test]
    fn a_snapshot_comes_back_with_the_same_guards() {
        let (machine, _) = machine();
        let restored = machine.restored(&machine.snapshot()).expect("it is its own");
        assert_eq!(restored.snapshot(), machine.snapshot());
        assert_eq!(restored.checksum(), machine.checksum());
    }
}
