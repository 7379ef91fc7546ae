//! `synod member`: who the members of a cluster are, and changes of them, by the socket in a member's data directory.

pub mod args;

use crate::output::{DIM, GREEN, RED, YELLOW, grouped, line, paint};
use crate::status::{FAILED, INCOMPLETE, OK};
use crate::words;
use anstyle::Style;
use args::{Asked, Changing, List, Member as Args, What};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};
use synod::{Change, ChangeKind, Value};
use synod_server::operator::{Asking, NotAsked, Reply, Request, ask};
use synod_server::status::{MemberTold, MembersTold, Standing};
use synod_server::{Config, IDS, Member};

/// The time between two looks at what a change leads to.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, String> {
    match &args.what {
        What::List(args) => list(args),
        What::Add(args) => {
            let operator = Operator::new(&args.changing)?;
            let at = Some(operator.address(args.id, None, args.address)?);
            operator.change(ChangeKind::Add { new: index(args.id)?, at }, Awaited::joins(args.id, None))
        }
        What::Remove(args) => {
            let operator = Operator::new(&args.changing)?;
            operator
                .change(ChangeKind::Remove(index(args.id)?), Awaited { joins: None, leaves: Some(args.id) })
        }
        What::Replace(args) => {
            let operator = Operator::new(&args.changing)?;
            let at = Some(operator.address(args.new, Some(args.old), args.address)?);
            let kind = ChangeKind::Replace { old: index(args.old)?, new: index(args.new)?, at };
            operator.change(kind, Awaited::joins(args.new, Some(args.old)))
        }
        What::SetAddress(args) => {
            let operator = Operator::new(&args.changing)?;
            let at = operator.address(args.id, None, Some(args.address))?;
            operator.change(ChangeKind::SetAddress { id: index(args.id)?, at }, Awaited::default())
        }
    }
}

/// What a change leads to.
#[derive(Clone, Copy, Default)]
struct Awaited {
    /// A new member joins.
    joins: Option<u64>,
    /// A member may be switched off.
    leaves: Option<u64>,
}

impl Awaited {
    fn joins(new: u64, leaves: Option<u64>) -> Awaited {
        Awaited { joins: Some(new), leaves }
    }
}

fn index(id: u64) -> Result<usize, String> {
    if id >= IDS {
        return Err(format!("{id}: ids of members are from 0 to {}", IDS - 1));
    }
    Ok(id as usize)
}

/// The configuration, and the members that may be asked.
fn asked(asked: &Asked) -> Result<(Config, Vec<Member>), String> {
    let config = words::config(&asked.cluster.config)?;
    if config.changing.is_none() {
        return Err(format!(
            "{}: it has no [members] table, so the members of this cluster do not change; a cluster is made with such a table, or without",
            asked.cluster.config.display()
        ));
    }
    let chosen = |member: &&Member| asked.id.is_none_or(|id| id == member.id);
    let members: Vec<Member> = config.members.iter().filter(chosen).cloned().collect();
    match asked.id {
        Some(id) if members.is_empty() => {
            Err(format!("{}: there is no [[member]] table of id {id}", asked.cluster.config.display()))
        }
        _ => Ok((config, members)),
    }
}

/// What the first of these members tells that answers, and which it is; or why none does.
fn first_told(members: &[Member]) -> Result<(usize, MembersTold), String> {
    let mut why = Vec::new();
    for (place, member) in members.iter().enumerate() {
        match ask(Asking { data: &member.data, request: &Request::List }) {
            Ok(Reply::Members(told)) => return Ok((place, *told)),
            Ok(Reply::Refused(said) | Reply::Unknown(said) | Reply::Done(said)) => {
                why.push(format!("member {}: {said}", member.id));
            }
            Err(error) => why.push(error.to_string()),
        }
    }
    Err(format!("no member of this machine tells of the members: {}", why.join("; ")))
}

