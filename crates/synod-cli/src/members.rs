//! `synod status`: what the members of a cluster tell of themselves.

use crate::args::Status as Args;
use crate::output::{DIM, GREEN, RED, YELLOW, bytes, grouped, line, paint};
use crate::status::{OK, UNUSABLE};
use crate::words;
use serde_json::json;
use std::fmt::Write;
use synod_server::status::{PeerTold, Role, Standing, Status, StoreTold};
use synod_status::{Told, ask_all};

/// The milliseconds within which a peer was heard lately. Members greet each other every second even if they have nothing else to say.
const LATELY: u64 = 3000;

/// Asks the members, and prints a table or one JSON object a line.
pub fn run(args: &Args) -> Result<u8, String> {
    let config = words::config(&args.cluster.config)?;
    let chosen = |id| args.member.is_none_or(|member| member == id);
    let asked: Vec<_> = config.members.iter().filter(|member| chosen(member.id)).collect();
    if let (Some(member), true) = (args.member, asked.is_empty()) {
        return Err(format!("no member has id {member}"));
    }
    if asked.iter().all(|member| member.http.is_none()) {
        let file = args.cluster.config.display();
        return Err(format!(
            "{file}: no member that was asked for tells of itself; add a line such as `http = \"127.0.0.1:9100\"` to its [[member]] table \
             and start it again"
        ));
    }
    let told = ask_all(&config, asked, args.timeout);
    if args.json {
        for (id, told) in &told {
            line(&object(*id, told));
        }
    } else {
        table(&told);
    }
    let reached = told.iter().any(|(_, told)| told.status().is_some());
    Ok(if reached { OK } else { UNUSABLE })
}

fn object(id: u64, told: &Told) -> String {
    match told {
        Told::Status(status) => serde_json::to_string(status).expect("a status is plain data"),
        Told::Off => {
            json!({"member": id, "silent": "it has no http address in the configuration"}).to_string()
        }
        Told::Silent(why) => json!({"member": id, "silent": why}).to_string(),
    }
}

const HEADING: [&str; 13] = [
    "member",
    "role",
    "ballot",
    "leader",
    "chosen",
    "executed",
    "lag",
    "snapshot",
    "log kept",
    "flush p50/p99",
    "hears",
    "memory",
    "up",
];

fn table(told: &[(u64, Told)]) {
    let chosen = told.iter().filter_map(|(_, told)| told.status()).map(|status| status.log.chosen).max();
    let rows: Vec<(Vec<String>, &Status)> = told
        .iter()
        .filter_map(|(_, told)| told.status())
        .map(|status| (row(status, chosen.unwrap_or(0)), status))
        .collect();
    if !rows.is_empty() {
        let width = |column: usize| {
            let cells = rows.iter().map(|(row, _)| row[column].chars().count());
            cells.max().unwrap_or(0).max(HEADING[column].len())
        };
        let widths: Vec<usize> = (0..HEADING.len()).map(width).collect();
        let print = |cells: Vec<String>| {
            let padded: Vec<String> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        };
        line(&paint(DIM, &print(HEADING.map(str::to_owned).to_vec())));
        for (row, status) in rows {
            let style = match status.role {
                Role::Leader => GREEN,
                Role::Follower => anstyle::Style::new(),
                Role::Preparing => YELLOW,
                Role::Outside => RED,
            };
            let role = row[1].clone();
            line(&print(row).replacen(&role, &paint(style, &role), 1));
            details(status);
        }
    }
    for (id, told) in told {
        match told {
            Told::Status(_) => {}
            Told::Off => line(&format!("{id}  {}", paint(DIM, "has no http address in the configuration"))),
            Told::Silent(why) => line(&format!("{id}  {}", paint(RED, &format!("silent: {why}")))),
        }
    }
}

