//! Explores the same actor systems with this engine and with stateright's own searches, in one run, in rounds: states a
//! second of processor time, time to the verdict, memory, and how far from the machine's limit.
//!
//! `cargo bench -p synod-explore --bench explore [-- --quick --rounds N --only NAME]`

#[path = "measuring.rs"]
mod measuring;
#[path = "../crates/synod-explore/tests/it/paxos.rs"]
mod paxos;
#[path = "../crates/synod-explore/tests/it/systems/mod.rs"]
mod systems;

use measuring::{Asked, Measured, Spread, child, grouped, limit, measure, tell};
use stateright::actor::ActorModel;
use stateright::{Checker, Model};
use std::fmt::Debug;
use std::hash::Hash;
use synod_explore::actor_model::from_actor_model;
use synod_explore::{Check, Observer, Options, Subject, System, Table, Verdict, explore};
use systems::{Asks, commit, consensus, election, merged, register, transfer};

/// The explorer to measure.
#[derive(Clone, Copy)]
enum Way {
    /// This engine, with the properties in its own words.
    Ours(fn() -> Options<'static>),
    /// This engine, with the model as it is: its closures look at whole states.
    AsItIs,
    Breadth,
    Depth,
    /// This engine, with histories of which the same can become taken for one, where there are such.
    Merged(fn() -> Options<'static>),
}

/// One way to explore that is measured.
struct Side {
    name: &'static str,
    way: Way,
    /// True if it visits every state, so that its counts must agree with the others'.
    whole: bool,
}

const SIDES: [Side; 11] = [
    Side { name: "ours", way: Way::Ours(Options::default), whole: true },
    Side {
        name: "ours, 2 threads",
        way: Way::Ours(|| Options { threads: 2, ..Options::default() }),
        whole: true,
    },
    Side { name: "ours, model as it is", way: Way::AsItIs, whole: true },
    Side { name: "stateright BFS", way: Way::Breadth, whole: true },
    Side { name: "stateright DFS", way: Way::Depth, whole: true },
    Side {
        name: "ours, 64-bit fingerprints",
        way: Way::Ours(|| Options { table: Table::Fingerprint64, ..Options::default() }),
        whole: true,
    },
    Side {
        name: "ours, 64-bit fingerprints, 2 threads",
        way: Way::Ours(|| Options { table: Table::Fingerprint64, threads: 2, ..Options::default() }),
        whole: true,
    },
    Side {
        name: "ours, dead messages left out",
        way: Way::Ours(|| Options { dead_messages: true, ..Options::default() }),
        whole: false,
    },
    Side {
        name: "ours, 64-bit fingerprints, dead messages left out",
        way: Way::Ours(|| Options { table: Table::Fingerprint64, dead_messages: true, ..Options::default() }),
        whole: false,
    },
    Side { name: "ours, histories merged", way: Way::Merged(Options::default), whole: false },
    Side {
        name: "ours, 64-bit fingerprints, histories merged",
        way: Way::Merged(|| Options { table: Table::Fingerprint64, ..Options::default() }),
        whole: false,
    },
];
/// Whom the others are compared with, by index.
const BFS: usize = 3;

/// The systems to explore.
struct Work {
    name: &'static str,
    quick: bool,
    run: fn(Way) -> Measured,
}

const WORKS: [Work; 14] = [
    Work { name: "Paxos, 2 clients", quick: true, run: |way| paxos_of(2, way) },
    Work { name: "Paxos, 3 clients", quick: false, run: |way| paxos_of(3, way) },
    Work { name: "Paxos, 4 clients", quick: false, run: |way| paxos_of(4, way) },
    Work { name: "register, 2 clients", quick: true, run: |way| register_of(2, way) },
    Work { name: "register, 3 clients", quick: false, run: |way| register_of(3, way) },
    Work { name: "register, 4 clients", quick: false, run: |way| register_of(4, way) },
    Work {
        name: "election, silent leaders",
        quick: true,
        run: |way| run(&election::model(3, 2, 0), election::system, way),
    },
    Work {
        name: "election, heartbeats",
        quick: false,
        run: |way| run(&election::model(3, 2, 1), election::system, way),
    },
    Work {
        name: "transfer, 2 receivers",
        quick: true,
        run: |way| run(&transfer::model(2, 2, 1), transfer::system, way),
    },
    Work {
        name: "transfer, 3 receivers",
        quick: false,
        run: |way| run(&transfer::model(3, 2, 1), transfer::system, way),
    },
    Work {
        name: "coins, 1 round",
        quick: true,
        run: |way| run(&consensus::model(3, 1), consensus::system, way),
    },
    Work {
        name: "coins, 2 rounds",
        quick: false,
        run: |way| run(&consensus::model(3, 2), consensus::system, way),
    },
    Work { name: "commit, 3 workers", quick: true, run: |way| run(&commit::model(3), commit::system, way) },
    Work { name: "commit, 5 workers", quick: false, run: |way| run(&commit::model(5), commit::system, way) },
];

/// stateright's Paxos example, with three servers.
fn paxos_of(clients: usize, way: Way) -> Measured {
    match way {
        Way::Merged(options) => ours(&paxos::system(&paxos::model_in(merged(), 3, clients)), &options()),
        _ => run(&paxos::model(3, clients), paxos::system, way),
    }
}

/// The register, with two servers.
fn register_of(clients: usize, way: Way) -> Measured {
    match way {
        Way::Merged(options) => {
            ours(&register::system(&register::model_in(merged(), 2, clients, false)), &options())
        }
        _ => run(&register::model(2, clients), register::system, way),
    }
}

/// Explores a model one way, in this process.
fn run<A, C, H>(model: &ActorModel<A, C, H>, system: Asks<A, C, H>, way: Way) -> Measured
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    match way {
        // Without a history, such rows repeat those without.
        Way::Ours(options) | Way::Merged(options) => {
            let (system, mut options) = (system(model), options());
            // Nothing can be left out where a property looks at whole states; such rows are those of the exact search again.
            options.dead_messages &= !system.properties.iter().any(|p| matches!(p.check, Check::State(_)));
            ours(&system, &options)
        }
        Way::AsItIs => {
            let system = from_actor_model(model).expect("the model is supported");
            ours(&system, &Options::default())
        }
        // The searches take their model; a copy of it costs nothing beside them.
        Way::Breadth => measure(|| visited(&model.clone().checker().spawn_bfs().join())),
        Way::Depth => measure(|| visited(&model.clone().checker().spawn_dfs().join())),
    }
}

fn ours<A: Subject, O: Observer<A>>(system: &System<A, O>, options: &Options<'_>) -> Measured {
    measure(|| {
        let report = explore(system, options);
        assert_eq!(report.verdict, Verdict::Holds);
        [report.unique_states, report.generated_states, report.depth as u64, report.memory_bytes]
    })
}

/// The counts of a search of stateright. It does not report its memory.
fn visited<M>(checker: &impl Checker<M>) -> [u64; 4]
where
    M: Model<State: Clone + Debug + PartialEq, Action: Clone + Debug + PartialEq>,
{
    checker.assert_properties();
    [checker.unique_state_count() as u64, checker.state_count() as u64, checker.max_depth() as u64, 0]
}

/// All rounds of one system: of each side, and of the machine's limit for as many states.
struct Rounds {
    name: &'static str,
    sides: Vec<Vec<Measured>>,
    limits: Vec<Measured>,
}

impl Rounds {
    /// Measures the sides once more, each in a process of its own.
    fn another(&mut self) {
        for (side, all) in SIDES.iter().zip(&mut self.sides) {
            all.push(child(&["--measure", self.name, side.name]));
        }
        let visited: Vec<_> = self.sides.iter().map(|all| *all.last().expect("it was measured")).collect();
        let counts = |it: &Measured| (it.unique, it.generated);
        for (side, it) in SIDES.iter().zip(&visited).filter(|(side, _)| side.whole) {
            let same = counts(it) == counts(&visited[BFS]);
            assert!(same, "{}: {} visits {it:?}, not {:?}", self.name, side.name, visited[BFS]);
        }
        let (unique, generated) = counts(&visited[BFS]);
        self.limits.push(child(&["--limit", &unique.to_string(), &generated.to_string()]));
    }

