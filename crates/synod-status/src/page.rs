//! The page for people: the members side by side, and the log, the disk and the elections as the member that serves it sees them.

use crate::ask::Told;
use maud::{DOCTYPE, Markup, html};
use std::collections::BTreeMap;
use std::fmt::Write;
use synod_server::status::{ElectionTold, MembersTold, Role, SECONDS, Standing, Status};

/// The style sheet, in the colours of the reader's system, light or dark.
pub(crate) const STYLE: &str = include_str!("page.css");
/// The script that brings the page up to date.
pub(crate) const SCRIPT: &str = include_str!("page.js");

/// The whole page of a cluster, as member `me` serves it.
pub(crate) fn page(cluster: &str, me: u64, members: &[(u64, Told)]) -> Markup {
    let mine = members.iter().find(|(id, _)| *id == me).and_then(|(_, told)| told.status());
    let leader = leader(members);
    let title = match leader {
        Some(leader) => format!("{cluster}: member {} leads", leader.member),
        None => format!("{cluster}: no leader"),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="page.css";
                script src="page.js" defer {}
                noscript { meta http-equiv="refresh" content="5"; }
            }
            body {
                p #lost hidden { "Member " (me) " does not answer any more. What follows is what it told last." }
                main #content {
                    (heading(cluster, members, leader))
                    (table(members, leader))
                    (groups(members))
                    (membership(leader.and_then(|leader| leader.membership.as_ref())))
                    @if let Some(mine) = mine { (own(mine, members)) }
                    footer {
                        "Told by member " (me) ". Also here: " a href="metrics" { "metrics" } ", "
                        a href="status.json" { "status.json" } ", " a href="ready" { "ready" } "."
                    }
                }
            }
        }
    }
}

/// The leader with the highest ballot: an old one may not have noticed yet that it leads no more.
fn leader(members: &[(u64, Told)]) -> Option<&Status> {
    let statuses = members.iter().filter_map(|(_, told)| told.status());
    statuses.filter(|status| status.role == Role::Leader).max_by_key(|status| status.ballot)
}

/// The number of instances that are chosen, as far as any member knows.
fn chosen(members: &[(u64, Told)]) -> u64 {
    members.iter().filter_map(|(_, told)| told.status()).map(|status| status.log.chosen).max().unwrap_or(0)
}

fn heading(cluster: &str, members: &[(u64, Told)], leader: Option<&Status>) -> Markup {
    let well = |told: &Told| told.status().is_some_and(|status| status.not_ready().is_none());
    let (ready, all) = (members.iter().filter(|(_, told)| well(told)).count(), members.len());
    let rate = leader.and_then(|leader| leader.seconds.last()).map_or(0, |second| second.executed);
    let answer = leader.and_then(|leader| leader.latency.answer.p99_seconds);
    let keys = leader.and_then(|leader| leader.store.as_ref()).map(|store| {
        let held = format!("{} of {} held", bytes(store.bytes), bytes(store.most_bytes));
        (store.keys, format!("{}; {} open sessions", held, grouped(store.sessions)))
    });
    html! {
        header {
            h1 { (cluster) }
            p.state {
                @if let Some(leader) = leader {
                    span.good { "member " (leader.member) " leads" }
                } @else {
                    span.bad { "no leader is heard of" }
                }
                @if let Some(master) = leader.and_then(|leader| leader.master) {
                    span class=(if master.here { "good" } else { "so-so" }) {
                        "member " (master.member) @if master.here { " is master" } @else { " was master last" }
                        ", token " (grouped(master.token)) ", lease " (master.lease_ms) " ms"
                    }
                }
                span class=(if ready == all { "good" } else if ready > all / 2 { "so-so" } else { "bad" }) {
                    (ready) " of " (all) " members ready"
                }
            }
        }
        div.tiles {
            (tile("chosen", &grouped(chosen(members)), "instances of the log"))
            (tile("a second", &grouped(rate), "instances executed at the leader"))
            (tile("answers", &duration(answer), "p99 of the last minute at the leader"))
            @if let Some((keys, about)) = keys {
                (tile("keys", &grouped(keys), &about))
            } @else if let Some(leader) = leader {
                (tile("clients", &grouped(leader.waiting.clients), "known to the leader"))
            }
        }
    }
}

fn tile(name: &str, value: &str, about: &str) -> Markup {
    html! { div { b { (value) } span { (name) } small { (about) } } }
}

