//! A step that is taken after processes have changed places comes out as if they had changed places after it.

use stateright::actor::{Envelope, Id, Out};
use std::borrow::Cow;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use synod::Msg;
use synod_explore::walk::Dice;
use synod_explore::{
    Action, Check, InFlight, Observer, Permutation, Permute, State, Step, Subject, Symmetry, System, Trigger,
};
use synod_model::{Built, Exchange, Ghost, Inside, Layout, Model, Note, catalogue};

/// A state after its actors have changed places.
pub(crate) fn moved<A>(
    symmetry: &Symmetry<A, Ghost>,
    by: &Permutation,
    state: &State<A, Ghost>,
) -> State<A, Ghost>
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let mut next = state.clone();
    for (index, local) in state.locals.iter().enumerate() {
        next.locals[by.index(index)] = Arc::new(symmetry.local(by, local));
    }
    next.network = match &state.network {
        InFlight::Set(_) => InFlight::Set([].into()),
        InFlight::Multiset(_) => InFlight::Multiset([].into()),
        InFlight::Ordered(_) => InFlight::Ordered([].into()),
        InFlight::Timed(_) => unreachable!("models of the protocol know no time"),
    };
    for envelope in state.network.all() {
        next.network.send(symmetry.envelope(by, &envelope.to_cloned_msg()));
    }
    next.history = symmetry.permute.history(by, &state.history);
    next
}

/// An action after its actors have changed places.
fn moved_action<A>(symmetry: &Symmetry<A, Ghost>, by: &Permutation, action: &Action<A>) -> Action<A>
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    match action {
        Action::<A>::Deliver { src, dst, msg } => {
            let envelope = Envelope { src: *src, dst: *dst, msg: msg.clone() };
            let Envelope { src, dst, msg } = symmetry.envelope(by, &envelope);
            Action::<A>::Deliver { src, dst, msg }
        }
        Action::<A>::Drop(envelope) => Action::<A>::Drop(symmetry.envelope(by, envelope)),
        Action::<A>::Timeout(id, timer) => {
            Action::<A>::Timeout(by.id(*id), symmetry.permute.timer(by, timer))
        }
        Action::<A>::Tick => Action::<A>::Tick,
        Action::<A>::Crash(id) => Action::<A>::Crash(by.id(*id)),
        Action::<A>::Recover(id) => Action::<A>::Recover(by.id(*id)),
        Action::<A>::SelectRandom { actor, key, random } => Action::<A>::SelectRandom {
            actor: by.id(*actor),
            key: key.clone(),
            random: symmetry.permute.choice(by, random),
        },
    }
}

/// The observer's note of an action.
fn noted<A>(system: &System<A, Ghost>, state: &State<A, Ghost>, action: &Action<A>) -> Option<Note>
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let index = match action {
        Action::<A>::Deliver { dst: id, .. }
        | Action::<A>::Timeout(id, _)
        | Action::<A>::Crash(id)
        | Action::<A>::Recover(id) => usize::from(*id),
        Action::<A>::Drop(_) | Action::<A>::SelectRandom { .. } | Action::<A>::Tick => return None,
    };
    let (actor, id, local) = (&system.actors[index], Id::from(index), &state.locals[index]);
    if local.is_down() != matches!(action, Action::<A>::Recover(_)) {
        return None;
    }
    let before = local.state.as_deref();
    let mut out = Out::<A>::new();
    let mut after = before.map(Cow::Borrowed);
    let trigger: Trigger<'_, A> = match action {
        Action::<A>::Deliver { src, msg, .. } => {
            actor.on_msg(id, after.as_mut().expect("it is up"), *src, msg.clone(), &mut out);
            Trigger::Deliver { src: *src, msg }
        }
        Action::<A>::Timeout(_, timer) => {
            actor.on_timeout(id, after.as_mut().expect("it is up"), timer, &mut out);
            Trigger::Timeout(timer)
        }
        Action::<A>::Recover(_) => {
            after = Some(Cow::Owned(actor.on_start(id, &local.storage, &mut out)));
            Trigger::Recover
        }
        _ => {
            after = None;
            Trigger::Crash
        }
    };
    system.observer.note(&Step { actor: id, before, trigger, after: after.as_deref(), outputs: &out })
}

fn same<T: PartialEq + Debug>(what: &str, after: &T, before: &T) -> Result<(), String> {
    if after == before {
        Ok(())
    } else {
        Err(format!("{what}: exchanged after the step\n{after:#?}\nexchanged before it\n{before:#?}"))
    }
}

