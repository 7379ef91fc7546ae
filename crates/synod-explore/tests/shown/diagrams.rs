//! Diagrams: well-formed whatever the messages say, and as wide as they have to be.

use crate::actors;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use synod_explore::actor_model::from_actor_model;
use synod_explore::diagram::Diagram;
use synod_explore::walk::{Dice, walk};
use synod_explore::{Action, Faults, System};

/// Says things that mean something in XML.
#[derive(Clone)]
struct Rude;

impl Actor for Rude {
    type Msg = &'static str;
    type State = u8;
    type Timer = &'static str;
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        o.send(Id::from(1), "<b> & \"quotes\" ]]>");
        o.send(id, "to 'myself' \u{1}");
        o.send(Id::from(9), "to nobody");
        o.set_timer("<!--", stateright::actor::model_timeout());
        0
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, _: Id, _: &'static str, _: &mut Out<Self>) {
        if **state < 2 {
            *state.to_mut() += 1;
        }
    }
}

/// Every tag that is opened is closed, in order; no character is left that has to be escaped.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a stray '>' in {:?}", &rest[..start]);
        for (at, _) in rest[..start].match_indices('&') {
            let entity = rest[at..].split_once(';').expect("an entity ends").0;
            assert!(["&amp", "&lt", "&gt", "&quot", "&apos"].contains(&entity), "{entity}");
        }
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('\'').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
    assert!(!svg.contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn svg_is_well_formed_whatever_the_messages_say() {
    let mut system = System::new(vec![Rude, Rude, Rude], ());
    system.names = vec!["<A>".to_owned(), "B & co".to_owned(), "C".to_owned()];
    system.network.loss = true;
    system.faults = Faults { crashable: vec![true; 3], max_down: 2, ..Faults::none() };
    for seed in 0..50 {
        let mut dice = Dice::new(seed);
        let actions = walk(&system, |n| dice.below(n), 30).actions;
        let diagram = Diagram::new(&system, &actions);
        for svg in [diagram.svg(), diagram.explorer_svg()] {
            assert_well_formed(&svg);
            assert_eq!(svg.matches("svg-number'").count(), actions.len());
        }
        assert_eq!(diagram.text().lines().count(), actions.len() + 1);
    }
    assert_well_formed(&Diagram::new(&system, &[]).svg());
    assert_well_formed(&Diagram::new(&System::new(Vec::<Rude>::new(), ()), &[]).svg());
}

#[test]
fn text_shows_who_sent_what_to_whom() {
    let mut system = from_actor_model(&actors::saver().max_crashes(1)).unwrap();
    system.names = vec!["left".to_owned(), "right".to_owned()];
    let (left, right) = (Id::from(0), Id::from(1));
    let actions = [
        Action::<actors::Saver>::Deliver { src: left, dst: right, msg: 0 },
        Action::<actors::Saver>::Crash(right),
        Action::<actors::Saver>::Deliver { src: right, dst: left, msg: 1 },
        Action::<actors::Saver>::Recover(right),
    ];
    assert_eq!(
        Diagram::new(&system, &actions).text(),
        "
      left   right
  1   |----->|      0
  2   |      x      crash
  3   |<-----:      1
  4   |      ^      recover
"
        .trim_start_matches('\n')
    );
}
