//! The world: its time, the log, the members with their replicas and tellers, and what was seen at which instance.

use super::replay::{Opened, Replica, View, granted, is_done, is_refused, opened, place_of, said, time_in};
use super::scene::{Asked, Rule, Scene};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use synod::{LogEntry, Value};
use synod_apply::{Due, Teller, due};

/// Something that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A millisecond passes.
    Passes,
    /// A member that takes itself for the leader tells the time, or its settings.
    Tells(u8),
    /// A member that waits for the answer to a tick does not lead any more.
    Rests(u8),
    /// The log takes a command: the first of those that are under way, the second, and so on.
    Takes(u8),
    /// A member executes the next command of the log.
    Executes(u8),
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    teller: Teller,
    ticks: u8,
    pub(super) executed: usize,
    /// The moments at which it executed, where a mutant goes by them.
    at: Vec<u64>,
    pub(super) view: View,
}

/// A time to live: where it was given, when it was first executed, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Given {
    pub(super) place: usize,
    pub(super) since: u64,
    pub(super) time: u64,
}

/// The guarded writes: the token of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Guarded {
    /// Those that were done.
    pub(super) written: Vec<u64>,
    /// Those that were refused.
    pub(super) fenced: Vec<u64>,
    /// One that was done although its grant was over, or another had been given.
    pub(super) late: Option<u64>,
}

/// The grants that were seen to be over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ended {
    /// The number of commands after which each was first seen so, by its token.
    since: Vec<(u64, usize)>,
    /// A token that came back.
    pub(super) came_back: Option<u64>,
}

/// The answers to clients' commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Answers {
    /// The first to each command.
    first: Vec<Option<Value>>,
    /// A command of which a copy was answered otherwise.
    pub(super) otherwise: Option<usize>,
    /// A copy of a command was executed.
    pub(super) is_repeated: bool,
    /// A copy of a command that had been refused was executed where the settings admit it.
    pub(super) is_refused_still: bool,
}

impl Answers {
    fn hear(&mut self, asked: usize, output: &Value, is_copy: bool, is_admitted: bool) {
        let first = self.first[asked].get_or_insert_with(|| output.clone());
        if first != output {
            self.otherwise = self.otherwise.or(Some(asked));
        }
        self.is_repeated |= is_copy;
        self.is_refused_still |= is_copy && is_admitted && is_refused(first);
    }
}

/// The state of the world.
// Fields: what there is, and one for each thing that a claim or a witness remembers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(super) now: u64,
    /// The commands that the log may take at any time from now on.
    under_way: Vec<LogEntry>,
    pub(super) log: Vec<LogEntry>,
    pub(super) members: Vec<Member>,
    /// The times of the key, in the order of the log.
    pub(super) puts: Vec<Given>,
    /// The times of the lock, by token.
    pub(super) grants: Vec<(u64, Given)>,
    /// The answers that were first given after so many commands.
    told: Vec<Option<View>>,
    /// The grants that were seen to be over.
    pub(super) ended: Ended,
    /// A number of commands after which other answers were given than before.
    pub(super) differs: Option<usize>,
    /// The guarded writes.
    pub(super) guarded: Guarded,
    /// The answers to clients' commands.
    pub(super) answers: Answers,
    /// A tick was executed whose teller had read its clock before that of an earlier one.
    pub(super) is_late: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms, {} chosen", self.now, self.log.len())?;
        for member in &self.members {
            write!(f, "; {} executed, {:?}, {:?}", member.executed, member.view, member.teller)?;
        }
        let World { under_way, log, puts, grants, told, ended, .. } = self;
        write!(f, "; {under_way:?} {log:?} {puts:?} {grants:?} {told:?} {ended:?}")?;
        let World { guarded, answers, .. } = self;
        write!(f, " {guarded:?} {answers:?}")?;
        let World { differs, is_late, members, .. } = self;
        let at: Vec<_> = members.iter().map(|member| (&member.at, member.ticks)).collect();
        write!(f, " {differs:?} {is_late} {at:?}")
    }
}

/// The one actor: everything that happens in a scene.
#[derive(Clone)]
pub struct Worlds {
    scene: Arc<Scene>,
    opened: Arc<Opened>,
}

