//! The assumptions under which a distinguished proposer is enough (PMS §2.4). Each has a number and is a switch of a model file.
//!
//! 1. `alone`: from some point on nobody else begins a ballot.
//! 2. `retries`: it begins one when it has to. It comes back if it is down, and its timer, if it has one, runs out. A proposer without a
//!    timer begins its next ballot in the step in which it hears of a refusal, so nothing need be assumed of it; `retry = "never"` takes
//!    that away.
//! 3. `asked`: its messages to each member of one quorum arrive, and the members come back if they are down.
//! 4. `answered`: their answers arrive at the proposer, and all messages to learners arrive.
//!
//! Besides, clients' requests arrive at it, since otherwise there may be nothing to propose. Where messages can be lost, nothing is due before
//! they did. If there is a timer, 5. `patient`: from some point on the timer does not run out while a message about its ballot can
//! still arrive at a member of the quorum or from one. In other words, it is longer than a round trip.
//!
//! "Arrives" is weak fairness, for each kind of message, each sender and each receiver. A message arrives again and again as long as
//! there always is one that its receiver would not ignore. If messages can be lost, none of these is lost from some point on.
//! Other messages may never arrive.
//!
//! If clients are to be answered, their answers arrive, too. A server that is `deaf` hears no other server.
//!
//! If leaders are elected, nobody is distinguished. Assumptions about the election (see `leads`) then stand in place of 1. Assumptions 2 to 5
//! are about all proposers, and a process that is down need not come back.

use crate::file::{DeliveryFile, ModelError, ModelFile, RetryFile};
use crate::history::{Happened, Note};
use crate::judge::Judge;
use crate::leads::{self, Assumed};
use crate::liveness_file::LivenessFile;
use crate::merged;
use crate::observer::{Ghost, Inside};
use crate::rings::Rings;
use crate::walk::Walk;
use stateright::actor::Id;
use std::sync::Arc;
use synod::{Ask, Ballot, Beat, Cluster, Msg, Phase, ProposerState};
use synod_explore::liveness::{Assumption, Fairness, Goal, LiveProperty, Shape};
use synod_explore::{Action, Local, State, Subject, System};
use toml::Spanned;

/// The properties that must come about, from every reachable state on.
pub const COMES_ABOUT: [(&str, &str); 5] = [
    ("chosen", "eventually chosen"),
    ("learned", "eventually learned by all"),
    ("led", "in the end one leads, for ever"),
    ("answered", "eventually all are answered"),
    ("governed", "eventually a change of members governs"),
];

/// The meaning of a `[liveness]` section.
#[derive(Clone, Debug)]
pub struct Progress {
    pub(crate) properties: Vec<&'static str>,
    distinguished: Id,
    served: Vec<Id>,
    quorum: Vec<Id>,
    resend: bool,
    elected: Option<Assumed>,
    deaf: Vec<Id>,
    file: LivenessFile,
}

