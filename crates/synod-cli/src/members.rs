//! `synod status`: what the members of a cluster tell of themselves.

use crate::args::Status as Args;
use crate::output::{DIM, GREEN, RED, YELLOW, bytes, grouped, line, paint};
use crate::status::{OK, UNUSABLE};
use crate::words;
use serde_json::json;
use synod_server::status::{Role, Status};
use synod_status::{Told, ask_all};

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
    let hears = status.peers.iter().filter(|peer| peer.connected).count();
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
    if status.work.told_busy > 0 {
        lines.push(format!("told clients {} times that it is busy", grouped(status.work.told_busy)));
    }
    if !status.log.differ.is_empty() {
        lines.push(format!("members {:?} have executed something else", status.log.differ));
    }
    let dropped: Vec<String> =
        status.dropped.iter().map(|(reason, count)| format!("{} {reason}", grouped(*count))).collect();
    if !dropped.is_empty() {
        lines.push(format!("dropped {}", dropped.join(", ")));
    }
    for text in lines {
        line(&format!("        {}", paint(DIM, &text)));
    }
}
