//! The definition, and nothing else: tries all orders.

use synod_linear::{History, Operation, Spec};

/// Whether some order explains the history.
pub(crate) fn is_linearizable<S: Spec>(spec: &S, history: &History<S::Op, S::Ret>) -> bool {
    let mut placed = vec![false; history.operations().len()];
    search(spec, history.operations(), &spec.initial(), &mut placed)
}

fn search<S: Spec>(
    spec: &S,
    operations: &[Operation<S::Op, S::Ret>],
    state: &S::State,
    placed: &mut [bool],
) -> bool {
    let missing = |placed: &[bool]| {
        let ends = operations.iter().zip(placed.to_vec());
        ends.filter(|(_, placed)| !placed)
            .filter_map(|(operation, _)| Some(operation.returned.as_ref()?.0))
            .min()
    };
    let Some(first_end) = missing(placed) else { return true };
    for (id, Operation { op, invoked, returned, .. }) in operations.iter().enumerate() {
        if placed[id] || *invoked > first_end {
            continue;
        }
        let Some(next) = spec.step(state, op, returned.as_ref().map(|(_, ret)| ret)) else { continue };
        placed[id] = true;
        if search(spec, operations, &next, placed) {
            return true;
        }
        placed[id] = false;
    }
    false
}