/// True if properties see the same before and after an exchange.
fn judged_alike<A>(
    system: &System<A, Ghost>,
    states: [&State<A, Ghost>; 2],
    notes: [Option<&Note>; 2],
) -> Result<(), String>
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    for property in &system.properties {
        let told = match (&property.check, notes) {
            (Check::History(check), _) => states.map(|state| check(&state.history).is_ok()),
            (Check::Note(check), [Some(one), Some(other)]) => [one, other].map(|note| check(note).is_ok()),
            _ => continue,
        };
        same(property.name, &told[0], &told[1])?;
    }
    Ok(())
}

/// Takes every action of a state before and after every exchange of neighbours.
fn commutes<A>(
    system: &System<A, Ghost>,
    symmetry: &Symmetry<A, Ghost>,
    state: &State<A, Ghost>,
) -> Result<(), String>
where
    A: Subject<Msg = Msg> + Clone,
    A::State: Inside,
{
    let actions = system.possible(state);
    for by in symmetry.generators(system.actors.len()) {
        let other = moved(symmetry, &by, state);
        same("possible actions", &actions.len(), &system.possible(&other).len())?;
        for action in &actions {
            let moved_action = moved_action(symmetry, &by, action);
            let at = |why: String| format!("{by:?}, {action:?}\n{why}");
            if !system.is_possible(&other, &moved_action) {
                return Err(at(format!("{moved_action:?} is not possible")));
            }
            let next = system.step(state, action);
            let other_next = system.step(&other, &moved_action);
            let next_moved = next.as_ref().map(|next| moved(symmetry, &by, next));
            same("state", &next_moved, &other_next).map_err(at)?;
            let note = noted(system, state, action);
            let other_note = noted(system, &other, &moved_action);
            let note_moved = note.as_ref().map(|note| symmetry.permute.note(&by, note));
            same("note", &note_moved, &other_note).map_err(at)?;
            if let (Some(next), Some(other_next)) = (&next, &other_next) {
                judged_alike(system, [next, other_next], [note.as_ref(), other_note.as_ref()]).map_err(at)?;
            }
        }
    }
    Ok(())
}

/// Walks at random, and checks at each state on the way that what is declared to be a symmetry is one.
///
/// # Errors
/// With the first step that comes out differently, and the seed that leads to it.
pub(crate) fn equivariant<A>(
    system: &System<A, Ghost>,
    symmetry: &Symmetry<A, Ghost>,
    seeds: std::ops::Range<u64>,
    steps: usize,
) -> Result<(), String>
where
    A: Subject<Msg = Msg> + Clone,
    A::State: Inside,
{
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let mut state = system.initial();
        for by in symmetry.generators(system.actors.len()) {
            same("initial state", &moved(symmetry, &by, &state), &state)?;
        }
        for step in 0..steps {
            // A permutation may come upon what it cannot handle.
            catch_unwind(AssertUnwindSafe(|| commutes(system, symmetry, &state)))
                .unwrap_or_else(|_| Err("panicked".to_owned()))
                .map_err(|why| format!("seed {seed}, step {step}: {why}"))?;
            let mut nexts: Vec<_> =
                system.possible(&state).iter().filter_map(|action| system.step(&state, action)).collect();
            if nexts.is_empty() {
                break;
            }
            state = nexts.swap_remove(dice.below(nexts.len()));
        }
    }
    Ok(())
}

/// The model with its acceptors, and its learners where there are some, declared to be alike.
pub(crate) fn declared(model: &Model, groups: &str) -> Result<Model, String> {
    let text = model.text.replacen("[expect]", &format!("[reduce]\nsymmetry = {groups}\n\n[expect]"), 1);
    let text = if model.text.contains("[reduce]") { model.text.clone() } else { text };
    Model::read(&model.name, &text).map_err(|error| error.to_string())
}

/// True if nothing else in a model stands against a symmetry: renumbered ballots, left out messages and members that change do, whoever is alike.
fn may_declare(model: &Model) -> bool {
    let members_change = model.cluster.log.as_ref().is_some_and(|log| log.members.is_some());
    let reduces =
        model.is_of_protocol() && !model.text.contains("[liveness]") && !model.file.reduce.dead_messages;
    reduces && !members_change && model.file.bounds.live_ballots.is_none()
}