/// Reads the section of a file.
pub(crate) fn admit(
    judge: &Judge<'_>,
    file: &ModelFile,
    cluster: &Cluster,
    (names, proposers): (&[String], &[Id]),
) -> Result<Option<Progress>, ModelError> {
    if file.system.resend
        && (file.bounds.live_ballots.is_some() || file.network.delivery != DeliveryFile::Multiset)
    {
        let why = "needs delivery = \"multiset\" in [network] and goes without live_ballots";
        return judge.error(file.system.values.span(), format!("resend: {why}"));
    }
    let Some(given) = &file.liveness else { return Ok(None) };
    let place = given.properties.span();
    if file.network.delivery == DeliveryFile::Set {
        let why = "messages that are never removed can be delivered again for ever, so that fairness would have to be \
                   asked of each message: delivery = \"multiset\" or \"ordered\" is needed in [network]";
        return judge.error(place, format!("liveness: {why}"));
    }
    let reduced = file.reduce.symmetry.as_ref().map(Spanned::span);
    if let Some(span) = reduced.or(file.reduce.dead_messages.then(|| place.clone())) {
        let why = "not where liveness is checked: fairness tells like processes apart, and asks whether a message can be delivered";
        return judge.error(span, format!("reduce: {why}"));
    }
    let draws = file.bounds.live_ballots.is_some() && file.system.retry == RetryFile::OnTimeout;
    if draws && proposers.len() > 1 && (!given.alone || given.holds_off) {
        let why = "where ballots are drawn at any height, ever higher ones can lie below another for ever, which numbers cannot: \
                   two that go on for ever need retry = \"on-nack\"";
        return judge.error(place, format!("liveness: with live_ballots: {why}"));
    }
    let property = |name: &String| match COMES_ABOUT.iter().find(|(known, _)| known == name) {
        Some((_, property)) => Ok(*property),
        None => judge.error(
            given.properties.span(),
            format!("no such property: {name:?}; there are chosen, learned, led, answered, governed"),
        ),
    };
    let properties: Vec<_> = given.properties.get_ref().iter().map(property).collect::<Result<_, _>>()?;
    if properties.is_empty() {
        return judge
            .error(place, "properties: name at least one of chosen, learned, led, answered, governed");
    }
    if properties.contains(&COMES_ABOUT[4].1)
        && file.log.as_ref().is_none_or(|log| log.get_ref().members.is_none())
    {
        return judge
            .error(place, "governed: members do not change in this system; say how with members in [log]");
    }
    if properties.contains(&COMES_ABOUT[1].1) && cluster.learners.is_empty() {
        return judge.error(place, "learned: there is no learner in this system");
    }
    let hang_up = file.log.as_ref().is_some_and(|log| log.get_ref().hang_up);
    let loses = file.network.loss && !file.system.resend;
    if properties.contains(&COMES_ABOUT[3].1) && (file.log.is_none() || hang_up || loses) {
        let why = "only who keeps a log answers each client, and clients have to wait for it: leave out hang-up, and where \
                   messages are lost have them resend";
        return judge.error(place, format!("answered: {why}"));
    }
    let is_elected = cluster.election.is_some();
    if properties.contains(&COMES_ABOUT[2].1) && !is_elected {
        return judge.error(place, "led: there is no [election] in this model");
    }
    if is_elected && (given.distinguished.is_some() || given.holds_off || !given.alone) {
        let why =
            "distinguished, alone and holds-off: who leads is elected here; leave them out, or [election]";
        return judge.error(place, why);
    }
    let elected = Assumed::admit(
        judge,
        is_elected,
        [("accurate", &given.accurate), ("complete", &given.complete), ("beats", &given.beats)],
    )?;
    let find = |what: &str, name: &String, among: &[Id], span| {
        let found =
            names.iter().position(|known| known == name).map(Id::from).filter(|id| among.contains(id));
        found.map_or_else(|| judge.error(span, format!("{what}: there is no {name:?} that could be it")), Ok)
    };
    let list = |what: &str, given: &Spanned<Vec<String>>, among: &[Id]| -> Result<Vec<Id>, ModelError> {
        given.get_ref().iter().map(|name| find(what, name, among, given.span())).collect()
    };
    let distinguished = match &given.distinguished {
        Some(given) => find("distinguished", given.get_ref(), proposers, given.span())?,
        None => proposers[0],
    };
    let served = match &given.served {
        Some(given) => list("served", given, proposers)?,
        None if is_elected => proposers.to_vec(),
        None => vec![distinguished],
    };
    let quorum = match &given.quorum {
        Some(given) => list("quorum", given, &cluster.acceptors)?,
        None => cluster.acceptors.clone(),
    };
    let deaf = given.deaf.as_ref().map_or(Ok(Vec::new()), |given| list("deaf", given, proposers))?;
    let index = |id: &Id| cluster.acceptors.iter().position(|acceptor| acceptor == id);
    let members = quorum.iter().filter_map(index).collect();
    if !cluster.quorums.is_phase1(members) || !cluster.quorums.is_phase2(members) {
        let span = given.quorum.as_ref().map_or(place, Spanned::span);
        return judge.error(span, "quorum: these acceptors are no quorum of both phases");
    }
    Ok(Some(Progress {
        properties,
        distinguished,
        served,
        quorum,
        resend: file.system.resend,
        elected: is_elected.then_some(elected),
        deaf,
        file: given.clone(),
    }))
}

