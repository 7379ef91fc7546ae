//! Model files of timed systems: their keys, and their errors.

use super::fischer::Fischer;
use super::gate::Gate;
use super::lease::{Counted, Lease};
use super::master::Master;
use super::server::Breach;
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
    /// Servers of a log that take mastership by lease.
    master: Option<MasterFile>,
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

/// See [`Master`].
// Fields: one for each key that the table can have.
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MasterFile {
    /// The servers.
    servers: Spanned<i64>,
    /// The ticks for which a server is master by a take.
    hold: Spanned<u32>,
    /// The ticks for which others leave mastership alone.
    lease: Spanned<u32>,
    /// The least and the most ticks after which a master renews; if left out, it takes mastership again when its time is over.
    renew: Option<Spanned<(u32, u32)>>,
    /// True if a master, where it would renew, gives mastership to the next server.
    #[serde(default)]
    gives: bool,
    /// True if the first server, where it would renew, asks to be removed from the members.
    #[serde(default)]
    leaves: bool,
    /// The servers that want mastership as they start; by default all. Others want it after a lease.
    seekers: Option<Spanned<i64>>,
    /// The most instances.
    takes: Spanned<i64>,
    /// The most rounds of ballots.
    rounds: Spanned<i64>,
    /// The most crashes in a run, one server at a time; by default none.
    crashes: Option<Spanned<i64>>,
    /// True if servers take a snapshot after every command, from which they start after a crash.
    #[serde(default)]
    snapshots: bool,
    /// True if messages may be lost.
    #[serde(default)]
    loss: bool,
    /// The window; by default 1.
    alpha: Option<Spanned<i64>>,
    /// True if a leader hears that its ballot was overtaken, so that it may begin another.
    #[serde(default)]
    nacks: bool,
    /// The server by whose take, of an earlier run, the log begins; by default nobody has taken mastership.
    tenant: Option<Spanned<i64>>,
    /// The servers that a client asks to write, and those at which it reads then: the first and the last. By default there is no client.
    write: Option<Spanned<(u32, u32)>>,
    /// See `write`.
    read: Option<Spanned<(u32, u32)>>,
    /// The servers at which the client reads once more, likewise; by default none. Then it does not wait to be told of its write before it reads.
    again: Option<Spanned<(u32, u32)>>,
    /// The servers that take mastership at all: the first and the last; by default all.
    leads: Option<Spanned<(u32, u32)>>,
    /// The servers that crashed before the run began, likewise; by default none.
    gone: Option<Spanned<(u32, u32)>>,
    /// The ticks within which a client is to hear of a master. Then servers that seek mastership do so within a tick.
    within: Option<Spanned<u32>>,
    /// The ticks between two heartbeats, without one until a leader is suspected, and for which one that is elected holds off. By default nobody is elected, and any server leads.
    election: Option<Spanned<[u32; 3]>>,
    /// The rule that servers break; by default none.
    breach: Option<Breach>,
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
    let kind = match (&given.fischer, &given.gate, &given.lease, &given.master) {
        (Some(fischer), None, None, None) => Kind::Fischer(Fischer {
            processes: judge.count("processes", &fischer.processes, 1, 5)?,
            write: ticks("write", &fischer.write, 0)?,
            wait: ticks("wait", &fischer.wait, 1)?,
        }),
        (None, Some(gate), None, None) => Kind::Gate(Gate {
            approach: range("approach", &gate.approach, 1)?,
            crossing: gate.crossing.as_ref().map(|crossing| range("crossing", crossing, 1)).transpose()?,
            lower: ticks("lower", &gate.lower, 1)?,
            down: ticks("down", &gate.down, 1)?,
        }),
        (None, None, Some(lease), None) => Kind::Lease(Lease {
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
        (None, None, None, Some(master)) => {
            let servers = judge.count("servers", &master.servers, 2, 5)?;
            let asked = |given: &Spanned<(u32, u32)>| {
                let (first, last) = *given.get_ref();
                if 1 <= first && first <= last && last as usize <= servers {
                    return Ok((first as usize - 1, last as usize));
                }
                judge.error(given.span(), format!("servers from {first} to {last}: there are 1 to {servers}"))
            };
            Kind::Master(Master {
                servers,
                hold: ticks("hold", &master.hold, 1)?,
                lease: ticks("lease", &master.lease, 1)?,
                renew: master.renew.as_ref().map(|renew| range("renew", renew, 1)).transpose()?,
                gives: master.gives,
                leaves: master.leaves,
                seekers: match &master.seekers {
                    Some(given) => judge.count("seekers", given, 0, servers as i64)?,
                    None => servers,
                },
                takes: judge.count("takes", &master.takes, 1, 5)? as u64,
                rounds: judge.count("rounds", &master.rounds, 1, 9)? as u64,
                crashes: match &master.crashes {
                    Some(given) => judge.count("crashes", given, 0, 5)? as u32,
                    None => 0,
                },
                snapshots: master.snapshots,
                loss: master.loss,
                alpha: match &master.alpha {
                    Some(given) => judge.count("alpha", given, 1, 3)? as u64,
                    None => 1,
                },
                nacks: master.nacks,
                tenant: match &master.tenant {
                    Some(given) => Some(judge.count("tenant", given, 1, servers as i64)? - 1),
                    None => None,
                },
                asks: match (&master.write, &master.read) {
                    (Some(write), Some(read)) => Some([asked(write)?, asked(read)?]),
                    (None, None) => None,
                    (Some(one), None) | (None, Some(one)) => {
                        return judge.error(one.span(), "a client writes and reads: name servers for both");
                    }
                },
                again: match &master.again {
                    Some(again) if master.read.is_none() => {
                        return judge.error(
                            again.span(),
                            "a client reads before it reads again: name servers for `read`",
                        );
                    }
                    again => again.as_ref().map(&asked).transpose()?,
                },
                leads: master.leads.as_ref().map_or(Ok((0, servers)), &asked)?,
                gone: master.gone.as_ref().map_or(Ok((0, 0)), &asked)?,
                within: master.within.as_ref().map(|within| ticks("within", within, 1)).transpose()?,
                election: match &master.election {
                    Some(given) if !given.get_ref().iter().all(|ticks| (1..=LONGEST).contains(ticks)) => {
                        return judge.error(
                            given.span(),
                            format!("election: needs three numbers of ticks, from 1 to {LONGEST}"),
                        );
                    }
                    given => given.as_ref().map(|given| *given.get_ref()),
                },
                breach: master.breach,
            })
        }
        _ => {
            let message =
                "timed: needs one system, [timed.fischer], [timed.gate], [timed.lease] or [timed.master]";
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
