//! An order of what the clients of a register were told, found by the tester of `synod-linear`.

use crate::history::Call;
use crate::sequential::{Asked, Sequential, Told};
use std::collections::{BTreeMap, BTreeSet};

/// True if some order explains the calls to a register.
///
/// Which call ended before which began is all that counts. What had ended when a call began only grows from one call to the next, so
/// the calls can be told to the tester in the order in which they began.
pub(super) fn has_order(calls: &BTreeMap<Asked, Call>) -> bool {
    let mut by_start: Vec<_> = calls.iter().collect();
    by_start.sort_by_key(|(_, call)| call.after.len());
    let mut tester = Told::new(Sequential::Register);
    let mut ended = BTreeSet::new();
    let end = |tester: &mut Told, ended: &mut BTreeSet<Asked>, asked: &Asked| {
        let output = calls.get(asked).and_then(|call| call.output.as_ref());
        if let (true, Some(output)) = (ended.insert(*asked), output) {
            tester.returned(asked, output);
        }
    };
    for (asked, call) in &by_start {
        for before in &call.after {
            end(&mut tester, &mut ended, before);
        }
        tester.invoke(**asked, call.command.clone());
    }
    for (asked, _) in by_start {
        end(&mut tester, &mut ended, asked);
    }
    tester.is_linearizable()
}
