//! Whatever makes an exploration smaller or shorter, asked for on every fast model, whether its file asks for it or not: the verdict
//! stays, and so do the length of the shortest fall and what is witnessed.

use synod_explore::Table;
use synod_model::{Model, Outcome, Settings, Tier, catalogue, check};

/// States beyond which a model's own reductions are left on: without them it is too large for a test.
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
    let all = outcome.verdict.starts_with("holds");
    let kept = outcome.properties.iter().filter(|found| all || Some(found.name) == wanted);
    let words = kept.map(|found| format!("{} {} {:?}", found.name, found.status, found.steps));
    std::iter::once(outcome.verdict.to_owned()).chain(words).collect()
}

#[test]
fn no_reduction_changes_what_comes_out() {
    let settings = || Settings { threads: 2, ..Settings::default() };
    let (mut asked, mut refused) = ([0; 2], Vec::new());
    for model in catalogue().into_iter().filter(|model| model.file.tier == Tier::Fast) {
        let own = check(&model, &settings());
        let expected = essence(&model, &own);
        for (at, reduction) in ["dead-messages = true", "symmetry = [\"acceptors\"]"].iter().enumerate() {
            match reduced(&model, reduction) {
                Err(reason) => refused.push(format!("{}: {reason}", model.name)),
                Ok(other) => {
                    let outcome = check(&other, &settings());
                    // What cannot be done is refused, and actors that are not alike are found out.
                    let reason = outcome.detail.clone().unwrap_or_default();
                    let found_out = ["rewritten", "not alike", "apart"].iter().any(|it| reason.contains(it));
                    if outcome.verdict == "panicked" && found_out {
                        refused.push(format!("{}: {reduction}: {reason}", model.name));
                        continue;
                    }
                    assert_eq!(essence(&other, &outcome), expected, "{} with {reduction}", model.name);
                    assert!(
                        outcome.unique_states <= own.unique_states || model.reduces(),
                        "{} with {reduction}: {} states, and {} without",
                        model.name,
                        outcome.unique_states,
                        own.unique_states
                    );
                    asked[at] += 1;
                }
            }
        }
        if own.unique_states >= LARGE {
            continue;
        }
        if model.reduces() {
            let outcome = check(&model, &Settings { reduce: false, ..settings() });
            assert_eq!(essence(&model, &outcome), expected, "{} without reductions", model.name);
        }
        for table in [Table::Fingerprint64, Table::Fingerprint128] {
            let outcome = check(&model, &Settings { table, ..settings() });
            let counts = |o: &Outcome| (o.unique_states, o.generated_states, o.depth);
            assert_eq!(essence(&model, &outcome), expected, "{} with {table:?}", model.name);
            assert_eq!(counts(&outcome), counts(&own), "{} with {table:?}", model.name);
        }
    }
    println!("asked {asked:?}; refused:\n{}", refused.join("\n"));
    assert!(asked[0] > 80 && asked[1] > 30, "most models can do with less: {asked:?}");
}
