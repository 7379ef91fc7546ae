//! Traces as text: what is written is read again, and an error in one is reported at its place.

use crate::erased::{Anyone, Anything, erase, explore};
use crate::{actors, paxos};
use stateright::actor::{LossyNetwork, Network};
use synod_explore::actor_model::from_actor_model;
use synod_explore::trace::{TraceText, judge, parse, render};
use synod_explore::walk::{Dice, walk};
use synod_explore::{Observer, Options, Status, Subject, System};

/// Random runs of a system as text, and back.
fn round_trips<A: Subject + Clone, O: Observer<A> + Clone>(system: &System<A, O>) {
    round_trips_erased(&erase(system));
}

fn round_trips_erased(system: &System<Anyone, Anything>) {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let actions = walk(system, |n| dice.below(n), 25).actions;
        let text = TraceText::record(system, &actions).header("model", "a test").to_string();
        let parsed = parse(&text).expect("what is written can be read");
        assert_eq!(parsed.headers, [("model".to_owned(), "a test".to_owned())]);
        let resolved = parsed.resolve(system).expect("what happened can happen again");
        assert_eq!(resolved.actions, actions, "{text}");
        assert_eq!(resolved.states.len(), actions.len() + 1);
        assert_eq!(parsed.to_string(), text);
    }
}

#[test]
fn what_is_written_is_read_again() {
    let supported = "the model is supported";
    let lossy = |network: &str| {
        let model = actors::gossip().init_network(network.parse::<Network<u8>>().unwrap());
        from_actor_model(&model.lossy_network(LossyNetwork::Yes).max_crashes(1)).expect(supported)
    };
    round_trips(&lossy("ordered"));
    round_trips(&lossy("unordered_duplicating"));
    round_trips(&lossy("unordered_nonduplicating"));
    round_trips(&from_actor_model(&actors::timers().max_crashes(2)).expect(supported));
    round_trips(&from_actor_model(&actors::chooser()).expect(supported));
    round_trips(&from_actor_model(&paxos::model(3, 2)).expect(supported));
}

fn ping_pong() -> System<actors::PingPong, impl synod_explore::Observer<actors::PingPong>> {
    let mut system = from_actor_model(&actors::ping_pong(2)).expect("the model is supported");
    system.names = vec!["left".to_owned(), "right".to_owned()];
    system
}

const RALLY: &str = "\
# synod trace 1
# Two players, and a ball that is played back twice.
# model: ping-pong
# expect: the limit is reached

deliver left -> right  0
  deliver   right ->   left 0
deliver left -> right  1
# The rest is silence.
";

#[test]
fn prose_blanks_and_headers_are_no_steps() {
    let trace = parse(RALLY).unwrap();
    let headers: Vec<_> = trace.headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("model", "ping-pong"), ("expect", "the limit is reached")]);
    assert_eq!(
        trace.steps.iter().map(|step| (step.line, step.column)).collect::<Vec<_>>(),
        [(6, 1), (7, 3), (8, 1)]
    );
    let system = ping_pong();
    let resolved = trace.resolve(&system).unwrap();
    assert_eq!(
        render(&system, &resolved.actions),
        "\
# synod trace 1
deliver left -> right  0
deliver right -> left  0
deliver left -> right  1
"
    );
}

#[test]
fn an_ignored_action_is_allowed_and_changes_nothing() {
    let text = "# synod trace 1\ndeliver left -> right  0\ndeliver left -> right  0\n";
    let resolved = parse(text).unwrap().resolve(&ping_pong()).unwrap();
    assert_eq!(resolved.actions.len(), 2);
    assert!(resolved.states[1] == resolved.states[2] && resolved.states[0] != resolved.states[1]);
}

/// The line, column and message of the error in a trace.
fn error(steps: &str) -> (usize, usize, String) {
    let text = format!("# synod trace 1\n{steps}\n");
    let error = match parse(&text) {
        Err(error) => error,
        Ok(trace) => trace.resolve(&ping_pong()).err().expect("the trace is wrong"),
    };
    assert_eq!(error.to_string(), format!("line {}, column {}: {}", error.line, error.column, error.message));
    (error.line, error.column, error.message)
}

#[test]
fn errors_say_where_and_what() {
    let at = |steps| {
        let (line, column, message) = error(steps);
        (line, column, message.lines().next().unwrap().to_owned())
    };
    let error = |line, column, message: &str| (line, column, message.to_owned());
    assert_eq!(
        at("hand over"),
        error(2, 1, "\"hand\" is no step: deliver, drop, timeout, crash, recover, random or tick is")
    );
    assert_eq!(
        at("\n  deliver left right 0"),
        error(3, 16, "expected '->', as in 'deliver A -> B  message'")
    );
    assert_eq!(at("deliver left ->"), error(2, 16, "deliver what? The name of an actor is missing"));
    assert_eq!(at("drop left -> right"), error(2, 19, "the message is missing"));
    assert_eq!(at("timeout left"), error(2, 13, "the timer is missing"));
    assert_eq!(at("random left key"), error(2, 16, "the choice is missing"));
    assert_eq!(at("crash"), error(2, 6, "crash what? The name of an actor is missing"));
    assert_eq!(at("recover left now"), error(2, 14, "nothing is expected here, but \"now\""));
    assert_eq!(at(" crash left"), error(2, 2, "not possible here: crash left"));
    assert_eq!(parse("deliver left -> right 0").unwrap_err().line, 1);
    assert_eq!(parse("").unwrap_err().message, "a trace begins with the line \"# synod trace 1\"");
}

#[test]
fn what_is_not_possible_is_answered_with_what_is() {
    let (line, _, message) = error("deliver left -> right 0\ndeliver right -> left 5");
    assert_eq!(line, 3);
    assert_eq!(
        message,
        "\
not possible here: deliver right -> left 5
possible here, the closest first:
  deliver right -> left 0
  deliver right -> left 1
  deliver left -> right 0"
    );
}

#[test]
fn a_trace_that_was_found_is_judged_as_it_was_found() {
    let system = from_actor_model(&paxos::model(3, 2)).expect("the model is supported");
    let report = explore(&system, &Options::default());
    let trace = report.finding("value chosen").unwrap().trace.as_ref().unwrap();
    let judged = judge(&system, trace).unwrap();
    assert_eq!(judged[0].status, Status::Holds);
    assert_eq!((judged[1].status, judged[1].step), (Status::Witnessed, Some(trace.len())));
    // Without its last step it is no witness any more, and without its first it cannot happen.
    assert_eq!(judge(&system, &trace[..trace.len() - 1]).unwrap()[1].status, Status::Unwitnessed);
    assert_eq!(judge(&system, &trace[1..]).unwrap_err().step, 1);
}
