//! The house rules that a reader relies on: what crates may not know, and that the chain from a claim to its code,
//! its model and its mutant is whole.

use crate::imports::Imports;
use crate::shapes;
use crate::synod::root;
use std::fs;
use std::path::{Path, PathBuf};
use synod_model::{catalogue, claims::CLAIMS, mutants::MUTANTS};

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below a folder.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_architecture_is_read_in_one_sitting() {
    let words = read("ARCHITECTURE.md").split_whitespace().count();
    assert!(
        words <= 1000,
        "ARCHITECTURE.md has {words} words; decisions of one crate belong into its DESIGN.md"
    );
}

/// Every document below a folder of the project, except for what is built.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        let is_kept = !path.file_name().is_some_and(|name| name == "target" || name == ".git");
        if path.is_dir() && is_kept {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The names under which the headings of a document are linked to.
fn headings(document: &str) -> Vec<String> {
    let headings = document.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let name = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    headings.map(name).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut links = 0;
    for document in documents(&root()) {
        let text = fs::read_to_string(&document).expect("text");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '\n']).next()) {
            if link.starts_with("http") {
                continue;
            }
            links += 1;
            let (path, heading) =
                link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
            let to = match path {
                "" => document.clone(),
                path => document.parent().expect("a folder").join(path),
            };
            assert!(to.exists(), "{}: {link} leads nowhere", document.display());
            let Some(heading) = heading.filter(|_| to.extension().is_some_and(|it| it == "md")) else {
                continue;
            };
            let known = headings(&fs::read_to_string(&to).expect("text"));
            assert!(
                known.iter().any(|known| known == heading),
                "{}: {link} has no such heading",
                document.display()
            );
        }
    }
    assert!(links > 100, "{links} links were found");
}

/// What a crate depends on, tests aside.
fn dependencies(name: &str) -> Vec<String> {
    let manifest: toml::Table = read(format!("crates/{name}/Cargo.toml")).parse().expect("a manifest");
    manifest["dependencies"].as_table().expect("a table").keys().cloned().collect()
}

#[test]
fn crates_do_not_know_what_they_must_not() {
    assert_eq!(dependencies("synod"), ["imbl", "serde", "stateright"]);
    for (name, unknown) in [
        ("synod-explore", &["synod", "synod-model", "synod-runtime"][..]),
        (
            "synod-machine",
            &["synod", "stateright", "synod-explore", "synod-model", "synod-runtime", "synod-linear"],
        ),
        (
            "synod-linear",
            &["synod", "synod-machine", "stateright", "synod-explore", "synod-model", "synod-runtime"],
        ),
        ("synod-apply", &["stateright", "synod-explore", "synod-model", "synod-runtime", "synod-linear"]),
        ("synod-admission", &["stateright", "synod", "synod-runtime", "synod-model", "synod-explore"]),
        ("synod-groups", &["synod", "synod-runtime", "synod-model", "synod-explore"]),
        ("synod-runtime", &["synod", "synod-model", "synod-explore", "synod-replay", "synod-server"]),
        ("synod-model", &["synod-runtime", "synod-replay", "synod-server", "synod-cli"]),
        ("synod-server", &["synod-model", "synod-explore", "synod-replay", "synod-cli"]),
        // A member may run a client, so a client knows no member.
        ("synod-client", &["synod-server", "synod-model", "synod-explore", "synod-replay", "synod-cli"]),
        ("synod-replay", &["synod-cli"]),
    ] {
        let known = dependencies(name);
        assert!(
            unknown.iter().all(|crate_name| !known.iter().any(|k| k == crate_name)),
            "{name} knows {known:?}"
        );
    }
}

#[test]
fn the_protocol_and_its_machines_do_nothing_but_compute() {
    let crates = ["synod", "synod-admission", "synod-machine", "synod-apply", "synod-linear"];
    let crates = crates.map(|name| format!("crates/{name}/src"));
    for file in crates.iter().flat_map(|folder| rust_files(folder)) {
        // What a search has met is looked up there, and nothing goes by its order.
        let searches = file.starts_with(root().join("crates/synod-linear"));
        let text = fs::read_to_string(&file).expect("a source file");
        // The shelf of that name is no logging.
        let text = text.replace("crate::log::", "");
        let code = text.split("#[cfg(test)]").next().expect("what stands before the tests");
        for banned in [
            "std::fs",
            "std::net",
            "std::io",
            "std::thread",
            "std::env",
            "Instant",
            "SystemTime",
            "rand",
            "println!",
            "eprintln!",
            "log::",
            "cfg(feature",
            "unsafe",
            "static mut",
            "Mutex",
            "Cell<",
            "HashMap",
            "HashSet",
        ] {
            if searches && banned.starts_with("Hash") {
                continue;
            }
            let found =
                code.lines().find(|line| !line.trim_start().starts_with("//") && line.contains(banned));
            assert!(found.is_none(), "{}: {banned} in {found:?}", file.display());
        }
    }
}

