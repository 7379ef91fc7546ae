//! The meaning of a name: a claim, a witness, a mutant, or a key of a model file.

use crate::admission;
use crate::catalogue::catalogue;
use crate::claims::{CLAIMS, Claim};
use crate::clock;
use crate::mutants::{MUTANTS, Mutant};
use crate::near::meant;
use crate::timed;
use crate::witnesses::{WITNESSES, Witness};
use crate::{Model, Verdict};

/// The sources that declare the keys of model files, with their documentation.
const SOURCES: [&str; 5] = [
    include_str!("file.rs"),
    include_str!("liveness_file.rs"),
    include_str!("admission/file.rs"),
    include_str!("timed/file.rs"),
    include_str!("clock/file.rs"),
];

/// A key of a model file.
#[derive(PartialEq, Eq)]
struct Key {
    /// The section it stands in, such as `system`; empty for the top of the file.
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
    let admitted = admission::CLAIMS.iter().filter(|it| it.name == name);
    let admitted = admitted.map(|it| format!("{} is a claim about admission.\n  {}", it.name, it.says));
    let cases = admission::WITNESSES.iter().filter(|it| it.name == name);
    let cases =
        cases.map(|it| format!("{} is a witness of models of admission.\nreached when {}", it.name, it.says));
    let timed = timed::CLAIMS.iter().filter(|(claim, _)| *claim == name);
    let timed = timed.map(|(name, says)| format!("{name} is a claim about a timed system.\n  {says}"));
    let told = clock::CLAIMS.iter().filter(|it| it.name == name);
    let told = told.map(|it| format!("{} is a claim about times to live.\n  {}", it.name, it.says));
    let seen = clock::WITNESSES.iter().filter(|it| it.name == name);
    let seen = seen
        .map(|it| format!("{} is a witness of models of times to live.\nreached when {}", it.name, it.says));
    let admitted = admitted.chain(told);
    let cases = cases.chain(seen);
    let found: Vec<String> = timed
        .chain(claims)
        .chain(mutants)
        .chain(witnesses)
        .chain(admitted)
        .chain(cases)
        .chain(of_keys)
        .collect();
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

fn explain_mutant(mutant: &Mutant, models: &[Model]) -> String {
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
    let place = match key.section.as_str() {
        "" => "at the top of a model file".to_owned(),
        section => format!("[{section}]"),
    };
    format!("{} is a key, {place}.\n  {}", key.name, key.says)
}

/// The keys that model files may have, read from the declarations: fields, and variants of enums.
fn keys() -> Vec<Key> {
    let top = [("ModelFile", ""), ("AdmissionFile", ""), ("TimedFile", ""), ("ClockFile", "")];
    let mut sections: Vec<_> = top.iter().map(|(of, at)| ((*of).to_owned(), (*at).to_owned())).collect();
    let mut keys = Vec::new();
    for source in SOURCES {
        let (mut within, mut says) = (None, String::new());
        for line in source.lines() {
            let text = line.trim();
            if let Some(more) = text.strip_prefix("/// ") {
                says.push_str(if says.is_empty() { "" } else { " " });
                says.push_str(more);
            } else if line == "}" {
                within = None;
            } else if let Some(name) = declared(line) {
                within = sections.iter().find(|(of, _)| of == name).map(|(_, section)| section.clone());
                says.clear();
            } else if let (Some(section), Some((name, kind))) = (&within, key(text)) {
                if let Some(of) = kind.split(|c: char| !c.is_alphanumeric()).find(|word| is_section(word)) {
                    let path = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
                    sections.push((of.to_owned(), path));
                }
                let key = Key { section: section.clone(), name, says: std::mem::take(&mut says) };
                if !key.says.is_empty() && !keys.contains(&key) {
                    keys.push(key);
                }
            } else if !text.starts_with("#[") {
                says.clear();
            }
        }
    }
    keys
}

/// The type that a line begins to declare.
fn declared(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let rest = line.strip_prefix("struct ").or_else(|| line.strip_prefix("enum "))?;
    rest.strip_suffix(" {")
}

/// True if a type stands for a section of a file, or for a choice in one.
fn is_section(kind: &str) -> bool {
    kind.ends_with("File") || kind == "Expect"
}

/// The key that a field or a variant stands for, and what follows its name.
fn key(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix("pub ").unwrap_or(text);
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let (name, rest) = text.split_at(end);
    let is_key = !name.is_empty() && [":", "(", " {", ","].iter().any(|after| rest.starts_with(after));
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(if letter == '_' { '-'.to_lowercase() } else { letter.to_lowercase() });
    }
    is_key.then_some((kebab, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use toml::Value;

    /// Every key of a table and of those in it.
    fn used(table: &toml::Table, into: &mut BTreeSet<String>) {
        // Processes are named in capitals, and are no keys.
        for (name, value) in table.iter().filter(|(name, _)| !name.starts_with(char::is_uppercase)) {
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
        says("hold", &["is a key, [timed.lease]"]);
        says("one-master", &["is a claim about a timed system", "at most one"]);
        says("cut", &["is a key, [admission]"]);
        says("never-behind", &["is a claim about admission"]);
        says("not-early", &["is a claim about times to live"]);
        says("ahead", &["is a key, [clock]"]);
        says("nobody-asked", &["is a mutant", "takes away admission: a directory asks", "admission/"]);
        assert!(explain("P2d").is_err_and(|error| error.contains("no claim, mutant, witness or key")));
        assert!(explain("acceptor").is_err_and(|error| error.contains("did you mean \"acceptors\"?")));
    }
}