/// Checks what a model declares. What the search takes for a broken contract is a step like any other here.
fn checked(model: &Model, seeds: std::ops::Range<u64>, steps: usize) -> Result<(), String> {
    match model.build() {
        Built::Plain(mut system) => {
            system.assert_contract = false;
            let symmetry = system.symmetry.clone().expect("it is declared");
            equivariant(&system, &symmetry, seeds, steps)
        }
        Built::Decorated(mut system) => {
            system.assert_contract = false;
            let symmetry = system.symmetry.clone().expect("it is declared");
            equivariant(&system, &symmetry, seeds, steps)
        }
        Built::Admission(_) | Built::Clock(_) | Built::Timed(_) | Built::Master(_) => {
            Err("nobody is taken for alike".to_owned())
        }
    }
}

/// The model with all of its acceptors declared alike.
fn forced(model: &Model, seeds: std::ops::Range<u64>, steps: usize) -> Result<(), String> {
    fn alike<A>(system: &System<A, Ghost>) -> Symmetry<A, Ghost>
    where
        A: Subject<Msg = Msg>,
        A::State: Inside,
        Exchange: Permute<A, Ghost>,
    {
        let cluster = Arc::clone(&system.observer.cluster);
        let acceptors = cluster.acceptors.iter().map(|id| usize::from(*id)).collect();
        Symmetry { alike: vec![acceptors], permute: Arc::new(Exchange { cluster }) }
    }
    match model.build() {
        Built::Plain(system) => equivariant(&system, &alike(&system), seeds, steps),
        Built::Decorated(mut system) => {
            system.assert_contract = false;
            equivariant(&system, &alike(&system), seeds, steps)
        }
        Built::Admission(_) | Built::Clock(_) | Built::Timed(_) | Built::Master(_) => {
            Err("there are no acceptors".to_owned())
        }
    }
}

#[test]
fn acceptors_are_alike_where_it_is_not_refused_and_nowhere_else() {
    let (mut alike, mut refused) = (0, 0);
    for model in catalogue().into_iter().filter(may_declare) {
        let why = match declared(&model, r#"["acceptors"]"#) {
            Ok(model) => {
                alike += 1;
                checked(&model, 0..2, 40).unwrap_or_else(|why| panic!("{}: {why}", model.name));
                continue;
            }
            Err(why) => why,
        };
        assert!(why.contains(" symmetry: "), "{why}");
        // Which mutants are refused is asked below.
        if model.file.system.layout == Layout::Separate && model.mutant().is_none() {
            refused += 1;
            assert!(forced(&model, 0..20, 60).is_err(), "it is refused and need not be: {why}");
        }
    }
    assert!(alike > 60 && refused > 3, "{alike} models declare it and {refused} cannot");
}

#[test]
fn learners_are_alike_wherever_it_is_not_refused() {
    let mut alike = 0;
    for model in catalogue().into_iter().filter(may_declare) {
        let several = model.file.system.learners.as_ref().is_some_and(|learners| *learners.get_ref() > 1);
        if !several || model.file.system.layout == Layout::CoLocated || model.text.contains("[reduce]") {
            continue;
        }
        match declared(&model, r#"["acceptors", "learners"]"#)
            .or_else(|_| declared(&model, r#"["learners"]"#))
        {
            Ok(model) => {
                alike += 1;
                checked(&model, 0..4, 60).unwrap_or_else(|why| panic!("{}: {why}", model.name));
            }
            Err(why) => assert!(why.contains(" symmetry: "), "{why}"),
        }
    }
    assert!(alike >= 2, "{alike} models were looked at");
}

/// With five acceptors there is something to pick from even when one is counted.
#[test]
fn a_mutant_is_refused_where_it_tells_acceptors_apart_and_nowhere_else() {
    let mut refused = Vec::new();
    for model in catalogue().into_iter().filter(may_declare) {
        let Some(entry) = model.mutant().filter(|_| model.file.system.layout == Layout::Separate) else {
            continue;
        };
        if model.text.contains("[quorums]") || model.text.contains("[reduce]") {
            continue;
        }
        let text = model.text.replace("acceptors = 3\n", "acceptors = 5\n");
        let model = Model::read(&model.name, &text).expect("there may be five acceptors");
        if declared(&model, r#"["acceptors"]"#).is_ok() {
            forced(&model, 0..2, 40).unwrap_or_else(|why| panic!("{}: {why}", model.name));
        } else {
            refused.push(entry.name);
            assert!(forced(&model, 0..40, 80).is_err(), "{} is refused and need not be", model.name);
        }
    }
    refused.dedup();
    assert_eq!(
        refused,
        ["announces-by-messages", "announces-first", "counts-promises", "learns-by-messages"]
    );
}
