//! Arbitrary commands for each machine, from ranges so small that they meet.

use proptest::collection::vec;
use proptest::prelude::*;
use synod_machine::{
    BankCommand, Blob, Condition, Expect, KvCommand, Limits, Lives, LockCommand, Operation, SessionCommand,
    Sessions, Settings, StateMachine, StoreCommand,
};

/// A machine with commands to try it with.
pub(crate) trait Tried: StateMachine {
    /// One as it starts.
    fn fresh() -> Self;
    fn commands() -> BoxedStrategy<Self::Command>;
    fn log() -> BoxedStrategy<Vec<Self::Command>> {
        vec(Self::commands(), 0..60).boxed()
    }
}

impl Tried for synod_machine::Bank {
    fn fresh() -> Self {
        Self::default()
    }
    fn commands() -> BoxedStrategy<BankCommand> {
        let account = 0..3u64;
        let amount = prop_oneof![4 => 0..9u64, 1 => u64::MAX - 9..=u64::MAX];
        prop_oneof![
            account.clone().prop_map(|account| BankCommand::Balance { account }),
            (account.clone(), amount.clone())
                .prop_map(|(account, amount)| BankCommand::Deposit { account, amount }),
            (account.clone(), amount.clone())
                .prop_map(|(account, amount)| BankCommand::Withdraw { account, amount }),
            (account.clone(), account, amount).prop_map(|(from, to, amount)| BankCommand::Transfer {
                from,
                to,
                amount
            }),
        ]
        .boxed()
    }
}

fn name() -> BoxedStrategy<Blob> {
    prop_oneof![Just("a"), Just("b"), Just("")].prop_map(Blob::from).boxed()
}

impl Tried for synod_machine::Kv {
    fn fresh() -> Self {
        Self::default()
    }
    fn commands() -> BoxedStrategy<KvCommand> {
        let expect = prop_oneof![
            Just(Expect::Absent),
            (0..12u64).prop_map(Expect::Version),
            name().prop_map(Expect::Value)
        ];
        prop_oneof![
            name().prop_map(|key| KvCommand::Get { key }),
            (name(), name()).prop_map(|(key, value)| KvCommand::Put { key, value }),
            (name(), expect.clone(), name()).prop_map(|(key, expect, value)| KvCommand::Cas {
                key,
                expect,
                value
            }),
            (name(), proptest::option::of(expect))
                .prop_map(|(key, expect)| KvCommand::Delete { key, expect }),
        ]
        .boxed()
    }
}

/// Times so short that the ticks of a log pass them.
fn lives() -> BoxedStrategy<Lives> {
    prop_oneof![Just(Lives::Forever), Just(Lives::AsBefore), (0..6u64).prop_map(Lives::For)].boxed()
}

fn operation() -> BoxedStrategy<Operation> {
    let value = prop_oneof![name(), (-2..2i64).prop_map(|number| Blob::from(number.to_string().as_str()))];
    let few = 0..4u32;
    prop_oneof![
        name().prop_map(|key| Operation::Get { key }),
        (name(), proptest::option::of(name()), few.clone())
            .prop_map(|(prefix, after, limit)| Operation::List { prefix, after, limit }),
        (name(), value.clone(), lives()).prop_map(|(key, value, lives)| Operation::Put { key, value, lives }),
        (name(), value, lives(), proptest::bool::ANY)
            .prop_map(|(key, value, lives, exists)| { Operation::PutIf { key, value, lives, exists } }),
        (name(), prop_oneof![-2..3i64, Just(i64::MAX)]).prop_map(|(key, by)| Operation::Add { key, by }),
        (name(), lives()).prop_map(|(key, lives)| Operation::Live { key, lives }),
        name().prop_map(|key| Operation::Delete { key }),
        name().prop_map(|lock| Operation::Holder { lock }),
        (name(), name(), lives()).prop_map(|(lock, owner, lives)| Operation::Acquire { lock, owner, lives }),
        (name(), 0..4u64).prop_map(|(lock, token)| Operation::Release { lock, token }),
        synod_machine::Bank::commands().prop_map(Operation::Bank),
        (name(), 0..9u64, few).prop_map(|(prefix, after, limit)| Operation::Changes { prefix, after, limit }),
        prop_oneof![Just(Operation::Clock), Just(Operation::Latest)],
    ]
    .boxed()
}

impl Tried for synod_machine::Store {
    fn fresh() -> Self {
        Self::default()
    }
    fn commands() -> BoxedStrategy<StoreCommand> {
        let expect = prop_oneof![
            Just(Expect::Absent),
            (0..9u64).prop_map(Expect::Version),
            name().prop_map(Expect::Value)
        ];
        let condition = prop_oneof![
            (name(), expect).prop_map(|(key, expect)| Condition::Key { key, expect }),
            (name(), 0..4u64).prop_map(|(lock, token)| Condition::Lock { lock, token }),
            (name(), 0..9u64).prop_map(|(key, since)| Condition::Unchanged { key, since }),
        ];
        prop_oneof![
            5 => (prop_oneof![4 => Just(Vec::new()), 1 => vec(condition, 1..3)], vec(operation(), 1..4))
                .prop_map(|(when, then)| StoreCommand::Transact { when, then }),
            1 => (0..20u64, 0..9u64).prop_map(|(now, given)| StoreCommand::Tick { now, given }),
            1 => (0..700u64, 0..4u32).prop_map(|(bytes, window)| {
                let or = Settings::default();
                // A window of 0 serves nobody, and changes nothing.
                StoreCommand::Settings(Settings { bytes, sessions: Limits { window, ..or.sessions }, ..or })
            }),
        ]
        .boxed()
    }
}

impl Tried for synod_machine::Locks {
    fn fresh() -> Self {
        Self::default()
    }
    fn commands() -> BoxedStrategy<LockCommand> {
        prop_oneof![
            name().prop_map(|lock| LockCommand::Holder { lock }),
            (name(), name()).prop_map(|(lock, owner)| LockCommand::Acquire { lock, owner }),
            (name(), 0..9u64, name()).prop_map(|(lock, token, owner)| LockCommand::Release {
                lock,
                token,
                owner
            }),
        ]
        .boxed()
    }
}

impl<M: Tried> Tried for Sessions<M> {
    fn fresh() -> Self {
        let limits = Limits { sessions: 3, window: 2, reply_bytes: 8, bytes: 320, idle: Some(9) };
        Sessions::new(M::fresh(), limits).expect("limits that leave room")
    }
    fn commands() -> BoxedStrategy<SessionCommand<M::Command>> {
        let session = 0..8u64;
        let number = prop_oneof![9 => 0..6u64, 1 => u64::MAX - 2..=u64::MAX];
        prop_oneof![
            2 => (0..5u64).prop_map(|client| SessionCommand::Open { client }),
            6 => (session.clone(), number, M::commands())
                .prop_map(|(session, number, command)| SessionCommand::Apply { session, number, command }),
            1 => session.clone().prop_map(|session| SessionCommand::Close { session }),
            1 => (session, 0..60u64).prop_map(|(session, used)| SessionCommand::Expire { session, used }),
            1 => M::commands().prop_map(SessionCommand::Query),
        ]
        .boxed()
    }
}
