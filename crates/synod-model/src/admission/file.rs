//! Model files of admission: their keys, and their errors.

use super::claims::{CLAIMS, WITNESSES, Witness};
use super::log::{Entry, Log};
use super::rules::Rule;
use super::scene::Scene;
use crate::file::{
    BoundsFile, CheckFile, Expect, Layout, ModelError, ModelFile, NetworkFile, ReduceFile, RetryFile,
    SystemFile, Tier, parsed,
};
use crate::judge::Judge;
use crate::mutants::{Breaks, MUTANTS, find};
use crate::sense;
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::Spanned;

/// A model of admission, as it stands in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdmissionFile {
    about: String,
    tier: Tier,
    mutant: Option<Spanned<String>>,
    /// Members, their disks, and who may take part with which: a model of admission, in place of one of the protocol.
    admission: Spanned<SceneFile>,
    #[serde(default)]
    reduce: ReduceFile,
    #[serde(default)]
    check: Asked,
    expect: Expect,
}

/// The members, and what may happen to each.
// Fields: one for each key that the table can have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneFile {
    /// The number of members.
    members: Spanned<i64>,
    /// True if all have long taken part; otherwise nobody has a directory yet.
    begins: Begins,
    /// For which values clients ask each member; values are 1 and 2.
    asks: Spanned<Vec<Vec<u8>>>,
    /// The members that may crash.
    crash: Option<Spanned<Vec<String>>>,
    /// The most crashes in a run.
    crashes: u32,
    /// Whose disk may fall back while its member is down, once.
    cut: Option<Spanned<Vec<String>>>,
    /// By how many flushes at most.
    back: Option<Spanned<i64>>,
    /// Whose disk may be wiped while its member is down, once.
    wiped: Option<Spanned<Vec<String>>>,
    /// The members that may be started with a list of themselves alone.
    alone: Option<Spanned<Vec<String>>>,
    /// The number of members with which the cluster began, the first of all, if they change.
    first: Option<Spanned<i64>>,
    /// The things to be decided, in order, if members change: "value", "M3 joins", or "M3 for M2".
    log: Option<Spanned<Vec<String>>>,
    /// So many places further on a change governs: 1 if it does not say so.
    window: Option<Spanned<i64>>,
    /// The members that may be started on an empty directory, once, and then on their own again.
    elsewhere: Option<Spanned<Vec<String>>>,
    /// The members whose snapshots may have less than they had executed at a flush.
    snapshots: Option<Spanned<Vec<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Begins {
    Running,
    New,
}

/// The claims and witnesses that are checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Hard cases that must be reached.
    witnesses: Option<Spanned<Vec<String>>>,
}

/// The contents of a file of admission.
pub(crate) struct Admission {
    pub(crate) scene: Scene,
    pub(crate) rule: Option<Rule>,
    pub(crate) witnesses: Vec<&'static Witness>,
    /// The rest of it, as of any other model.
    pub(crate) file: ModelFile,
}

/// True if a text is a model of admission.
pub(crate) fn is_it(judge: &Judge<'_>) -> bool {
    !judge.place(&["admission"]).is_empty()
}

/// Reads and judges a model file of admission.
pub(crate) fn read(judge: &Judge<'_>) -> Result<Admission, ModelError> {
    let file: AdmissionFile = parsed(judge.name, judge.text)?;
    let given = file.admission.get_ref();
    let members = judge.count("members", &given.members, 1, 5)?;
    let asks = given.asks.get_ref();
    if asks.len() != members || asks.iter().flatten().any(|value| !(1..=2).contains(value)) {
        let message = format!("asks: needs {members} lists of values, one a member, of the values 1 and 2");
        return judge.error(given.asks.span(), message);
    }
    let back = given.back.as_ref().map_or(Ok(0), |back| judge.count("back", back, 1, 9))?;
    let listed = |what: &str, names: &Option<Spanned<Vec<String>>>| {
        let Some(names) = names else { return Ok(BTreeSet::new()) };
        let id = |name: &String| match (1..=members).find(|id| *name == format!("M{id}")) {
            Some(id) => Ok(id - 1),
            None => judge.error(
                names.span(),
                format!("{what}: no member is named {name:?}; they are M1 to M{members}"),
            ),
        };
        names.get_ref().iter().map(id).collect::<Result<BTreeSet<usize>, _>>()
    };
    let scene = Scene {
        members,
        running: given.begins == Begins::Running,
        asked: asks
            .iter()
            .enumerate()
            .flat_map(|(id, of)| of.iter().map(move |value| (id, *value)))
            .collect(),
        crash: listed("crash", &given.crash)?,
        crashes: given.crashes,
        cut: listed("cut", &given.cut)?,
        back,
        wiped: listed("wiped", &given.wiped)?,
        alone: listed("alone", &given.alone)?,
        log: log(judge, given, members)?,
        elsewhere: listed("elsewhere", &given.elsewhere)?,
        snapshots: listed("snapshots", &given.snapshots)?,
    };
    for (what, ids) in [("cut", &scene.cut), ("wiped", &scene.wiped), ("elsewhere", &scene.elsewhere)] {
        if let Some(id) = ids.difference(&scene.crash).next() {
            let message = format!(
                "{what}: a disk is at fault between two starts, and M{} never crashes; name it in crash",
                id + 1
            );
            return judge.error(judge.place(&["admission", what]), message);
        }
    }
    if scene.cut.is_empty() != (back == 0) {
        let key = if back == 0 { "cut" } else { "back" };
        let message = "cut, back: whose disk falls back, and by how many flushes; name both or neither";
        return judge.error(judge.place(&["admission", key]), message);
    }
    if file.reduce.symmetry.is_some() {
        let place = judge.place(&["reduce", "symmetry"]);
        return judge.error(place, "symmetry: members are not taken for alike here; leave it out");
    }
    let rule = match &file.mutant {
        None => None,
        Some(name) => match find(name.get_ref()).map(|mutant| mutant.breaks) {
            Some(Breaks::Admission(rule)) => Some(rule),
            _ => {
                let all = MUTANTS.iter().filter(|mutant| matches!(mutant.breaks, Breaks::Admission(_)));
                let names: Vec<_> = all.map(|mutant| mutant.name).collect();
                let message = format!(
                    "no mutant of admission is named {:?}; there are {}",
                    name.get_ref(),
                    names.join(", ")
                );
                return judge.error(name.span(), message);
            }
        },
    };
    let witnesses =
        judge.known("witness", file.check.witnesses.as_ref(), &WITNESSES, |witness| witness.name)?;
    let AdmissionFile { about, tier, mutant, admission, reduce, expect, .. } = file;
    let file = rest((about, tier, mutant), admission.span(), members, (reduce, expect));
    let names: Vec<_> = CLAIMS.iter().map(|claim| claim.name).collect();
    sense::expect(judge, &file, &names, &[])?;
    Ok(Admission { scene, rule, witnesses: witnesses.unwrap_or_default(), file })
}

