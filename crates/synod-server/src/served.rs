//! The machine that is served, as the settings have it.

use crate::settings::LogSettings;
use std::sync::Arc;
use synod::Machine;
use synod_apply::Served;
use synod_runtime::node::is_local_client;
use synod_runtime::transport::LONG_MESSAGE;

/// The bytes that a message has beside an answer, at least.
pub(crate) const MESSAGE: usize = 64;

/// The machine before the first command: nothing in it is of these settings but the longest answer that the member sends, where values have at
/// most so many bytes. The settings that decide what a command does come from the log.
pub(crate) fn machine(settings: &LogSettings, max_value: usize) -> Served {
    Served::new(|call| is_local_client(usize::from(call.client) as u64))
        .with_answers_up_to(settings.longest_command(max_value).max(LONG_MESSAGE) - MESSAGE)
}

/// The same, to be shared.
pub(crate) fn shared(settings: &LogSettings, max_value: usize) -> Arc<dyn Machine> {
    Arc::new(machine(settings, max_value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::{Call, Instance, LogEntry, Value};
    use synod_machine::{
        Blob, Condition, Expect, Lives, Operation, SessionCommand, SessionOutput, Settings, StateMachine,
        StoreCommand, StoreOutput, decode, encode,
    };
    use synod_runtime::node::{FIRST_CLIENT, LOCAL_CLIENT};

    fn says(machine: &mut Served, client: u64, command: &SessionCommand<StoreCommand>) -> Said {
        let call = Call { client: (client as usize).into(), number: 1 };
        let logged = LogEntry { call, command: Value::from(encode(command).as_slice()) };
        decode(machine.execute(Instance(0), &logged).as_bytes()).expect("an answer")
    }

    type Said = Option<SessionOutput<StoreOutput>>;

    fn machine() -> (Served, u64) {
        let settings = LogSettings { max_key: 5, ..LogSettings::default() };
        let mut machine = super::machine(&settings, 10);
        tell(&mut machine, settings.told(10));
        let session = opened(&mut machine);
        (machine, session)
    }

    fn opened(machine: &mut Served) -> u64 {
        match says(machine, FIRST_CLIENT | 1, &SessionCommand::Open { client: 7 }) {
            Some(SessionOutput::Opened { session }) => session,
            other => panic!("{other:?}"),
        }
    }

    /// Tells settings, as a member that leads does.
    fn tell(machine: &mut Served, settings: Settings) {
        let client = 1000 + machine.sessions().applied();
        let opened = says(machine, LOCAL_CLIENT | 2, &SessionCommand::Open { client });
        let Some(SessionOutput::Opened { session }) = opened else { panic!("{opened:?}") };
        let command = StoreCommand::Settings(settings);
        let said = says(machine, LOCAL_CLIENT | 2, &SessionCommand::Apply { session, number: 1, command });
        assert_eq!(said, Some(SessionOutput::Output(StoreOutput::Settings(settings))));
    }

    #[test]
    fn only_a_local_client_tells_the_time() {
        let (mut machine, session) = machine();
        let tick = |number, now| {
            let command = StoreCommand::Tick { now, given: 0 };
            SessionCommand::Apply { session, number, command }
        };
        for (number, other) in (1..).zip([0, 2, FIRST_CLIENT, FIRST_CLIENT | 1, u64::MAX]) {
            let (clock, sum) = (machine.sessions().machine().clock(), machine.checksum());
            let said = says(&mut machine, other, &tick(number, 1000));
            assert_eq!(said, Some(SessionOutput::NotAdmitted), "{other:x}");
            assert_eq!(machine.sessions().machine().clock(), clock);
            assert_ne!(machine.checksum(), sum, "it is in the log all the same");
        }
        let said = says(&mut machine, LOCAL_CLIENT | 2, &tick(6, 1000));
        assert!(matches!(said, Some(SessionOutput::Output(StoreOutput::Time { now: 1000, .. }))), "{said:?}");
    }

    #[test]
    fn only_a_local_client_tells_the_settings_and_sessions_obey_them() {
        let (mut machine, session) = machine();
        let before = machine.settings();
        let command = StoreCommand::Settings(Settings { bytes: 1, ..before });
        for (number, other) in (1..).zip([0, 2, FIRST_CLIENT, FIRST_CLIENT | 1, u64::MAX]) {
            let command = SessionCommand::Apply { session, number, command: command.clone() };
            assert_eq!(says(&mut machine, other, &command), Some(SessionOutput::NotAdmitted), "{other:x}");
            assert_eq!(machine.settings(), before);
        }
        let mut narrow = before;
        narrow.sessions.sessions = 1;
        tell(&mut machine, narrow);
        assert_eq!((machine.settings(), machine.sessions().limits()), (narrow, narrow.sessions));
        assert_eq!(machine.sessions().open().count(), 1, "the oldest are over");
        let restored = machine.restored(&machine.snapshot()).expect("it is its own");
        assert_eq!(synod_apply::sizes(&*restored).expect("served").settings, narrow);
        assert_eq!(restored.snapshot(), machine.snapshot());
    }

    /// Copies of a command stay in the log, and settings may change between them.
    #[test]
    fn settings_that_change_neither_execute_what_was_refused_nor_refuse_what_was_executed() {
        let (mut machine, session) = machine();
        let narrow = machine.settings();
        let mut wide = narrow;
        wide.lengths.value = 11;
        let put = |key: &str| {
            let value = Blob::from(vec![b'v'; 11]);
            let put = Operation::Put { key: Blob::from(key), value, lives: Lives::Forever };
            StoreCommand::Transact { when: Vec::new(), then: vec![put] }
        };
        let apply = |number, key| SessionCommand::Apply { session, number, command: put(key) };
        let refused = Some(SessionOutput::NotAdmitted);
        assert_eq!(says(&mut machine, FIRST_CLIENT, &apply(1, "a")), refused);
        tell(&mut machine, wide);
        assert_eq!(says(&mut machine, FIRST_CLIENT, &apply(1, "a")), refused, "its client was told so");
        let done = says(&mut machine, FIRST_CLIENT, &apply(2, "b"));
        assert!(matches!(done, Some(SessionOutput::Output(StoreOutput::Done(_)))), "{done:?}");
        tell(&mut machine, narrow);
        assert_eq!(says(&mut machine, FIRST_CLIENT, &apply(2, "b")), done, "it was stored");
        assert_eq!(says(&mut machine, FIRST_CLIENT, &apply(3, "b")), refused);
    }

    #[test]
    fn limits_in_a_snapshot_hold_until_settings_are_told_that_may_be_the_default_ones() {
        let machine = super::machine(&LogSettings::default(), 10);
        let mut sessions = machine.sessions().clone();
        let default = sessions.limits();
        let before = synod_machine::Limits { sessions: 2, ..default };
        sessions.limit(before).expect("room for a session");
        let saved = synod_machine::Snapshot::seal_bytes(synod_machine::Chain::new(), &sessions.snapshot());
        let mut restored = machine.restored(&saved).expect("it is of an earlier version");
        let limits = |machine: &dyn Machine| synod_apply::sizes(machine).expect("served").settings.sessions;
        let open = |client| encode(&SessionCommand::<StoreCommand>::Open { client });
        let entry = |number, command: Vec<u8>| LogEntry {
            call: Call { client: (LOCAL_CLIENT as usize).into(), number },
            command: Value::from(command.as_slice()),
        };
        restored.execute(Instance(0), &entry(1, open(1)));
        assert_eq!(limits(&*restored), before);
        let command = StoreCommand::Settings(Settings::default());
        let command = encode(&SessionCommand::Apply { session: 1, number: 1, command });
        restored.execute(Instance(1), &entry(2, command));
        assert_eq!(limits(&*restored), default);
    }

    /// Two members with different files, of which each tells its own settings, execute one log: what their files say makes no difference.
    #[test]
    fn members_with_different_files_do_not_diverge() {
        let files = [(5, 10, 300), (6, 12, 600)].map(|(max_key, max_value, most_bytes)| {
            (LogSettings { max_key, most_bytes, ..LogSettings::default() }, max_value)
        });
        let mut members = files.clone().map(|(settings, max_value)| super::machine(&settings, max_value));
        let mut both = |client: u64, command: &SessionCommand<StoreCommand>| {
            let said = members.each_mut().map(|machine| says(machine, client, command));
            assert_eq!(said[0], said[1], "{command:?}");
            assert_eq!(members[0].snapshot(), members[1].snapshot());
            said[0].clone()
        };
        let told = |machine: usize| {
            let (settings, max_value) = &files[machine];
            StoreCommand::Settings(settings.told(*max_value))
        };
        for client in 1..=3 {
            both(FIRST_CLIENT, &SessionCommand::Open { client });
        }
        let put = |key: usize, value: usize| {
            let (key, value) = (Blob::from(vec![b'k'; key]), Blob::from(vec![b'v'; value]));
            let put = Operation::Put { key, value, lives: Lives::Forever };
            StoreCommand::Transact { when: Vec::new(), then: vec![put] }
        };
        let mut outcomes = Vec::new();
        let all = |round: usize| [put(6, 10), put(5, 12), put(5, 10), put(4, 10), put(3, 10), put(2, round)];
        for round in 0..5 {
            // None first, then one member's, the other's, and the first one's again.
            if round > 0 {
                let number = round as u64;
                both(LOCAL_CLIENT, &SessionCommand::Apply { session: 1, number, command: told(round % 2) });
            }
            for (at, command) in (0..).zip(all(round)) {
                let number = round as u64 * 6 + at + 1;
                let said = both(FIRST_CLIENT, &SessionCommand::Apply { session: 2, number, command });
                outcomes.push(said);
            }
        }
        let full = |said: &Said| matches!(said, Some(SessionOutput::Output(StoreOutput::Full { .. })));
        assert!(outcomes.contains(&Some(SessionOutput::NotAdmitted)), "{outcomes:?}");
        assert!(outcomes.iter().any(full), "{outcomes:?}");
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
            let length = logged.fenced(Instance(u64::MAX)).as_bytes().len();
            let most = settings.longest_command(max_value);
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
