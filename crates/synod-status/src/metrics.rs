//! A status as Prometheus reads it, in the `OpenMetrics` text format.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use synod_server::status::{GroupTold, Latency, Role, Standing, Status};

/// The type of the answer.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a status.
///
/// # Errors
/// As memory refuses text.
pub(crate) fn text(status: Arc<Status>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("synod");
    registry.register_collector(Box::new(Told(status)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Told(Arc<Status>);

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let mut out = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        out.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// One metric with one label.
    fn family(
        &mut self,
        (name, help, unit): (&str, &str, Option<&Unit>),
        kind: MetricType,
        label: &str,
        values: impl IntoIterator<Item = (String, f64)>,
    ) -> fmt::Result {
        let mut out = self.0.encode_descriptor(name, help, unit, kind)?;
        for (what, value) in values {
            let labels = [(label, what.as_str())];
            let mut one = out.encode_family(&labels)?;
            match kind {
                MetricType::Counter => one.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
                _ => one.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, latency: &Latency) -> fmt::Result {
        let mut out = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let mut seen = 0;
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        for (bound, below) in &latency.below {
            buckets.push((*bound, below - seen));
            seen = *below;
        }
        buckets.push((f64::INFINITY, latency.count - seen));
        out.encode_histogram::<NoLabelSet>(latency.sum_seconds, latency.count, &buckets, None)
    }
}

/// The metrics of each group, if there are several.
fn groups(out: &mut Out<'_>, status: &Status) -> fmt::Result {
    type Value = fn(&GroupTold) -> Option<u64>;
    let families: [(&str, &str, Value); 6] = [
        ("group_leads", "1 if the member leads the group", |it| Some(u64::from(it.role == Role::Leader))),
        ("group_leader_id", "The member that this one takes for the leader of the group", |it| it.leader),
        ("group_chosen_instances", "Instances of the group up to the highest known to be chosen", |it| {
            Some(it.log.chosen)
        }),
        ("group_executed_instances", "Instances of the group whose commands were executed", |it| {
            it.log.executed
        }),
        ("group_queued_commands", "Commands of the group that have no instance yet", |it| {
            Some(it.waiting.queue)
        }),
        ("group_keys", "Keys in the store of the group", |it| it.store.as_ref().map(|store| store.keys)),
    ];
    for (name, help, value) in families.into_iter().filter(|_| !status.groups.is_empty()) {
        let values = status.groups.iter().filter_map(|it| Some((it.group.to_string(), value(it)? as f64)));
        out.family((name, help, None), MetricType::Gauge, "group", values)?;
    }
    Ok(())
}

/// The metrics of the members, where they change.
fn membership(out: &mut Out<'_>, status: &Status) -> fmt::Result {
    let Some(told) = &status.membership else { return Ok(()) };
    let count = |standing| told.all.iter().filter(|member| member.standing == standing).count() as u64;
    out.gauge("configuration", "The number of the configuration that governs last", None, told.number)?;
    out.gauge("configuration_from_instance", "The first instance that it governs", None, told.from)?;
    out.gauge("configuration_members", "Its members", None, count(Standing::Member))?;
    out.gauge("learners", "Those that are to join", None, count(Standing::Learner))?;
    let is_member = told.standing(status.member) == Some(Standing::Member);
    out.gauge("is_member", "1 if the member is one of that configuration", None, u64::from(is_member))?;
    let may_go = u64::from(told.may_go);
    out.gauge(
        "earlier_members_may_go",
        "1 if all that are no members any more may be switched off",
        None,
        may_go,
    )
}

impl Collector for Told {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (status, mut out) = (&*self.0, Out(encoder));
        let bytes = Some(&Unit::Bytes);
        let Status { log, waiting, disk, work, limits, .. } = status;

        let labels = [
            ("cluster", &*status.cluster),
            ("member", &*status.member.to_string()),
            ("version", &*status.version),
        ];
        out.0
            .encode_descriptor("member", "The member that tells this", None, MetricType::Info)?
            .encode_info(&labels)?;
        out.0
            .encode_descriptor(
                "uptime",
                "Time since the start of the process",
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&status.uptime_seconds)?;
        let ready = u64::from(status.not_ready().is_none());
        out.gauge("ready", "1 if the member takes part, knows a leader and is not far behind", None, ready)?;
        let leads = u64::from(status.role == Role::Leader);
        out.gauge("leads", "1 if the member leads", None, leads)?;
        if let Some(leader) = status.leader {
            out.gauge("leader_id", "The member that this one takes for the leader", None, leader)?;
        }
        if let Some(master) = status.master {
            out.gauge("master_id", "The member that took mastership last", None, master.member)?;
            out.gauge("master_token", "Its fencing token: the instance in which it did", None, master.token)?;
            out.gauge("master_lease_milliseconds", "The lease of the master", None, master.lease_ms)?;
            let here = u64::from(master.here);
            out.gauge("is_master", "1 if the member answers reads without asking the others", None, here)?;
        }
        if let Some(ballot) = status.ballot {
            out.gauge("ballot_round", "The round of the highest ballot known", None, ballot.round)?;
            out.gauge("ballot_member_id", "The member of the highest ballot known", None, ballot.member)?;
        }
        let elections = status.elections.len() as u64;
        out.gauge(
            "leader_changes_remembered",
            "Changes of the leader that /status.json lists",
            None,
            elections,
        )?;

        out.gauge("chosen_instances", "Instances up to the highest known to be chosen", None, log.chosen)?;
        if let Some(executed) = log.executed {
            out.gauge("executed_instances", "Instances whose commands were executed", None, executed)?;
            out.gauge("lag_instances", "Instances known to be chosen and not executed", None, status.lag())?;
        }
        out.gauge("log_start_instance", "The first instance that is not forgotten", None, log.start)?;
        out.gauge("log", "The values that are kept of the log", bytes, log.bytes)?;
        out.gauge(
            "gap_instances",
            "Instances below the highest chosen one whose value is unknown",
            None,
            log.gaps,
        )?;
        if let Some(snapshot) = log.snapshot {
            out.gauge("snapshot_instances", "Instances that the snapshot stands for", None, snapshot)?;
        }
        out.gauge("window_open_instances", "Instances issued and not known to be chosen", None, log.open)?;
        if let Some(window) = log.window {
            out.gauge("window_limit_instances", "The most instances that may be open: alpha", None, window)?;
        }
        let differ = log.differ.len() as u64;
        out.gauge("differing_members", "Members known to have executed something else", None, differ)?;

        groups(&mut out, status)?;
        membership(&mut out, status)?;
        out.gauge("queued_commands", "Commands that have no instance yet", None, waiting.queue)?;
        out.gauge("waiting_commands", "Clients' commands without an answer", None, waiting.commands)?;
        out.gauge("waiting_questions", "Clients' questions without an answer", None, waiting.questions)?;
        out.gauge("clients", "Clients with a session of the transport", None, waiting.clients)?;
        if let Some(store) = &status.store {
            out.gauge("keys", "Keys in the store", None, store.keys)?;
            out.gauge("sessions", "Open sessions of clients", None, store.sessions)?;
            out.gauge("store", "The charge of what the store holds", bytes, store.bytes)?;
            out.gauge("store_limit", "The most that the store may hold", bytes, store.most_bytes)?;
        }

        out.gauge("journal", "The journal file", bytes, disk.journal_bytes)?;
        out.gauge("snapshot", "The snapshot on the disk", bytes, disk.snapshot_bytes)?;
        out.counter("journal_written", "What was written to the journal", bytes, disk.written_bytes)?;
        out.counter("journal_compactions", "Compactions of the journal", None, disk.compactions)?;
        if let Some(memory) = status.memory_bytes {
            out.gauge("memory_resident", "Memory of the process in RAM", bytes, memory)?;
        }
        out.gauge("value_limit", "The longest value that is taken", bytes, limits.max_value)?;
        out.gauge("message_limit", "The longest message to or from a client", bytes, limits.max_message)?;
        out.gauge("datagram_limit", "The longest datagram", bytes, limits.datagram)?;

        out.counter("steps", "Events stepped through the actor", None, work.steps)?;
        out.counter("saves", "Saves of stable state", None, work.saves)?;
        out.counter("flushes", "Flushes of the disk", None, work.flushes)?;
        out.counter("messages_sent", "Messages sent", None, work.messages_sent)?;
        out.counter("messages_received", "Messages received", None, work.messages_received)?;
        out.counter("datagrams_sent", "Datagrams sent", None, work.datagrams_sent)?;
        out.counter("datagrams_received", "Datagrams received", None, work.datagrams_received)?;
        out.counter("busy_answers", "Clients told that the member is busy", None, work.told_busy)?;
        let forgotten = work.forgotten_clients;
        out.counter("forgotten_clients", "Clients forgotten to make room for others", None, forgotten)?;
        let dropped = status.dropped.iter().map(|(reason, count)| (reason.clone(), *count as f64));
        let what = ("dropped", "Datagrams and messages dropped, by reason", None);
        out.family(what, MetricType::Counter, "reason", dropped)?;

        let peers = || status.peers.iter();
        let connected = peers().map(|peer| (peer.member.to_string(), f64::from(u8::from(peer.connected))));
        let what = ("peer_connected", "1 if there is a session with the peer, silent or not", None);
        out.family(what, MetricType::Gauge, "peer", connected)?;
        let heard =
            peers().filter_map(|peer| Some((peer.member.to_string(), peer.heard_ms? as f64 / 1000.0)));
        let what = ("peer_silence", "Time since the other member was heard", Some(&Unit::Seconds));
        out.family(what, MetricType::Gauge, "peer", heard)?;

        let latency = &status.latency;
        out.histogram(
            "flush_duration",
            "Writes of a batch to the disk, each with its flush",
            &latency.flush,
        )?;
        out.histogram("steps_duration", "The steps of one round of the loop", &latency.steps)?;
        let help = "From taking a client's question until the answer has left";
        out.histogram("answer_duration", help, &latency.answer)
    }
}
