//! A system is a stateright [`Model`]: stateright's Explorer and checkers run exactly what is explored here.

use crate::diagram::Diagram;
use crate::observer::{CommandOf, Observer, Trigger};
use crate::property::Check;
use crate::state::State;
use crate::step::Handled;
use crate::system::System;
use crate::{Action, Subject};
use stateright::actor::Command;
use stateright::{Model, Path};
use std::borrow::Cow;
use std::fmt::Write;

/// The most properties that stateright can be asked about.
pub(crate) const SLOTS: usize = 64;

/// One function a property: stateright takes plain function pointers, so there has to be one for each index.
macro_rules! slots {
    ($function:ident, $actor:ty, $observer:ty) => {
        $crate::model::slots!(@ $function, $actor, $observer,
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
    };
    (@ $function:ident, $actor:ty, $observer:ty, $($index:literal)*) => {
        [$($function::<$actor, $observer, $index>),*]
    };
}
pub(crate) use slots;

/// True if the property of that index is true in a state.
pub(crate) fn condition<A: Subject, O: Observer<A>, const INDEX: usize>(
    system: &System<A, O>,
    state: &State<A, O>,
) -> bool {
    holds_in(system, state, INDEX)
}

/// The same with the index as a value: the functions of all indices share its code.
pub(crate) fn holds_in<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    state: &State<A, O>,
    index: usize,
) -> bool {
    let answer = system.properties[index].of_state(state);
    answer.expect("stateright is not asked about properties of steps").is_ok()
}

impl<A: Subject, O: Observer<A>> Model for System<A, O> {
    type State = State<A, O>;
    type Action = Action<A>;

    fn init_states(&self) -> Vec<Self::State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        actions.append(&mut self.possible(state));
    }

    fn next_state(&self, state: &Self::State, action: Self::Action) -> Option<Self::State> {
        self.step(state, &action)
    }

    fn format_action(&self, action: &Self::Action) -> String {
        self.describe(action)
    }

    fn format_step(&self, state: &Self::State, action: Self::Action) -> Option<String> {
        let (id, trigger) = match &action {
            Action::<A>::Drop(_) | Action::<A>::Tick => return Some(self.describe(&action)),
            Action::<A>::Deliver { src, dst, msg } => (*dst, Trigger::Deliver { src: *src, msg }),
            Action::<A>::Timeout(id, timer) => (*id, Trigger::Timeout(timer)),
            Action::<A>::Crash(id) => (*id, Trigger::Crash),
            Action::<A>::Recover(id) => (*id, Trigger::Recover),
            Action::<A>::SelectRandom { actor, key, random } => {
                (*actor, Trigger::Random { key, choice: random })
            }
        };
        let local = state.locals.get(usize::from(id))?;
        if local.is_down() != matches!(trigger, Trigger::Recover) {
            return None;
        }
        let Handled { after, out, .. } = self.handle(id.into(), local, trigger);
        let mut text = format!("{}\n", self.describe(&action));
        for command in &*out {
            let _ = writeln!(text, "  {}", self.describe_command(command));
        }
        let name = self.name(id);
        // Writing to a string does not fail.
        let _ = match after {
            Some(Cow::Owned(after)) => {
                write!(text, "\n{name} after: {after:#?}\n\n{name} before: {local:#?}\n")
            }
            Some(Cow::Borrowed(_)) => write!(text, "\n{name} unchanged: {local:#?}\n"),
            None => write!(text, "\n{name} before: {local:#?}\n"),
        };
        Some(text)
    }

    fn as_svg(&self, path: Path<Self::State, Self::Action>) -> Option<String> {
        Some(Diagram::new(self, &path.into_actions()).explorer_svg())
    }

    /// All properties but premises and those of steps, which stateright cannot be asked about, up to the 64th.
    fn properties(&self) -> Vec<stateright::Property<Self>> {
        let conditions: [fn(&Self, &Self::State) -> bool; SLOTS] = slots!(condition, A, O);
        let askable = self.properties.iter().zip(conditions);
        askable
            .filter(|(property, _)| !matches!(property.check, Check::Note(_)) && !property.is_premise())
            .map(|(property, condition)| stateright::Property {
                expectation: property.expectation.into(),
                name: property.name,
                condition,
            })
            .collect()
    }

    fn within_boundary(&self, state: &Self::State) -> bool {
        self.admits(state)
    }
}

impl<A: Subject, O: Observer<A>> System<A, O> {
    /// An action in one line, with the names of the actors.
    pub fn describe(&self, action: &Action<A>) -> String {
        match action {
            Action::<A>::Deliver { src, dst, msg } => {
                format!("{} → {msg:?} → {}", self.name(*src), self.name(*dst))
            }
            Action::<A>::Drop(e) => {
                format!("drop {} → {:?} → {}", self.name(e.src), e.msg, self.name(e.dst))
            }
            Action::<A>::Timeout(id, timer) => format!("{} timeout {timer:?}", self.name(*id)),
            Action::<A>::Crash(id) => format!("crash {}", self.name(*id)),
            Action::<A>::Recover(id) => format!("recover {}", self.name(*id)),
            Action::<A>::SelectRandom { actor, key, random } => {
                format!("{} chooses {key} {random:?}", self.name(*actor))
            }
            Action::<A>::Tick => "a tick passes".to_owned(),
        }
    }

    /// A command in one line, with the names of the actors.
    pub(crate) fn describe_command(&self, command: &CommandOf<A>) -> String {
        match command {
            Command::Send(dst, msg) => format!("send {msg:?} to {}", self.name(*dst)),
            Command::SetTimer(timer, after) if self.clocks.is_some() => {
                format!("set timer {timer:?} for {after:?}")
            }
            Command::SetTimer(timer, _) => format!("set timer {timer:?}"),
            Command::CancelTimer(timer) => format!("cancel timer {timer:?}"),
            Command::ChooseRandom(key, choices) => format!("choose {key} from {choices:?}"),
            Command::Save(storage) => format!("save {storage:?}"),
        }
    }
}
