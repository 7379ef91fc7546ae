//! The machine of a model as its clients see it: the sequential object by which their answers are judged. The judge is that of
//! `synod-linear`, as it is for real runs.

use crate::ledger;
use crate::spoken::{self, Spoken};
use synod::Value;
use synod_linear::{Object, Spec, Tester, step_of};
use synod_machine::{Bank, Kv, Locks};

/// A call: the client, by its index, and which of its calls it is.
pub type Asked = (usize, u64);

/// A machine by name, as a model file has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sequential {
    /// A register whose commands all return what was there before.
    #[default]
    Register,
    /// Accounts.
    Bank,
    /// A store with compare-and-swap.
    Kv,
    /// Locks with fencing tokens.
    Lock,
}

/// The state of the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holds {
    /// A register, what was written last.
    Register(Option<Value>),
    /// A bank, balances.
    Bank(Bank),
    /// A store, entries.
    Kv(Kv),
    /// Locks, holders.
    Lock(Locks),
}

/// The history of what clients asked and were told. Calls are told apart by who asks and which of its calls it is.
pub type Told = Tester<Sequential, Asked>;

impl Spec for Sequential {
    type State = Holds;
    type Op = Value;
    type Ret = Value;

    fn initial(&self) -> Holds {
        match self {
            Sequential::Register => Holds::Register(None),
            Sequential::Bank => Holds::Bank(Bank::default()),
            Sequential::Kv => Holds::Kv(Kv::default()),
            Sequential::Lock => Holds::Lock(Locks::default()),
        }
    }

    fn step(&self, state: &Holds, op: &Value, ret: Option<&Value>) -> Option<Holds> {
        step_of(self, state, op, ret)
    }
}

impl Object for Sequential {
    fn apply(&self, state: &Holds, op: &Value) -> (Holds, Value) {
        match state {
            Holds::Register(before) => {
                let (after, said) = ledger::alone(before.as_ref(), op);
                (Holds::Register(after), said)
            }
            Holds::Bank(bank) => {
                let (after, said) = spoken::alone(bank, op);
                (Holds::Bank(after), said)
            }
            Holds::Kv(kv) => {
                let (after, said) = spoken::alone(kv, op);
                (Holds::Kv(after), said)
            }
            Holds::Lock(locks) => {
                let (after, said) = spoken::alone(locks, op);
                (Holds::Lock(after), said)
            }
        }
    }
}

impl Sequential {
    /// True if the machine hears a command in these words.
    pub(crate) fn hears(self, command: &Value) -> bool {
        match self {
            Sequential::Register => true,
            Sequential::Bank => spoken::is_heard::<Bank>(command),
            Sequential::Kv => spoken::is_heard::<Kv>(command),
            Sequential::Lock => spoken::is_heard::<Locks>(command),
        }
    }

    /// The commands that it understands, in words.
    pub(crate) fn speech(self) -> String {
        let all = match self {
            Sequential::Register => {
                return "a question begins with get, any other word is written".to_owned();
            }
            Sequential::Bank => <Bank as Spoken>::SPEECH,
            Sequential::Kv => <Kv as Spoken>::SPEECH,
            Sequential::Lock => <Locks as Spoken>::SPEECH,
        };
        format!(
            "it understands {all}; a command begins with its session and number, as in `1.2 ...`, a question does not"
        )
    }
}
