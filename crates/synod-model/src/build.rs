//! A model file becomes a system to explore, or an error with its place.

use crate::admission::{self, Admission, Member, Watch};
use crate::ballots::{self, LiveBallots};
use crate::claims::{CLAIMS, Claim};
use crate::clock::{self, Clock, Worlds};
use crate::file::{DeliveryFile, Layout, LearningFile, ModelError, ModelFile, parsed};
use crate::history::{History, Note};
use crate::judge::Judge;
use crate::leads;
use crate::liveness::{self, Progress};
use crate::log_file::{self, Before};
use crate::merged::{Forgets, Merged};
use crate::mutants::{self, Decorated, DecoratedStable, Rule};
use crate::near::meant;
use crate::observer::{Ghost, Inside};
use crate::permute::{self, Exchange};
use crate::premises;
use crate::rings::Rings;
use crate::roster::{listed, numbers, processes, quorums};
use crate::sense;
use crate::stranger;
use crate::timed::{self, Player, Timed};
use crate::witnesses::{self, Sign, WITNESSES, Witness, shows};
use stateright::actor::Id;
use std::sync::Arc;
use synod::{Cluster, Learning, Msg, Process, QuorumRule, Quorums, Stable};
use synod_explore::Subject;
use synod_explore::{Bounds, Delivery, Faults, Network, Permute, Property, Symmetry, System};
use toml::Spanned;

/// The most proposers, learners or clients that a model may have.
const MAX_OTHERS: i64 = 16;

/// A model: its name, its file, and what the file means.
// Fields: one for each thing that a model file can say, after it was checked.
#[derive(Clone, Debug)]
pub struct Model {
    /// The catalogue name or path.
    pub name: String,
    /// The file's text.
    pub text: String,
    /// The file as read.
    pub file: ModelFile,
    /// Names of the processes, in the order of their ids.
    pub names: Vec<String>,
    /// The ids and numbers of all processes.
    pub cluster: Arc<Cluster>,
    pub(crate) processes: Vec<Process>,
    pub(crate) claims: Vec<&'static Claim>,
    pub(crate) witnesses: Vec<&'static Witness>,
    pub(crate) never: Vec<&'static Witness>,
    pub(crate) live_ballots: Option<usize>,
    pub(crate) crashable: Vec<bool>,
    pub(crate) down: Vec<bool>,
    pub(crate) alike: Vec<Vec<usize>>,
    pub(crate) progress: Option<Progress>,
    pub(crate) before: Before,
    /// The scene, if the model is about admission. Such a model has no processes of the protocol, and none of the claims about them.
    pub admission: Option<Admission>,
    /// The timed system, if the model is of one. Such a model has no processes of the protocol either.
    pub timed: Option<Timed>,
    /// The scene, if the model is about times to live. It has no processes of the protocol either.
    pub clock: Option<Clock>,
}

/// A system to explore: of plain processes, of decorated ones, of members that start, or a timed one.
pub enum Built {
    /// The processes as they run.
    Plain(System<Process, Ghost>),
    /// Decorated processes: one rule or machine is broken, or ballots are drawn at any height.
    Decorated(System<Decorated, Ghost>),
    /// Members that start, with the rule of admission as it serves or broken.
    Admission(System<Member, Watch>),
    /// A timed system.
    Timed(System<Player, ()>),
    /// A timed system of servers.
    Master(System<timed::Member, ()>),
    /// A world in which members tell the time.
    Clock(System<Worlds, ()>),
}

impl Model {
    /// True if its exploration can go on from a checkpoint. It cannot where ballots are renumbered, since that is found out anew at
    /// every step.
    pub fn has_checkpoints(&self) -> bool {
        self.live_ballots.is_none()
    }