/// A choice of messages, by sender, receiver and content.
type Meant = Box<dyn Fn(Id, Id, &Msg) -> bool + Send + Sync>;

/// The name of a message among those of its channel.
fn kind(msg: &Msg) -> &'static str {
    match msg {
        Msg::Ask(Ask::Request { .. }) => "Request",
        Msg::Prepare { .. } => "Prepare",
        Msg::Promise { .. } => "Promise",
        Msg::Accept { .. } => "Accept",
        Msg::Accepted { .. } => "Accepted",
        Msg::Nack { .. } => "Nack",
        Msg::Chosen { .. } => "Chosen",
        Msg::Response { .. } => "Response",
        Msg::Ask(Ask::Read { .. }) => "Read",
        Msg::Unset { .. } => "Unset",
        Msg::Ask(Ask::Submit { .. }) => "Submit",
        Msg::Ask(Ask::Query { .. }) => "Query",
        Msg::Ask(Ask::StaleQuery { .. }) => "StaleQuery",
        Msg::Output { .. } => "Output",
        Msg::Redirect { .. } => "Redirect",
        Msg::CatchUp { .. } => "CatchUp",
        Msg::CatchUpReply { .. } => "CatchUpReply",
        Msg::Confirm { .. } => "Confirm",
        Msg::Confirmed { .. } => "Confirmed",
        Msg::Chunk { .. } => "Chunk",
        Msg::Fetch { .. } => "Fetch",
        Msg::Checksum { .. } => "Checksum",
        Msg::Beat(Beat::Heartbeat { .. }) => "Heartbeat",
        Msg::Beat(Beat::Follow) => "Follow",
        Msg::Beat(Beat::Cede(_)) => "Cede",
        Msg::Give { .. } => "Give",
        Msg::Yield { .. } => "Yield",
        Msg::Removed { .. } => "Removed",
        Msg::Relay { .. } => "Relay",
        Msg::Relayed { .. } => "Relayed",
    }
}

/// The ballot that a message between a proposer and an acceptor is about.
fn ballot_of(msg: &Msg) -> Option<Ballot> {
    match msg {
        Msg::Prepare { ballot, .. }
        | Msg::Promise { ballot, .. }
        | Msg::Accept { ballot, .. }
        | Msg::Accepted { ballot, .. }
        | Msg::Confirm { ballot, .. }
        | Msg::Confirmed { ballot, .. }
        | Msg::Nack { ballot, .. } => Some(*ballot),
        _ => None,
    }
}

/// The ballot that a proposer has come to.
fn current(proposer: &ProposerState) -> Option<Ballot> {
    match &proposer.phase {
        Phase::Preparing { ballot, .. } | Phase::Accepting { ballot, .. } => Some(*ballot),
        Phase::Idle => None,
    }
}

/// The messages that are to arrive.
#[derive(Clone)]
struct Way {
    proposer: Id,
    quorum: Vec<Id>,
    /// True if the proposer's messages to the quorum are.
    there: bool,
    /// True if the answers are.
    back: bool,
}

/// True if a message about a proposer's present ballot is still on its way to a member of a quorum, or from one.
fn goes_on<A: Subject<Msg = Msg>>(state: &State<A, Ghost>, way: &Way) -> bool
where
    A::State: Inside,
{
    let Way { proposer, quorum, .. } = way;
    let proposer = *proposer;
    let up = |id: Id| state.locals.get(usize::from(id)).and_then(|local| local.state.as_deref());
    let Some(ballot) = up(proposer).and_then(|state| state.inside().proposer()).and_then(current) else {
        return false;
    };
    state.network.heads().iter().any(|envelope| {
        let there = way.there && envelope.src == proposer && quorum.contains(&envelope.dst);
        let back = way.back && envelope.dst == proposer && quorum.contains(&envelope.src);
        (there || back) && ballot_of(envelope.msg) == Some(ballot) && up(envelope.dst).is_some()
    })
}

