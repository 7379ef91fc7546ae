//! Explores a system of any types as one of a single type: the engine, which is large, is then compiled once for all small systems
//! of these tests, and not once for each. Every value is kept as what it is behind a pointer, compared, ordered, hashed and
//! shown by its own type; so the same is found in the same order.

use stateright::actor::{Actor, Command, Envelope, Id, Out};
use std::any::Any;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use synod_explore::liveness::LiveProperty;
use synod_explore::{
    Action, Bounds, Check, CommandOf, ComponentUpdate, Components, Finding, InFlight, Local, Normal,
    Observer, Options, Permutation, Permute, Property, Report, State, Step, Subject, Symmetry, System,
    Trigger, Verdict, oracle,
};

/// See [`synod_explore::explore`].
pub(crate) fn explore<A, O>(system: &System<A, O>, options: &Options<'_>) -> Report<A>
where
    A: Subject + Clone,
    O: Observer<A> + Clone,
{
    restore(synod_explore::explore(&erase(system), options))
}

/// See [`synod_explore::oracle::stateright_bfs`].
pub(crate) fn stateright_bfs<A, O>(system: &System<A, O>, threads: usize) -> Report<A>
where
    A: Subject + Clone,
    O: Observer<A> + Clone,
{
    restore(oracle::stateright_bfs(&erase(system), threads, None))
}

/// The operations on a value of any type.
trait Data: Send + Sync + 'static {
    fn any(&self) -> &dyn Any;
    fn equals(&self, other: &Value) -> bool;
    fn order(&self, other: &Value) -> Ordering;
    fn feed(&self, hasher: &mut dyn Hasher);
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result;
}

struct Plain<T>(T);
struct Ordered<T>(T);

macro_rules! data {
    ($kind:ident, $bound:ident, ($one:ident, $other:ident) => $order:expr) => {
        impl<T: Debug + $bound + Hash + Send + Sync + 'static> Data for $kind<T> {
            fn any(&self) -> &dyn Any {
                &self.0
            }
            fn equals(&self, other: &Value) -> bool {
                self.0 == *other.of::<T>()
            }
            fn order(&self, other: &Value) -> Ordering {
                let ($one, $other) = (&self.0, other.of::<T>());
                $order
            }
            fn feed(&self, mut hasher: &mut dyn Hasher) {
                self.0.hash(&mut hasher);
            }
            fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

data!(Plain, PartialEq, (_one, _other) => unreachable!("nothing asks for the order of such values"));
data!(Ordered, Ord, (one, other) => one.cmp(other));

/// Some value.
#[derive(Clone)]
pub(crate) struct Value(Arc<dyn Data>);

impl Value {
    pub(crate) fn of<T: 'static>(&self) -> &T {
        self.0.any().downcast_ref().expect("values of a kind are of one type")
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other)
    }
}

impl Eq for Value {}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(other)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.feed(hasher);
    }
}

impl Debug for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.show(f)
    }
}

pub(crate) fn plain<T: Debug + PartialEq + Hash + Send + Sync + 'static>(value: T) -> Value {
    Value(Arc::new(Plain(value)))
}

fn ordered<T: Debug + Ord + Hash + Send + Sync + 'static>(value: T) -> Value {
    Value(Arc::new(Ordered(value)))
}

/// The handlers of an actor.
trait Handlers: Send + Sync {
    fn start(&self, id: Id, storage: Option<&Value>, o: &mut Out<Anyone>) -> Value;
    fn handle(&self, id: Id, state: &mut Cow<'_, Value>, trigger: Trigger<'_, Anyone>, o: &mut Out<Anyone>);
}

/// Any actor.
#[derive(Clone)]
pub(crate) struct Anyone(Arc<dyn Handlers>);

impl Actor for Anyone {
    type Msg = Value;
    type State = Value;
    type Timer = Value;
    type Random = Value;
    type Storage = Value;

    fn on_start(&self, id: Id, storage: &Option<Value>, o: &mut Out<Self>) -> Value {
        self.0.start(id, storage.as_ref(), o)
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, Value>, src: Id, msg: Value, o: &mut Out<Self>) {
        self.0.handle(id, state, Trigger::Deliver { src, msg: &msg }, o);
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, Value>, timer: &Value, o: &mut Out<Self>) {
        self.0.handle(id, state, Trigger::Timeout(timer), o);
    }