fn table(members: &[(u64, Told)], leader: Option<&Status>) -> Markup {
    let chosen = chosen(members);
    html! {
        section {
            h2 { "Members" }
            table {
                thead {
                    tr {
                        th { "member" }
                        th { "role" }
                        th.n { "ballot" }
                        th.n { "executed" }
                        th.n { "lag" }
                        th.n { "snapshot" }
                        th.n { "flush p50" }
                        th.n { "p99" }
                        th { "last 2 min" }
                        th.n { "memory" }
                        th { "heard at the leader" }
                    }
                }
                tbody {
                    @for (id, told) in members {
                        @match told {
                            Told::Status(status) => (row(status, chosen, leader)),
                            Told::Off => (silent(*id, "has no http address in the configuration")),
                            Told::Silent(why) => (silent(*id, why)),
                        }
                    }
                }
            }
        }
    }
}

/// The groups, where there are several: who leads each, and how far each member is.
fn groups(members: &[(u64, Told)]) -> Markup {
    let statuses = || members.iter().filter_map(|(_, told)| told.status());
    let most = statuses().map(|status| status.groups.len()).max().unwrap_or(0);
    let of =
        |group: usize| statuses().filter_map(move |status| Some((status.member, status.groups.get(group)?)));
    html! {
        @if most > 0 {
            section {
                h2 { "Groups" }
                table {
                    thead {
                        tr {
                            th { "group" }
                            th { "leader" }
                            th.n { "ballot" }
                            th.n { "chosen" }
                            th.n { "keys" }
                            @for status in statuses() { th.n { "executed at " (status.member) } }
                        }
                    }
                    tbody {
                        @for group in 0..most {
                            @let leads = of(group).filter(|(_, told)| told.role == Role::Leader).max_by_key(|(_, told)| told.ballot);
                            tr {
                                td data-label="group" { b { (group) } }
                                td data-label="leader" {
                                    @if let Some((leader, _)) = leads { span.good { (leader) } } @else { span.bad { "none" } }
                                }
                                td.n data-label="ballot" { (or_dash(leads.and_then(|(_, told)| told.ballot))) }
                                td.n data-label="chosen" { (or_dash(of(group).map(|(_, told)| told.log.chosen).max().map(grouped))) }
                                td.n data-label="keys" {
                                    (or_dash(leads.and_then(|(_, told)| told.store.as_ref()).map(|store| grouped(store.keys))))
                                }
                                @for status in statuses() {
                                    @let executed = status.groups.get(group).and_then(|told| told.log.executed);
                                    td.n data-label="executed" { (or_dash(executed.map(grouped))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The members as the log has them, where they change.
fn membership(told: Option<&MembersTold>) -> Markup {
    html! {
        @if let Some(told) = told {
            section {
                h2 { "Configuration " (told.number) " from instance " (grouped(told.from)) }
                table {
                    thead { tr { th { "id" } th { "is" } th { "address" } th { "replaces" } th.n { "instances behind" } } }
                    tbody {
                        @for member in told.all.iter().filter(|member| member.standing != Standing::Removed) {
                            tr {
                                td data-label="id" { b { (member.id) } }
                                td data-label="is" { (member.standing) }
                                td data-label="address" { (or_dash(member.address.as_ref())) }
                                td data-label="replaces" { (or_dash(member.replaces)) }
                                td.n data-label="behind" { (or_dash(member.behind.map(grouped))) }
                            }
                        }
                    }
                }
                @if told.number > 0 && !told.may_go {
                    p { "Members that were removed must go on until a majority has on its disks what they took part in." }
                }
            }
        }
    }
}

fn silent(id: u64, why: &str) -> Markup {
    html! {
        tr.silent {
            td data-label="member" { b { (id) } }
            td data-label="role" { span.bad { "silent" } }
            td.why colspan="9" { (why) }
        }
    }
}

fn row(status: &Status, chosen: u64, leader: Option<&Status>) -> Markup {
    let executed = status.log.executed;
    let lag = executed.map(|executed| chosen.saturating_sub(executed));
    let heard = leader
        .and_then(|leader| leader.peers.iter().find(|peer| peer.member == status.member))
        .map(|peer| peer.heard_ms);
    let role = match status.role {
        Role::Leader => "good",
        Role::Follower => "plain",
        Role::Preparing => "so-so",
        Role::Outside => "bad",
    };
    let flush = &status.latency.flush;
    html! {
        tr {
            td data-label="member" { b { (status.member) } }
            td data-label="role" title=[status.not_ready()] { span class=(role) { (status.role) } }
            td.n data-label="ballot" { (or_dash(status.ballot)) }
            td.n data-label="executed" { (or_dash(executed.map(grouped))) }
            td.n data-label="lag" { (or_dash(lag.map(grouped))) }
            td.n data-label="snapshot" { (or_dash(status.log.snapshot.map(grouped))) }
            td.n data-label="flush p50" { (duration(flush.p50_seconds)) }
            td.n data-label="flush p99" { (duration(flush.p99_seconds)) }
            td.spark data-label="flushes" { (bars(&flush_bars(status), 24, "p99 of the flushes of each second")) }
            td.n data-label="memory" { (or_dash(status.memory_bytes.map(bytes))) }
            td data-label="heard" {
                @match heard {
                    Some(Some(ms)) => { (ms) " ms ago" }
                    Some(None) => span.bad { "not heard" },
                    None => span.dim { "–" },
                }
            }
        }
        @if let Some(why) = &status.because {
            tr.silent { td {} td.why colspan="10" { (why) } }
        }
    }
}

/// The member's own view: its log, its disk and its network, and the elections that any member saw.
fn own(status: &Status, members: &[(u64, Told)]) -> Markup {
    let executed: Vec<f64> = status.seconds.iter().map(|second| second.executed as f64).collect();
    let most = executed.iter().copied().fold(0.0, f64::max);
    let flushes = flush_bars(status);
    let slowest = flushes.iter().copied().fold(0.0, f64::max);
    html! {
        h2.of { "Member " (status.member) ", up for " (span_of(status.uptime_seconds as u64)) }
        div.halves {
            section.card {
                h3 { "Instances a second" small { "at most " (grouped(most as u64)) } }
                (bars(&executed, 64, "instances executed in each of the last 120 seconds"))
                p.axis { span { "2 min ago" } span { "now" } }
            }
            section.card {
                h3 { "Flush p99" small { "at most " (duration(Some(slowest).filter(|it| *it > 0.0))) } }
                (bars(&flushes, 64, "p99 of the flushes in each of the last 120 seconds"))
                p.axis { span { "2 min ago" } span { "now" } }
            }
            section.card { (log(status)) }
            section.card { (recent(members, status.unix_ms)) }
            section.card { (disk(status)) }
            section.card { (dropped(status)) }
        }
    }
}

fn log(status: &Status) -> Markup {
    let (log, waiting) = (&status.log, &status.waiting);
    html! {
        h3 { "Log" }
        @if let Some(window) = log.window {
            p.meter {
                "window " (log.open) " of " (window) " open"
                svg viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="how full the window is" {
                    rect.back width="100" height="4" {}
                    rect.full width=(100.0 * log.open as f64 / window.max(1) as f64) height="4" {}
                }
            }
        }
        dl {
            (pair("first instance kept", &grouped(log.start)))
            (pair("kept of the log", &bytes(log.bytes)))
            (pair("gaps", &grouped(log.gaps)))
            (pair("commands in the queue", &grouped(waiting.queue)))
            (pair("commands without an answer", &grouped(waiting.commands)))
            (pair("questions without an answer", &grouped(waiting.questions)))
            @if let Some((came, whole)) = log.arriving {
                (pair("snapshot on its way", &format!("{} of {}", bytes(came), bytes(whole))))
            }
            @if !log.differ.is_empty() {
                (pair("members that executed something else", &format!("{:?}", log.differ)))
            }
        }
    }
}

/// The changes of the leader that any member saw: whoever led, and since when.
fn elections(members: &[(u64, Told)]) -> Vec<&ElectionTold> {
    let statuses = members.iter().filter_map(|(_, told)| told.status());
    let mut all: Vec<&ElectionTold> =
        statuses.flat_map(|status| &status.elections).filter(|told| told.leader.is_some()).collect();
    all.sort_by_key(|told| told.unix_ms);
    // Each member sees the same change a little later than the first, and in between it may see those of other groups.
    let mut leaders = BTreeMap::new();
    all.retain(|told| leaders.insert(told.group, told.leader) != Some(told.leader));
    all
}

fn recent(members: &[(u64, Told)], now: u64) -> Markup {
    let elections = elections(members);
    let is_divided =
        members.iter().filter_map(|(_, told)| told.status()).any(|status| !status.groups.is_empty());
    html! {
        h3 { "Recent elections" }
        @if elections.is_empty() { p.dim { "no member has led since its start" } }
        ol.elections {
            @for election in elections.iter().rev().take(8) {
                li {
                    time { (clock(election.unix_ms)) }
                    span {
                        "member " (election.leader.unwrap_or_default()) " leads"
                        @if is_divided { " group " (election.group) }
                    }
                    small { (span_of(now.saturating_sub(election.unix_ms) / 1000)) " ago" }
                }
            }
        }
    }
}

fn disk(status: &Status) -> Markup {
    let (disk, work, latency) = (&status.disk, &status.work, &status.latency);
    let per_flush = work.saves as f64 / work.flushes.max(1) as f64;
    html! {
        h3 { "Disk and loop" }
        dl {
            (pair("journal", &bytes(disk.journal_bytes)))
            (pair("snapshot", &bytes(disk.snapshot_bytes)))
            (pair("written since the start", &bytes(disk.written_bytes)))
            (pair("saves a flush", &format!("{per_flush:.1}")))
            (pair("longest flush", &duration(Some(latency.flush.longest_seconds).filter(|it| *it > 0.0))))
            (pair("steps of a round, p99", &duration(latency.steps.p99_seconds)))
            (pair("longest value that is taken", &bytes(status.limits.max_value)))
        }
    }
}

fn dropped(status: &Status) -> Markup {
    let work = &status.work;
    let mut dropped: Vec<_> = status.dropped.iter().collect();
    dropped.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    html! {
        h3 { "Network" }
        dl {
            (pair("datagrams received", &grouped(work.datagrams_received)))
            (pair("datagrams sent", &grouped(work.datagrams_sent)))
            (pair("clients told that it is busy", &grouped(work.told_busy)))
            (pair("clients forgotten for want of room", &grouped(work.forgotten_clients)))
            @for (reason, count) in dropped.iter().take(8) {
                (pair(&format!("dropped: {reason}"), &grouped(**count)))
            }
            @if dropped.is_empty() { (pair("dropped", "nothing")) }
        }
    }
}

fn pair(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn flush_bars(status: &Status) -> Vec<f64> {
    status.seconds.iter().map(|second| second.flush_p99_seconds.unwrap_or(0.0)).collect()
}

/// Bars for the last seconds, the newest at the right, as high as the highest of them.
fn bars(values: &[f64], height: u32, label: &str) -> Markup {
    let most = values.iter().copied().fold(0.0, f64::max);
    let mut path = String::new();
    for (index, value) in values.iter().rev().take(SECONDS).enumerate() {
        let high = if most > 0.0 { value / most * f64::from(height - 1) } else { 0.0 };
        if high > 0.0 {
            let _ = write!(path, "M{} {height}v-{:.1}h.8V{height}z", SECONDS - 1 - index, high.max(0.8));
        }
    }
    html! {
        svg.bars viewBox=(format!("0 0 {SECONDS} {height}")) preserveAspectRatio="none" role="img" aria-label=(label) {
            line x1="0" x2=(SECONDS) y1=(height) y2=(height) {}
            path d=(path) {}
        }
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
        .collect();
    groups.join(",")
}

/// A size as people say it.
fn bytes(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

/// A duration as people say it.
fn duration(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        Some(seconds) if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

/// A span of time as people say it.
fn span_of(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The time of day in UTC.
fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_say_them() {
        assert_eq!([grouped(0), grouped(999), grouped(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(3 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]
        );
        assert_eq!(duration(Some(0.000_25)), "250 µs");
        assert_eq!(
            [duration(Some(0.004_5)), duration(Some(0.25)), duration(None)],
            ["4.5 ms", "250 ms", "–"]
        );
        assert_eq!([span_of(59), span_of(150), span_of(3660)], ["59 s", "2 min", "1 h 1 min"]);
        assert_eq!(clock(86_400_000 + 3_723_000), "01:02:03");
    }

    #[test]
    fn an_election_that_several_members_saw_is_told_once_and_from_the_first_moment() {
        let in_group = |group, unix_ms, leader| ElectionTold { group, unix_ms, leader, ballot: None };
        let told = |unix_ms, leader| in_group(0, unix_ms, leader);
        let member = |id, elections| {
            (id, Told::Status(Box::new(Status { member: id, elections, ..Status::default() })))
        };
        let members = [
            member(0, vec![told(10, Some(0)), told(50, None), told(70, Some(1))]),
            member(1, vec![told(12, Some(0)), told(60, Some(1))]),
            (2, Told::Off),
        ];
        let seen: Vec<_> = elections(&members).iter().map(|told| (told.unix_ms, told.leader)).collect();
        assert_eq!(seen, [(10, Some(0)), (60, Some(1))]);
        let of_two_groups = |by| {
            vec![in_group(0, 10 + by, Some(0)), in_group(1, 15 + by, Some(1)), in_group(0, 30 + by, Some(2))]
        };
        let members: Vec<_> = (0..3).map(|id| member(id, of_two_groups(id))).collect();
        let seen: Vec<_> = elections(&members).iter().map(|told| (told.unix_ms, told.group)).collect();
        assert_eq!(seen, [(10, 0), (15, 1), (30, 0)]);
    }

    #[test]
    fn a_reason_cannot_bring_its_own_markup() {
        let silent = Told::Silent("<script>".to_owned());
        let page = page("<b>", 0, &[(0, silent), (1, Told::Off)]).into_string();
        assert!(
            page.contains("&lt;script&gt;") && page.contains("&lt;b&gt;") && !page.contains("<b>&lt;"),
            "{page}"
        );
        assert!(page.contains("no http address") && page.contains("no leader is heard of"), "{page}");
    }
}