fn row(status: &Status, chosen: u64) -> Vec<String> {
    let dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let flush = &status.latency.flush;
    let (log, executed) = (&status.log, status.log.executed);
    let is_heard = |peer: &&PeerTold| peer.connected && peer.heard_ms.is_some_and(|ms| ms <= LATELY);
    let hears = status.peers.iter().filter(is_heard).count();
    vec![
        status.member.to_string(),
        status.role.to_string(),
        dash(status.ballot.map(|ballot| ballot.to_string())),
        dash(status.leader.map(|leader| leader.to_string())),
        grouped(log.chosen),
        dash(executed.map(grouped)),
        dash(executed.map(|executed| grouped(chosen.saturating_sub(executed)))),
        dash(log.snapshot.map(grouped)),
        bytes(log.bytes),
        format!("{}/{}", milliseconds(flush.p50_seconds), milliseconds(flush.p99_seconds)),
        format!("{hears} of {}", status.peers.len()),
        dash(status.memory_bytes.map(bytes)),
        humantime::format_duration(std::time::Duration::from_secs(status.uptime_seconds as u64)).to_string(),
    ]
}

fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{:.1} ms", seconds * 1000.0))
}

/// Whatever is out of the ordinary, below the member's row.
fn details(status: &Status) {
    let mut lines: Vec<String> = status.not_ready().into_iter().collect();
    if let Some(master) = status.master.filter(|master| master.here) {
        let (token, since) = (grouped(master.token), grouped(master.since));
        lines.push(format!("is master: token {token}, since instance {since}, lease {} ms", master.lease_ms));
    }
    if let Some(told) = &status.membership {
        let of = |standing| -> Vec<String> {
            let such = told.all.iter().filter(|member| member.standing == standing);
            such.map(|member| member.id.to_string()).collect()
        };
        let mut text = format!(
            "configuration {} from instance {}: members {}",
            told.number,
            grouped(told.from),
            of(Standing::Member).join(", ")
        );
        for (standing, words) in [(Standing::Leaving, "leaving"), (Standing::Learner, "to join")] {
            let ids = of(standing);
            if !ids.is_empty() {
                let _ = write!(text, "; {words}: {}", ids.join(", "));
            }
        }
        if told.number > 0 && !told.may_go {
            text.push_str("; members that were removed must go on");
        }
        lines.push(text);
    }
    if status.work.told_busy > 0 {
        lines.push(format!("told clients {} times that it is busy", grouped(status.work.told_busy)));
    }
    let is_full = |store: &&StoreTold| store.bytes > store.most_bytes / 4 * 3;
    let full = |store: &StoreTold| {
        let (held, most) = (bytes(store.bytes), bytes(store.most_bytes));
        format!("holds {held} of the {most} that it may (most-bytes)")
    };
    if status.groups.is_empty()
        && let Some(store) = status.store.as_ref().filter(is_full)
    {
        lines.push(format!("its store {}", full(store)));
    }
    if !status.groups.is_empty() {
        let leads = status.groups.iter().filter(|group| group.role == Role::Leader).count();
        lines.push(format!("leads {leads} of {} groups", status.groups.len()));
    }
    for group in &status.groups {
        let dash = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        let (log, leader) = (&group.log, dash(group.leader.map(|leader| leader.to_string())));
        lines.push(format!(
            "group {}: {}, ballot {}, leader {leader}, chosen {}, executed {}",
            group.group,
            group.role,
            dash(group.ballot.map(|ballot| ballot.to_string())),
            grouped(log.chosen),
            dash(log.executed.map(grouped)),
        ));
        if let Some(store) = group.store.as_ref().filter(is_full) {
            lines.push(format!("the store of group {} {}", group.group, full(store)));
        }
    }
    if !status.log.differ.is_empty() {
        lines.push(format!("members {:?} have executed something else", status.log.differ));
    }
    let dropped: Vec<String> =
        status.dropped.iter().map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
    if !dropped.is_empty() {
        lines.push(format!("dropped: {}", dropped.join(", ")));
    }
    for text in lines {
        line(&format!("        {}", paint(DIM, &text)));
    }
}