impl Worlds {
    /// The actor of a scene.
    pub fn new(scene: Arc<Scene>) -> Worlds {
        let opened = Arc::new(opened(&scene));
        Worlds { scene, opened }
    }

    /// The commands that clients ask from the start on.
    fn at_first(&self) -> Vec<LogEntry> {
        let asks = self.scene.asks.iter().zip(&self.opened.asked);
        let asks = asks.filter(|(ask, _)| !matches!(ask, Asked::Guarded(_)));
        asks.flat_map(|(_, logged)| vec![logged.clone(); self.scene.copies]).collect()
    }

    fn replica(&self, world: &World, member: usize) -> Replica {
        let Member { executed, at, .. } = &world.members[member];
        self.after(&world.log[..*executed], at, member).0
    }

    /// A member's replica after a beginning of the log, and the output of the last command.
    fn after(&self, log: &[LogEntry], at: &[u64], member: usize) -> (Replica, Value) {
        Replica::after(&self.opened, log, at, &self.scene.settings[member], self.scene.rule)
    }

    /// What a member would tell, if it led.
    fn due(&self, world: &World, member: usize) -> Option<Due> {
        due(self.replica(world, member).machine(), &self.scene.settings[member])
    }

    fn acts(&self, world: &World) -> BTreeSet<Act> {
        let Scene { until, ticks, chosen, .. } = *self.scene;
        let mut acts = BTreeSet::new();
        if world.now < until {
            acts.insert(Act::Passes);
        }
        if world.log.len() < chosen {
            // Copies are alike: it does not count which of them is taken.
            let is_copy = |place: &usize| *place > 0 && world.under_way[place - 1] == world.under_way[*place];
            let places = (0..world.under_way.len()).filter(|place| !is_copy(place));
            acts.extend(places.map(|place| Act::Takes(place as u8)));
        }
        for (id, member) in world.members.iter().enumerate() {
            if member.executed < world.log.len() {
                acts.insert(Act::Executes(id as u8));
            }
            if member.teller.is_waiting() {
                acts.insert(Act::Rests(id as u8));
            } else if member.ticks < ticks && self.due(world, id).is_some() {
                acts.insert(Act::Tells(id as u8));
            }
        }
        acts
    }

    fn execute(&self, world: &mut World, id: usize) {
        let World { now, log, members, .. } = world;
        let (now, place) = (*now, members[id].executed);
        members[id].executed += 1;
        if self.scene.rule == Some(Rule::OwnClock) {
            members[id].at.push(now + self.scene.ahead[id]);
        }
        let Member { executed, at, view: before, .. } = &members[id];
        let before = *before;
        let (replica, output) = self.after(&log[..*executed], at, id);
        members[id].view = replica.view();
        let logged = &log[place];
        if usize::from(logged.call.client) == id {
            members[id].teller.hear(logged.call.number, &output);
        }
        let is_first = members.iter().filter(|member| member.executed > place).count() == 1;
        let asked = place_of(logged);
        let is_copy = log[..place].contains(logged);
        if let Some(asked) = asked {
            // What is put has one byte.
            let is_admitted = matches!(self.scene.asks[asked], Asked::Put(_)) && members[id].view.value > 0;
            world.answers.hear(asked, &output, is_copy, is_admitted);
        }
        if is_first {
            // Nothing is stored anew for a copy.
            match asked.filter(|_| !is_copy).map(|asked| self.scene.asks[asked]) {
                // What is too long by the settings is not stored.
                Some(Asked::Put(time)) if is_done(&output) => {
                    world.puts.push(Given { place, since: now, time });
                }
                Some(Asked::Lock(time)) => {
                    if let Some(token) = granted(&output) {
                        world.grants.push((token, Given { place, since: now, time }));
                        let is_guarded =
                            |(_, other): &(usize, &Asked)| asked.map(Asked::Guarded) == Some(**other);
                        let guarded = self.scene.asks.iter().enumerate().filter(is_guarded);
                        world.under_way.extend(
                            guarded.map(|(place, _)| self.opened.guarded(place, token, self.scene.rule)),
                        );
                        world.under_way.sort_unstable();
                    }
                }
                Some(Asked::Guarded(by)) => {
                    let token =
                        world.grants.iter().find(|(_, given)| place_of(&log[given.place]) == Some(by));
                    let token = token.expect("it is asked once its grant was executed").0;
                    if is_done(&output) {
                        world.guarded.written.push(token);
                        let last = world.grants.last().map(|(token, _)| *token);
                        if last != Some(token) || before.token != Some(token) {
                            world.guarded.late = world.guarded.late.or(Some(token));
                        }
                    } else {
                        world.guarded.fenced.push(token);
                    }
                }
                _ => {}
            }
            let earlier = log[..place].iter().filter_map(time_in).max();
            world.is_late |= time_in(logged).is_some_and(|time| earlier.is_some_and(|before| before > time));
        }
    }