#[test]
fn the_loop_reads_no_clock_and_no_randomness_but_what_it_is_given() {
    for file in rust_files("crates/synod-runtime/src") {
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().expect("the part before the tests");
        let allowed: &[&str] = match file.file_name().and_then(|name| name.to_str()) {
            Some("wire.rs") => &["Instant"],
            // The disk closes long files that were removed on a thread of their own.
            Some("disk.rs") => &["std::fs", "fs::", "std::thread"],
            Some("keys.rs" | "private.rs") => &["std::fs", "fs::"],
            _ => &[],
        };
        for banned in ["Instant", "SystemTime", "getrandom", "std::fs", "fs::", "std::thread", "std::env"] {
            let found =
                code.lines().find(|line| !line.trim_start().starts_with("//") && line.contains(banned));
            let excused = allowed.contains(&banned);
            assert!(excused || found.is_none(), "{}: {banned} in {found:?}", file.display());
        }
    }
}

fn imports_of(name: &str) -> Imports {
    let src = format!("crates/{name}/src");
    Imports::of_crate(&root().join(&src), &rust_files(&src))
}

#[test]
fn modules_import_each_other_in_one_direction_only() {
    for entry in fs::read_dir(root().join("crates")).expect("a folder of the project") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let circle = imports_of(&name).circle();
        assert_eq!(circle, None, "modules of {name} import each other");
    }
}

/// The shelves of `synod`, the lowest first. What stands on none is the ground below them all.
const SHELVES: [&str; 4] = ["roles", "log", "progress", "actors"];

/// An import of one shelf from a higher one.
fn import_from_above(imports: &Imports) -> Option<String> {
    let height = |module: &[String]| {
        let shelf = module.first().and_then(|shelf| SHELVES.iter().position(|name| name == shelf));
        shelf.map_or(0, |shelf| shelf + 1)
    };
    // The root hands on to other crates what stands on every shelf.
    let mut all = imports.all().filter(|(module, _)| !module.is_empty());
    let found = all.find(|(module, imported)| height(module) < height(imported));
    found.map(|(module, imported)| format!("{} imports {}", module.join("::"), imported.join("::")))
}

#[test]
fn the_shelves_of_the_protocol_import_downwards_only() {
    let imports = imports_of("synod");
    assert_eq!(import_from_above(&imports), None);
    for shelf in SHELVES {
        assert!(imports.all().any(|(module, _)| module.first().is_some_and(|name| name == shelf)), "{shelf}");
    }
}

/// Structs that are larger than they should be, by crate: each is to be split, or to say why it is one.
const STILL_LARGE: [(&str, &str); 6] = [
    ("synod-linear", "Search"),
    ("synod-replay", "Member"),
    ("synod-runtime", "Node"),
    ("synod-runtime", "Peer"),
    ("synod-runtime", "Transport"),
    ("synod-runtime", "UdpWire"),
];

/// What is wrong with the shapes of a crate's types, each with the crate, the type and the complaint.
fn misshapen(root: &Path, name: &str, files: &[PathBuf]) -> Vec<(String, String, String)> {
    let types = shapes::shapes(root, files);
    let complaints = types.into_iter().flat_map(|((file, of), shape)| {
        let complaints = shape.complaints().into_iter();
        complaints.map(move |complaint| (of.clone(), format!("{}: {of} {complaint}", file.display())))
    });
    complaints.map(|(of, complaint)| (name.to_owned(), of, complaint)).collect()
}

#[test]
fn types_have_few_fields_and_methods_in_few_files_or_say_why() {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("a folder of the project") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        found.extend(misshapen(&root(), &name, &rust_files(&format!("crates/{name}/src"))));
    }
    let is_known = |krate: &str, of: &str| STILL_LARGE.contains(&(krate, of));
    let new: Vec<&str> =
        found.iter().filter(|(krate, of, _)| !is_known(krate, of)).map(|(.., it)| it.as_str()).collect();
    assert!(new.is_empty(), "{}", new.join("\n"));
    for (krate, of) in STILL_LARGE {
        assert!(
            found.iter().any(|(k, o, _)| k == krate && o == of),
            "{of} of {krate} is fine: take it off the list"
        );
    }
}