    /// A figure of a side in each round, compared with the same round's of another.
    fn spread(&self, side: usize, figure: impl Fn(&Measured, &Measured, &Measured) -> f64) -> Spread {
        let rounds = self.sides[side].iter().zip(&self.sides[BFS]).zip(&self.limits);
        Spread::of(rounds.map(|((it, theirs), limit)| figure(it, theirs, limit)))
    }

    fn print(&self) {
        let Measured { unique, generated, depth, .. } = self.sides[BFS][0];
        let [states, successors] = [unique, generated].map(grouped);
        let limit = Spread::of(self.limits.iter().map(Measured::per_successor));
        println!("\n### {}\n", self.name);
        println!("{states} states, {successors} generated, depth {depth}; the machine's limit {limit} ns.\n");
        println!(
            "| | states/CPU s | to the verdict, s | x BFS, CPU | x BFS, time | resident bytes a state | \
             kept bytes a state | CPU ns a generated state | x limit |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
        for (index, side) in SIDES.iter().enumerate() {
            let it = |figure: fn(&Measured) -> f64| self.spread(index, |it, _, _| figure(it)).median;
            let kept = it(|it| it.kept as f64 / it.unique as f64);
            println!(
                "| {} | {} | {:.3} | {} | {} | {:.0} | {} | {:.0} | {} |",
                side.name,
                grouped(it(Measured::rate) as u64),
                it(|it| it.wall as f64 / 1e9),
                // Of a reduced search these say how much sooner the verdict is there, not how fast a state is.
                self.spread(index, |it, theirs, _| theirs.cpu as f64 / it.cpu as f64),
                self.spread(index, |it, theirs, _| theirs.wall as f64 / it.wall as f64),
                it(|it| it.resident as f64 / it.unique as f64),
                if kept > 0.0 { format!("{kept:.0}") } else { "-".to_owned() },
                it(Measured::per_successor),
                self.spread(index, |it, _, limit| it.per_successor() / limit.per_successor()),
            );
        }
    }
}

/// One row a system, to see how all grows.
fn summary(all: &[Rounds]) {
    println!("\n### All\n");
    println!("States a second of processor time, and time to the verdict with one thread.\n");
    println!(
        "| | states | generated | ours/CPU s | BFS/CPU s | DFS/CPU s | x BFS | x DFS | x BFS, time | \
         2 threads | x limit |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for rounds in all {
        let Measured { unique, generated, .. } = rounds.sides[BFS][0];
        let rate = |side| grouped(rounds.spread(side, |it, _, _| it.rate()).median as u64);
        let pairs = |a: usize, b: usize, figure: fn(&Measured) -> u64| {
            let rounds = rounds.sides[a].iter().zip(&rounds.sides[b]);
            Spread::of(rounds.map(|(a, b)| figure(b) as f64 / figure(a) as f64))
        };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            rounds.name,
            grouped(unique),
            grouped(generated),
            rate(0),
            rate(BFS),
            rate(BFS + 1),
            pairs(0, BFS, |it| it.cpu),
            pairs(0, BFS + 1, |it| it.cpu),
            pairs(0, BFS, |it| it.wall),
            pairs(1, 0, |it| it.wall),
            rounds.spread(0, |it, _, limit| it.per_successor() / limit.per_successor()),
        );
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).map(|at| &args[at + 1..]);
    if let Some([work, side, ..]) = after("--measure") {
        let work = WORKS.iter().find(|it| it.name == work).expect("this program wrote it");
        let side = SIDES.iter().find(|it| it.name == side).expect("this program wrote it");
        return tell(&(work.run)(side.way));
    }
    if let Some([unique, generated, ..]) = after("--limit") {
        let number = |text: &String| text.parse().expect("this program wrote it");
        return tell(&limit(number(unique), number(generated)));
    }
    let asked = Asked::new(&args);
    let chosen = |work: &&Work| (work.quick || !asked.quick) && work.name.contains(&asked.only);
    let mut all: Vec<Rounds> = WORKS
        .iter()
        .filter(chosen)
        .map(|Work { name, .. }| Rounds { name, sides: vec![Vec::new(); SIDES.len()], limits: Vec::new() })
        .collect();
    for round in 1..=asked.rounds {
        for rounds in &mut all {
            eprintln!("round {round} of {}: {}", asked.rounds, rounds.name);
            rounds.another();
        }
    }
    println!(
        "Medians over {} round(s), taken in turn, each exploration in a process of its own, with the system's allocator; \
         in parentheses the least and the greatest of the rounds.",
        asked.rounds
    );
    for rounds in &all {
        rounds.print();
    }
    summary(&all);
}
