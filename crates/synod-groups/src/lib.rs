//! Several actors in one process as one actor: the groups of a process share its transport, its stable storage and its clock, and nothing else.
//!
//! A step of [`Groups`] is a step of one of its actors, but for the start, which is a step of each. So a step still saves once at most, before
//! it sends. What a step saves is the stable state of every group: whoever writes it down writes down the difference. One flush then covers
//! the saves of all groups that came before it.
//!
//! Each message, timer and choice names its group ([`InGroup`]). This crate knows nothing of what the actors do.

mod in_group;
mod states;

pub use in_group::{AskInGroup, InGroup};
pub use states::{Stables, States};

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::sync::Arc;

/// The most groups of one process. A process does for each group what it does when nothing happens: it keeps timers, sends heartbeats and looks for what is
/// due. With so many that takes it a small share of a processor, so heartbeats come in time.
pub const MOST_GROUPS: usize = 64;

/// One actor per group.
#[derive(Clone, Debug)]
pub struct Groups<A> {
    groups: Vec<A>,
}

impl<A> Groups<A> {
    /// The process whose groups run these actors, in the order of their numbers.
    ///
    /// # Panics
    /// When there are none, or more than [`MOST_GROUPS`].
    pub fn new(groups: Vec<A>) -> Groups<A> {
        assert!((1..=MOST_GROUPS).contains(&groups.len()), "{} groups", groups.len());
        Groups { groups }
    }

    /// The actors, in the order of their groups.
    pub fn actors(&self) -> &[A] {
        &self.groups
    }
}

type StateOf<A> = States<<A as Actor>::State, <A as Actor>::Storage>;

impl<A: Actor> Groups<A> {
    /// Has one group take a step. A group that there is not takes none.
    fn step(
        &self,
        state: &mut Cow<'_, StateOf<A>>,
        group: u8,
        out: &mut Out<Self>,
        step: impl FnOnce(&A, &mut Cow<'_, A::State>, &mut Out<A>),
    ) {
        let at = usize::from(group);
        let Some(actor) = self.groups.get(at) else { return };
        let mut own = Out::new();
        match state {
            Cow::Borrowed(all) => {
                let mut one = Cow::Borrowed(&all.groups[at]);
                step(actor, &mut one, &mut own);
                if let Cow::Owned(one) = one {
                    state.to_mut().groups[at] = one;
                }
            }
            Cow::Owned(all) => {
                // The last one stands in for it meanwhile, so that nothing is copied.
                let mut one = Cow::Owned(all.groups.swap_remove(at));
                step(actor, &mut one, &mut own);
                all.groups.push(one.into_owned());
                let last = all.groups.len() - 1;
                all.groups.swap(at, last);
            }
        }
        for command in own {
            if let Command::Save(stable) = command {
                let state = state.to_mut();
                state.stables.0[at] = Some(Arc::new(stable));
                out.save(state.stables.clone());
            } else {
                say(group, command, out);
            }
        }
    }
}

/// Passes on what a group has to say, in its name.
fn say<A: Actor>(group: u8, command: CommandOf<A>, out: &mut Out<Groups<A>>) {
    match command {
        Command::Save(_) => unreachable!("whoever saves does it for all groups"),
        Command::Send(to, msg) => out.send(to, InGroup { group, what: msg }),
        Command::SetTimer(timer, after) => out.set_timer(InGroup { group, what: timer }, after),
        Command::CancelTimer(timer) => out.cancel_timer(InGroup { group, what: timer }),
        Command::ChooseRandom(key, choices) => {
            let choices = choices.into_iter().map(|what| InGroup { group, what }).collect();
            out.choose_random(if group == 0 { key } else { format!("{group}/{key}") }, choices);
        }
    }
}

type CommandOf<A> =
    Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

impl<A: Actor> Actor for Groups<A> {
    type Msg = InGroup<A::Msg>;
    type Timer = InGroup<A::Timer>;
    type State = StateOf<A>;
    type Storage = Stables<A::Storage>;
    type Random = InGroup<A::Random>;

    /// Starts every group. What they save is saved together, before anything is sent.
    fn on_start(&self, me: Id, saved: &Option<Self::Storage>, out: &mut Out<Self>) -> Self::State {
        let mut stables = saved.clone().unwrap_or_else(|| Stables(vec![None; self.groups.len()]));
        stables.0.resize(self.groups.len(), None);
        let (mut groups, mut said, mut saves) = (Vec::new(), Vec::new(), false);
        for ((group, actor), stable) in (0..=u8::MAX).zip(&self.groups).zip(&mut stables.0) {
            let before = stable.as_ref().map(|stable| A::Storage::clone(stable));
            let mut own = Out::new();
            groups.push(actor.on_start(me, &before, &mut own));
            for command in own {
                if let Command::Save(new) = command {
                    (*stable, saves) = (Some(Arc::new(new)), true);
                } else {
                    said.push((group, command));
                }
            }
        }
        if saves {
            out.save(stables.clone());
        }
        for (group, command) in said {
            say(group, command, out);
        }
        States { groups, stables }
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, Self::State>, src: Id, msg: Self::Msg, out: &mut Out<Self>) {
        let InGroup { group, what } = msg;
        self.step(state, group, out, |actor, state, out| actor.on_msg(me, state, src, what, out));
    }

    fn on_timeout(&self, me: Id, state: &mut Cow<'_, Self::State>, timer: &Self::Timer, out: &mut Out<Self>) {
        self.step(state, timer.group, out, |actor, state, out| {
            actor.on_timeout(me, state, &timer.what, out);
        });
    }

    fn on_random(
        &self,
        me: Id,
        state: &mut Cow<'_, Self::State>,
        random: &Self::Random,
        out: &mut Out<Self>,
    ) {
        self.step(state, random.group, out, |actor, state, out| {
            actor.on_random(me, state, &random.what, out);
        });
    }

    fn name(&self) -> String {
        self.groups[0].name()
    }
}

#[cfg(test)]
mod tests;
