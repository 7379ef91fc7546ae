//! Small systems whose answers are known, each with the trap that it is about.

use crate::graphs::{Asks, Graph, naive};
use stateright::actor::{Actor, Id, Out, model_timeout};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use synod_explore::diagram::Diagram;
use synod_explore::liveness::{Assumption, Breach, Fairness, How, Lasso, LiveProperty, check, verify};
use synod_explore::trace::{TraceText, parse};
use synod_explore::{Action, Delivery, Faults, Network, Options, Symmetry, System, Verdict, Why};

fn verdict(graph: &Graph, asks: Asks) -> (bool, Option<(usize, usize)>) {
    let report = check(&graph.system(asks), &Options::default());
    let lasso = report.findings[0].lasso.as_ref().map(|lasso| (lasso.stem.len(), lasso.cycle.len()));
    assert_eq!(naive(graph, asks).stem, lasso.map(|(stem, _)| stem), "the naive decision differs: {graph:?}");
    let holds = !matches!(report.verdict, Verdict::Violated { .. });
    assert_eq!(holds, lasso.is_none(), "{:?}", report.verdict);
    (holds, lasso)
}

const FALLS: bool = false;
const HOLDS: bool = true;

#[test]
fn without_fairness_one_may_stand_still() {
    let graph = Graph::new(2, &[(0, 1, &[])]).goal(&[1]);
    assert_eq!(verdict(&graph, Asks::Eventually), (FALLS, Some((0, 0))));
    let graph = Graph::new(2, &[(0, 1, &[0])]).goal(&[1]).fairness(&[Fairness::Weak]);
    assert_eq!(verdict(&graph, Asks::Eventually), (HOLDS, None));
}

#[test]
fn the_end_of_a_run_is_a_run() {
    // 0 -> 1 -> 2 and 0 -> 3: at 3 nothing is possible, and the goal was not reached.
    let graph =
        Graph::new(4, &[(0, 1, &[0]), (1, 2, &[0]), (0, 3, &[0])]).goal(&[2]).fairness(&[Fairness::Weak]);
    assert_eq!(verdict(&graph, Asks::Eventually), (FALLS, Some((1, 0))));
}

#[test]
fn a_join_hides_no_run() {
    // Both ways lead to 3; stateright's `eventually` forgets the second way, which misses the goal at 1.
    let steps: [(usize, usize, &[usize]); 5] =
        [(0, 1, &[0]), (0, 2, &[0]), (1, 3, &[0]), (2, 3, &[0]), (3, 3, &[0])];
    let graph = Graph::new(4, &steps).goal(&[1]).fairness(&[Fairness::Weak]);
    assert_eq!(verdict(&graph, Asks::Eventually), (FALLS, Some((2, 1))));
    let graph = graph.goal(&[1, 2]);
    assert_eq!(verdict(&graph, Asks::Eventually), (HOLDS, None));
    // From everywhere: at 3 both goals are behind.
    assert_eq!(verdict(&graph, Asks::FromEverywhere), (FALLS, Some((2, 1))));
}

#[test]
fn weak_fairness_leaves_a_loop_that_is_possible_all_the_time() {
    // A step to itself of one class, a way out of another.
    let graph = Graph::new(2, &[(0, 0, &[0]), (0, 1, &[1])]).goal(&[1]);
    let both = graph.clone().fairness(&[Fairness::Weak, Fairness::Weak]);
    assert_eq!(verdict(&both, Asks::Eventually), (HOLDS, None));
    // Fairness of the loop alone lets it loop.
    let loops = Graph::new(2, &[(0, 0, &[0]), (0, 1, &[])]).goal(&[1]).fairness(&[Fairness::Weak]);
    assert_eq!(verdict(&loops, Asks::Eventually), (FALLS, Some((0, 1))));
    // One class of both: to take one of them again and again is enough.
    let one = Graph::new(2, &[(0, 0, &[0]), (0, 1, &[0])]).goal(&[1]).fairness(&[Fairness::Weak]);
    assert_eq!(verdict(&one, Asks::Eventually), (FALLS, Some((0, 1))));
}