    /// Reads and judges a model file.
    ///
    /// # Errors
    /// For anything in the file that cannot be read or makes no sense, with its line and column.
    pub fn read(name: &str, text: &str) -> Result<Model, ModelError> {
        let judge = Judge { name, text };
        if let Some((admission, file)) = admission::read(&judge)? {
            return Ok(of_admission(&judge, admission, file));
        }
        if let Some((clock, file)) = clock::read(&judge)? {
            return Ok(of_clock(&judge, clock, file));
        }
        if let Some((timed, file)) = timed::read(&judge)? {
            return Ok(of_time(&judge, timed, file));
        }
        let file: ModelFile = parsed(name, text)?;
        let system = &file.system;
        let acceptors = judge.count("acceptors", &system.acceptors, 1, synod::MAX_ACCEPTORS as i64)?;
        let separate = system.layout == Layout::Separate;
        let other = |what, given: &Option<Spanned<i64>>, missing: Option<usize>| match (given, missing) {
            (Some(given), _) if !separate => judge.error(
                given.span(),
                format!("{what}: every server is one in the co-located layout; leave it out"),
            ),
            (Some(given), _) => judge.count(what, given, i64::from(missing.is_none()), MAX_OTHERS),
            (None, Some(count)) => Ok(count),
            (None, None) => judge.error(system.acceptors.span(), format!("{what} is missing in [system]")),
        };
        let proposers = other("proposers", &system.proposers, if separate { None } else { Some(acceptors) })?;
        let learners = other("learners", &system.learners, Some(if separate { 0 } else { acceptors }))?;

        sense::system(&judge, &file, learners)?;

        let values = system.values.get_ref();
        if values.is_empty() || values.len() > MAX_OTHERS as usize {
            return judge.error(
                system.values.span(),
                format!("values: needs 1 to {MAX_OTHERS} of them, one a client"),
            );
        }
        let ids = |from: usize, count: usize| (from..from + count).map(Id::from).collect::<Vec<_>>();
        let named = |letter: char, count: usize| (1..=count).map(move |i| format!("{letter}{i}"));
        let (names, acceptor_ids, proposer_ids, learner_ids): (Vec<_>, _, _, _) = if separate {
            let names = named('A', acceptors).chain(named('P', proposers)).chain(named('L', learners));
            let learner_ids = ids(acceptors + proposers, learners);
            (names.collect(), ids(0, acceptors), ids(acceptors, proposers), learner_ids)
        } else {
            (named('S', acceptors).collect(), ids(0, acceptors), ids(0, acceptors), ids(0, acceptors))
        };
        let readers = match &system.readers {
            None => 0,
            Some(given) if separate => {
                return judge
                    .error(given.span(), "readers: only servers answer reads, in the co-located layout");
            }
            Some(given) => given.get_ref().len(),
        };
        let client_ids = ids(names.len(), values.len());
        let mut names: Vec<String> = names.into_iter().chain(named('C', values.len() + readers)).collect();
        names.extend(stranger::is_there(&file).then(|| "X".to_owned()));
        if values.len() + readers > MAX_OTHERS as usize {
            let span = system.readers.as_ref().map(Spanned::span).unwrap_or_default();
            return judge.error(span, format!("readers: there may be {MAX_OTHERS} clients, values included"));
        }

        let learning = match system.learning.as_ref().map(Spanned::get_ref) {
            None | Some(LearningFile::Everyone) => Learning::Everyone,
            Some(LearningFile::Proposer) => Learning::Proposer,
            Some(LearningFile::Distinguished(list)) => {
                let span = system.learning.as_ref().map(Spanned::span).unwrap_or_default();
                if list.is_empty() || list.iter().any(|l| *l == 0 || *l > learners) {
                    let message =
                        format!("learning: distinguished learners are numbered from 1 to {learners}");
                    return judge.error(span, message);
                }
                Learning::Distinguished(list.iter().map(|l| l - 1).collect())
            }
        };
        let changing = file.log.as_ref().and_then(|log| log.get_ref().members);
        let first = changing.map_or(acceptors, |members| members.first.clamp(1, acceptors));
        let quorums = quorums(&judge, &file, first)?;
        let election = leads::election(&judge, &file, &proposer_ids, &quorums)?;
        let cluster = Arc::new(Cluster {
            acceptors: acceptor_ids,
            proposers: proposer_ids
                .iter()
                .copied()
                .zip(numbers(&judge, &file, proposer_ids.len())?)
                .collect(),
            learners: learner_ids,
            clients: if system.responses { client_ids } else { Vec::new() },
            waiting_limit: waiting(&judge, &file, values.len() + readers + acceptors - first)?,
            quorums,
            learning,
            nacks: system.nacks,
            report: system.report.unwrap_or(usize::MAX),
            max_value: usize::MAX,
            max_accepted: usize::MAX,
            keeps: usize::MAX,
            log: log_file::log(&judge, &file)?,
            election,
        });
        let mut before = log_file::before(&judge, &file, &cluster, &names)?;
        let mut processes = processes(&judge, &file, &cluster, &names, &proposer_ids, learners)?;
        let claims = judge
            .known("claim", file.check.claims.as_ref(), &CLAIMS, |claim| claim.name)?
            .unwrap_or_else(|| CLAIMS.iter().filter(|claim| ballots::can_check(&file, claim.name)).collect());
        let witness = |given: &Option<Spanned<Vec<String>>>| {
            Ok(judge.known("witness", given.as_ref(), &WITNESSES, |w| w.name)?.unwrap_or_default())
        };
        let faults = file.faults.as_ref();
        let crashable = listed(&judge, "crash", faults.and_then(|f| f.crash.as_ref()), &names)?;
        let mut down = listed(&judge, "down", faults.and_then(|f| f.down.as_ref()), &names)?;
        let listed = sense::Listed { names: &names, crashable: &crashable, down: &down };
        sense::faults(&judge, &file, &listed)?;
        if file.log.as_ref().is_some_and(|log| log.get_ref().hang_up) {
            log_file::hang_up(&processes, &mut before, &mut down);
        }
        if stranger::is_there(&file) {
            processes.push(stranger::process());
            stranger::admit(&judge, &file, &cluster, Id::from(names.len() - 1), &mut before)?;
            down[names.len() - 1] = true;
        }
        let rule = |name: &str| mutants::find(name).and_then(mutants::Mutant::rule);
        if let Some(mutant) = file.mutant.as_ref().filter(|name| rule(name.get_ref()).is_none()) {
            let of_roles = mutants::MUTANTS.iter().filter(|mutant| mutant.rule().is_some());
            let names: Vec<_> = of_roles.map(|mutant| mutant.name).collect();
            let message = format!(
                "no mutant is named {:?}; there are {}{}",
                mutant.get_ref(),
                names.join(", "),
                meant(mutant.get_ref(), names.iter().copied())
            );
            return judge.error(mutant.span(), message);
        }
        let (witnesses, never) = (witness(&file.check.witnesses)?, witness(&file.check.never)?);
        sense::check(&judge, &file, &claims, [&witnesses, &never])?;
        let progress = liveness::admit(&judge, &file, &cluster, (&names, &proposer_ids))?;
        let named: Vec<_> = claims.iter().map(|claim| claim.name).collect();
        let comes_about = progress.as_ref().map_or(&[][..], |progress| &progress.properties);
        sense::expect(&judge, &file, &named, comes_about)?;
        let live_ballots = ballots::admit(&judge, &file)?;
        let alike = match &file.reduce.symmetry {
            None => Vec::new(),
            Some(given) if live_ballots.is_some() => {
                return judge.error(
                    given.span(),
                    "symmetry: not where ballots are renumbered; leave out live_ballots",
                );
            }
            Some(given) => permute::alike(given.get_ref(), &file, &cluster, [&crashable, &down])
                .or_else(|why| judge.error(given.span(), format!("symmetry: {why}")))?,
        };
        if let (Some(given), false, true) =
            (&file.reduce.symmetry, alike.is_empty(), file.reduce.dead_messages)
        {
            let why = "not together with dead-messages: what one process may leave out would have to be checked on all that are like it";
            return judge.error(given.span(), format!("symmetry: {why}"));
        }
        let (name, text) = (name.to_owned(), text.to_owned());
        Ok(Model {
            name,
            text,
            file,
            names,
            cluster,
            processes,
            claims,
            witnesses,
            never,
            live_ballots,
            crashable,
            down,
            alike,
            progress,
            before,
            admission: None,
            timed: None,
            clock: None,
        })
    }

