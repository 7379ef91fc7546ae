//! Model files of timed systems: their keys, and their errors.

use super::fischer::Fischer;
use super::gate::Gate;
use super::lease::{Counted, Lease};
use super::systems::{Kind, Timed};
use crate::admission;
use crate::file::{Expect, ModelError, ModelFile, ReduceFile, Tier, parsed};
use crate::judge::Judge;
use crate::sense;
use serde::Deserialize;
use toml::Spanned;

/// The longest duration in a file, in ticks.
const LONGEST: u32 = 1_000;

/// A timed model, as it stands in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimedFile {
    about: String,
    tier: Tier,
    #[serde(default)]
    spec: Vec<String>,
    /// A timed system, in place of one of the protocol.
    timed: Spanned<TimeFile>,
    expect: Expect,
}

/// The clocks, the delays and the system.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeFile {
    /// Epsilon, as numerator and denominator; by default clocks keep real time.
    drift: Option<Spanned<(u32, u32)>>,
    /// The least and the most ticks that a message takes; by default none.
    delay: Option<Spanned<(u32, u32)>>,
    /// Fischer's mutual exclusion.
    fischer: Option<FischerFile>,
    /// A train, a controller and a gate.
    gate: Option<GateFile>,
    /// A lease that two processes take by turns.
    lease: Option<LeaseFile>,
}

/// See [`Fischer`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FischerFile {
    /// The processes that contend.
    processes: Spanned<i64>,
    /// The most ticks that a process takes to write its name, once it found the register free.
    write: Spanned<u32>,
    /// The ticks that it waits before it looks whose name stands there.
    wait: Spanned<u32>,
}

/// See [`Gate`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GateFile {
    /// The least and the most ticks from a train's announcement to the crossing.
    approach: Spanned<(u32, u32)>,
    /// The least and the most ticks on the crossing; if left out, a train may stop there.
    crossing: Option<Spanned<(u32, u32)>>,
    /// The ticks that the controller takes before it lowers the gate.
    lower: Spanned<u32>,
    /// The most ticks that the gate takes to come down.
    down: Spanned<u32>,
}

/// See [`Lease`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseFile {
    /// The ticks for which the holder believes that it is master.
    hold: Spanned<u32>,
    /// The ticks for which the other leaves it alone.
    lease: Spanned<u32>,
    /// The number of times that the log gives the lease.
    takes: Spanned<i64>,
    /// The most times that a process asks for it.
    asks: Spanned<i64>,
    /// The moment from which the holder counts; by default before it asks.
    #[serde(default)]
    counted: CountedFile,
    /// True if the holder looks which of its questions was answered, which is the default.
    #[serde(default = "yes")]
    matches: bool,
}

/// The moment from which the holder counts.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CountedFile {
    /// Before it asks.
    #[default]
    Asking,
    /// When it hears that it has the lease.
    Hearing,
}

fn yes() -> bool {
    true
}

/// Reads and judges a model file of a timed system.
pub(super) fn read(judge: &Judge<'_>) -> Result<(Timed, ModelFile), ModelError> {
    let file: TimedFile = parsed(judge.name, judge.text)?;
    let given = file.timed.get_ref();
    let range = |what: &str, range: &Spanned<(u32, u32)>, least: u32| {
        let (from, to) = *range.get_ref();
        if least <= from && from <= to && to <= LONGEST {
            return Ok((from, to));
        }
        let message = format!(
            "{what} = [{from}, {to}]: needs two numbers from {least} to {LONGEST}, the smaller first"
        );
        judge.error(range.span(), message)
    };
    let ticks = |what: &str, ticks: &Spanned<u32>, least: u32| {
        let count = *ticks.get_ref();
        if (least..=LONGEST).contains(&count) {
            return Ok(count);
        }
        judge.error(ticks.span(), format!("{what} = {count}: must be from {least} to {LONGEST} ticks"))
    };
    let kind = match (&given.fischer, &given.gate, &given.lease) {
        (Some(fischer), None, None) => Kind::Fischer(Fischer {
            processes: judge.count("processes", &fischer.processes, 1, 5)?,
            write: ticks("write", &fischer.write, 0)?,
            wait: ticks("wait", &fischer.wait, 1)?,
        }),
        (None, Some(gate), None) => Kind::Gate(Gate {
            approach: range("approach", &gate.approach, 1)?,
            crossing: gate.crossing.as_ref().map(|crossing| range("crossing", crossing, 1)).transpose()?,
            lower: ticks("lower", &gate.lower, 1)?,
            down: ticks("down", &gate.down, 1)?,
        }),
        (None, None, Some(lease)) => Kind::Lease(Lease {
            hold: ticks("hold", &lease.hold, 1)?,
            lease: ticks("lease", &lease.lease, 1)?,
            takes: judge.count("takes", &lease.takes, 1, 5)? as u8,
            asks: judge.count("asks", &lease.asks, 1, 5)? as u8,
            counted: match lease.counted {
                CountedFile::Asking => Counted::Asking,
                CountedFile::Hearing => Counted::Hearing,
            },
            matches: lease.matches,
        }),
        _ => {
            let message = "timed: needs one system, [timed.fischer], [timed.gate] or [timed.lease]";
            return judge.error(file.timed.span(), message);
        }
    };
    let drift = given.drift.as_ref().map_or((0, 1), |drift| *drift.get_ref());
    if let (Some(given), true) = (&given.drift, drift.0 >= drift.1) {
        let message = format!(
            "drift = [{}, {}]: a clock would stand still; the first must be below the second",
            drift.0, drift.1
        );
        return judge.error(given.span(), message);
    }
    let delay = given.delay.as_ref().map_or(Ok((0, 0)), |delay| range("delay", delay, 0))?;
    if let (Kind::Gate(_), Some(given), true) = (&kind, &given.delay, delay.1 > 0) {
        let message = "delay: messages take no time where there is a gate; leave it out";
        return judge.error(given.span(), message);
    }
    if let (Kind::Gate(_), Some(given), true) = (&kind, &given.drift, drift.0 > 0) {
        let message = "drift: clocks keep real time where there is a gate; leave it out";
        return judge.error(given.span(), message);
    }
    let timed = Timed { kind, drift, delay };
    let TimedFile { about, tier, spec, timed: section, expect, .. } = file;
    let sections = admission::rest((about, tier, None), section.span(), 1, (ReduceFile::default(), expect));
    let file = ModelFile { spec, ..sections };
    let (claims, comes_about) = timed.asked();
    sense::expect(judge, &file, claims, comes_about)?;
    Ok((timed, file))
}
