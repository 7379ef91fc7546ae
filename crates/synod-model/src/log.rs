//! The record of a log beyond its instances: what clients asked for and were told, and in what order.
//!
//! A call begins when a question first arrives at a server, and ends when an answer first leaves one. A client may ask right
//! before the one and listen right after the other, and the run is the same. So clients can see any breach of these orders.
//!
//! A client and a number tell calls apart, and never their words: equal questions are different calls.
//!
//! A history keeps the calls of a register themselves. For any other machine it keeps a tester, which knows what can still become of them.

use crate::history::{Call, Evidence, Happened, History};
use crate::members;
use crate::sequential::Asked;
use crate::spoken::{is_about_sessions, leaves_open};
use std::collections::{BTreeMap, BTreeSet};
use synod::{Cluster, Log, Value};

impl History {
    /// Records what a step means to a log. Returns the evidence that the step is, if it is any.
    #[must_use]
    pub(crate) fn record_log(
        &mut self,
        cluster: &Cluster,
        log: &Log,
        happened: &Happened,
    ) -> Option<Evidence> {
        match happened {
            Happened::Submitted(command) => drop(self.submitted.insert(command.clone())),
            Happened::Called(call, command, is_query) if !self.calls.contains_key(call) => {
                let ended = self.calls.iter().filter(|(_, call)| call.output.is_some());
                // The tester knows itself what came after what, and keeps no more of it than it needs.
                let after = match &mut self.told {
                    Some(told) => {
                        if !is_about_sessions(command) {
                            told.invoke(*call, command.clone());
                        }
                        BTreeSet::new()
                    }
                    None => ended.map(|(call, _)| *call).collect(),
                };
                let (command, is_query) = (command.clone(), *is_query);
                self.calls.insert(*call, Call { command, is_query, after, output: None });
            }
            Happened::Returned(call, output) => return self.record_output(log, *call, output),
            Happened::Executed(_, executed) => {
                let last = executed.iter().map(|(instance, _)| *instance).max()?;
                let mut chosen = BTreeMap::new();
                for (instance, _, value) in self.chosen(&cluster.quorums).filter(|(i, ..)| *i <= last) {
                    chosen.entry(instance).or_insert_with(|| members::without_changes(log, value));
                }
                return Some(Evidence::Executed { executed: executed.clone(), chosen });
            }
            Happened::Issued { instance, value, .. } => {
                let chosen = self.chosen(&cluster.quorums).map(|(i, ..)| i).collect();
                let (instance, value, alpha) = (*instance, value.clone(), log.alpha);
                return Some(Evidence::Issued { instance, value, alpha, chosen });
            }
            _ => {}
        }
        None
    }

    fn record_output(&mut self, log: &Log, asked: Asked, output: &Value) -> Option<Evidence> {
        // An answer to no call is for nobody.
        let call = self.calls.get_mut(&asked)?;
        // Not known to have been executed is not known to have not.
        if self.told.is_some() && leaves_open(output) {
            return None;
        }
        match &call.output {
            None => {
                call.output = Some(output.clone());
                if let Some(tester) = self.told.as_mut().filter(|_| !is_about_sessions(&call.command)) {
                    tester.returned(&asked, output);
                }
                None
            }
            Some(first) if first == output => None,
            Some(_) => {
                let only_reads = call.is_query || log.machine.query(&call.command).is_some();
                // The tester keeps no call that has ended.
                let is_kept = self.told.is_none() || !only_reads;
                let (call, output) = (asked, output.clone());
                is_kept.then(|| Evidence::ToldOtherwise {
                    call,
                    output,
                    only_reads,
                    calls: self.calls.clone(),
                })
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use synod::{Learning, QuorumRule, Quorums};

    pub(crate) fn cluster() -> (Cluster, Log) {
        let quorums = Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet");
        let log = Log {
            alpha: 2,
            batch: 1,
            machine: Ledger::shared(),
            hold_off: None,
            catch_up: None,
            truncate: None,
            master: None,
            members: None,
        };
        let cluster = Cluster {
            acceptors: Vec::new(),
            proposers: Vec::new(),
            learners: Vec::new(),
            clients: Vec::new(),
            waiting_limit: 0,
            quorums,
            learning: Learning::Proposer,
            nacks: false,
            report: usize::MAX,
            max_value: usize::MAX,
            max_accepted: usize::MAX,
            keeps: usize::MAX,
            log: Some(log.clone()),
            election: None,
        };
        (cluster, log)
    }
}
