//! Evaluates the claims on a long run: the ghost history is kept apart for each instance, and after a step only those
//! instances are judged of which the step said something.

use crate::log::LogJudge;
use crate::member::{Happening, Stepped};
use crate::verdict::Violation;
use rustc_hash::FxHashMap;
use stateright::actor::Id;
use std::sync::Arc;
use synod::{AcceptorSet, Ask, Cluster, Instance, Msg};
use synod_explore::{self as explore, Observer, Step, Subject};
use synod_model::claims::CLAIMS;
use synod_model::{Ghost, Happened, History, Inside, Walk};
use synod_runtime::node::LOCAL_CLIENT;

pub(crate) struct Judge {
    ghost: Ghost,
    /// The facts that belong to no single instance: ballots begun, promises given, the highest votes.
    common: History,
    instances: FxHashMap<Instance, History>,
    touched: Vec<Instance>,
    /// The judge of what concerns the log as a whole, if there is one.
    log: Option<LogJudge>,
    /// The members of every instance by what is chosen, where they change.
    walk: Option<Walk>,
}

impl Judge {
    pub(crate) fn new(cluster: Cluster) -> Judge {
        let (log, walk) = (LogJudge::new(&cluster), Walk::first(&cluster));
        // Here each instance is judged by itself.
        let cluster = Cluster { log: None, ..cluster };
        Judge {
            log,
            walk,
            ghost: Ghost { cluster: Arc::new(cluster), before: History::default(), claims: None },
            common: History::default(),
            instances: FxHashMap::default(),
            touched: Vec::new(),
        }
    }

    /// Instances in which a value was chosen.
    pub(crate) fn chosen(&self) -> u64 {
        let quorums = &self.ghost.cluster.quorums;
        self.instances.values().filter(|history| history.chosen(quorums).next().is_some()).count() as u64
    }

    /// Takes note of a step, and judges what it touched.
    pub(crate) fn step<A>(&mut self, member: u64, step: &Stepped<'_, A>) -> Option<Violation>
    where
        A: Subject<Msg = Msg>,
        A::State: Inside,
    {
        self.touched.clear();
        // Clients keep no record; that one asked for a value shows where the question arrives.
        if let Some((src, Msg::Ask(Ask::Request { instance, value }))) = step.delivered()
            && src >= LOCAL_CLIENT
        {
            self.record(&Happened::Proposed(*instance, value.clone()));
        }
        if let Some(log) = &mut self.log {
            log.hear(step);
        }
        let trigger: explore::Trigger<'_, A> = match &step.event {
            Happening::Start if step.first => explore::Trigger::Start,
            Happening::Start => explore::Trigger::Recover,
            Happening::Deliver(src, msg) => explore::Trigger::Deliver { src: *src, msg },
            Happening::Timeout(timer) => explore::Trigger::Timeout(timer),
            Happening::Random(key, choice) => explore::Trigger::Random { key, choice },
        };
        let before = step.before.filter(|_| !matches!(step.event, Happening::Start));
        let seen = Step {
            actor: Id::from(member as usize),
            before,
            trigger,
            after: Some(step.after),
            outputs: step.outputs,
        };
        let mut note: Vec<Happened> = self.ghost.note(&seen).into_iter().flatten().collect();
        // In instances that a snapshot stands for nothing is accepted any more, and nothing is forgotten there that matters.
        let start = step.after.inside().acceptor().map_or(Instance::FIRST, |acceptor| acceptor.log_start);
        note.retain(|happened| !matches!(happened, Happened::Offered(_, at, .., false) if *at < start));
        // A history from which redundant votes are forgotten cannot tell which quorums a later proposal has to meet. So the proposal must rest on one.
        let unfounded = note.iter().find_map(|happened| match happened {
            Happened::Issued { instance, ballot, value, quorum, .. } if !self.justify(*instance, *quorum) => {
                let breach =
                    format!("ballot {ballot:?} issued {value:?} and rests on {quorum:?}, which is no quorum");
                Some(Violation { claim: "V2", breach, instance: *instance, member, group: None })
            }
            _ => None,
        });
        for happened in &note {
            self.record(happened);
        }
        self.walk_on();
        let quorums = &self.ghost.cluster.quorums;
        for claim in &CLAIMS {
            for instance in &self.touched {
                if let Err(breach) = (claim.judge)(quorums, &self.instances[instance]) {
                    return Some(Violation {
                        claim: claim.name,
                        breach,
                        instance: *instance,
                        member,
                        group: None,
                    });
                }
            }
            if let Err(breach) = (claim.judge)(quorums, &self.common) {
                return Some(Violation {
                    claim: claim.name,
                    breach,
                    instance: Instance::FIRST,
                    member,
                    group: None,
                });
            }
        }
        if let Some(log) = &mut self.log {
            let quorums = &self.ghost.cluster.quorums;
            let chosen = |instance: Instance| {
                let history = self.instances.get(&instance)?;
                history.chosen(quorums).next().map(|(_, _, value)| value)
            };
            if let Some(violation) = log.step(member, step, &note, chosen) {
                return Some(violation);
            }
        }
        for instance in &self.touched {
            if let Some(history) = self.instances.get_mut(instance) {
                history.forget_redundant(quorums);
            }
        }
        unfounded
    }

    /// True if promises of these members let something be issued in an instance. Where members change, it is enough that they meet each quorum that chooses.
    fn justify(&self, instance: Instance, quorum: AcceptorSet) -> bool {
        let quorums = &self.ghost.cluster.quorums;
        match &self.walk {
            None => quorums.is_phase1(quorum),
            Some(walk) => walk.at(instance).is_some_and(|walk| walk.sets[0].1.is_met_by(quorum)),
        }
    }

    /// Goes on with the members by what has come to be chosen.
    fn walk_on(&mut self) {
        let quorums = &self.ghost.cluster.quorums;
        while let Some(walk) = &mut self.walk {
            let history = self.instances.get(&walk.next);
            let Some((.., value)) = history.and_then(|history| history.chosen(quorums).next()) else { break };
            walk.take(value);
        }
    }

    fn record(&mut self, happened: &Happened) {
        let Some(instance) = happened.instance() else {
            synod_model::record(&self.ghost.cluster, &mut self.common, happened);
            return;
        };
        let history = self.instances.entry(instance).or_default();
        if history.members.is_none() {
            history.members = self.walk.as_ref().and_then(|walk| walk.at(instance));
        }
        // A promise covers every instance, and so does the reason that a vote in another instance is.
        history.answered.clone_from(&self.common.answered);
        history.voted.clone_from(&self.common.voted);
        if let Some(log) = &self.log {
            log.know(history, happened);
        }
        synod_model::record(&self.ghost.cluster, history, happened);
        self.common.voted.clone_from(&history.voted);
        if !self.touched.contains(&instance) {
            self.touched.push(instance);
        }
    }
}