#[test]
fn what_is_possible_now_and_then_needs_strong_fairness() {
    // 0 <-> 1, and the way out is open at 1 alone.
    let graph = Graph::new(3, &[(0, 1, &[0]), (1, 0, &[0]), (1, 2, &[1])]).goal(&[2]);
    let weak = graph.clone().fairness(&[Fairness::Weak, Fairness::Weak]);
    assert_eq!(verdict(&weak, Asks::Eventually), (FALLS, Some((0, 2))));
    let report = check(&weak.system(Asks::Eventually), &Options::default());
    let meets = &report.findings[0].lasso.as_ref().expect("it falls").meets;
    let hows: Vec<_> = meets.iter().map(|meets| meets.how.clone()).collect();
    assert_eq!(hows, [How::Taken(1), How::Impossible(1)]);
    assert_eq!(meets[1].to_string(), "class 1, weakly fair: not possible before step 1 of the cycle");
    let strong = graph.fairness(&[Fairness::Weak, Fairness::Strong]);
    assert_eq!(verdict(&strong, Asks::Eventually), (HOLDS, None));
}

#[test]
fn a_component_is_taken_apart_where_a_strongly_fair_step_leads_out() {
    // 0 -> 1 <-> 2 <-> 0, all in one component; out of 2 leads a strongly fair step, so that a fair run stays between 0 and 1.
    let steps: [(usize, usize, &[usize]); 6] =
        [(0, 1, &[0]), (1, 0, &[0]), (1, 2, &[0]), (2, 0, &[0]), (2, 3, &[1]), (3, 3, &[0])];
    let graph = Graph::new(4, &steps).goal(&[3]).fairness(&[Fairness::Weak, Fairness::Strong]);
    assert_eq!(verdict(&graph, Asks::Eventually), (FALLS, Some((0, 2))));
    // Without the step back from 1 to 0 nothing is left.
    let graph = Graph::new(4, &[steps[0], steps[2], steps[3], steps[4], steps[5]])
        .goal(&[3])
        .fairness(&[Fairness::Weak, Fairness::Strong]);
    assert_eq!(verdict(&graph, Asks::Eventually), (HOLDS, None));
}

#[test]
fn what_ceases_may_be_on_the_stem_and_not_on_the_cycle() {
    // Another's step leads away from 1 to 0 again and again; once it ceases, 1 leads to the goal.
    let steps: [(usize, usize, &[usize]); 4] = [(0, 1, &[0]), (1, 0, &[1]), (1, 2, &[0]), (0, 3, &[1])];
    let graph = Graph::new(4, &steps).goal(&[2]);
    let free = graph.clone().fairness(&[Fairness::Weak, Fairness::Weak]);
    assert_eq!(verdict(&free, Asks::Eventually), (FALLS, Some((0, 2))));
    let ceases = graph.fairness(&[Fairness::Weak, Fairness::Ceases]);
    // At 3 it is over, by a step that ceases but may come once.
    assert_eq!(verdict(&ceases, Asks::Eventually), (FALLS, Some((1, 0))));
    let graph = Graph::new(4, &steps[..3]).goal(&[2]).fairness(&[Fairness::Weak, Fairness::Ceases]);
    assert_eq!(verdict(&graph, Asks::Eventually), (HOLDS, None));
}