/// The log, if members change.
fn log(judge: &Judge<'_>, given: &SceneFile, members: usize) -> Result<Option<Log>, ModelError> {
    let Some(entries) = &given.log else {
        for (key, is_given) in [
            ("first", given.first.is_some()),
            ("window", given.window.is_some()),
            ("elsewhere", given.elsewhere.is_some()),
            ("snapshots", given.snapshots.is_some()),
        ] {
            if is_given {
                let message = format!("{key}: members do not change here; name a log, or leave it out");
                return judge.error(judge.place(&["admission", key]), message);
            }
        }
        return Ok(None);
    };
    if given.alone.is_some() {
        let message = "alone: where members change, no list of oneself alone is modelled; leave it out";
        return judge.error(judge.place(&["admission", "alone"]), message);
    }
    let first =
        given.first.as_ref().map_or(Ok(members), |first| judge.count("first", first, 1, members as i64))?;
    let window = given.window.as_ref().map_or(Ok(1), |window| judge.count("window", window, 1, 3))?;
    let mut log = Log { first: first as u64, entries: Vec::new(), window };
    let id = |name: &str| (1..=members).find(|id| name == format!("M{id}")).map(|id| id as u64 - 1);
    for entry in entries.get_ref() {
        let words: Vec<&str> = entry.split(' ').collect();
        let read = match words[..] {
            ["value"] => Some(Entry::Value),
            [new, "joins"] => id(new).map(|id| Entry::Joins { id, leaves: None }),
            [new, "for", old] => id(new).zip(id(old)).map(|(id, old)| Entry::Joins { id, leaves: Some(old) }),
            _ => None,
        };
        let is_used = |id: u64| id < log.first || log.joins(id).is_some();
        match read {
            Some(Entry::Joins { id, .. }) if is_used(id) => {
                return judge.error(entries.span(), format!("log: {entry:?}: that id was used before"));
            }
            Some(read) => log.entries.push(read),
            None => {
                let message = format!(
                    "log: {entry:?} is none of \"value\", \"M3 joins\" and \"M3 for M2\", with M1 to M{members}"
                );
                return judge.error(entries.span(), message);
            }
        }
    }
    Ok(Some(log))
}

/// The sections that every model file has. A member is taken for a server of which nobody asks anything.
pub(crate) fn rest(
    (about, tier, mutant): (String, Tier, Option<Spanned<String>>),
    place: std::ops::Range<usize>,
    members: usize,
    (reduce, expect): (ReduceFile, Expect),
) -> ModelFile {
    let nothing = |span: std::ops::Range<usize>| Spanned::new(span, Vec::new());
    ModelFile {
        about,
        tier,
        spec: Vec::new(),
        mutant,
        system: SystemFile {
            layout: Layout::CoLocated,
            acceptors: Spanned::new(place.clone(), members as i64),
            proposers: None,
            learners: None,
            values: nothing(place),
            asks: None,
            instances: None,
            readers: None,
            resend: false,
            responses: false,
            learning: None,
            nacks: false,
            report: None,
            retry: RetryFile::Never,
            numbers: None,
            waiting: None,
        },
        quorums: None,
        network: NetworkFile::default(),
        log: None,
        election: None,
        faults: None,
        bounds: BoundsFile::default(),
        reduce,
        check: CheckFile::default(),
        liveness: None,
        scenario: None,
        expect,
    }
}