#[test]
fn a_large_struct_and_scattered_methods_are_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let fields: Vec<String> = (0..13).map(|n| format!("    pub(crate) field{n}: Vec<(u8, u8)>,\n")).collect();
    let fields = fields.concat();
    let large = format!("#[derive(Debug)]\npub struct Large<T> {{\n{fields}}}\n");
    let mut text =
        format!("{large}\n/// Doc.\n// Fields: one for each setting.\n{}", large.replace("Large", "Fine"));
    text += "struct Spread(u8);\n\nimpl Spread {\n    fn a() {}\n}\n";
    fs::write(folder.path().join("a.rs"), text).expect("it is written");
    fs::write(folder.path().join("b.rs"), "impl super::a::Spread {}\n").expect("it is written");
    let third = "impl<T: Into<u8>> From<T>\n    for Spread\n{\n}\n\nimpl Clone for Vec<Large<u8>> {}\n";
    fs::write(folder.path().join("c.rs"), third).expect("it is written");
    let files = ["a.rs", "b.rs", "c.rs"].map(|name| folder.path().join(name));
    let found: Vec<_> = misshapen(folder.path(), "it", &files).into_iter().map(|(_, of, _)| of).collect();
    assert_eq!(found, ["Large", "Spread"]);
    assert_eq!(misshapen(folder.path(), "it", &files[..2]).len(), 1, "two files are few");
}

#[test]
fn a_circle_of_imports_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("it is below")).expect("a folder");
        fs::write(&path, text).expect("it is written");
        path
    };
    let mut files = vec![
        write("lib.rs", "mod a;\nmod b;\npub use b::{Told, c::Called as Renamed};\n"),
        write("a.rs", "use crate::Told;\npub struct A;\n"),
        write("b/mod.rs", "pub mod c;\npub struct Told; // as crate::a::A is\n"),
        write("b/c.rs", "use super::Told;\npub struct Called;\n"),
    ];
    assert_eq!(Imports::of_crate(folder.path(), &files).circle(), None);
    files.push(write("b/c.rs", "fn f(a: crate::a::A) {}\n"));
    files.push(write("a.rs", "use crate::{Renamed, Told};\n"));
    let circle = Imports::of_crate(folder.path(), &files).circle();
    assert_eq!(circle, Some(vec!["a".to_owned(), "b::c".to_owned()]));
}

