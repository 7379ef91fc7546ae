//! The cost of checking liveness beside checking the claims of the same model: safety with one thread and with two, liveness
//! (one thread, as it keeps the whole graph), in turn, each in a process of its own.
//!
//! `cargo bench -p synod-model --bench liveness [-- --quick --rounds N]`

#[path = "measuring.rs"]
#[allow(dead_code, reason = "nothing is compared with the machine's limit here")]
mod measuring;

use measuring::{Asked, Measured, Spread, child, grouped, measure, tell};
use synod_explore::{Observer, Options, Subject, System, Verdict, explore, liveness};
use synod_model::{Built, Model};

const SIDES: [&str; 3] = ["safety", "safety, 2 threads", "liveness"];

/// Two proposers that answer nacks, acceptors and a proposer that crash, learners; a value is chosen and learned under all assumptions.
fn model(learners: usize) -> Model {
    let text = format!(
        "about = \"Progress with crashes.\"\ntier = \"full\"\nspec = []\n\n[system]\nlayout = \"separate\"\n\
         acceptors = 2\nproposers = 2\nlearners = {learners}\nvalues = [\"x\", \"y\"]\nretry = \"on-nack\"\n\n\
         [network]\ndelivery = \"multiset\"\n\n[faults]\ncrash = [\"acceptors\", \"P2\"]\nin_all = 1\n\n[bounds]\nrounds = 2\n\n\
         [check]\nclaims = [\"B0\"]\nwitnesses = [\"chosen\"]\n\n[liveness]\nproperties = [\"chosen\", \"learned\"]\n\n\
         [expect]\nverdict = \"holds-within-bound\"\n"
    );
    Model::read("progress", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// Checks one side, in this process.
fn run<A: Subject, O: Observer<A>>(system: &System<A, O>, side: &str) -> Measured {
    measure(|| {
        let options = Options { threads: if side == SIDES[1] { 2 } else { 1 }, ..Options::default() };
        let (verdict, figures) = if side == SIDES[2] {
            let report = liveness::check(system, &options);
            let generated = report.steps + 1;
            (report.verdict, [report.unique_states, generated, report.depth as u64, report.memory_bytes])
        } else {
            let report = explore(system, &options);
            let figures =
                [report.unique_states, report.generated_states, report.depth as u64, report.memory_bytes];
            (report.verdict, figures)
        };
        assert!(matches!(verdict, Verdict::HoldsWithinBound(_)), "{side}: {verdict:?}");
        figures
    })
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--measure") {
        let Built::Plain(mut system) = model(args[at + 1].parse().expect("a number")).build() else {
            unreachable!("nothing is broken in it")
        };
        let side = &args[at + 2];
        if side != SIDES[2] {
            // Exploring alone decides nothing about what must come about, and says so if it is asked.
            drop(std::mem::take(&mut system.liveness));
        }
        return tell(&run(&system, side));
    }
    let asked = Asked::new(&args);
    let learners = if asked.quick { "1" } else { "2" };
    let mut sides: [Vec<Measured>; SIDES.len()] = Default::default();
    for _ in 0..asked.rounds {
        for (side, all) in SIDES.iter().zip(&mut sides) {
            all.push(child(&["--measure", learners, side]));
        }
    }
    println!(
        "| | states | steps | to the verdict, s | x safety, time | x 2 threads, time | kept bytes a state |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (name, all) in SIDES.iter().zip(&sides) {
        let times = |base: &[Measured]| {
            Spread::of(all.iter().zip(base).map(|(it, base)| it.wall as f64 / base.wall as f64))
        };
        let Measured { unique, generated, kept, .. } = all[0];
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} |",
            grouped(unique),
            grouped(generated),
            Spread::of(all.iter().map(|it| it.wall as f64 / 1e9)),
            times(&sides[0]),
            times(&sides[1]),
            kept / unique
        );
    }
}
