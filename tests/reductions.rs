//! Whatever makes an exploration smaller or shorter, asked for on every model of a tier, whether its file asks for it or not: the
//! verdict stays, and so do the length of the shortest fall and what is witnessed.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use synod_explore::Table;
use synod_model::{Model, Outcome, Settings, Tier, Verdict, catalogue, check};

/// How long a model of the full tier may take with other reductions than its own, and how much memory: some then have no end in sight.
const PATIENCE: Duration = Duration::from_mins(3);
const MEMORY: u64 = 12 << 30;
/// States beyond which a fast model is not explored once more for each table.
const LARGE: u64 = 100_000;

/// A model with other reductions than its own.
fn reduced(model: &Model, reduction: &str) -> Result<Model, String> {
    let mut own = false;
    let kept = model.text.lines().filter(|line| {
        if line.starts_with('[') {
            own = line.trim() == "[reduce]";
        }
        !own
    });
    let text = kept.collect::<Vec<_>>().join("\n");
    Model::read(&model.name, &format!("{text}\n[reduce]\n{reduction}\n")).map_err(|error| error.to_string())
}

/// What must stay the same: the verdict, the shortest fall of what the file names, and, where everything was explored, every
/// property.
fn essence(model: &Model, outcome: &Outcome) -> Vec<String> {
    let wanted = model.file.expect.property.as_deref();
    let all = outcome.verdict.holds();
    let kept = outcome.properties.iter().filter(|found| all || Some(found.name) == wanted);
    let words = kept.map(|found| format!("{} {} {:?}", found.name, found.status, found.steps));
    std::iter::once(outcome.verdict.to_string()).chain(words).collect()
}

/// What was compared with a model as its file has it.
#[derive(Debug, Default)]
struct Compared {
    /// With dead messages left out, and with like acceptors taken for one.
    asked: [usize; 2],
    /// Without the model's own reductions.
    without: usize,
    /// With fingerprints of either kind.
    fingerprints: usize,
    /// What cannot be done with a model, and why.
    refused: Vec<String>,
    /// What the time was too short for.
    open: Vec<String>,
}

impl Compared {
    /// Adds what another has compared.
    fn add(&mut self, other: Self) {
        self.asked.iter_mut().zip(other.asked).for_each(|(asked, more)| *asked += more);
        self.without += other.without;
        self.fingerprints += other.fingerprints;
        self.refused.extend(other.refused);
        self.open.extend(other.open);
    }

    /// Explores a model in all ways, each within such limits; with other tables only where there are not too many states.
    fn look_at(&mut self, model: &Model, limits: &Settings<'_>, tables: impl Fn(u64) -> bool) {
        let settings = || Settings {
            threads: limits.threads,
            time: limits.time,
            memory: limits.memory,
            ..Settings::default()
        };
        let own = check(model, &settings());
        if own.verdict == Verdict::Incomplete {
            return self.open.push(model.name.clone());
        }
        let expected = essence(model, &own);
        for (at, reduction) in ["dead-messages = true", "symmetry = [\"acceptors\"]"].iter().enumerate() {
            let what = format!("{} with {reduction}", model.name);
            let other = match reduced(model, reduction) {
                Err(reason) => {
                    self.refused.push(format!("{what}: {reason}"));
                    continue;
                }
                Ok(other) => other,
            };
            let outcome = check(&other, &settings());
            // What cannot be done is refused, and actors that are not alike are found out.
            let reason = outcome.detail.clone().unwrap_or_default();
            let found_out = ["rewritten", "not alike", "apart"].iter().any(|it| reason.contains(it));
            if (outcome.verdict == Verdict::Panicked || outcome.refused) && found_out {
                self.refused.push(format!("{what}: {reason}"));
            } else if outcome.verdict == Verdict::Incomplete {
                self.open.push(what);
            } else {
                assert_eq!(essence(&other, &outcome), expected, "{what}");
                let (states, own) = (outcome.unique_states, own.unique_states);
                assert!(states <= own || model.reduces(), "{what}: {states} states, and {own} without");
                self.asked[at] += 1;
            }
        }
        if !tables(own.unique_states) {
            return;
        }
        if model.reduces() {
            let outcome = check(model, &Settings { reduce: false, ..settings() });
            if outcome.verdict == Verdict::Incomplete {
                self.open.push(format!("{} without reductions", model.name));
            } else {
                assert_eq!(essence(model, &outcome), expected, "{} without reductions", model.name);
                self.without += 1;
            }
        }
        for table in [Table::Fingerprint64, Table::Fingerprint128] {
            let outcome = check(model, &Settings { table, ..settings() });
            let counts = |o: &Outcome| (o.unique_states, o.generated_states, o.depth);
            assert_eq!(essence(model, &outcome), expected, "{} with {table:?}", model.name);
            assert_eq!(counts(&outcome), counts(&own), "{} with {table:?}", model.name);
            self.fingerprints += 1;
        }
    }
}

/// Models of the roles: scenes of something beside them have too many states with all that will never be heard.
fn of(tier: Tier) -> impl Iterator<Item = Model> {
    catalogue().into_iter().filter(move |model| model.file.tier == tier && model.is_of_protocol())
}

/// Takes minutes: `cargo test --release --test synod comes_out_of_the_fast_tier -- --ignored`, a step of `tests/nightly`.
#[test]
#[ignore = "minutes; a step of tests/nightly"]
fn no_reduction_changes_what_comes_out_of_the_fast_tier() {
    // The levels of these models are too short for two threads.
    let (models, next): (Vec<Model>, _) = (of(Tier::Fast).collect(), AtomicUsize::new(0));
    let worker = || {
        let mut compared = Compared::default();
        while let Some(model) = models.get(next.fetch_add(1, Ordering::Relaxed)) {
            compared.look_at(model, &Settings { threads: 1, ..Settings::default() }, |states| states < LARGE);
        }
        compared
    };
    let mut compared = Compared::default();
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            compared.add(worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
    });
    println!("{compared:#?}");
    assert!(compared.open.is_empty(), "{:?}", compared.open);
    let [dead, alike] = compared.asked;
    assert!(dead > 80 && alike > 30, "most models can do with less: {dead} and {alike}");
    assert!(compared.without > 10 && compared.fingerprints > 200, "{compared:?}");
}

/// Takes some twenty minutes: `cargo test --release --test synod full_tier -- --ignored --nocapture`.
#[test]
#[ignore = "some twenty minutes; a step of tests/nightly"]
fn no_reduction_changes_what_comes_out_of_the_full_tier() {
    let mut compared = Compared::default();
    for model in of(Tier::Full) {
        eprintln!("{}", model.name);
        let limits =
            Settings { threads: 2, time: Some(PATIENCE), memory: Some(MEMORY), ..Settings::default() };
        compared.look_at(&model, &limits, |_| true);
    }
    println!("{compared:#?}");
    assert!(compared.asked[0] > 10 && compared.fingerprints > 50, "{compared:?}");
}
