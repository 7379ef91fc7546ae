//! Runs with time: traces, diagrams, walks, checkpoints, and runs that go on for ever.

use crate::refused::{metronome, timed};
use crate::scripts::{Do, Reaction, Script};
use stateright::Model;
use std::time::Duration;
use synod_explore::clocks::{Clocks, Delay};
use synod_explore::diagram::Diagram;
use synod_explore::liveness::{Assumption, LiveProperty, Shape, check};
use synod_explore::walk::walk;
use synod_explore::{Action, Options, Property, System, Verdict, explore, trace};

#[test]
fn a_metronome_has_as_many_states_as_ticks() {
    for ticks in 1..6 {
        let report = explore(&timed(vec![metronome(ticks)]), &Options::default());
        assert_eq!(report.unique_states, ticks + 1);
    }
    // Two metronomes beat together every six ticks. At such a moment either may beat first.
    let report = explore(&timed(vec![metronome(2), metronome(3)]), &Options::default());
    assert_eq!(report.unique_states, 6 + 3 + 2 + 1);
}

/// Asks once, within two ticks, and waits for three. The other one answers at once.
fn asking() -> System<Script, ()> {
    let (nothing, goes) =
        (Reaction::default(), |to, does: &[Do]| Reaction { goes_to: Some(to), does: does.to_vec() });
    let asker = Script {
        start: goes(0, &[Do::Set(0, 1..2)]),
        timers: vec![
            vec![
                goes(1, &[Do::Send(1, 0), Do::Set(1, 3..3)]),
                nothing.clone(),
                nothing.clone(),
                nothing.clone(),
            ],
            vec![nothing.clone(), goes(3, &[]), nothing.clone(), nothing.clone()],
        ],
        messages: vec![vec![nothing.clone(), goes(2, &[Do::Cancel(1)]), nothing.clone(), nothing.clone()]],
        messages_left: 1,
    };
    let answerer = Script {
        start: nothing.clone(),
        timers: Vec::new(),
        messages: vec![vec![goes(0, &[Do::Send(0, 0)])]],
        messages_left: 1,
    };
    let mut system = timed(vec![asker, answerer]);
    system.names = vec!["asker".to_owned(), "answerer".to_owned()];
    system.clocks =
        Some(Clocks { delay: Some(Delay { least: 0, most: 1 }), ..Clocks::new(Duration::from_secs(1)) });
    let given_up = |state: &synod_explore::State<Script, ()>| {
        state.locals[0].state.as_ref().is_some_and(|at| at.state == 3)
    };
    system.property(Property::always_state("it is answered", move |state| {
        if given_up(state) { Err("it gave up".to_owned()) } else { Ok(()) }
    }))
}

fn answered() -> LiveProperty<Script, ()> {
    LiveProperty::eventually_state("an answer", |state: &synod_explore::State<Script, ()>| {
        state.locals[0].state.as_ref().is_some_and(|at| at.state == 2)
    })
}

#[test]
fn a_wait_longer_than_both_ways_is_answered() {
    assert_eq!(explore(&asking(), &Options::default()).verdict, Verdict::Holds);
}

#[test]
fn a_wait_as_long_as_both_ways_may_not_be() {
    let mut system = asking();
    system.clocks.as_mut().unwrap().delay = Some(Delay { least: 0, most: 2 });
    let report = explore(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "it is answered" });
    let found = report.findings.iter().find(|found| found.trace.is_some()).unwrap().trace.as_ref().unwrap();
    let text = trace::render(&system, found);
    assert_eq!(
        text,
        "# synod trace 1\ntick\ntimeout asker  0\ntick\ndeliver asker -> answerer  0\ntick\ntick\ntimeout asker  1\n"
    );
    let read = trace::parse(&text).unwrap().resolve(&system).unwrap();
    assert_eq!(read.actions, *found);
    let last = trace::judge(&system, found).unwrap();
    assert_eq!(last[1].step, Some(7));
    let diagram = Diagram::new(&system, found).text();
    assert!(diagram.contains("a tick passes") && diagram.contains("timeout 1"), "{diagram}");
    assert_eq!(system.format_action(&Action::<Script>::Tick), "a tick passes");
    // A tick that would come too late is not possible, and said to be so.
    let late = text.replace("deliver asker -> answerer  0\n", "");
    let error = trace::parse(&late).unwrap().resolve(&system).err().unwrap();
    assert!(error.message.contains("not possible here: tick"), "{error}");
}