    fn on_random(&self, id: Id, state: &mut Cow<'_, Value>, choice: &Value, o: &mut Out<Self>) {
        self.0.handle(id, state, Trigger::Random { key: "", choice }, o);
    }
}

struct Typed<A>(A);

impl<A: Subject> Handlers for Typed<A> {
    fn start(&self, id: Id, storage: Option<&Value>, o: &mut Out<Anyone>) -> Value {
        let (storage, mut out) = (storage.map(|value| value.of::<A::Storage>().clone()), Out::new());
        let state = self.0.on_start(id, &storage, &mut out);
        *o = out.into_iter().map(erase_command::<A>).collect();
        plain(state)
    }

    fn handle(&self, id: Id, state: &mut Cow<'_, Value>, trigger: Trigger<'_, Anyone>, o: &mut Out<Anyone>) {
        let mut out = Out::new();
        let before = (**state).clone();
        let mut after = Cow::Borrowed(before.of::<A::State>());
        match trigger {
            Trigger::Deliver { src, msg } => {
                self.0.on_msg(id, &mut after, src, msg.of::<A::Msg>().clone(), &mut out);
            }
            Trigger::Timeout(timer) => self.0.on_timeout(id, &mut after, timer.of(), &mut out),
            Trigger::Random { choice, .. } => self.0.on_random(id, &mut after, choice.of(), &mut out),
            Trigger::Start | Trigger::Recover | Trigger::Crash => unreachable!("there is no handler for it"),
        }
        if let Cow::Owned(after) = after {
            *state = Cow::Owned(plain(after));
        }
        *o = out.into_iter().map(erase_command::<A>).collect();
    }
}

fn erase_command<A: Subject>(command: CommandOf<A>) -> CommandOf<Anyone> {
    match command {
        Command::CancelTimer(timer) => Command::CancelTimer(ordered(timer)),
        Command::SetTimer(timer, after) => Command::SetTimer(ordered(timer), after),
        Command::Send(to, msg) => Command::Send(to, ordered(msg)),
        Command::ChooseRandom(key, all) => Command::ChooseRandom(key, all.into_iter().map(ordered).collect()),
        Command::Save(storage) => Command::Save(plain(storage)),
    }
}

fn restore_command<A: Subject>(command: &CommandOf<Anyone>) -> CommandOf<A> {
    match command {
        Command::CancelTimer(timer) => Command::CancelTimer(timer.of::<A::Timer>().clone()),
        Command::SetTimer(timer, after) => Command::SetTimer(timer.of::<A::Timer>().clone(), after.clone()),
        Command::Send(to, msg) => Command::Send(*to, msg.of::<A::Msg>().clone()),
        Command::ChooseRandom(key, all) => {
            Command::ChooseRandom(key.clone(), all.iter().map(|one| one.of::<A::Random>().clone()).collect())
        }
        Command::Save(storage) => Command::Save(storage.of::<A::Storage>().clone()),
    }
}

