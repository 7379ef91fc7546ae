//! The world: its time, the log, the members with their replicas and tellers, and what was seen at which instance.

use super::replay::{Opened, Replica, View, granted, opened, said, time_in};
use super::scene::{Asked, Rule, Scene};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use synod::LogEntry;
use synod_apply::{Teller, due};

/// Something that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A millisecond passes.
    Passes,
    /// A member that takes itself for the leader tells the time.
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

/// The state of the world.
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
    /// The number of commands after which a grant was first seen to be over.
    ended: Vec<(u64, usize)>,
    /// A number of commands after which other answers were given than before.
    pub(super) differs: Option<usize>,
    /// A token that came back.
    pub(super) came_back: Option<u64>,
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
        let World { differs, came_back, is_late, members, .. } = self;
        let at: Vec<_> = members.iter().map(|member| (&member.at, member.ticks)).collect();
        write!(f, " {differs:?} {came_back:?} {is_late} {at:?}")
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

    fn replica(&self, world: &World, member: usize) -> Replica {
        let Member { executed, at, .. } = &world.members[member];
        Replica::after(&self.opened, &world.log[..*executed], at, self.scene.rule).0
    }

    fn acts(&self, world: &World) -> BTreeSet<Act> {
        let Scene { until, ticks, chosen, .. } = *self.scene;
        let mut acts = BTreeSet::new();
        if world.now < until {
            acts.insert(Act::Passes);
        }
        if world.log.len() < chosen {
            acts.extend((0..world.under_way.len() as u8).map(Act::Takes));
        }
        for (id, member) in world.members.iter().enumerate() {
            if member.executed < world.log.len() {
                acts.insert(Act::Executes(id as u8));
            }
            if member.teller.is_waiting() {
                acts.insert(Act::Rests(id as u8));
            } else if member.ticks < ticks && due(self.replica(world, id).machine()).is_some() {
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
        let Member { executed, at, .. } = &members[id];
        let (replica, output) = Replica::after(&self.opened, &log[..*executed], at, self.scene.rule);
        members[id].view = replica.view();
        let logged = &log[place];
        if usize::from(logged.call.client) == id {
            members[id].teller.hear(logged.call.number, &output);
        }
        let is_first = members.iter().filter(|member| member.executed > place).count() == 1;
        if is_first {
            let asked = self.opened.asked.iter().position(|asked| asked == logged);
            match asked.map(|asked| self.scene.asks[asked]) {
                Some(Asked::Put(time)) => world.puts.push(Given { place, since: now, time }),
                Some(Asked::Lock(time)) => {
                    if let Some(token) = granted(&output) {
                        world.grants.push((token, Given { place, since: now, time }));
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
                    match ended.iter_mut().find(|(over, _)| over == token) {
                        Some((_, since)) => *since = executed.min(*since),
                        None => ended.push((*token, executed)),
                    }
                }
            }
            let is_back = |(token, since): &(u64, usize)| view.token == Some(*token) && executed >= *since;
            let back = ended.iter().find(|over| is_back(over)).map(|(token, _)| *token);
            world.came_back = world.came_back.or(back);
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
        let view = Replica::after(&self.opened, &[], &[], self.scene.rule).0.view();
        let member =
            |teller: &Teller| Member { teller: teller.clone(), ticks: 0, executed: 0, at: Vec::new(), view };
        let world = World {
            now: 1,
            under_way: self.opened.asked.clone(),
            log: Vec::new(),
            members: self.opened.tellers.iter().map(member).collect(),
            puts: Vec::new(),
            grants: Vec::new(),
            told: Vec::new(),
            ended: Vec::new(),
            differs: None,
            came_back: None,
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
                let Some(given) = due(self.replica(world, id).machine()) else { return };
                let unix = world.now + self.scene.ahead[id];
                let Member { teller, ticks, .. } = &mut world.members[id];
                *ticks += 1;
                let told = said(id, &teller.ask(given, unix));
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
