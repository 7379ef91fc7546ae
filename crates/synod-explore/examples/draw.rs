//! Draws how a value gets chosen in the Paxos example, as SVG or, with `text`, for the terminal.
//!
//! `cargo run -p synod-explore --example draw -- [text] > chosen.svg`

#[path = "../tests/it/paxos.rs"]
mod paxos;

use synod_explore::diagram::Diagram;
use synod_explore::walk::{Dice, walk};
use synod_explore::{Faults, Options, explore};

fn main() {
    let arg = std::env::args().nth(1);
    let mut system = paxos::system(&paxos::model(3, 2));
    let actions = if arg.as_deref() == Some("random") {
        system.network.loss = true;
        system.faults =
            Faults { crashable: vec![true; 3], max_down: 1, max_crashes: Some(2), ..Faults::none() };
        let mut dice = Dice::new(4);
        walk(&system, |n| dice.below(n), 40).actions
    } else {
        let report = explore(&system, &Options::default());
        report.finding("value chosen").and_then(|finding| finding.trace.clone()).unwrap_or_default()
    };
    let diagram = Diagram::new(&system, &actions);
    let text = std::env::args().any(|arg| arg == "text");
    print!("{}", if text { diagram.text() } else { diagram.svg() });
}