#[test]
fn a_state_at_the_bound_is_no_end() {
    // The only step leads out of bounds: a fair run takes it, and nobody knows where that leads.
    let graph = Graph::new(3, &[(0, 1, &[0]), (1, 2, &[0])]).beyond(&[2]).fairness(&[Fairness::Weak]);
    assert_eq!(verdict(&graph, Asks::Eventually), (HOLDS, None));
    // That every fair run goes there is told: nothing was seen of any.
    let nothing = Verdict::Vacuous(vec!["a run that meets the assumptions"]);
    let report = check(&graph.system(Asks::Eventually), &Options::default());
    assert_eq!(report.verdict, nothing);
    // So does a depth.
    let steps: [(usize, usize, &[usize]); 2] = [(0, 1, &[0]), (1, 2, &[0])];
    let mut system = Graph::new(3, &steps).fairness(&[Fairness::Weak]).system(Asks::Eventually);
    system.bounds.depth = Some(2);
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Vacuous(vec!["a run that meets the assumptions"]));
    // If some fair runs stay within the bound, it holds of these.
    let steps: [(usize, usize, &[usize]); 3] = [(0, 1, &[0]), (1, 1, &[0]), (0, 2, &[])];
    let some = Graph::new(3, &steps).beyond(&[2]).goal(&[1]).fairness(&[Fairness::Weak]);
    let report = check(&some.system(Asks::Eventually), &Options::default());
    assert_eq!(report.verdict, Verdict::HoldsWithinBound("a part of the graph".to_owned()));
    system.bounds.depth = None;
    assert_eq!(check(&system, &Options::default()).verdict, Verdict::Violated { property: "goal" });
    // A cycle within bounds is one, whatever else is possible.
    let graph = Graph::new(3, &[(0, 1, &[0]), (1, 0, &[0]), (1, 2, &[1])]).beyond(&[2]);
    let graph = graph.fairness(&[Fairness::Weak, Fairness::Weak]);
    assert_eq!(verdict(&graph, Asks::Eventually), (FALLS, Some((0, 2))));
    let graph = graph.fairness(&[Fairness::Weak, Fairness::Strong]);
    assert_eq!(verdict(&graph, Asks::Eventually), (HOLDS, None));
}

#[test]
fn assumptions_that_exclude_one_another_are_vacuous() {
    // The only step is to be taken for ever, and to cease.
    let graph = Graph::new(2, &[(0, 1, &[0, 1]), (1, 0, &[0, 1])]).goal(&[]);
    let report = check(
        &graph.fairness(&[Fairness::Weak, Fairness::Ceases]).system(Asks::Eventually),
        &Options::default(),
    );
    assert_eq!(report.verdict, Verdict::Vacuous(vec!["a run that meets the assumptions"]));
    // From one state they do, and from the first they do not.
    let steps: [(usize, usize, &[usize]); 3] = [(0, 1, &[]), (0, 2, &[0]), (1, 1, &[0, 1])];
    let graph = Graph::new(3, &steps).goal(&[0]).fairness(&[Fairness::Weak, Fairness::Ceases]);
    assert_eq!(
        check(&graph.system(Asks::Eventually), &Options::default()).verdict,
        Verdict::Vacuous(vec!["a run that meets the assumptions"])
    );
}

#[test]
fn nothing_due_is_vacuous() {
    let graph = Graph::new(2, &[(0, 1, &[])]).goal(&[1]).from(&[]);
    let report = check(&graph.system(Asks::LeadsTo), &Options::default());
    assert_eq!(report.verdict, Verdict::Vacuous(vec!["goal"]));
}

/// Sets a timer again whenever it runs out; the other timer, if it ever runs out, ends it.
#[derive(Clone)]
struct Zeno;

impl Actor for Zeno {
    type Msg = ();
    type State = bool;
    type Timer = char;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> bool {
        o.set_timer('z', model_timeout());
        o.set_timer('e', model_timeout());
        false
    }

    fn on_timeout(&self, _: Id, done: &mut Cow<'_, bool>, timer: &char, o: &mut Out<Self>) {
        *done.to_mut() = *timer == 'e';
        o.set_timer('z', model_timeout());
    }
}

#[test]
fn a_timer_that_is_always_first_starves_the_others_without_fairness_of_their_own() {
    let timer = |wanted: char| move |action: &Action<Zeno>| matches!(action, Action::<Zeno>::Timeout(_, t) if *t == wanted);
    let mut system = System::new(vec![Zeno], ());
    let goal = |state: &synod_explore::State<Zeno, ()>| state.locals[0].state.as_deref() == Some(&true);
    system.liveness.properties.push(LiveProperty::eventually_state("ended", goal));
    let any = |action: &Action<Zeno>| matches!(action, Action::<Zeno>::Timeout(..));
    system.liveness.assumptions = vec![Assumption::weak("some timer runs out", any)];
    let report = check(&system, &Options::default());
    let lasso = report.findings[0].lasso.as_ref().expect("it falls");
    assert_eq!((lasso.stem.len(), lasso.cycle.len()), (0, 1));
    system.liveness.assumptions = vec![Assumption::weak("the end comes", timer('e'))];
    assert_eq!(check(&system, &Options::default()).verdict, Verdict::Holds);
}

