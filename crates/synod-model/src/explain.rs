//! What a name means: of a claim, a witness, a mutant, or a key of a model file.

use crate::catalogue::catalogue;
use crate::claims::{CLAIMS, Claim};
use crate::mutants::{Entry, MUTANTS};
use crate::near::meant;
use crate::witnesses::{WITNESSES, Witness};
use crate::{Model, Verdict};

/// Where the keys of model files are declared, with their documentation.
const SOURCES: [&str; 2] = [include_str!("file.rs"), include_str!("liveness.rs")];

/// A key of a model file.
struct Key {
    /// The section it stands in, such as `[system]`; empty for the top of the file.
    section: String,
    name: String,
    says: String,
}

/// Everything that is known of a name, in the words of the code that declares it.
///
/// # Errors
/// If nothing has that name.
pub fn explain(name: &str) -> Result<String, String> {
    let (models, keys) = (catalogue(), keys());
    let claims = CLAIMS.iter().filter(|claim| claim.name == name).map(|it| explain_claim(it, &models));
    let mutants = MUTANTS.iter().filter(|mutant| mutant.name == name).map(|it| explain_mutant(it, &models));
    let witnesses =
        WITNESSES.iter().filter(|witness| witness.name == name).map(|it| explain_witness(it, &models));
    let of_keys = keys.iter().filter(|key| key.name == name).map(explain_key);
    let found: Vec<String> = claims.chain(mutants).chain(witnesses).chain(of_keys).collect();
    if !found.is_empty() {
        return Ok(found.join("\n\n"));
    }
    let known = CLAIMS.iter().map(|it| it.name).chain(MUTANTS.iter().map(|it| it.name));
    let known =
        known.chain(WITNESSES.iter().map(|it| it.name)).chain(keys.iter().map(|key| key.name.as_str()));
    Err(format!(
        "{name}: no claim, mutant, witness or key of a model file has this name{}",
        meant(name, known)
    ))
}

fn names<'m>(models: impl Iterator<Item = &'m Model>) -> String {
    let names: Vec<&str> = models.map(|model| model.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn explain_claim(claim: &Claim, models: &[Model]) -> String {
    let falls = |model: &&Model| model.file.expect.property.as_deref() == Some(claim.name);
    let holds = models.iter().filter(|model| {
        model.file.expect.verdict.holds() && model.claims.iter().any(|checked| checked.name == claim.name)
    });
    format!(
        "{} is a claim ({}).\n  {}\nput to the test where {}\nholds in {} models of the catalogue\nfalls in {}",
        claim.name,
        claim.source,
        claim.says,
        claim.about,
        holds.count(),
        names(models.iter().filter(falls)),
    )
}

fn explain_mutant(mutant: &Entry, models: &[Model]) -> String {
    let has = |model: &&Model| model.file.mutant.as_ref().is_some_and(|it| it.get_ref() == mutant.name);
    let told = models.iter().filter(has).map(|model| {
        let expect = &model.file.expect;
        match (&expect.property, expect.steps) {
            (Some(property), Some(steps)) if expect.verdict == Verdict::Violated => {
                format!("\n  {}: {property} falls in {steps} steps", model.name)
            }
            _ => format!("\n  {}: {}", model.name, expect.verdict),
        }
    });
    format!(
        "{} is a mutant.\ntakes away {}\ninstead it {}\nmodels:{}",
        mutant.name,
        mutant.guard,
        mutant.does,
        told.collect::<String>(),
    )
}

fn explain_witness(witness: &Witness, models: &[Model]) -> String {
    let asks = |model: &&Model| {
        model
            .file
            .check
            .witnesses
            .as_ref()
            .is_some_and(|it| it.get_ref().iter().any(|name| name == witness.name))
    };
    format!(
        "{} is a witness, a hard case that a model can demand to have reached.\nreached when {}\nmodels: {}",
        witness.name,
        witness.says,
        names(models.iter().filter(asks)),
    )
}

fn explain_key(key: &Key) -> String {
    let place = if key.section.is_empty() { "at the top of a model file" } else { &key.section };
    format!("{} is a key, {place}.\n  {}", key.name, key.says)
}

/// The keys that model files may have, read from the declarations.
fn keys() -> Vec<Key> {
    let (mut keys, mut sections) = (Vec::new(), vec![("ModelFile".to_owned(), String::new())]);
    for source in SOURCES {
        let (mut within, mut says) = (None, String::new());
        for line in source.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("/// ") {
                says.push_str(if says.is_empty() { "" } else { " " });
                says.push_str(text);
            } else if let Some(name) =
                line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {"))
            {
                within = sections.iter().find(|(of, _)| of == name).map(|(_, section)| section.clone());
                says.clear();
            } else if let (Some(section), Some((name, kind))) =
                (&within, line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")))
            {
                let name = name.replace('_', "-");
                if let Some(of) =
                    kind.split(|c: char| !c.is_alphanumeric()).find(|word| word.ends_with("File"))
                {
                    let path = if section.is_empty() {
                        name.clone()
                    } else {
                        format!("{}.{name}", section.trim_matches(['[', ']']))
                    };
                    sections.push((of.to_owned(), format!("[{path}]")));
                }
                keys.push(Key { section: section.clone(), name, says: std::mem::take(&mut says) });
            } else if line == "}" {
                within = None;
                says.clear();
            } else if !line.starts_with("#[") {
                says.clear();
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use toml::Value;

    /// Every key of a table that is not itself a section of free form.
    fn used(table: &toml::Table, into: &mut BTreeSet<String>) {
        for (name, value) in table {
            into.insert(name.replace('_', "-"));
            if let Value::Table(below) = value {
                used(below, into);
            }
        }
    }

    #[test]
    fn every_key_that_a_model_of_the_catalogue_has_is_explained() {
        let known: BTreeSet<String> =
            keys().into_iter().filter(|key| !key.says.is_empty()).map(|key| key.name).collect();
        let mut names = BTreeSet::new();
        for model in catalogue() {
            used(&model.text.parse().expect("it was read before"), &mut names);
        }
        assert!(names.len() > 40, "{names:?}");
        let unknown: Vec<_> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn a_name_says_what_is_known_of_it() {
        let says = |name: &str, words: &[&str]| {
            let text = explain(name).expect("it is known");
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        };
        says("P2b", &["is a claim (PMS §2.2)", "any proposer has the chosen value", "mutants/any-value"]);
        says("any-value", &["is a mutant", "P2b falls in 12 steps"]);
        says("raced", &["is a witness", "acceptors/three-two-proposers"]);
        says("acceptors", &["is a key, [system]"]);
        says("tier", &["at the top of a model file"]);
        assert!(explain("P2d").is_err_and(|error| error.contains("no claim, mutant, witness or key")));
        assert!(explain("acceptor").is_err_and(|error| error.contains("did you mean \"acceptors\"?")));
    }
}