    /// True if the model is one of the protocol.
    pub fn is_of_protocol(&self) -> bool {
        self.admission.is_none() && self.timed.is_none() && self.clock.is_none()
    }

    /// The broken rule or machine, if the model has one.
    pub fn mutant(&self) -> Option<&'static mutants::Mutant> {
        self.file.mutant.as_ref().and_then(|name| mutants::find(name.get_ref()))
    }

    /// True if a reduction is in use, so that states are counted once for all of their like.
    pub fn reduces(&self) -> bool {
        !self.alike.is_empty() || self.file.reduce.dead_messages
    }

    /// Why no search of it can come to an end, and which bound is missing, if so.
    pub fn has_no_end(&self) -> Option<&'static str> {
        sense::has_no_end(&self.file)
    }

    /// The system that the file describes.
    pub fn build(&self) -> Built {
        if let Some(admission) = &self.admission {
            return Built::Admission(admission.system());
        }
        if let Some(timed) = &self.timed {
            if let Some(system) = timed.system() {
                return Built::Timed(system);
            }
            if let Some(system) = timed.members() {
                return Built::Master(system);
            }
        }
        if let Some(clock) = &self.clock {
            return Built::Clock(clock.system());
        }
        let rule = match (self.mutant().and_then(mutants::Mutant::rule), self.live_ballots) {
            (None, None) => {
                let mut system = self.system(self.processes.clone());
                system.saved.clone_from(&self.before.saved);
                return Built::Plain(system);
            }
            // Processes that draw their ballots are decorated, also if nothing is broken.
            (None, Some(_)) => Rule::Control,
            (Some(rule), _) => rule,
        };
        let draws = self.draws();
        let decorated = |process: &Process| Decorated {
            process: log_file::doctored(process, rule, &self.file),
            rule,
            draws,
        };
        let actors: Vec<Decorated> = self.processes.iter().map(decorated).collect();
        let normal = self.live_ballots.map(|most| {
            let normal =
                LiveBallots::new(most, Arc::clone(&self.cluster), actors.clone(), self.claims.clone());
            if self.progress.is_some() { normal.exact() } else { normal }
        });
        let mut system = self.system(actors);
        let disk = |now: &Option<Stable>| now.clone().map(|now| DecoratedStable { now, before: None });
        system.saved = self.before.saved.iter().map(disk).collect();
        if let Some(normal) = normal {
            system.normal = Some(Arc::new(normal));
        }
        Built::Decorated(system)
    }

    fn system<A>(&self, actors: Vec<A>) -> System<A, Ghost>
    where
        A: Subject<Msg = Msg>,
        A::State: Inside,
        A::Timer: Rings,
        Exchange: Permute<A, Ghost>,
    {
        // Only where a log is kept: the sizes of all other models were found with the whole history.
        let claims = self.file.log.as_ref().map(|_| self.claims.iter().map(|claim| claim.name).collect());
        let before = self.before.history.clone();
        let ghost = Ghost { cluster: Arc::clone(&self.cluster), before, claims };
        let mut system = System::new(actors, ghost);
        system.initial_envelopes.clone_from(&self.before.told);
        system.names.clone_from(&self.names);
        system.network = Network {
            delivery: match self.file.network.delivery {
                DeliveryFile::Set => Delivery::Set,
                DeliveryFile::Multiset => Delivery::Multiset,
                DeliveryFile::Ordered => Delivery::Ordered,
            },
            loss: self.file.network.loss,
        };
        if let Some(faults) = &self.file.faults {
            system.faults = Faults {
                crashable: self.crashable.clone(),
                max_down: faults.at_once.unwrap_or(1),
                max_crashes: Some(faults.in_all.unwrap_or(1)),
                absent: Vec::new(),
            };
        }
        system.faults.absent.clone_from(&self.down);
        if !self.alike.is_empty() {
            let permute = Arc::new(Exchange { cluster: Arc::clone(&self.cluster) });
            system.symmetry = Some(Symmetry { alike: self.alike.clone(), permute });
        }
        let piles_up = self.cluster.election.is_some() && system.network.delivery == Delivery::Multiset;
        let log = self.progress.as_ref().filter(|_| self.cluster.log.is_some()).map(|progress| Forgets {
            cluster: Arc::clone(&self.cluster),
            dead: self.mutant().and_then(mutants::Mutant::rule).is_none_or(Rule::leaves_roles),
            answered: progress.asks_for_answers_alone(),
            deaf: progress.deaf(),
        });
        if self.file.system.resend || piles_up || log.is_some() {
            system.normal = Some(Arc::new(Merged { log }));
        }
        system.assert_contract = true;
        system.bounds = Bounds { depth: self.file.bounds.depth, ..Bounds::default() };
        if let Some(rounds) = self.file.bounds.rounds {
            let within = move |state: &A::State| state.inside().proposer().is_none_or(|p| p.tried <= rounds);
            system.bounds.local = Some((format!("rounds up to {rounds}"), Arc::new(within)));
        }
        for claim in &self.claims {
            let (cluster, claim) = (Arc::clone(&self.cluster), *claim);
            let check = move |history: &History| claim.check(&cluster.quorums, history);
            system.properties.push(Property::always_history(claim.name, check));
        }
        for witness in &self.witnesses {
            system.properties.push(match witness.sign {
                Sign::Step(sign) => {
                    Property::sometimes_note(witness.name, move |note: &Note| shows(sign, note))
                }
                Sign::History(sign) => Property::sometimes_history(witness.name, self.seen(sign)),
            });
        }
        for witness in self.never.iter().copied() {
            let Sign::History(sign) = witness.sign else { continue };
            let seen = self.seen(sign);
            let check = move |history: &History| {
                if seen(history) { Err(format!("{} was reached", witness.says)) } else { Ok(()) }
            };
            system.properties.push(Property::always_history(witnesses::never(witness), check));
        }
        for claim in &self.claims {
            let premise = premises::premise(claim, &self.cluster, self.live_ballots.is_some());
            system.properties.push(premise.premise_of(claim.name));
        }
        if self.file.check.hollow.is_some() {
            system.properties.push(Property::always_history(premises::MEANT, |_| Ok(())));
        }
        if let Some(progress) = &self.progress {
            progress.declare(&mut system, &self.cluster, &self.numbers(), self.draws());
        }
        system
    }

    /// True if proposers begin ballots at any height. Those that answer nacks begin theirs as the code does.
    fn draws(&self) -> bool {
        self.live_ballots.is_some() && !self.file.system.nacks
    }

    /// The number that each process's ballots carry; 0 for those that begin none.
    fn numbers(&self) -> Vec<u16> {
        let number = |process: &Process| match process {
            Process::Proposer { number, .. } | Process::Server { number, .. } => *number,
            _ => 0,
        };
        self.processes.iter().map(number).collect()
    }

    /// A witness of the history, with all it needs to know.
    fn seen(
        &self,
        sign: fn(&Quorums, &History, usize) -> bool,
    ) -> impl Fn(&History) -> bool + Send + Sync + use<> {
        let cluster = Arc::clone(&self.cluster);
        move |history| sign(&cluster.quorums, history, cluster.learners.len())
    }

    /// Makes the model check every claim and nothing else; with a depth, on paths of at most so many states.
    pub fn ask_everything(&mut self, depth: Option<usize>) {
        self.claims = CLAIMS.iter().filter(|claim| ballots::can_check(&self.file, claim.name)).collect();
        self.witnesses.clear();
        self.never.clear();
        self.file.bounds.depth = depth.or(self.file.bounds.depth);
    }

    /// The system in a few words, for tables.
    pub fn shape(&self) -> String {
        let count = |letter: char| self.names.iter().filter(|name| name.starts_with(letter)).count();
        let parts: Vec<String> = ['M', 'S', 'A', 'P', 'L', 'C']
            .into_iter()
            .filter(|letter| count(*letter) > 0)
            .map(|letter| format!("{}{letter}", count(letter)))
            .collect();
        parts.join(" ")
    }

    /// The faults in it, in a few words, for tables.
    pub fn troubles(&self) -> String {
        let mut parts = vec![match self.file.network.delivery {
            DeliveryFile::Set => "set".to_owned(),
            DeliveryFile::Multiset => "multiset".to_owned(),
            DeliveryFile::Ordered => "ordered".to_owned(),
        }];
        parts.extend(self.file.network.loss.then(|| "loss".to_owned()));
        if let Some(faults) = &self.file.faults {
            parts.extend(faults.crash.as_ref().map(|_| format!("{} crash", faults.in_all.unwrap_or(1))));
            parts.extend(faults.down.as_ref().map(|down| format!("{} down", down.get_ref().join(" "))));
        }
        parts.extend(self.mutant().map(|m| format!("mutant {}", m.name)));
        parts.extend(self.admission.iter().flat_map(Admission::troubles));
        parts.extend(self.timed.iter().flat_map(Timed::troubles));
        parts.extend(self.clock.iter().flat_map(Clock::troubles));
        parts.join(", ")
    }
}

