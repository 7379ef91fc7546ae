//! A step of a process as steps of its groups. Each group is judged as a log of its own.

use crate::member::{Happening, Stepped};
use stateright::actor::{Actor, Command};
use synod_groups::{Groups, InGroup};

/// Shows each group that took a step its own step, until somebody has found something.
pub(crate) fn each<A: Actor, T>(
    step: &Stepped<'_, Groups<A>>,
    see: &mut dyn FnMut(u8, Stepped<'_, A>) -> Option<T>,
) -> Option<T> {
    let (group, event) = match &step.event {
        Happening::Start => (None, Happening::Start),
        Happening::Deliver(src, InGroup { group, what }) => {
            (Some(*group), Happening::Deliver(*src, what.clone()))
        }
        Happening::Timeout(InGroup { group, what }) => (Some(*group), Happening::Timeout(what.clone())),
        Happening::Random(key, InGroup { group, what }) => {
            (Some(*group), Happening::Random(key.clone(), what.clone()))
        }
    };
    let mut event = Some(event);
    let took = |one: &u8| group.is_none_or(|group| group == *one);
    for (group, after) in step.after.all().filter(|(one, _)| took(one)) {
        let outputs: Vec<_> = step.outputs.iter().filter_map(|output| of_group::<A>(group, output)).collect();
        let stepped = Stepped {
            before: step.before.and_then(|before| before.of(group)),
            event: event.take().unwrap_or(Happening::Start),
            after,
            outputs: &outputs,
            first: step.first,
        };
        let found = see(group, stepped);
        if found.is_some() {
            return found;
        }
    }
    None
}

type Of<A> = Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// The output of a group. No claim looks at what is saved.
fn of_group<A: Actor>(group: u8, output: &Of<Groups<A>>) -> Option<Of<A>> {
    match output {
        Command::Send(to, msg) if msg.group == group => Some(Command::Send(*to, msg.what.clone())),
        Command::SetTimer(timer, after) if timer.group == group => {
            Some(Command::SetTimer(timer.what.clone(), after.clone()))
        }
        Command::CancelTimer(timer) if timer.group == group => Some(Command::CancelTimer(timer.what.clone())),
        Command::ChooseRandom(key, choices) if choices.iter().any(|choice| choice.group == group) => {
            let choices = choices.iter().map(|choice| choice.what.clone()).collect();
            Some(Command::ChooseRandom(key.clone(), choices))
        }
        _ => None,
    }
}