/// Sends a letter and waits for an answer; asks again when its timer runs out.
#[derive(Clone)]
struct Asker;

impl Actor for Asker {
    type Msg = bool;
    type State = bool;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> bool {
        if usize::from(id) == 0 {
            o.send(Id::from(1), false);
            o.set_timer((), model_timeout());
        }
        false
    }

    fn on_msg(&self, id: Id, done: &mut Cow<'_, bool>, src: Id, answer: bool, o: &mut Out<Self>) {
        if usize::from(id) == 1 {
            o.send(src, true);
        } else if answer && !**done {
            *done.to_mut() = true;
            o.cancel_timer(());
        }
    }

    fn on_timeout(&self, _: Id, done: &mut Cow<'_, bool>, (): &(), o: &mut Out<Self>) {
        if !**done {
            done.to_mut();
            o.send(Id::from(1), false);
            o.set_timer((), model_timeout());
        }
    }
}

fn asker(loss: bool) -> System<Asker, ()> {
    let mut system = System::new(vec![Asker, Asker], ());
    system.network = Network { delivery: Delivery::Multiset, loss };
    let goal = |actor: usize, local: &synod_explore::Local<Asker>| {
        actor != 0 || local.state.as_deref() == Some(&true)
    };
    system.liveness.properties.push(LiveProperty::from_everywhere_locals("answered", goal));
    // At most two letters each way, so that there are finitely many states.
    let within = |state: &synod_explore::State<Asker, ()>| state.network.all().len() <= 2;
    system.bounds.state = Some(("two letters".to_owned(), Arc::new(within)));
    system
}

fn deliveries(action: &Action<Asker>, _: Option<&()>) -> Option<String> {
    match action {
        Action::<Asker>::Deliver { src, dst, .. } => Some(format!("{src:?} {dst:?}")),
        _ => None,
    }
}

#[test]
fn a_lossy_channel_needs_strong_fairness_and_a_repeated_letter() {
    let ask = |fairness| {
        let mut system = asker(true);
        system.liveness.assumptions = vec![
            Assumption::each("channels", fairness, deliveries),
            Assumption::weak("asks again", |action| matches!(action, Action::<Asker>::Timeout(..))),
        ];
        check(&system, &Options::default())
    };
    let weak = ask(Fairness::Weak);
    assert_eq!(weak.verdict, Verdict::Violated { property: "answered" });
    let lasso = weak.findings[0].lasso.as_ref().expect("it falls");
    assert!(lasso.cycle.iter().any(|action| matches!(action, Action::<Asker>::Drop(_))), "{lasso:?}");
    assert_eq!(ask(Fairness::Strong).verdict, Verdict::HoldsWithinBound("two letters".to_owned()));
    // Without asking again a lost letter is lost.
    let mut system = asker(true);
    system.liveness.assumptions = vec![Assumption::each("channels", Fairness::Strong, deliveries)];
    let report = check(&system, &Options::default());
    let lasso = report.findings[0].lasso.as_ref().expect("it falls");
    assert_eq!((lasso.stem.len(), lasso.cycle.len()), (1, 0));
}

#[test]
fn who_is_down_comes_back_only_by_assumption() {
    let mut system = asker(false);
    system.faults =
        Faults { crashable: vec![false, true], max_down: 1, max_crashes: None, absent: Vec::new() };
    system.liveness.assumptions = vec![Assumption::each("channels", Fairness::Strong, deliveries)];
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "answered" });
    let recovers = Assumption::weak("recovers", |action| matches!(action, Action::<Asker>::Recover(_)));
    system.liveness.assumptions.push(recovers);
    assert_eq!(
        check(&system, &Options::default()).verdict,
        Verdict::HoldsWithinBound("two letters".to_owned())
    );
}