    /// Notes what all members answer now.
    fn look(&self, world: &mut World) {
        for id in 0..world.members.len() {
            if self.scene.rule == Some(Rule::AnswersByOwnClock) {
                let mut replica = self.replica(world, id);
                replica.look(world.now + self.scene.ahead[id], 0);
                let clock = world.members[id].view.clock;
                world.members[id].view = View { clock, ..replica.view() };
            }
            let Member { executed, view, .. } = world.members[id];
            let World { told, grants, ended, .. } = world;
            told.resize(told.len().max(executed + 1), None);
            if *told[executed].get_or_insert(view) != view {
                world.differs = world.differs.or(Some(executed));
            }
            for (token, given) in grants.iter() {
                if given.place < executed && view.token != Some(*token) {
                    match ended.since.iter_mut().find(|(over, _)| over == token) {
                        Some((_, since)) => *since = executed.min(*since),
                        None => ended.since.push((*token, executed)),
                    }
                }
            }
            let is_back = |(token, since): &(u64, usize)| view.token == Some(*token) && executed >= *since;
            let back = ended.since.iter().find(|over| is_back(over)).map(|(token, _)| *token);
            ended.came_back = ended.came_back.or(back);
        }
    }
}

impl Actor for Worlds {
    type Msg = Infallible;
    type Timer = Act;
    type State = World;
    type Storage = ();
    type Random = Infallible;

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> World {
        let view = self.after(&[], &[], 0).0.view();
        let member =
            |teller: &Teller| Member { teller: teller.clone(), ticks: 0, executed: 0, at: Vec::new(), view };
        let world = World {
            now: 1,
            under_way: self.at_first(),
            log: Vec::new(),
            members: self.opened.tellers.iter().map(member).collect(),
            puts: Vec::new(),
            grants: Vec::new(),
            told: Vec::new(),
            ended: Ended::default(),
            guarded: Guarded::default(),
            differs: None,
            answers: Answers { first: vec![None; self.opened.asked.len()], ..Answers::default() },
            is_late: false,
        };
        for act in self.acts(&world) {
            out.set_timer(act, Duration::ZERO..Duration::ZERO);
        }
        world
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, World>, act: &Act, out: &mut Out<Self>) {
        let before = self.acts(state);
        let world = state.to_mut();
        match *act {
            Act::Passes => world.now += 1,
            Act::Tells(member) => {
                let id = usize::from(member);
                let Some(due) = self.due(world, id) else { return };
                let unix = world.now + self.scene.ahead[id];
                let Member { teller, ticks, .. } = &mut world.members[id];
                *ticks += 1;
                let told = said(id, &teller.ask(due, unix));
                // In one order, so that it does not count which was told first.
                let place = world.under_way.partition_point(|other| *other < told);
                world.under_way.insert(place, told);
            }
            Act::Rests(member) => world.members[usize::from(member)].teller.rest(),
            Act::Takes(place) => {
                let logged = world.under_way.remove(usize::from(place));
                world.log.push(logged);
            }
            Act::Executes(member) => self.execute(world, usize::from(member)),
        }
        self.look(world);
        let after = self.acts(world);
        // The one that has just happened is not set any more.
        for gone in before.difference(&after).filter(|gone| *gone != act) {
            out.cancel_timer(*gone);
        }
        for new in after.iter().filter(|new| *new == act || !before.contains(new)) {
            out.set_timer(*new, Duration::ZERO..Duration::ZERO);
        }
    }

    fn name(&self) -> String {
        "World".to_owned()
    }
}