/// True if a note says that a proposer of another number began a ballot.
fn begun_by_another(note: &Note, number: u16) -> bool {
    note.iter().any(|happened| matches!(happened, Happened::Begun(ballot) if ballot.proposer != number))
}

/// True if something else than the first members governs: all is chosen below the first instance of other ones.
fn a_change_governs(history: &crate::History) -> bool {
    let last =
        |walk: &Walk| walk.sets.len() > 1 && walk.sets.last().is_some_and(|(from, _)| *from <= walk.next);
    history.members.as_ref().is_some_and(last)
}

impl Progress {
    /// True if the only property is that clients are answered.
    pub(crate) fn asks_for_answers_alone(&self) -> bool {
        self.properties == [COMES_ABOUT[3].1]
    }

    /// Servers that hear no other.
    pub(crate) fn deaf(&self) -> Vec<Id> {
        self.deaf.clone()
    }

    /// The states in which the distinguished proposer has something to propose; where leaders are elected, all that are up.
    fn wants<A>(&self) -> Goal<A, Ghost>
    where
        A: Subject<Msg = Msg>,
        A::State: Inside,
    {
        let leader = usize::from(self.distinguished);
        let served = self.elected.map(|_| self.served.clone());
        let wants = |state: &A::State| state.inside().proposer().is_some_and(|p| !p.wanted.is_empty());
        Goal::Locals(Arc::new(move |actor, local: &Local<A>| match &served {
            Some(served) => !served.contains(&Id::from(actor)) || local.state.as_deref().is_none_or(wants),
            None => actor != leader || local.state.as_deref().is_some_and(wants),
        }))
    }

