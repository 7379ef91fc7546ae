//! Stable states as bytes: a difference from the state before, or the whole state.

use crate::apart::{Apart, Named};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A way of writing stable states of type `S` to a journal.
///
/// A strategy is a type apart from `S`, so that a crate can provide one for a storage type that it does not own.
/// For all states, `apply` after `difference` gives back the new state, and `restore` after `snapshot` the same.
///
/// The bytes that come back were checksummed. A program of another version may have written them, so a reader must neither panic on
/// any bytes nor allocate more than in proportion to them.
pub trait Changes<S> {
    /// Appends to `out` the difference that turns `old` into `new`.
    fn difference(new: &S, old: &S, out: &mut Vec<u8>);

    /// Makes the change that [`Changes::difference`] wrote. If it names bytes that stand apart, or says that none do any more, says so
    /// in `apart`. After an error the state must not be used.
    ///
    /// # Errors
    /// Says what is wrong with bytes that are no change of this state.
    fn apply(state: &mut S, bytes: &[u8], apart: &mut Named) -> Result<(), String>;

    /// Appends the whole state to `out`.
    fn snapshot(state: &S, out: &mut Vec<u8>);

    /// The state that [`Changes::snapshot`] wrote. `apart` is as for [`Changes::apply`].
    ///
    /// # Errors
    /// Says what is wrong with bytes that are no such state.
    fn restore(bytes: &[u8], apart: &mut Named) -> Result<S, String>;

    /// The next of the states that lead up to a state, from the one before: with about so many bytes more. The first has none before it,
    /// and the last is the state itself; after it comes none. A long state is written in such pieces, so that other writes can come between.
    fn part(state: &S, before: Option<&S>, bytes: usize) -> Option<S>
    where
        S: Clone,
    {
        let _ = bytes;
        before.is_none().then(|| state.clone())
    }

    /// Finds the bytes of a state that its changes only name, if it has such. They are kept in files of their own.
    fn apart(state: &S, found: &mut dyn FnMut(Apart, Arc<[u8]>)) {
        let _ = (state, found);
    }

    /// Gives a state that was read back the bytes that it names.
    fn rejoin(state: &mut S, apart: &Apart, bytes: Arc<[u8]>) {
        let _ = (state, apart, bytes);
    }
}

/// Writes the whole state each time: right for every serde type, and cheap enough for small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole;

impl<S: Serialize + DeserializeOwned> Changes<S> for Whole {
    fn difference(new: &S, _: &S, out: &mut Vec<u8>) {
        Self::snapshot(new, out);
    }

    fn apply(state: &mut S, bytes: &[u8], apart: &mut Named) -> Result<(), String> {
        *state = Self::restore(bytes, apart)?;
        Ok(())
    }

    /// # Panics
    /// When the type's own `Serialize` fails.
    fn snapshot(state: &S, out: &mut Vec<u8>) {
        let written = std::mem::take(out);
        *out = postcard::to_extend(state, written).expect("a stable state can be serialised");
    }

    fn restore(bytes: &[u8], _: &mut Named) -> Result<S, String> {
        match postcard::take_from_bytes(bytes) {
            Ok((state, [])) => Ok(state),
            Ok((_, rest)) => Err(format!("{} bytes too many after a state", rest.len())),
            Err(error) => Err(format!("not a state: {error}")),
        }
    }
}

const WHOLE: u8 = 0;
const DIFFERENCE: u8 = 1;

/// Appends one change as journals and recordings hold it: whole when there is no state before.
pub fn encode<S, C: Changes<S>>(new: &S, old: Option<&S>, out: &mut Vec<u8>) {
    match old {
        None => {
            out.push(WHOLE);
            C::snapshot(new, out);
        }
        Some(old) => {
            out.push(DIFFERENCE);
            C::difference(new, old, out);
        }
    }
}

/// Makes a change that [`encode`] wrote. `apart` is as for [`Changes::apply`]. After an error the state must not be used.
///
/// # Errors
/// Says what is wrong with bytes that are no change of this state.
pub fn decode<S, C: Changes<S>>(
    state: &mut Option<S>,
    bytes: &[u8],
    apart: &mut Named,
) -> Result<(), String> {
    match (bytes, state) {
        ([WHOLE, whole @ ..], state) => {
            *state = Some(C::restore(whole, apart)?);
            Ok(())
        }
        ([DIFFERENCE, change @ ..], Some(state)) => C::apply(state, change, apart),
        ([DIFFERENCE, ..], None) => Err("a difference from a state that there is not".into()),
        ([kind, ..], _) => Err(format!("a change of the unknown kind {kind}")),
        ([], _) => Err("an empty change".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type State = (u64, Vec<String>);

    #[test]
    fn a_whole_state_comes_back_and_nothing_else_does() {
        let old: State = (1, vec![]);
        let new: State = (1 << 40, vec!["a".into(), String::new()]);
        let mut bytes = Vec::new();
        encode::<State, Whole>(&old, None, &mut bytes);
        let first = bytes.len();
        encode::<State, Whole>(&new, Some(&old), &mut bytes);
        let mut state = None;
        decode::<State, Whole>(&mut state, &bytes[..first], &mut Named::new()).unwrap();
        assert_eq!(state.as_ref(), Some(&old));
        decode::<State, Whole>(&mut state, &bytes[first..], &mut Named::new()).unwrap();
        assert_eq!(state.as_ref(), Some(&new));
        for cut in 0..bytes.len() - first {
            assert!(
                decode::<State, Whole>(&mut state.clone(), &bytes[first..first + cut], &mut Named::new())
                    .is_err(),
                "{cut}"
            );
        }
        assert!(
            decode::<State, Whole>(&mut None, &bytes[first..], &mut Named::new()).is_err(),
            "there is no state before"
        );
        assert!(decode::<State, Whole>(&mut None, &[7, 0], &mut Named::new()).is_err());
        bytes.push(0);
        assert!(
            decode::<State, Whole>(&mut state, &bytes[first..], &mut Named::new()).is_err(),
            "a byte too many"
        );
    }
}