#[test]
fn a_lasso_that_is_none_is_refused() {
    let graph = Graph::new(3, &[(0, 1, &[0]), (1, 0, &[0]), (1, 2, &[1])]).goal(&[2]);
    let system = graph.fairness(&[Fairness::Weak, Fairness::Weak]).system(Asks::Eventually);
    let report = check(&system, &Options::default());
    let lasso = report.findings[0].lasso.clone().expect("it falls");
    let property = &system.liveness.properties[0];
    assert!(verify(&system, property, &lasso).is_ok());
    let with = |change: &dyn Fn(&mut Lasso<crate::graphs::Walker>)| {
        let mut changed = lasso.clone();
        change(&mut changed);
        verify(&system, property, &changed).expect_err("it is none")
    };
    assert_eq!(with(&|lasso| drop(lasso.cycle.pop())), Breach::NoCycle);
    assert_eq!(with(&|lasso| lasso.cycle.reverse()), Breach::NoStep(1));
    // To stand still where a weakly fair step is possible is not fair.
    let unfair = Breach::Unfair("class 0".to_owned(), String::new(), Fairness::Weak);
    assert_eq!(with(&|lasso| lasso.cycle.clear()), unfair);
    let out = Action::<crate::graphs::Walker>::Timeout(Id::from(0), (1, 1));
    let to_the_goal = |lasso: &mut Lasso<crate::graphs::Walker>| {
        lasso.stem = vec![lasso.cycle[0].clone(), out.clone()];
        lasso.cycle.clear();
    };
    assert_eq!(with(&to_the_goal), Breach::ComesAbout(2));
}

#[test]
fn a_lasso_is_written_read_run_again_and_drawn() {
    let graph = Graph::new(3, &[(0, 1, &[0]), (1, 2, &[0]), (2, 1, &[0])]).fairness(&[Fairness::Weak]);
    let system = graph.system(Asks::Eventually);
    let report = check(&system, &Options::default());
    let lasso = report.findings[0].lasso.as_ref().expect("it falls");
    let actions: Vec<_> = lasso.stem.iter().chain(&lasso.cycle).cloned().collect();
    let text = TraceText::record(&system, &actions).with_cycle(Some(lasso.stem.len()));
    let written = "# synod trace 1\ntimeout 0  (0, 0)\ncycle\ntimeout 0  (1, 0)\ntimeout 0  (2, 0)\n";
    assert_eq!(text.to_string(), written);
    let read = parse(written).expect("it was written so");
    assert_eq!(read.cycle, Some(1));
    let resolved = read.resolve(&system).expect("it is a cycle");
    assert_eq!((resolved.actions.len(), resolved.cycle), (3, Some(1)));
    let wrong =
        parse("# synod trace 1\ncycle\ntimeout 0  (0, 0)\ntimeout 0  (1, 0)\n").expect("it reads well");
    let error = wrong.resolve(&system).err().expect("it does not come back");
    assert!(error.line == 4 && error.message.starts_with("the cycle does not come back"), "{error}");
    let twice = parse("# synod trace 1\ncycle\ncycle\n").expect_err("there is one cycle");
    assert_eq!((twice.line, twice.column), (3, 1));

    let diagram = Diagram::new(&system, &resolved.actions).with_cycle(resolved.cycle);
    let rows: Vec<String> =
        diagram.text().lines().skip(1).map(|line| line.chars().take(5).collect()).collect();
    assert_eq!(rows, ["  1  ", "  2 /", "  3 \\"]);
    assert!(diagram.svg().contains("class='svg-cycle'") && diagram.svg().contains("repeated for ever"));
    let still = Diagram::new(&system, &resolved.actions[..1]).with_cycle(Some(1));
    assert!(still.text().ends_with("nothing more, for ever\n"), "{}", still.text());
    assert!(still.svg().contains("nothing more is done, for ever"));
    assert!(!Diagram::new(&system, &resolved.actions).svg().contains("<path"), "no cycle, no bracket");
}