fn list(args: &List) -> Result<u8, String> {
    let (_, members) = asked(&args.asked)?;
    let (_, told) = first_told(&members)?;
    if args.json {
        line(&serde_json::to_string(&told).expect("it is plain data"));
        return Ok(OK);
    }
    let may_go = if told.may_go { "; those before may be switched off" } else { "" };
    let after = told.from.saturating_sub(told.executed);
    let from = if after > 0 { format!(", in {}", grouped(after)) } else { String::new() };
    line(&format!(
        "configuration {} from instance {}{from}, as member {} knows it{}",
        told.number,
        grouped(told.from),
        told.member,
        if told.number > 0 { may_go } else { "" }
    ));
    let rows: Vec<[String; 5]> = told.all.iter().map(|member| row(member, told.member)).collect();
    let heading = ["id", "is", "address", "heard", ""].map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&heading]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let print = |cells: &[String; 5]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    line(&paint(DIM, &print(&heading)));
    for (row, member) in rows.iter().zip(&told.all) {
        let style = match member.standing {
            Standing::Member if member.leads => GREEN,
            Standing::Member => Style::new(),
            Standing::Leaving | Standing::Learner => YELLOW,
            Standing::Removed => DIM,
        };
        line(&paint(style, &print(row)));
    }
    Ok(OK)
}

fn row(member: &MemberTold, told_by: u64) -> [String; 5] {
    let heard = match (member.standing, member.heard_ms) {
        (Standing::Removed, _) => String::new(),
        (_, Some(ms)) => format!("{ms} ms ago"),
        (_, None) => "not yet".to_owned(),
    };
    let mut notes = Vec::new();
    if member.leads {
        notes.push("leads".to_owned());
    }
    if let Some(old) = member.replaces {
        notes.push(format!("replaces {old}"));
    }
    match (member.standing, member.behind) {
        (Standing::Learner, Some(0)) => notes.push("caught up".to_owned()),
        (Standing::Learner, Some(behind)) => notes.push(format!("{} instances behind", grouped(behind))),
        // One that tells of itself does not know what others have executed.
        (Standing::Learner, None) if member.id != told_by => {
            notes.push("has not asked to join yet".to_owned());
        }
        _ => {}
    }
    let address = member.address.clone().unwrap_or_else(|| "-".to_owned());
    [member.id.to_string(), member.standing.to_string(), address, heard, notes.join(", ")]
}

/// One who changes members.
struct Operator<'a> {
    config: Config,
    members: Vec<Member>,
    /// The place of the member that is asked.
    place: usize,
    before: MembersTold,
    args: &'a Changing,
    until: Instant,
}