fn restore_trigger<A: Subject>(trigger: Trigger<'_, Anyone>) -> Trigger<'_, A> {
    match trigger {
        Trigger::Start => Trigger::Start,
        Trigger::Recover => Trigger::Recover,
        Trigger::Crash => Trigger::Crash,
        Trigger::Deliver { src, msg } => Trigger::Deliver { src, msg: msg.of() },
        Trigger::Timeout(timer) => Trigger::Timeout(timer.of()),
        Trigger::Random { key, choice } => Trigger::Random { key, choice: choice.of() },
    }
}

fn restore_local<A: Subject>(local: &Local<Anyone>) -> Local<A> {
    let (mut timers, mut randoms) = (BTreeSet::new(), BTreeMap::new());
    local.timers.iter().for_each(|timer| _ = timers.insert(timer.of::<A::Timer>().clone()));
    let mut dues = BTreeMap::new();
    local.dues.iter().for_each(|(timer, due)| _ = dues.insert(timer.of::<A::Timer>().clone(), *due));
    for (key, all) in &local.randoms {
        randoms.insert(key.clone(), all.iter().map(|one| one.of::<A::Random>().clone()).collect());
    }
    Local {
        state: local.state.as_ref().map(|state| Arc::new(state.of::<A::State>().clone())),
        timers,
        dues,
        randoms,
        storage: local.storage.as_ref().map(|storage| storage.of::<A::Storage>().clone()),
    }
}

fn erase_local<A: Subject>(local: &Local<A>) -> Local<Anyone> {
    let choices = |all: &Vec<A::Random>| all.iter().cloned().map(ordered).collect();
    Local {
        state: local.state.as_ref().map(|state| Arc::new(plain((**state).clone()))),
        timers: local.timers.iter().cloned().map(ordered).collect(),
        dues: local.dues.iter().map(|(timer, due)| (ordered(timer.clone()), *due)).collect(),
        randoms: local.randoms.iter().map(|(key, all)| (key.clone(), choices(all))).collect(),
        storage: local.storage.clone().map(plain),
    }
}

fn with_msg<M, N>(envelope: &Envelope<M>, map: impl Fn(&M) -> N) -> Envelope<N> {
    Envelope { src: envelope.src, dst: envelope.dst, msg: map(&envelope.msg) }
}

fn in_flight<M: Ord, N: Ord>(network: &InFlight<M>, map: impl Fn(&M) -> N) -> InFlight<N> {
    // One by one: to build a whole tree at once takes much to compile.
    match network {
        InFlight::Set(set) => {
            let mut mapped = BTreeSet::new();
            for one in set {
                mapped.insert(with_msg(one, &map));
            }
            InFlight::Set(mapped)
        }
        InFlight::Multiset(counts) => {
            let mut mapped = BTreeMap::new();
            for (one, count) in counts {
                mapped.insert(with_msg(one, &map), *count);
            }
            InFlight::Multiset(mapped)
        }
        InFlight::Timed(counts) => {
            let mut mapped = BTreeMap::new();
            for ((one, due), count) in counts {
                mapped.insert((with_msg(one, &map), *due), *count);
            }
            InFlight::Timed(mapped)
        }
        InFlight::Ordered(queues) => {
            let mut mapped = BTreeMap::new();
            for (ends, queue) in queues {
                mapped.insert(*ends, queue.iter().map(&map).collect());
            }
            InFlight::Ordered(mapped)
        }
    }
}

fn restore_state<A: Subject, O: Observer<A>>(state: &State<Anyone, Anything>) -> State<A, O> {
    State {
        locals: state.locals.iter().map(|local| Arc::new(restore_local(local))).collect(),
        network: in_flight(&state.network, |msg| msg.of::<A::Msg>().clone()),
        history: state.history.of::<O::History>().clone(),
        crashes: state.crashes,
    }
}

fn erase_state<A: Subject, O: Observer<A>>(state: &State<A, O>) -> State<Anyone, Anything> {
    State {
        locals: state.locals.iter().map(|local| Arc::new(erase_local(local))).collect(),
        network: in_flight(&state.network, |msg| ordered(msg.clone())),
        history: plain(state.history.clone()),
        crashes: state.crashes,
    }
}

/// The methods of an observer.
trait Watches: Send + Sync {
    fn initial(&self) -> Value;
    fn note(&self, step: &Step<'_, Anyone>) -> Option<Value>;
    fn update(&self, history: &Value, note: &Value) -> Option<Value>;
    fn has_components(&self) -> bool;
    fn split(&self, history: &Value) -> Vec<Value>;
    fn join(&self, components: &[&Value]) -> Value;
    fn about(&self, note: &Value) -> Vec<usize>;
    fn update_component(&self, component: usize, history: &Value, note: &Value) -> ComponentUpdate<Value>;
}

/// Any observer.
#[derive(Clone)]
pub(crate) struct Anything(Arc<dyn Watches>);

impl Observer<Anyone> for Anything {
    type History = Value;
    type Note = Value;

    fn initial(&self) -> Value {
        self.0.initial()
    }
    fn note(&self, step: &Step<'_, Anyone>) -> Option<Value> {
        self.0.note(step)
    }
    fn update(&self, history: &Value, note: &Value) -> Option<Value> {
        self.0.update(history, note)
    }
    fn components(&self) -> Option<&dyn Components<Value, Value>> {
        self.0.has_components().then_some(self)
    }
}

impl Components<Value, Value> for Anything {
    fn split(&self, history: &Value) -> Vec<Value> {
        self.0.split(history)
    }
    fn join(&self, components: &[&Value]) -> Value {
        self.0.join(components)
    }
    fn about(&self, note: &Value) -> Vec<usize> {
        self.0.about(note)
    }
    fn update(&self, component: usize, history: &Value, note: &Value) -> ComponentUpdate<Value> {
        self.0.update_component(component, history, note)
    }
}

struct Watching<A, O>(O, PhantomData<fn(A)>);

impl<A: Subject, O: Observer<A>> Watching<A, O> {
    fn components(&self) -> &dyn Components<O::History, O::Note> {
        self.0.components().expect("it comes apart")
    }
}

impl<A: Subject, O: Observer<A>> Watches for Watching<A, O> {
    fn initial(&self) -> Value {
        plain(self.0.initial())
    }
    fn note(&self, step: &Step<'_, Anyone>) -> Option<Value> {
        let outputs: Vec<CommandOf<A>> = step.outputs.iter().map(restore_command::<A>).collect();
        let step = Step {
            actor: step.actor,
            before: step.before.map(Value::of::<A::State>),
            trigger: restore_trigger(step.trigger),
            after: step.after.map(Value::of::<A::State>),
            outputs: &outputs,
        };
        self.0.note(&step).map(plain)
    }
    fn update(&self, history: &Value, note: &Value) -> Option<Value> {
        self.0.update(history.of(), note.of()).map(plain)
    }
    fn has_components(&self) -> bool {
        self.0.components().is_some()
    }
    fn split(&self, history: &Value) -> Vec<Value> {
        self.components().split(history.of()).into_iter().map(plain).collect()
    }
    fn join(&self, components: &[&Value]) -> Value {
        let components: Vec<&O::History> = components.iter().map(|component| component.of()).collect();
        plain(self.components().join(&components))
    }
    fn about(&self, note: &Value) -> Vec<usize> {
        self.components().about(note.of())
    }
    fn update_component(&self, component: usize, history: &Value, note: &Value) -> ComponentUpdate<Value> {
        match self.components().update(component, history.of(), note.of()) {
            ComponentUpdate::Same => ComponentUpdate::Same,
            ComponentUpdate::Changed(component) => ComponentUpdate::Changed(plain(component)),
            ComponentUpdate::Whole => ComponentUpdate::Whole,
        }
    }
}

struct Permuting<A: Subject, O: Observer<A>>(Arc<dyn Permute<A, O>>);

impl<A: Subject, O: Observer<A>> Permute<Anyone, Anything> for Permuting<A, O> {
    fn state(&self, by: &Permutation, state: &Value) -> Value {
        plain(self.0.state(by, state.of()))
    }
    fn storage(&self, by: &Permutation, storage: &Value) -> Value {
        plain(self.0.storage(by, storage.of()))
    }
    fn message(&self, by: &Permutation, message: &Value) -> Value {
        ordered(self.0.message(by, message.of()))
    }
    fn timer(&self, by: &Permutation, timer: &Value) -> Value {
        ordered(self.0.timer(by, timer.of()))
    }
    fn choice(&self, by: &Permutation, choice: &Value) -> Value {
        ordered(self.0.choice(by, choice.of()))
    }
    fn history(&self, by: &Permutation, history: &Value) -> Value {
        plain(self.0.history(by, history.of()))
    }
    fn note(&self, by: &Permutation, note: &Value) -> Value {
        plain(self.0.note(by, note.of()))
    }
}

struct Rewriting<A: Subject, O: Observer<A>>(Arc<dyn Normal<A, O>>);

impl<A: Subject, O: Observer<A>> Normal<Anyone, Anything> for Rewriting<A, O> {
    fn bound(&self) -> String {
        self.0.bound()
    }
    fn normal(&self, state: State<Anyone, Anything>) -> Option<State<Anyone, Anything>> {
        self.0.normal(restore_state(&state)).map(|state| erase_state(&state))
    }
}

fn erase_property<A: Subject, O: Observer<A>>(property: &Property<A, O>) -> Property<Anyone, Anything> {
    let check = match property.check.clone() {
        Check::History(check) => Check::History(Arc::new(move |history: &Value| check(history.of()))),
        Check::Note(check) => Check::Note(Arc::new(move |note: &Value| check(note.of()))),
        Check::Local(check) => Check::Local(Arc::new(move |(actor, local): &(usize, &Local<Anyone>)| {
            check(&(*actor, &restore_local(local)))
        })),
        Check::Locals(check) => Check::Locals(Arc::new(move |locals: &[Arc<Local<Anyone>>]| {
            check(&locals.iter().map(|local| Arc::new(restore_local(local))).collect::<Vec<_>>())
        })),
        Check::State(check) => {
            Check::State(Arc::new(move |state: &State<Anyone, Anything>| check(&restore_state(state))))
        }
    };
    Property { name: property.name, expectation: property.expectation, check }
}

/// The system with every type taken from it. Only its liveness properties are replaced, by others of the same names.
pub(crate) fn erase<A, O>(system: &System<A, O>) -> System<Anyone, Anything>
where
    A: Subject + Clone,
    O: Observer<A> + Clone,
{
    let actors = system.actors.iter().map(|actor| Anyone(Arc::new(Typed(actor.clone())))).collect();
    let mut erased = System::new(actors, Anything(Arc::new(Watching(system.observer.clone(), PhantomData))));
    erased.names.clone_from(&system.names);
    erased.network = system.network;
    erased.initial_envelopes =
        system.initial_envelopes.iter().map(|one| with_msg(one, |msg| ordered(msg.clone()))).collect();
    erased.saved = system.saved.iter().map(|saved| saved.clone().map(plain)).collect();
    erased.faults = system.faults.clone();
    erased.properties = system.properties.iter().map(erase_property).collect();
    let local = system.bounds.local.clone().map(|(words, within)| {
        (
            words,
            Arc::new(move |state: &Value| within(state.of())) as Arc<dyn Fn(&Value) -> bool + Send + Sync>,
        )
    });
    erased.bounds = Bounds { depth: system.bounds.depth, local, state: None };
    if let Some((words, within)) = system.bounds.state.clone() {
        erased.bounds.state = Some((words, Arc::new(move |state: &_| within(&restore_state(state)))));
    }
    erased.doubt = system.doubt.as_ref().map(|doubt| doubt.of(restore_state));
    erased.symmetry = system
        .symmetry
        .clone()
        .map(|Symmetry { alike, permute }| Symmetry { alike, permute: Arc::new(Permuting(permute)) });
    if let Some(normal) = system.normal.clone() {
        erased.normal = Some(Arc::new(Rewriting(normal)));
    }
    erased.assert_contract = system.assert_contract;
    erased.clocks = system.clocks;
    // Exploring asks them nothing; that there are any is what it tells.
    let live = system.liveness.properties.iter();
    erased.liveness.properties =
        live.map(|live| LiveProperty::eventually_state(live.name, |_| true)).collect();
    erased
}

fn restore_trace<A: Subject>(trace: Vec<Action<Anyone>>) -> Vec<Action<A>> {
    let restore = |action| match action {
        Action::<Anyone>::Deliver { src, dst, msg } => {
            Action::<A>::Deliver { src, dst, msg: msg.of::<A::Msg>().clone() }
        }
        Action::<Anyone>::Drop(envelope) => {
            Action::<A>::Drop(with_msg(&envelope, |msg| msg.of::<A::Msg>().clone()))
        }
        Action::<Anyone>::Timeout(id, timer) => Action::<A>::Timeout(id, timer.of::<A::Timer>().clone()),
        Action::<Anyone>::Tick => Action::<A>::Tick,
        Action::<Anyone>::Crash(id) => Action::<A>::Crash(id),
        Action::<Anyone>::Recover(id) => Action::<A>::Recover(id),
        Action::<Anyone>::SelectRandom { actor, key, random } => {
            Action::<A>::SelectRandom { actor, key, random: random.of::<A::Random>().clone() }
        }
    };
    trace.into_iter().map(restore).collect()
}

fn restore<A: Subject>(report: Report<Anyone>) -> Report<A> {
    let finding = |found: Finding<Anyone>| Finding {
        property: found.property,
        expectation: found.expectation,
        status: found.status,
        detail: found.detail,
        trace: found.trace.map(restore_trace::<A>),
    };
    Report {
        refused: report.refused,
        verdict: match report.verdict {
            Verdict::Holds => Verdict::Holds,
            Verdict::HoldsWithinBound(words) => Verdict::HoldsWithinBound(words),
            Verdict::Violated { property } => Verdict::Violated { property },
            Verdict::Incomplete(why) => Verdict::Incomplete(why),
            Verdict::Vacuous(names) => Verdict::Vacuous(names),
            Verdict::Panicked { message, trace } => {
                Verdict::Panicked { message, trace: restore_trace::<A>(trace) }
            }
        },
        findings: report.findings.into_iter().map(finding).collect(),
        unique_states: report.unique_states,
        generated_states: report.generated_states,
        depth: report.depth,
        missed_state_odds: report.missed_state_odds,
        elapsed: report.elapsed,
        memory_bytes: report.memory_bytes,
        handler_calls: report.handler_calls,
        rerun: report.rerun,
        passes: report.passes,
    }
}
