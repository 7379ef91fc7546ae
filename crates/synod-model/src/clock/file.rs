//! Model files of times to live: their keys, and their errors.

use super::claims::{CLAIMS, WITNESSES, Witness};
use super::scene::{Asked, Scene};
use crate::admission;
use crate::file::{Expect, ModelError, ModelFile, ReduceFile, Tier, parsed};
use crate::judge::Judge;
use crate::mutants::{Breaks, MUTANTS, find};
use crate::sense;
use serde::Deserialize;
use synod_machine::{Lengths, Settings};
use toml::Spanned;

/// A model of times to live, as it stands in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockFile {
    about: String,
    tier: Tier,
    mutant: Option<Spanned<String>>,
    /// Members that tell the time, and what has a time: a model of times to live, in place of one of the protocol.
    clock: Spanned<TimesFile>,
    #[serde(default)]
    check: Seen,
    expect: Expect,
}

/// The members, and what may happen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimesFile {
    /// The number of members.
    members: Spanned<i64>,
    /// The last millisecond of the world.
    until: Spanned<i64>,
    /// The most ticks that each member tells.
    ticks: Spanned<i64>,
    /// The most commands that are chosen.
    chosen: Spanned<i64>,
    /// The clients' commands, such as `{ put = 2 }`, `{ lock = 2 }`, `{ guarded = 0 }` for a write under the lock that the first command takes or,
    /// though no client may, `{ tick = 9 }`.
    asks: Spanned<Vec<AskFile>>,
    /// The number of copies of each client's command that are on their way; left out, one.
    copies: Option<Spanned<i64>>,
    /// By how many milliseconds each member's clock is ahead; left out, all are right.
    ahead: Option<Spanned<Vec<u64>>>,
    /// The longest value in each member's configuration, in bytes; left out, all have the default. Values that are put have one byte.
    values: Option<Spanned<Vec<usize>>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AskFile {
    Put(u64),
    Lock(u64),
    Guarded(usize),
    Tick(u64),
}

/// The witnesses that are checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// Hard cases that must be reached.
    witnesses: Option<Spanned<Vec<String>>>,
}

/// Reads and judges a model file of times to live.
pub(super) fn read(judge: &Judge<'_>) -> Result<(Scene, Vec<&'static Witness>, ModelFile), ModelError> {
    let file: ClockFile = parsed(judge.name, judge.text)?;
    let given = file.clock.get_ref();
    let members = judge.count("members", &given.members, 1, 5)?;
    let asks = given.asks.get_ref();
    if asks.len() > 5 {
        return judge.error(given.asks.span(), "asks: at most 5 commands");
    }
    let lacks = |ask: &AskFile| matches!(ask, AskFile::Guarded(by) if !matches!(asks.get(*by), Some(AskFile::Lock(_))));
    if asks.iter().any(lacks) {
        return judge.error(
            given.asks.span(),
            "asks: guarded needs the place of a command that takes the lock, from 0 on",
        );
    }
    let ahead = match &given.ahead {
        None => vec![0; members],
        Some(ahead) if ahead.get_ref().len() == members => ahead.get_ref().clone(),
        Some(ahead) => {
            let message = format!("ahead: needs {members} numbers of milliseconds, one a member");
            return judge.error(ahead.span(), message);
        }
    };
    let or = Settings::default();
    let settings = match &given.values {
        None => vec![or; members],
        Some(values) if values.get_ref().len() == members => {
            let with = |value: &usize| Settings { lengths: Lengths { value: *value, ..or.lengths }, ..or };
            values.get_ref().iter().map(with).collect()
        }
        Some(values) => {
            let message = format!("values: needs {members} numbers of bytes, one a member");
            return judge.error(values.span(), message);
        }
    };
    let rule = match &file.mutant {
        None => None,
        Some(name) => match find(name.get_ref()).map(|mutant| mutant.breaks) {
            Some(Breaks::Clock(rule)) => Some(rule),
            _ => {
                let all = MUTANTS.iter().filter(|mutant| matches!(mutant.breaks, Breaks::Clock(_)));
                let names: Vec<_> = all.map(|mutant| mutant.name).collect();
                let message = format!(
                    "no mutant of times to live is named {:?}; there are {}",
                    name.get_ref(),
                    names.join(", ")
                );
                return judge.error(name.span(), message);
            }
        },
    };
    let asked = |asked: &AskFile| match *asked {
        AskFile::Put(time) => Asked::Put(time),
        AskFile::Lock(time) => Asked::Lock(time),
        AskFile::Guarded(by) => Asked::Guarded(by),
        AskFile::Tick(now) => Asked::Tick(now),
    };
    let scene = Scene {
        members,
        until: judge.count("until", &given.until, 1, 20)? as u64,
        ticks: judge.count("ticks", &given.ticks, 0, 9)? as u8,
        chosen: judge.count("chosen", &given.chosen, 1, 20)?,
        asks: asks.iter().map(asked).collect(),
        copies: match &given.copies {
            Some(copies) => judge.count("copies", copies, 1, 3)?,
            None => 1,
        },
        ahead,
        settings,
        are_told: given.values.is_none(),
        rule,
    };
    let witnesses =
        judge.known("witness", file.check.witnesses.as_ref(), &WITNESSES, |witness| witness.name)?;
    let ClockFile { about, tier, mutant, clock, expect, .. } = file;
    let head = (about, tier, mutant);
    let file = admission::rest(head, clock.span(), members, (ReduceFile::default(), expect));
    let names: Vec<_> = CLAIMS.iter().map(|claim| claim.name).collect();
    sense::expect(judge, &file, &names, &[])?;
    Ok((scene, witnesses.unwrap_or_default(), file))
}
