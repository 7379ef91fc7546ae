//! Two groups in the same processes, explored to the end: each keeps every claim as if the other were not there. A process that accepts a proposal of one
//! group in the other breaks B0.
//!
//! The groups are two models of the catalogue's roles, so a process plays one role in group 0 and another one in group 1, or none. The processes are
//! [`Groups`], as they run. Three rules of theirs are broken one by one, and for each a claim falls.
//!
//! The roles here are few and small. That whole servers, with election, log and snapshots, are as independent in [`Groups`] is shown step by step by the test
//! `each_group_does_what_it_would_do_alone`.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use synod::{Msg, Process, Timer};
use synod_explore::{
    Action, CommandOf, Faults, Observer, Options, Property, Report, Status, Step, Stop, System, Trigger,
    Verdict, explore,
};
use synod_groups::{Groups, InGroup, Stables};
use synod_model::claims::CLAIMS;
use synod_model::{Built, Ghost, History, Model, Note};

/// A process with its groups, and the rule of theirs that is broken.
#[derive(Clone)]
struct Shared {
    groups: Groups<Process>,
    broken: Option<Mutant>,
}

/// Broken rules of [`Groups`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mutant {
    /// A proposal of group 1 is accepted in group 0.
    MixesProposals,
    /// A save holds the group that saves, and nothing of the other.
    SavesOnlyItsOwn,
    /// A start finds what group 1 saved, and nothing of group 0.
    StartsWithoutOne,
}

impl Actor for Shared {
    type Msg = InGroup<Msg>;
    type Timer = InGroup<Timer>;
    type State = <Groups<Process> as Actor>::State;
    type Storage = Stables<<Process as Actor>::Storage>;
    type Random = InGroup<Infallible>;

    fn on_start(&self, me: Id, saved: &Option<Self::Storage>, out: &mut Out<Self>) -> Self::State {
        let mut found = saved.clone();
        if let Some(found) = found.as_mut().filter(|_| self.broken == Some(Mutant::StartsWithoutOne)) {
            found.0[0] = None;
        }
        pass(out, |out| self.groups.on_start(me, &found, out))
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, Self::State>, src: Id, msg: Self::Msg, out: &mut Out<Self>) {
        let is_mixed = self.broken == Some(Mutant::MixesProposals) && matches!(msg.what, Msg::Accept { .. });
        let group = if is_mixed { 0 } else { msg.group };
        let forgets = self.broken == Some(Mutant::SavesOnlyItsOwn);
        let mut own = Out::new();
        self.groups.on_msg(me, state, src, InGroup { group, what: msg.what }, &mut own);
        for command in own {
            match command {
                Command::Save(mut stables) if forgets => {
                    for (other, stable) in stables.0.iter_mut().enumerate() {
                        *stable = stable.take().filter(|_| other == usize::from(group));
                    }
                    out.save(stables);
                }
                Command::Save(stables) => out.save(stables),
                Command::Send(to, msg) => out.send(to, msg),
                Command::SetTimer(timer, after) => out.set_timer(timer, after),
                Command::CancelTimer(timer) => out.cancel_timer(timer),
                Command::ChooseRandom(..) => unreachable!("roles draw nothing"),
            }
        }
    }

    fn on_timeout(&self, me: Id, state: &mut Cow<'_, Self::State>, timer: &Self::Timer, out: &mut Out<Self>) {
        pass(out, |out| self.groups.on_timeout(me, state, timer, out));
    }
}

/// Hands on what the groups say.
fn pass<T>(out: &mut Out<Shared>, step: impl FnOnce(&mut Out<Groups<Process>>) -> T) -> T {
    let mut own = Out::new();
    let done = step(&mut own);
    out.append(&mut own);
    done
}

/// The observers of the groups: each sees the steps of its own, and nothing else.
#[derive(Clone)]
struct Each(Vec<Ghost>);

impl Observer<Shared> for Each {
    type History = Vec<History>;
    type Note = Vec<(usize, Note)>;

    fn initial(&self) -> Vec<History> {
        self.0.iter().map(Observer::<Process>::initial).collect()
    }

    fn note(&self, step: &Step<'_, Shared>) -> Option<Self::Note> {
        let is_of = |group: u8| match step.trigger {
            Trigger::Deliver { msg, .. } => msg.group == group,
            Trigger::Timeout(timer) => timer.group == group,
            _ => true,
        };
        let mut notes = Vec::new();
        for (group, ghost) in (0..).zip(&self.0).filter(|(group, _)| is_of(*group)) {
            let (before, after) =
                (step.before.and_then(|all| all.of(group)), step.after.and_then(|all| all.of(group)));
            let trigger: Trigger<'_, Process> = match step.trigger {
                Trigger::Start => Trigger::Start,
                Trigger::Recover => Trigger::Recover,
                Trigger::Crash => Trigger::Crash,
                Trigger::Deliver { src, msg } => Trigger::Deliver { src, msg: &msg.what },
                Trigger::Timeout(timer) => Trigger::Timeout(&timer.what),
                Trigger::Random { key, choice } => Trigger::Random { key, choice: &choice.what },
            };
            let outputs: Vec<CommandOf<Process>> =
                step.outputs.iter().filter_map(|output| said(group, output)).collect();
            let one = Step { actor: step.actor, before, trigger, after, outputs: &outputs };
            notes.extend(ghost.note(&one).map(|note| (usize::from(group), note)));
        }
        (!notes.is_empty()).then_some(notes)
    }

    fn update(&self, history: &Vec<History>, notes: &Self::Note) -> Option<Vec<History>> {
        let mut next = None;
        for (group, note) in notes {
            let all = next.as_ref().unwrap_or(history);
            if let Some(new) = Observer::<Process>::update(&self.0[*group], &all[*group], note) {
                next.get_or_insert_with(|| history.clone())[*group] = new;
            }
        }
        next
    }
}