impl<'a> Operator<'a> {
    fn new(args: &'a Changing) -> Result<Operator<'a>, String> {
        let (config, members) = asked(&args.asked)?;
        let (place, before) = first_told(&members)?;
        // Nobody waits for longer than a century.
        let until = Instant::now() + args.timeout.min(Duration::from_hours(24 * 36_500));
        Ok(Operator { config, members, place, before, args, until })
    }

    /// The address of a member as the log has it: the one that is given, or that of its table. Nobody else has it, but for one whose place it takes.
    fn address(&self, id: u64, old: Option<u64>, given: Option<SocketAddr>) -> Result<Value, String> {
        let address = given.or_else(|| self.config.member(id).map(|member| member.address));
        let Some(address) = address else {
            return Err(format!(
                "{}: there is no [[member]] table of id {id}; give its address with --address",
                self.args.asked.cluster.config.display()
            ));
        };
        if address.port() == 0 || address.ip().is_unspecified() {
            return Err(format!(
                "{address}: the others send to it, so it needs a port and the address of one machine"
            ));
        }
        // The log does not know where the first members are that have not moved.
        let is_taken = |other: &&MemberTold| {
            other.standing != Standing::Removed
                && other.id != id
                && Some(other.id) != old
                && other.address.as_deref() == Some(&address.to_string())
        };
        if let Some(other) = self.before.all.iter().find(is_taken) {
            return Err(format!("{address}: {} {} has it", other.standing, other.id));
        }
        let other = &self.members[self.place];
        if other.address.is_ipv4() != address.is_ipv4() {
            return Err(format!("{address}: it and member {} are not both IPv4 or both IPv6", other.id));
        }
        Ok(Value::from(address.to_string().as_str()))
    }

    /// Asks for a change, and waits for what it leads to.
    fn change(&self, kind: ChangeKind, mut awaited: Awaited) -> Result<u8, String> {
        // One that has not joined may be switched off as soon as it does not.
        if awaited.leaves.is_some_and(|id| self.before.standing(id) == Some(Standing::Learner)) {
            awaited.leaves = None;
        }
        let on = Some(self.args.on.unwrap_or(self.before.number));
        let words = Change { kind, on }.words();
        let timeout_ms = self.args.timeout.as_millis().try_into().unwrap_or(u64::MAX);
        let request = Request::Change { words, timeout_ms };
        let said = match ask(Asking { data: &self.members[self.place].data, request: &request }) {
            Ok(Reply::Done(said)) => said,
            Ok(Reply::Refused(why)) => {
                note(RED, &format!("refused: {why}"));
                return Ok(FAILED);
            }
            Ok(Reply::Unknown(why)) | Err(NotAsked::Lost(why)) => return Ok(perhaps(&why)),
            Ok(Reply::Members(_)) => return Ok(perhaps("the answer is that to another question")),
            Err(NotAsked::Unreached(why)) => return Err(why),
        };
        if awaited.joins.is_none() && awaited.leaves.is_none() {
            line(&said);
            return Ok(OK);
        }
        note(Style::new(), &said);
        Ok(self.wait(awaited))
    }

    /// Waits for what a change leads to, which is in the log.
    fn wait(&self, Awaited { joins, leaves }: Awaited) -> u8 {
        let (mut last, mut has_joined) = (String::new(), false);
        loop {
            // The member that was asked may be the one that leaves, and end.
            let asked = &self.members[self.place];
            let others = self.config.members.iter().filter(|member| member.id != asked.id);
            let told = first_told(&[asked].into_iter().chain(others).cloned().collect::<Vec<_>>());
            let now = match &told {
                Ok((_, told)) => {
                    let joined = joins.map(|id| (id, told.standing(id)));
                    let left = leaves.map(|id| (id, told.standing(id)));
                    // The one whose place it takes leaves as it joins.
                    has_joined |= matches!(joined, Some((_, Some(Standing::Member | Standing::Leaving))))
                        || matches!(left, Some((_, Some(Standing::Leaving | Standing::Removed))));
                    match (joined, left) {
                        (Some((id, Some(Standing::Removed))), _) if has_joined => {
                            return perhaps(&format!("{id} joined, and was removed since"));
                        }
                        (Some((id, Some(Standing::Removed))), _) => {
                            note(RED, &format!("refused: {id} was removed before it joined"));
                            return FAILED;
                        }
                        (Some((id, standing)), _) if standing != Some(Standing::Member) => {
                            let all = told.all.iter().find(|member| member.id == id);
                            let behind = all.and_then(|member| member.behind);
                            let behind = behind.map_or(String::new(), |behind| {
                                format!(", {} instances behind", grouped(behind))
                            });
                            format!(
                                "waits until {id} joins{behind}; it must run, with an empty data directory"
                            )
                        }
                        (_, Some((id, standing))) if standing != Some(Standing::Removed) => {
                            format!(
                                "waits until configuration {} governs, from instance {} on; member {id} goes on until then",
                                told.number,
                                grouped(told.from)
                            )
                        }
                        (_, Some((id, _))) if !told.may_go => {
                            format!(
                                "waits until a majority has on its disks what member {id} took part in; it goes on until then"
                            )
                        }
                        _ => {
                            line(&done(told, joins, leaves));
                            return OK;
                        }
                    }
                }
                Err(why) => why.clone(),
            };
            if now != last {
                note(DIM, &now);
                last = now;
            }
            if Instant::now() >= self.until {
                note(
                    YELLOW,
                    "the change is in the log and goes on, but what it leads to was not seen in time; `synod member list` tells how far it is",
                );
                return INCOMPLETE;
            }
            sleep(LOOK);
        }
    }
}

/// What has come of a change.
fn done(told: &MembersTold, joins: Option<u64>, leaves: Option<u64>) -> String {
    let joined = joins.map(|id| format!("{id} is a member"));
    let left = leaves.map(|id| format!("{id} is none any more, and may be switched off"));
    let what: Vec<String> = joined.into_iter().chain(left).collect();
    format!("configuration {} from instance {}: {}", told.number, grouped(told.from), what.join("; "))
}

/// Says that a change may or may not have taken effect.
fn perhaps(why: &str) -> u8 {
    note(YELLOW, &format!("unknown: {why}; `synod member list` tells what has become of it"));
    INCOMPLETE
}

fn note(style: Style, text: &str) {
    anstream::eprintln!("{}", paint(style, text));
}
