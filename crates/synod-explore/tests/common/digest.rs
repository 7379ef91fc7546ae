//! An observer of random machines that keeps little, and the comparison of reports.

use crate::machines::Machine;
use synod_explore::{Observer, Report, Step, Subject, Trigger};

/// Notes steps by what they did to the actor, and keeps a small digest of the last ones.
#[derive(Clone)]
pub(crate) struct Digest {
    /// True if it notes every ignored delivery. No message is dead to such an observer; otherwise it notes only a 1.
    pub(crate) hears_all: bool,
}

impl Observer<Machine> for Digest {
    type History = u8;
    type Note = (usize, u8);

    fn initial(&self) -> u8 {
        0
    }

    fn note(&self, step: &Step<'_, Machine>) -> Option<(usize, u8)> {
        let code = match step.trigger {
            Trigger::Start => 1,
            Trigger::Recover => 2,
            Trigger::Crash => 3,
            Trigger::Deliver { msg, .. } if step.is_no_op() && !self.hears_all && *msg != 1 => return None,
            Trigger::Deliver { msg, .. } if step.is_no_op() => 4 + msg,
            Trigger::Deliver { msg, .. } => 8 + msg,
            Trigger::Timeout(_) => return None,
            Trigger::Random { choice, .. } => 12 + choice,
        };
        Some((step.actor.into(), code))
    }

    fn update(&self, history: &u8, (actor, code): &(usize, u8)) -> Option<u8> {
        match code {
            3 => Some(history | 1),
            // An ignored delivery that is remembered becomes a step.
            5 => Some(history | 2),
            8 if *actor == 0 => Some(history ^ 4),
            _ => None,
        }
    }
}

/// Equal but for the time and the memory it took.
pub(crate) fn assert_same<A: Subject>(a: &Report<A>, b: &Report<A>) {
    assert_eq!(a.verdict, b.verdict);
    assert_eq!(a.findings, b.findings);
    assert_eq!(
        (a.unique_states, a.generated_states, a.depth, a.handler_calls),
        (b.unique_states, b.generated_states, b.depth, b.handler_calls)
    );
}