/// The message of a group, if the output is one.
fn said(group: u8, output: &CommandOf<Shared>) -> Option<CommandOf<Process>> {
    match output {
        Command::Send(to, msg) if msg.group == group => Some(Command::Send(*to, msg.what.clone())),
        _ => None,
    }
}

/// The roles of one group.
fn group(proposers: usize, values: &str) -> System<Process, Ghost> {
    let text = format!(
        "about = \"One of two groups.\"\ntier = \"fast\"\n[system]\nlayout = \"separate\"\nacceptors = 2\nproposers = {proposers}\n\
         learners = 1\nvalues = {values}\n[expect]\nverdict = \"holds\"\n"
    );
    match Model::read("group", &text).expect("it is right").build() {
        Built::Plain(system) => system,
        _ => unreachable!("nothing is broken in it"),
    }
}

/// Two proposers in group 0 and one in group 1, over the same two acceptors, of which one may crash.
fn two_groups(broken: Option<Mutant>) -> System<Shared, Each> {
    let each = [group(2, "[\"x\", \"y\"]"), group(1, "[\"z\"]")];
    let most = each.iter().map(|system| system.actors.len()).max().unwrap_or(0);
    // The process with the most roles is a client of group 0 alone.
    let process = |at: usize| {
        let actors: Vec<Process> = each.iter().filter_map(|system| system.actors.get(at).cloned()).collect();
        Shared { groups: Groups::new(actors), broken }
    };
    let ghosts: Vec<Ghost> = each.iter().map(|system| system.observer.clone()).collect();
    let clusters: Vec<_> = ghosts.iter().map(|ghost| Arc::clone(&ghost.cluster)).collect();
    let mut system = System::new((0..most).map(process).collect(), Each(ghosts));
    system.assert_contract = true;
    system.faults = Faults {
        crashable: (0..most).map(|at| at == 0).collect(),
        max_down: 1,
        max_crashes: Some(1),
        absent: vec![false; most],
    };
    for claim in &CLAIMS {
        let clusters = clusters.clone();
        let check = move |all: &Vec<History>| {
            all.iter().zip(&clusters).zip(0..).try_for_each(|((history, cluster), group): (_, u8)| {
                claim.check(&cluster.quorums, history).map_err(|breach| format!("group {group}: {breach}"))
            })
        };
        system.properties.push(Property::always_history(claim.name, check));
    }
    let chosen = move |all: &Vec<History>| {
        all.iter().zip(&clusters).all(|(history, cluster)| history.chosen(&cluster.quorums).next().is_some())
    };
    system.properties.push(Property::sometimes_history("chosen in both", chosen));
    system
}

fn explored(system: &System<Shared, Each>, stop: Stop) -> Report<Shared> {
    let report = explore(system, &Options { threads: 2, stop, ..Options::default() });
    eprintln!("{} states, depth {}, {:.1?}", report.unique_states, report.depth, report.elapsed);
    report
}

#[test]
fn each_of_two_groups_keeps_every_claim() {
    let report = explored(&two_groups(None), Stop::FirstViolation);
    assert!(
        matches!(report.verdict, Verdict::Holds),
        "{:?}",
        report.findings.iter().map(|it| (it.property, &it.detail)).collect::<Vec<_>>()
    );
    let witness = report.finding("chosen in both").expect("it is a property");
    assert_eq!(witness.status, Status::Witnessed);
}

#[test]
fn a_proposal_of_one_group_that_is_accepted_in_the_other_breaks_b0() {
    let report = explored(&two_groups(Some(Mutant::MixesProposals)), Stop::Violation("B0".to_owned()));
    let b0 = report.finding("B0").expect("it is a property");
    assert_eq!(b0.status, Status::Violated);
    let (detail, trace) =
        (b0.detail.as_deref().unwrap_or_default(), b0.trace.as_ref().expect("a shortest one"));
    assert!(detail.contains("group 0"), "{detail}");
    let crosses = |action: &Action<Shared>| {
        matches!(
            action,
            Action::<Shared>::Deliver { msg: InGroup { group: 1, what: Msg::Accept { .. } }, .. }
        )
    };
    assert!(trace.iter().any(crosses), "{trace:?}");
    eprintln!("{detail}, after {} steps", trace.len());
}

/// Group 0 promises, group 1 saves, and after a crash the promise is forgotten; or the start forgets it.
#[test]
fn a_process_that_forgets_what_the_other_group_saved_breaks_p1a() {
    for broken in [Mutant::SavesOnlyItsOwn, Mutant::StartsWithoutOne] {
        let system = two_groups(Some(broken));
        let report = explored(&system, Stop::Violation("P1a".to_owned()));
        let p1a = report.finding("P1a").expect("it is a property");
        assert_eq!(p1a.status, Status::Violated);
        let (detail, trace) =
            (p1a.detail.as_deref().unwrap_or_default(), p1a.trace.as_ref().expect("a shortest one"));
        assert!(detail.contains("group 0"), "{detail}");
        assert!(trace.iter().any(|action| matches!(action, Action::<Shared>::Recover(..))), "{trace:?}");
        eprintln!("{detail}, after {} steps", trace.len());
    }
}
