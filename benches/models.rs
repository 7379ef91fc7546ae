//! The growth of exploring Paxos itself with acceptors and proposers, all claims asked: this engine with one thread and with
//! two, and stateright's breadth-first search over the same system.
//!
//! `cargo bench -p synod-model --bench models [-- --quick --rounds N --only NAME]`

#[path = "measuring.rs"]
mod measuring;

use measuring::{Asked, Measured, Spread, child, grouped, limit, measure, tell};
use synod_explore::{Observer, Options, Report, Subject, System, Verdict, explore, oracle};
use synod_model::{Built, Model};

/// The series: acceptors and proposers.
const SERIES: [(usize, usize); 7] = [(2, 2), (3, 1), (3, 2), (3, 3), (4, 2), (5, 1), (5, 2)];
/// Those that are done in a moment.
const QUICK: [(usize, usize); 2] = [(2, 2), (3, 1)];
/// Beyond so many successors stateright's search would take minutes a round, and is left out.
const PATIENCE: u64 = 5_000_000;

const SIDES: [&str; 3] = ["ours", "ours, 2 threads", "stateright BFS"];
const BFS: usize = 2;

fn name(acceptors: usize, proposers: usize) -> String {
    format!("acceptors {acceptors}, proposers {proposers}")
}

/// A race over a network that loses, repeats and reorders, with every claim that applies.
fn model(acceptors: usize, proposers: usize) -> Model {
    let values = ["\"x\"", "\"y\"", "\"z\""][..proposers].join(", ");
    let text = format!(
        "about = \"A race.\"\ntier = \"full\"\nspec = []\n\n[system]\nlayout = \"separate\"\n\
         acceptors = {acceptors}\nproposers = {proposers}\nlearners = 0\nvalues = [{values}]\nnacks = false\n\n\
         [check]\nwitnesses = [\"chosen\"]\n\n[expect]\nverdict = \"holds\"\n"
    );
    Model::read(&name(acceptors, proposers), &text).unwrap_or_else(|error| panic!("{error}"))
}

/// Explores a system one way, in this process.
fn run<A: Subject + Clone, O: Observer<A> + Clone>(system: &System<A, O>, side: &str) -> Measured {
    let options = |threads| Options { threads, ..Options::default() };
    let explore: &dyn Fn() -> Report<A> = match side {
        "ours" => &|| explore(system, &options(1)),
        "ours, 2 threads" => &|| explore(system, &options(2)),
        _ => &|| oracle::stateright_bfs(system, 1, None),
    };
    measure(|| {
        let report = explore();
        assert_eq!(report.verdict, Verdict::Holds);
        [report.unique_states, report.generated_states, report.depth as u64, report.memory_bytes]
    })
}

/// All rounds of one model: of each side that was measured, and of the machine's limit.
#[derive(Default)]
struct Rounds {
    name: String,
    sides: [Vec<Measured>; SIDES.len()],
    limits: Vec<Measured>,
}

impl Rounds {
    fn another(&mut self, acceptors: usize, proposers: usize) {
        let [acceptors, proposers] = [acceptors, proposers].map(|number| number.to_string());
        for (side, all) in SIDES.iter().zip(0..) {
            let patient = all != BFS || self.sides[0].iter().all(|it| it.generated <= PATIENCE);
            if patient {
                self.sides[all].push(child(&["--measure", &acceptors, &proposers, side]));
            }
        }
        let counts = |it: &Measured| (it.unique, it.generated, it.depth);
        let first = self.sides[0][0];
        let mut same = self.sides.iter().flatten();
        assert!(same.all(|it| counts(it) == counts(&first)), "{}: {:?}", self.name, self.sides);
        self.limits.push(child(&["--limit", &first.unique.to_string(), &first.generated.to_string()]));
    }

    fn print(&self) {
        let Measured { unique, generated, depth, .. } = self.sides[0][0];
        let shape = format!("{} | {} | {} | {depth}", self.name, grouped(unique), grouped(generated));
        for (name, all) in SIDES.iter().zip(&self.sides).filter(|(_, all)| !all.is_empty()) {
            let median = |figure: fn(&Measured) -> f64| Spread::of(all.iter().map(figure)).median;
            let pairs = |others: &[Measured], figure: fn(&Measured) -> f64| {
                Spread::of(all.iter().zip(others).map(|(it, other)| figure(other) / figure(it)))
            };
            let theirs = &self.sides[BFS];
            let against =
                |figure| if theirs.is_empty() { "-".to_owned() } else { pairs(theirs, figure).to_string() };
            let kept = median(|it| it.kept as f64 / it.unique as f64);
            println!(
                "| {shape} | {name} | {} | {:.3} | {} | {} | {:.0} | {} | {:.0} | {} |",
                grouped(median(Measured::rate) as u64),
                median(|it| it.wall as f64 / 1e9),
                against(|it| it.cpu as f64),
                pairs(&self.sides[0], |it| it.wall as f64),
                median(|it| it.resident as f64 / it.unique as f64),
                if kept > 0.0 { format!("{kept:.0}") } else { "-".to_owned() },
                median(Measured::per_successor),
                Spread::of(
                    all.iter().zip(&self.limits).map(|(it, l)| it.per_successor() / l.per_successor())
                ),
            );
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().position(|arg| arg == name).map(|at| &args[at + 1..]);
    let number = |text: &String| text.parse::<u64>().expect("this program wrote it");
    if let Some([acceptors, proposers, side, ..]) = after("--measure") {
        let Built::Plain(system) = model(number(acceptors) as usize, number(proposers) as usize).build()
        else {
            unreachable!("nothing in the model is broken")
        };
        return tell(&run(&system, side));
    }
    if let Some([unique, generated, ..]) = after("--limit") {
        return tell(&limit(number(unique), number(generated)));
    }
    let asked = Asked::new(&args);
    let series = if asked.quick { &QUICK[..] } else { &SERIES[..] };
    let chosen =
        |(acceptors, proposers): &&(usize, usize)| name(*acceptors, *proposers).contains(&asked.only);
    let series: Vec<(usize, usize)> = series.iter().filter(chosen).copied().collect();
    let mut all: Vec<Rounds> =
        series.iter().map(|&(a, p)| Rounds { name: name(a, p), ..Rounds::default() }).collect();
    for round in 1..=asked.rounds {
        for (rounds, (acceptors, proposers)) in all.iter_mut().zip(&series) {
            eprintln!("round {round} of {}: {}", asked.rounds, rounds.name);
            rounds.another(*acceptors, *proposers);
        }
    }
    println!(
        "| model | states | generated | depth | | states/CPU s | to the verdict, s | x BFS, CPU | x one thread, time | \
         resident bytes a state | kept bytes a state | CPU ns a generated state | x limit |\n\
         |---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for rounds in &all {
        rounds.print();
    }
}
