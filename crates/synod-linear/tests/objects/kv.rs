//! One key of a store as a sequential object.

use synod_linear::{Measured, Spec};
use synod_machine::{Blob, Entry, Expect, KvCommand, KvOutput};

/// One key of a [`synod_machine::Kv`], so that histories can be judged key by key. Written apart from that machine.
///
/// Versions are drawn from a counter that all keys share. Seen from one key they are some rising numbers; so what is checked
/// is that they rise, and that a version is always the same value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct KvKey;

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyState {
    value: Option<Blob>,
    version: Version,
}

/// The version of what is there, or of what was there last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Version {
    Is(u64),
    /// Nobody was told, but it is above this.
    Above(u64),
}

impl Version {
    /// What is known once somebody saw it.
    fn seen_as(self, version: u64) -> Option<Version> {
        let may_be = match self {
            Version::Is(known) => known == version,
            Version::Above(bound) => version > bound,
        };
        may_be.then_some(Version::Is(version))
    }

    fn at_least(self) -> u64 {
        match self {
            Version::Is(version) => version,
            Version::Above(bound) => bound + 1,
        }
    }
}

impl KeyState {
    /// Somebody was told that this is there.
    fn seen(&self, entry: &Entry) -> Option<KeyState> {
        if self.value.as_ref() != Some(&entry.value) {
            return None;
        }
        Some(KeyState { version: self.version.seen_as(entry.version)?, ..self.clone() })
    }

    fn seen_absent(&self) -> Option<KeyState> {
        self.value.is_none().then(|| self.clone())
    }

    fn stored(&self, value: &Blob, version: Option<u64>) -> Option<KeyState> {
        let least = self.version.at_least();
        let version = match version {
            Some(version) if version > least => Version::Is(version),
            Some(_) => return None,
            None => Version::Above(least),
        };
        Some(KeyState { value: Some(value.clone()), version })
    }

    fn deleted(&self) -> Option<KeyState> {
        let version = Version::Is(self.version.at_least());
        self.value.is_some().then_some(KeyState { value: None, version })
    }

    /// The state in which the expected is there.
    fn meets(&self, expect: &Expect) -> Option<KeyState> {
        match expect {
            Expect::Absent => self.seen_absent(),
            Expect::Value(value) => (self.value.as_ref() == Some(value)).then(|| self.clone()),
            Expect::Version(version) => {
                self.value.as_ref()?;
                Some(KeyState { version: self.version.seen_as(*version)?, ..self.clone() })
            }
        }
    }

    /// The state in which this is there instead of the expected.
    fn conflicts(&self, expect: &Expect, found: Option<&Entry>) -> Option<KeyState> {
        if expect.is_met_by(found) {
            return None;
        }
        match found {
            Some(entry) => self.seen(entry),
            None => self.seen_absent(),
        }
    }
}

impl Measured for KvKey {
    /// The value is shared with the command that stored it.
    fn bytes(&self, _: &KeyState) -> usize {
        0
    }
}

impl Spec for KvKey {
    type State = KeyState;
    type Op = KvCommand;
    type Ret = KvOutput;

    fn initial(&self) -> KeyState {
        KeyState { value: None, version: Version::Is(0) }
    }

    fn step(&self, state: &KeyState, op: &KvCommand, ret: Option<&KvOutput>) -> Option<KeyState> {
        match (op, ret) {
            (KvCommand::Get { .. }, Some(KvOutput::Found(entry))) => state.seen(entry),
            (KvCommand::Get { .. }, Some(KvOutput::Absent)) => state.seen_absent(),
            (KvCommand::Get { .. }, None) => Some(state.clone()),
            (KvCommand::Put { value, .. }, Some(KvOutput::Stored { version })) => {
                state.stored(value, Some(*version))
            }
            (KvCommand::Put { value, .. }, None) => state.stored(value, None),
            (KvCommand::Cas { expect, value, .. }, Some(KvOutput::Stored { version })) => {
                state.meets(expect)?.stored(value, Some(*version))
            }
            (KvCommand::Cas { expect, value, .. }, None) => state.meets(expect)?.stored(value, None),
            (KvCommand::Delete { expect: None, .. }, Some(KvOutput::Deleted) | None) => state.deleted(),
            (KvCommand::Delete { expect: Some(expect), .. }, Some(KvOutput::Deleted) | None) => {
                state.meets(expect)?.deleted()
            }
            (KvCommand::Delete { expect, .. }, Some(KvOutput::Absent)) => {
                let allowed = expect.as_ref().is_none_or(|expect| *expect == Expect::Absent);
                allowed.then(|| state.seen_absent())?
            }
            (
                KvCommand::Cas { expect, .. } | KvCommand::Delete { expect: Some(expect), .. },
                Some(KvOutput::Conflict { found }),
            ) => state.conflicts(expect, found.as_ref()),
            _ => None,
        }
    }

    fn only_reads(&self, op: &KvCommand, ret: &KvOutput) -> bool {
        // A read may add to what is known of a version. Then it is not placed at once, since the state is another one; and
        // where it leaves the state as it is, no later one has that version.
        matches!(op, KvCommand::Get { .. }) || matches!(ret, KvOutput::Absent | KvOutput::Conflict { .. })
    }

    /// Versions rise, so what has seen or drawn a lower one comes too late.
    fn too_late(&self, state: &KeyState, _: &KvCommand, ret: &KvOutput) -> bool {
        let least = state.version.at_least();
        match ret {
            KvOutput::Found(entry) | KvOutput::Conflict { found: Some(entry) } => entry.version < least,
            KvOutput::Stored { version } => *version <= least,
            KvOutput::Absent | KvOutput::Deleted | KvOutput::Conflict { found: None } => false,
        }
    }

    /// Placed later it has a higher version, which makes less possible afterwards.
    fn overwrites(&self, op: &KvCommand) -> bool {
        matches!(op, KvCommand::Put { .. })
    }

    /// Less known is more possible.
    fn covers(&self, state: &KeyState, other: &KeyState) -> bool {
        let (one, two) = (state.version, other.version);
        let open = match one {
            Version::Is(_) => state.value.is_none() && one.at_least() <= two.at_least(),
            Version::Above(_) => one.at_least() <= two.at_least(),
        };
        state.value == other.value && (one == two || open)
    }
}
