//! Diagrams of runs in which ballots are renumbered: a message is drawn from where it was sent, whatever it is called by then.

use synod_model::{Replay, find, replay};

fn lasso(name: &str) -> Replay {
    let model = find(name).expect("in the catalogue");
    let steps = model.file.expect.lasso.clone().expect("it falls");
    replay(&model, &format!("# synod trace 1\n{steps}")).expect("every step is possible")
}

/// The rows of the picture from which and to which an arrow goes: where its line begins and ends.
fn arrows(svg: &str) -> Vec<(i64, i64)> {
    let row = |line: &str, key: &str| -> i64 {
        let rest = line.split_once(&format!("{key}='")).expect("a coordinate").1;
        let y: i64 = rest.split_once('\'').expect("its end").0.parse().expect("a number");
        (y - 44) / 26
    };
    let lines =
        svg.lines().filter(|line| line.starts_with("<line") && line.contains("class='svg-event-line'"));
    lines.map(|line| (row(line, "y1"), row(line, "y2"))).collect()
}

#[test]
fn an_arrow_begins_at_its_cause_although_its_ballot_was_renumbered() {
    let replay = lasso("liveness/duel");
    let arrows = arrows(&replay.svg);
    assert_eq!(arrows.len(), 12, "{arrows:?}");
    for (from, to) in [(1, 4), (4, 5), (5, 6), (2, 7), (8, 9), (5, 10), (10, 11), (11, 12)] {
        let found = arrows.iter().find(|arrow| arrow.1 == to).expect("each row has an arrow");
        assert_eq!(found.0, from, "the arrow of row {to} in {arrows:?}");
    }
}

#[test]
fn where_ballots_are_renumbered_it_is_said() {
    let replay = lasso("liveness/duel");
    let said: Vec<&str> = replay.diagram.lines().filter(|line| line.contains("renamed:")).collect();
    assert_eq!(said.len(), 2, "{}", replay.diagram);
    assert!(said[0].contains("3.2 is now 2.2"), "{said:?}");
    assert_eq!(replay.svg.matches("svg-renamed'").count(), 2, "a line for each");
    let drawn = lasso("liveness/without-patient");
    assert!(drawn.diagram.contains("renamed:"), "{}", drawn.diagram);
    assert!(!lasso("liveness/never-suspects").diagram.contains("renamed:"), "nothing is renumbered in it");
}
