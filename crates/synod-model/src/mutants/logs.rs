//! What broken machines do with a log: they execute it, answer from it and forget it in other ways.

use stateright::actor::Out;
use std::sync::Arc;
use synod::{Instance, LogEntry, Msg, Process, ProcessState, ServerState};

/// The instance below which a machine was set aside and waits to be written.
pub(super) fn due(server: &ServerState) -> Option<Instance> {
    let snapshots = server.log.as_ref().and_then(|log| log.snapshots.as_ref());
    snapshots.and_then(|snapshots| snapshots.due.as_ref()).map(|(next, _)| *next)
}

/// Once a machine is set aside, the acceptor forgets the log below it. The snapshot is not written yet, and the log's start stays where it
/// was.
pub(super) fn forget_what_is_due(server: &mut ServerState) {
    if let Some(next) = due(server) {
        server.acceptor.accepted.drop_below(next);
    }
}

/// A snapshot of one chunk takes the machine back to where it was taken. The server goes on as if it had executed no less than before.
pub(super) fn install_older(msg: &Msg, server: &mut ServerState) {
    let (Msg::Chunk { of, at: 0, length, bytes, .. }, Some(log)) = (msg, &mut server.log) else { return };
    if *of < log.next
        && *length == bytes.as_bytes().len() as u64
        && let Some(older) = log.replica.machine().restored(bytes.as_bytes())
    {
        log.replica = log.replica.with_machine(Arc::from(older));
    }
}

/// Once a server goes on from another's snapshot, its acceptor forgets all its votes, and not only those that the snapshot stands for.
pub(super) fn forget_votes_above(msg: &Msg, before: &ProcessState, server: &mut ServerState) {
    let Some(old) = before.server().and_then(|server| server.log.as_ref()) else { return };
    let next = server.log.as_ref().map(|log| log.next);
    if matches!(msg, Msg::Chunk { of, .. } if *of > old.next && next >= Some(*of)) {
        server.acceptor.accepted.clear();
    }
}

/// A command is executed as soon as it was learned.
pub(super) fn execute_at_once(before: &ProcessState, server: &mut ServerState) {
    let Some(log) = &mut server.log else { return };
    let knew = |instance: &Instance| before.learner().is_some_and(|l| l.learned.contains_key(instance));
    for (instance, command) in server.learner.learned.range(log.next..) {
        if let Some(entry) = LogEntry::read(command).filter(|_| !knew(instance)) {
            let mut machine = log.replica.machine().copy();
            machine.execute(*instance, &entry);
            log.replica = log.replica.with_machine(Arc::from(machine));
        }
    }
}

/// Of the commands that share an instance, only the first is executed.
pub(super) fn execute_firsts(before: &ProcessState, server: &mut ServerState) {
    let Some(old) = before.server().and_then(|server| server.log.as_ref()) else { return };
    let Some(log) = &mut server.log else { return };
    let mut machine = old.replica.machine().copy();
    for (instance, value) in server.learner.learned.range(old.next..log.next) {
        if let Some(entry) = synod::commands(value).first().and_then(LogEntry::read) {
            machine.execute(*instance, &entry);
        }
    }
    if log.next > old.next {
        log.replica = log.replica.with_machine(Arc::from(machine));
    }
}

/// A client that waits for a command in the same words as one that was executed just now gets that one's answer.
pub(super) fn answer_by_words(old: &ServerState, new: &ServerState, out: &mut Out<Process>) {
    let (Some(old), Some(new_log)) = (&old.log, &new.log) else { return };
    let mut machine = old.replica.machine().copy();
    for (instance, value) in new.learner.learned.range(old.next..new_log.next) {
        let Some(entry) = LogEntry::read(value) else { continue };
        let output = machine.execute(*instance, &entry);
        for (call, waits) in &new_log.asked {
            if LogEntry::read(waits).is_some_and(|waits| waits.command == entry.command) {
                out.send(call.client, Msg::Output { number: call.number, output: output.clone() });
            }
        }
    }
}