#[test]
fn what_gives_up_says_so_and_is_no_pass() {
    let graph = Graph::new(2, &[(0, 1, &[0])]).goal(&[1]).fairness(&[Fairness::Weak]);
    let system = graph.system(Asks::Eventually);
    let with = |options: &Options<'_>| check(&system, options).verdict;
    assert_eq!(
        with(&Options { time: Some(Duration::ZERO), ..Options::default() }),
        Verdict::Incomplete(Why::Time)
    );
    assert_eq!(with(&Options { memory: Some(1), ..Options::default() }), Verdict::Incomplete(Why::Memory));
    let stop = AtomicBool::new(true);
    let interrupted = Options { interrupt: Some(&stop), ..Options::default() };
    assert_eq!(with(&interrupted), Verdict::Incomplete(Why::Interrupted));
}

#[test]
fn reductions_are_refused() {
    let graph = Graph::new(1, &[]);
    let mut system = graph.system(Asks::Eventually);
    let refused = |system: &_, options: &Options<'_>| match check(system, options).verdict {
        Verdict::Panicked { message, .. } => message,
        other => panic!("{other:?}"),
    };
    let message = refused(&system, &Options { dead_messages: true, ..Options::default() });
    assert!(message.contains("switch that off to check liveness"), "{message}");
    system.symmetry = Some(Symmetry { alike: vec![vec![0]], permute: Arc::new(Nobody) });
    let message = refused(&system, &Options::default());
    assert!(message.contains("switch the symmetry off"), "{message}");
    assert_ne!(
        check(&system, &Options { symmetry: false, ..Options::default() }).verdict,
        Verdict::Panicked { message, trace: Vec::new() }
    );
}

/// Exchanges nothing.
struct Nobody;

impl synod_explore::Permute<crate::graphs::Walker, ()> for Nobody {
    fn state(&self, _: &synod_explore::Permutation, state: &usize) -> usize {
        *state
    }
    fn storage(&self, _: &synod_explore::Permutation, (): &()) {}
    fn message(&self, _: &synod_explore::Permutation, (): &()) {}
    fn timer(&self, _: &synod_explore::Permutation, timer: &(usize, usize)) -> (usize, usize) {
        *timer
    }
    fn choice(&self, _: &synod_explore::Permutation, (): &()) {}
    fn history(&self, _: &synod_explore::Permutation, (): &()) {}
    fn note(&self, _: &synod_explore::Permutation, (): &()) {}
}

/// Goes round, and says something else once it was asked often enough.
#[derive(Clone)]
struct Moody(Arc<AtomicU32>);

impl Actor for Moody {
    type Msg = ();
    type State = u32;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u32 {
        o.set_timer((), model_timeout());
        0
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u32>, (): &(), o: &mut Out<Self>) {
        let asked = self.0.fetch_add(1, Ordering::Relaxed);
        *state.to_mut() = if asked < 3 { (**state + 1) % 3 } else { 7 };
        o.set_timer((), model_timeout());
    }
}

#[test]
fn an_actor_that_gives_two_answers_is_found_out() {
    let mut system = System::new(vec![Moody(Arc::new(AtomicU32::new(0)))], ());
    system.liveness.properties.push(LiveProperty::eventually_state("never", |_| false));
    let verdict = check(&system, &Options::default()).verdict;
    assert!(matches!(verdict, Verdict::Panicked { .. }), "{verdict:?}");
    // A panic of a goal is told with the way to the state.
    let mut system = Graph::new(2, &[(0, 1, &[])]).system(Asks::Eventually);
    system.liveness.properties = vec![LiveProperty::eventually_state("fussy", |state| {
        assert!(state.locals[0].state.as_deref() == Some(&0), "not one");
        false
    })];
    match check(&system, &Options::default()).verdict {
        Verdict::Panicked { message, trace } => {
            assert!(message.starts_with("not one") && trace.len() == 1, "{message} {trace:?}");
        }
        other => panic!("{other:?}"),
    }
}