#[test]
fn a_timer_ends_with_a_crash() {
    let mut system = timed(vec![metronome(2)]);
    system.faults.crashable = vec![true];
    (system.faults.max_down, system.faults.max_crashes) = (1, Some(1));
    // While it is down, nothing is due. Once it is back, its timer is new.
    let run = "# synod trace 1\ntick\ncrash 0\ntick\ntick\ntick\nrecover 0\ntick\ntick\ntimeout 0  0\n";
    assert_eq!(trace::parse(run).unwrap().resolve(&system).unwrap().states.len(), 10);
    let early = run.replacen("recover 0\ntick\n", "recover 0\n", 1);
    let error = trace::parse(&early).unwrap().resolve(&system).err().unwrap();
    assert!(error.message.contains("not possible here: timeout 0"), "{error}");
}

#[test]
fn walks_take_ticks() {
    let run = walk(&asking(), |possible| possible - 1, 100);
    assert!(
        !run.failed()
            && run.actions.iter().filter(|action| matches!(action, Action::<Script>::Tick)).count() > 3
    );
}

#[test]
fn what_is_lost_or_sent_to_nobody_arrives_in_no_time() {
    let mut system = asking();
    system.network.loss = true;
    assert_eq!(
        explore(&system, &Options::default()).verdict,
        Verdict::Violated { property: "it is answered" }
    );
    let mut system = asking();
    system.faults.absent = vec![false, true];
    assert_eq!(
        explore(&system, &Options::default()).verdict,
        Verdict::Violated { property: "it is answered" }
    );
}

#[test]
fn time_alone_brings_about_what_is_due() {
    let mut system = asking();
    system.liveness.properties.push(answered());
    assert_eq!(check(&system, &Options::default()).verdict, Verdict::Holds);
    // With messages that take any time, it may wait for ever.
    system.clocks = Some(Clocks::new(Duration::from_secs(1)));
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "an answer" });
    let lasso = report.findings[0].lasso.as_ref().unwrap();
    assert_eq!(lasso.cycle, [Action::<Script>::Tick]);
    // Messages that are fair do not help against a wait that ends.
    let arrives = Assumption::weak("messages arrive", |action: &Action<Script>| {
        matches!(action, Action::<Script>::Deliver { .. })
    });
    system.liveness.assumptions.push(arrives);
    assert_eq!(check(&system, &Options::default()).verdict, Verdict::Violated { property: "an answer" });
}

#[test]
fn without_time_nothing_is_due_by_itself() {
    let mut system = asking();
    system.clocks = None;
    system.liveness.properties.push(answered());
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "an answer" });
    assert_eq!(report.findings[0].lasso.as_ref().unwrap().cycle, []);
}

/// Two that answer each other for ever. They send without end as `messages_left` is never used up by one who gets as many.
fn busy(delay: Delay) -> System<Echo, ()> {
    let mut system = System::new(vec![Echo, Echo], ());
    system.clocks = Some(Clocks { delay: Some(delay), ..Clocks::new(Duration::from_secs(1)) });
    system.liveness.properties.push(LiveProperty {
        shape: Shape::FromEverywhere,
        ..LiveProperty::eventually_state("it passes by", |state| *state.locals[0].state.as_deref().unwrap())
    });
    system
}

/// Sends back what it gets, and remembers whether that was the last thing.
#[derive(Clone)]
struct Echo;

impl stateright::actor::Actor for Echo {
    type Msg = ();
    type State = bool;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(
        &self,
        id: stateright::actor::Id,
        _: &Option<()>,
        o: &mut stateright::actor::Out<Self>,
    ) -> bool {
        if usize::from(id) == 0 {
            o.send(1.into(), ());
        }
        false
    }

    fn on_msg(
        &self,
        _: stateright::actor::Id,
        last: &mut std::borrow::Cow<'_, bool>,
        src: stateright::actor::Id,
        (): (),
        o: &mut stateright::actor::Out<Self>,
    ) {
        *last.to_mut() = !**last;
        o.send(src, ());
    }
}

#[test]
fn actors_that_leave_no_time_are_reported() {
    assert_eq!(check(&busy(Delay { least: 0, most: 1 }), &Options::default()).verdict, Verdict::Holds);
    let stuck = check(&busy(Delay { least: 0, most: 0 }), &Options::default());
    let Verdict::Panicked { message, trace } = stuck.verdict else { panic!("{:?}", stuck.verdict) };
    assert!(message.starts_with("time stops"), "{message}");
    assert_eq!(trace, []);
}