#[test]
fn every_file_can_be_read_in_a_sitting() {
    for folder in ["crates", "tests"] {
        for file in rust_files(folder) {
            let lines = fs::read_to_string(&file).expect("a source file").lines().count();
            assert!(lines <= 600, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn every_claim_leads_to_its_property_guard_model_and_mutant() {
    let readme = read("README.md");
    let models = catalogue();
    for claim in &CLAIMS {
        let row = readme
            .lines()
            .filter(|line| line.starts_with(&format!("| {} |", claim.name)))
            .collect::<Vec<_>>();
        let [row] = row.as_slice() else { panic!("README has one row for {}: {row:?}", claim.name) };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, says, property, guard, model, mutant, _] = cells.as_slice() else {
            panic!("six cells: {row}")
        };
        assert_eq!(*says, claim.says, "README says what the code says of {}", claim.name);
        let function = format!("pub fn {}(", claim.name.to_lowercase());
        assert!(property.contains("(crates/synod-model/src/claims.rs)"), "{property}");
        let code = read("crates/synod-model/src/claims.rs");
        let body = code.split(&function).nth(1).and_then(|rest| rest.split("\n}\n").next());
        let body = body.unwrap_or_else(|| panic!("claims.rs has {function}"));
        // It decides itself, and does not look up what was decided elsewhere. `claims/tests.rs` runs each by itself.
        assert!(body.contains("return Err(format!(") || body.contains("=> Err(format!("), "{function}{body}");
        assert!(!body.contains("fallen"), "{function}{body}");
        // The guard's file must say so itself, in a comment that names the claim.
        let file =
            guard.split(['(', ')']).find(|part| part.starts_with("crates/")).expect("a link to a file");
        let named = |line: &str| {
            line.split_once("Enforces ").is_some_and(|(_, claims)| {
                claims
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .split([',', ' '])
                    .any(|name| name.trim() == claim.name)
            })
        };
        assert!(read(file).lines().any(named), "{file} has a guard that enforces {}", claim.name);
        let linked = |cell: &str| -> String {
            let path =
                cell.split(['(', ')']).find(|part| part.starts_with("models/")).expect("a link to a model");
            path.trim_start_matches("models/").trim_end_matches(".toml").to_owned()
        };
        let holds = models.iter().find(|m| m.name == linked(model)).expect("the model is in the catalogue");
        assert!(holds.file.expect.verdict.holds(), "{} holds in {}", claim.name, holds.name);
        let falls = models.iter().find(|m| m.name == linked(mutant)).expect("the mutant is in the catalogue");
        assert_eq!(falls.file.expect.property.as_deref(), Some(claim.name), "{}", falls.name);
    }
}

#[test]
fn every_enforcing_guard_names_a_claim_that_exists() {
    let mut guards = 0;
    for file in rust_files("crates/synod/src") {
        for line in fs::read_to_string(&file).expect("a source file").lines() {
            let Some((_, rest)) = line.split_once("// Enforces ") else { continue };
            guards += 1;
            let named =
                rest.split(':').next().expect("a name").split([',', ' ']).filter(|word| !word.is_empty());
            for name in named.filter(|word| !["and", "(a)", "(b)"].contains(word)) {
                assert!(
                    CLAIMS.iter().any(|claim| claim.name == name)
                        || synod_model::timed::CLAIMS.iter().any(|(claim, _)| *claim == name),
                    "{}: {name:?} in {line}",
                    file.display()
                );
            }
        }
    }
    assert!(guards >= 10, "there are {guards} enforcing guards");
}

#[test]
fn every_requirement_is_accounted_for() {
    let notes = read("proofs-notes/README.md");
    let models = catalogue();
    let ids = "A1 A2 A3 A4 A5 A6 A7 B0 P1 P1a P2 P2a P2b P2c V1 V2 V3 S1 C1 C2 C3 C4 C5 D1 D2 D3 D4 D5 D6 D7 D8 D9 \
               E1 E2 E3 E4 E5 F1 F2 F3 G1 G2 G3 G4 G5 I1 I2 I4 I5";
    let ids: Vec<&str> = ids.split_whitespace().collect();
    for id in &ids {
        let rows: Vec<_> = notes.lines().filter(|line| line.starts_with(&format!("| {id} |"))).collect();
        assert_eq!(rows.len(), 1, "proofs-notes/README.md has one row for {id}");
        // A row either names models that are there, or says that the requirement is not met yet.
        let named: Vec<_> =
            rows[0].split('`').filter(|word| models.iter().any(|model| model.name == *word)).collect();
        assert!(!named.is_empty() || rows[0].contains("not yet") || rows[0].contains("test"), "{}", rows[0]);
    }
    for model in &models {
        for id in &model.file.spec {
            assert!(ids.contains(&id.as_str()), "{}: spec {id}", model.name);
        }
    }
}

#[test]
fn the_matrix_of_mutants_shows_every_one() {
    let matrix = read("proofs-notes/mutants.md");
    for mutant in MUTANTS.iter().filter(|mutant| mutant.rule().is_some()) {
        assert!(matrix.contains(&format!("`{}`", mutant.name)), "{} is in the matrix", mutant.name);
    }
}

#[test]
fn each_bug_of_others_names_a_model_that_falls_as_its_row_says() {
    let models = catalogue();
    let notes = read("proofs-notes/peers.md");
    let rows: Vec<Vec<&str>> = notes
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("](https://"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 12, "{} rows", rows.len());
    for row in rows {
        let [.., name, falls, steps] = row.as_slice() else { panic!("{row:?}") };
        let name = name.trim_matches('`');
        let model =
            models.iter().find(|model| model.name == name).unwrap_or_else(|| panic!("no model {name}"));
        // A timed model breaks its own system, or has clocks that drift too far.
        assert!(model.file.mutant.is_some() || model.timed.is_some(), "{name} breaks our code");
        let expect = &model.file.expect;
        assert_eq!(
            (expect.property.as_deref(), expect.steps.map(|steps| steps.to_string())),
            (Some(*falls), Some((*steps).to_owned())),
            "{name}"
        );
    }
}