    /// Adds to a system what must come about, and what is assumed.
    pub(crate) fn declare<A>(
        &self,
        system: &mut System<A, Ghost>,
        cluster: &Arc<Cluster>,
        numbers: &[u16],
        draws: bool,
    ) where
        A: Subject<Msg = Msg>,
        A::State: Inside,
        A::Timer: Rings,
    {
        for name in &self.properties {
            if let (true, Some(election)) = (*name == COMES_ABOUT[2].1, &cluster.election) {
                let (shape, goal) = (Shape::StaysAtLast, leads::is_led(election, &self.deaf));
                system.liveness.properties.push(LiveProperty { name, shape, goal });
                continue;
            }
            if *name == COMES_ABOUT[3].1 {
                let answered = |_: usize, local: &Local<A>| merged::is_answered(local);
                let (shape, goal) = (Shape::FromEverywhere, Goal::Locals(Arc::new(answered)));
                system.liveness.properties.push(LiveProperty { name, shape, goal });
                continue;
            }
            if *name == COMES_ABOUT[4].1 {
                let (shape, goal) = (Shape::FromEverywhere, Goal::History(Arc::new(a_change_governs)));
                system.liveness.properties.push(LiveProperty { name, shape, goal });
                continue;
            }
            let goal = if *name == COMES_ABOUT[0].1 {
                let cluster = Arc::clone(cluster);
                Goal::History(Arc::new(move |history: &crate::History| {
                    history.chosen(&cluster.quorums).next().is_some()
                }))
            } else {
                let learners = cluster.learners.clone();
                Goal::Locals(Arc::new(move |actor, local: &Local<A>| {
                    let knows =
                        |state: &A::State| state.inside().learner().is_some_and(|l| !l.learned.is_empty());
                    !learners.contains(&Id::from(actor)) || local.state.as_deref().is_none_or(knows)
                }))
            };
            // A client's question may be lost for good, and then nobody has anything to propose.
            let shape =
                if system.network.loss { Shape::LeadsTo(self.wants()) } else { Shape::FromEverywhere };
            system.liveness.properties.push(LiveProperty { name, shape, goal });
        }
        let names = Arc::new(system.names.clone());
        let name = |id: Id| names[usize::from(id)].clone();
        if let (Some(assumed), Some(election)) = (self.elected, &cluster.election) {
            assumed.declare(system, election, &self.deaf);
        }
        let me = name(self.distinguished);
        let loss = system.network.loss;
        let mut assume = |assumption| system.liveness.assumptions.push(assumption);
        let (leader, quorum) = (self.distinguished, self.quorum.clone());
        let number = numbers[usize::from(leader)];
        let others = move |_: &Action<A>, note: Option<&Note>| {
            note.is_some_and(|note| begun_by_another(note, number)).then(String::new)
        };
        let way = |proposer: Id| Way {
            proposer,
            quorum: self.quorum.clone(),
            there: self.file.asked,
            back: self.file.answered,
        };
        if self.elected.is_some() {
            // The assumptions on the election decide who begins ballots.
        } else if self.file.holds_off {
            let way = way(leader);
            let says = format!("nobody but {me} begins a ballot while {me}'s can go on");
            let assumption = Assumption::each(&says, Fairness::Ceases, others);
            assume(assumption.when(move |state, _| goes_on(state, &way)));
        } else if self.file.alone {
            assume(Assumption::each(&format!("1 nobody but {me} begins a ballot"), Fairness::Ceases, others));
        }
        if self.file.alone && draws && self.elected.is_none() {
            let low = move |action: &Action<A>| matches!(action, Action::<A>::Timeout(who, timer) if *who == leader && timer.height().is_some());
            // Each ballot it begins has a higher round, and from some point on nobody else's rounds grow.
            let says = format!("1 {me} begins no ballot below another");
            assume(Assumption::ceases(&says, low).when(move |state, action| {
                let Action::<A>::Timeout(_, timer) = action else { return false };
                let timers = state.locals.get(usize::from(leader)).map(|local| &local.timers);
                let highest = timers.and_then(|timers| timers.iter().filter_map(Rings::height).max());
                timer.height() < highest
            }));
        }
        // Messages of some channels arrive, those of each kind by themselves.
        let arrive = |says: &str, meant: Meant| {
            let names = Arc::clone(&names);
            let class = move |action: &Action<A>, _: Option<&Note>| match action {
                Action::<A>::Deliver { src, dst, msg } if meant(*src, *dst, msg) => {
                    let name = |id: Id| names.get(usize::from(id)).cloned().unwrap_or_default();
                    Some(format!("{} -> {}  {}", name(*src), name(*dst), kind(msg)))
                }
                _ => None,
            };
            Assumption::each(says, Fairness::Weak, class)
        };
        let is_lost = |says: &str, meant: Meant| {
            let lost = move |action: &Action<A>| match action {
                Action::<A>::Drop(envelope) => meant(envelope.src, envelope.dst, &envelope.msg),
                _ => false,
            };
            Assumption::ceases(says, lost)
        };
        let comes_back = |says: &str, who: Vec<Id>| {
            let names = Arc::clone(&names);
            let class = move |action: &Action<A>, _: Option<&Note>| match action {
                Action::<A>::Recover(id) if who.contains(id) => names.get(usize::from(*id)).cloned(),
                _ => None,
            };
            Assumption::each(says, Fairness::Weak, class)
        };
        let (served, deaf) = (self.served.clone(), self.deaf.clone());
        let asks = move |_, dst, msg: &Msg| {
            matches!(msg, Msg::Ask(Ask::Request { .. } | Ask::Submit { .. } | Ask::Query { .. }))
                && served.contains(&dst)
        };
        assume(arrive("0 what clients ask arrives", Box::new(asks.clone())));
        let is_for_clients = |name: &&str| [COMES_ABOUT[3].1, COMES_ABOUT[4].1].contains(name);
        if self.properties.iter().any(is_for_clients) {
            let told = |_, _, msg: &Msg| matches!(msg, Msg::Output { .. } | Msg::Redirect { .. });
            assume(arrive("0 what clients are told arrives", Box::new(told)));
            if loss {
                assume(is_lost("0 what clients ask is lost no more", Box::new(asks)));
                assume(is_lost("0 what clients are told is lost no more", Box::new(told)));
            }
        }
        if self.resend {
            let asks = {
                let names = Arc::clone(&names);
                move |action: &Action<A>, _: Option<&Note>| match action {
                    Action::<A>::Timeout(who, timer) if timer.asks_again() => {
                        names.get(usize::from(*who)).cloned()
                    }
                    _ => None,
                }
            };
            assume(Assumption::each("0 clients ask again", Fairness::Weak, asks));
        }
        if self.file.retries {
            for id in self.served.iter().copied() {
                let rings = move |action: &Action<A>| matches!(action, Action::<A>::Timeout(who, timer) if *who == id && timer.begins_a_ballot());
                let (way, patient) = (way(id), self.file.patient);
                let assumption = Assumption::weak(&format!("2 {}'s timer runs out", name(id)), rings);
                // A patient proposer lets it run out only where nothing more is to arrive.
                assume(if patient {
                    assumption.when(move |state, _| !goes_on(state, &way))
                } else {
                    assumption
                });
            }
            if cluster.log.as_ref().is_some_and(|log| log.catch_up.is_some()) {
                let names = Arc::clone(&names);
                let rings = move |action: &Action<A>, _: Option<&Note>| match action {
                    Action::<A>::Timeout(who, timer) if timer.catches_up() => {
                        names.get(usize::from(*who)).cloned()
                    }
                    _ => None,
                };
                assume(Assumption::each("2 servers ask what they have missed", Fairness::Weak, rings));
            }
            if self.elected.is_none() {
                assume(comes_back("2 proposers come back", self.served.clone()));
            }
        }
        if self.file.patient {
            for id in self.served.iter().copied() {
                let way = way(id);
                let rings = move |action: &Action<A>| matches!(action, Action::<A>::Timeout(who, timer) if *who == id && timer.begins_a_ballot());
                let says = format!("5 {0}'s timer does not run out while {0}'s ballot can go on", name(id));
                assume(Assumption::ceases(&says, rings).when(move |state, _| goes_on(state, &way)));
            }
        }
        if self.file.asked {
            let (served, members, deaf) = (self.served.clone(), quorum.clone(), deaf.clone());
            let meant = move |src, dst, msg: &Msg| {
                let asks = matches!(msg, Msg::Prepare { .. } | Msg::Accept { .. } | Msg::Confirm { .. });
                asks && served.contains(&src)
                    && members.contains(&dst)
                    && (src == dst || !deaf.contains(&dst))
            };
            assume(arrive("3 what is sent to the quorum arrives", Box::new(meant.clone())));
            if loss {
                assume(is_lost("3 what is sent to the quorum is lost no more", Box::new(meant)));
            }
            assume(comes_back("3 the quorum comes back", quorum.clone()));
        }
        if self.file.answered {
            let (served, members, learners) = (self.served.clone(), quorum, cluster.learners.clone());
            let acceptors = cluster.acceptors.clone();
            let meant = move |src, dst, msg: &Msg| match msg {
                _ if src != dst && deaf.contains(&dst) => false,
                Msg::Promise { .. } | Msg::Nack { .. } | Msg::Confirmed { .. } => {
                    members.contains(&src) && served.contains(&dst)
                }
                Msg::CatchUp { .. } | Msg::CatchUpReply { .. } => {
                    members.contains(&src) && members.contains(&dst)
                }
                Msg::Accepted { .. } => {
                    members.contains(&src) && served.contains(&dst)
                        || acceptors.contains(&src) && learners.contains(&dst)
                }
                Msg::Chosen { .. } => learners.contains(&dst),
                _ => false,
            };
            assume(arrive("4 what is answered arrives", Box::new(meant.clone())));
            if loss {
                assume(is_lost("4 what is answered is lost no more", Box::new(meant)));
            }
        }
    }
}