/// A model of admission.
fn of_admission(judge: &Judge<'_>, admission: Admission, file: ModelFile) -> Model {
    let members = admission.scene.members;
    let names = (1..=members).map(|id| format!("M{id}")).collect();
    Model { admission: Some(admission), ..without_processes(judge, members, names, file) }
}

/// The clients that may wait at a server: all, if the file says nothing else.
fn waiting(judge: &Judge<'_>, file: &ModelFile, clients: usize) -> Result<usize, ModelError> {
    let wait = file.log.is_some() || file.system.readers.is_some();
    match &file.system.waiting {
        Some(given) if !wait => {
            judge.error(given.span(), "waiting: nobody waits, since no server keeps a log and nobody reads")
        }
        Some(given) => judge.count("waiting", given, 1, MAX_OTHERS),
        None => Ok(if wait { clients } else { 0 }),
    }
}

/// A model of times to live.
fn of_clock(judge: &Judge<'_>, clock: Clock, file: ModelFile) -> Model {
    let members = clock.scene.members;
    Model { clock: Some(clock), ..without_processes(judge, members, vec!["World".to_owned()], file) }
}

/// A timed model.
fn of_time(judge: &Judge<'_>, timed: Timed, file: ModelFile) -> Model {
    let small = timed.system().map(|system| system.names);
    let names = small.or_else(|| timed.members().map(|system| system.names)).unwrap_or_default();
    Model { timed: Some(timed), ..without_processes(judge, 1, names, file) }
}

/// A model without processes of the protocol.
fn without_processes(judge: &Judge<'_>, members: usize, names: Vec<String>, file: ModelFile) -> Model {
    let ids: Vec<Id> = (0..members).map(Id::from).collect();
    let quorums = Quorums::new(members, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet");
    Model {
        name: judge.name.to_owned(),
        text: judge.text.to_owned(),
        file,
        names,
        cluster: Arc::new(Cluster {
            acceptors: ids.clone(),
            proposers: Vec::new(),
            learners: ids,
            clients: Vec::new(),
            waiting_limit: 0,
            quorums,
            learning: Learning::Everyone,
            nacks: false,
            report: usize::MAX,
            max_value: usize::MAX,
            max_accepted: usize::MAX,
            keeps: usize::MAX,
            log: None,
            election: None,
        }),
        processes: Vec::new(),
        claims: Vec::new(),
        witnesses: Vec::new(),
        never: Vec::new(),
        live_ballots: None,
        crashable: Vec::new(),
        down: Vec::new(),
        alike: Vec::new(),
        progress: None,
        before: Before::default(),
        admission: None,
        timed: None,
        clock: None,
    }
}
