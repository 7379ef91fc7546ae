//! Leaders in networks in which not everybody hears everybody, with clocks. Members, timers and messages are drawn from seeds.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use synod::{AcceptorSet, Beat, Election, ElectionState, ElectionTimer, Elector, Pace, QuorumRule, Quorums};

/// Members that elect, and what is to happen, by the time in microseconds.
struct World {
    elector: Elector,
    quorums: Quorums,
    states: Vec<ElectionState>,
    timers: BTreeMap<(usize, ElectionTimer), u64>,
    /// Messages by the time at which they arrive. The number keeps equal times apart.
    flying: BTreeMap<(u64, u64), (usize, usize, Beat)>,
    /// The pairs of which one does not hear the other.
    cuts: BTreeSet<(usize, usize)>,
    now: u64,
    sent: u64,
    random: u64,
}

impl World {
    fn new(members: usize, seed: u64) -> World {
        let ms = Duration::from_millis;
        let quorums =
            Quorums::new(members, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet");
        let pace =
            Pace { beat: ms(50)..ms(80), suspect: ms(300)..ms(500), hold_off: ms(20)..ms(60), doublings: 6 };
        let backing = Some(quorums.clone());
        let elector =
            Elector(Election { members: (0..members).map(Id::from).collect(), among: None, backing, pace });
        let mut world = World {
            elector,
            quorums,
            states: vec![ElectionState::default(); members],
            timers: BTreeMap::new(),
            flying: BTreeMap::new(),
            cuts: BTreeSet::new(),
            now: 0,
            sent: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        };
        for me in 0..members {
            let mut out = Out::new();
            world.states[me] = world.elector.on_start(me.into(), &None, &mut out);
            world.done(me, out);
        }
        world
    }

    fn below(&mut self, most: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % most.max(1)
    }

    fn done(&mut self, me: usize, out: Out<Elector>) {
        for command in out {
            match command {
                Command::Send(to, beat) if !self.cuts.contains(&(me, usize::from(to))) => {
                    let at = self.now + 500 + self.below(20_000);
                    self.sent += 1;
                    self.flying.insert((at, self.sent), (me, to.into(), beat));
                }
                Command::SetTimer(timer, range) => {
                    let micros = |d: Duration| d.as_micros() as u64;
                    let after = micros(range.start) + self.below(micros(range.end) - micros(range.start));
                    self.timers.insert((me, timer), self.now + after);
                }
                Command::CancelTimer(timer) => drop(self.timers.remove(&(me, timer))),
                _ => {}
            }
        }
    }

    /// Runs for a number of milliseconds. Returns how often the set of members that may begin ballots has changed.
    fn run(&mut self, ms: u64) -> usize {
        let (end, mut changes, mut before) = (self.now + 1000 * ms, 0, self.ready());
        loop {
            let timer = self.timers.iter().map(|(key, at)| (*at, *key)).min();
            let message = self.flying.keys().next().copied();
            let (mut out, me) = match (timer, message) {
                (Some((at, key)), next) if at <= end && next.is_none_or(|(arrives, _)| at < arrives) => {
                    self.now = at;
                    self.timers.remove(&key);
                    let (mut out, me) = (Out::new(), key.0);
                    let mut state = Cow::Owned(self.states[me].clone());
                    self.elector.on_timeout(me.into(), &mut state, &key.1, &mut out);
                    self.states[me] = state.into_owned();
                    (out, me)
                }
                (_, Some(key)) if key.0 <= end => {
                    self.now = key.0;
                    let (src, me, beat) = self.flying.remove(&key).expect("it is there");
                    let (mut out, mut state) = (Out::new(), Cow::Owned(self.states[me].clone()));
                    self.elector.on_msg(me.into(), &mut state, src.into(), beat, &mut out);
                    self.states[me] = state.into_owned();
                    (out, me)
                }
                _ => break,
            };
            self.done(me, std::mem::take(&mut out));
            let ready = self.ready();
            changes += usize::from(ready != before);
            before = ready;
        }
        self.now = end;
        changes
    }

    /// The members that may begin ballots.
    fn ready(&self) -> Vec<usize> {
        (0..self.states.len()).filter(|me| self.states[*me].ready).collect()
    }

    /// The largest set of members that hear each other.
    fn clique(&self) -> AcceptorSet {
        let members = self.states.len();
        let hears = |a: usize, b: usize| !self.cuts.contains(&(a, b)) && !self.cuts.contains(&(b, a));
        let sets = (0_u32..1 << members).map(|bits| (0..members).filter(|m| bits & (1 << m) != 0).collect());
        let whole = |set: &Vec<usize>| set.iter().all(|a| set.iter().all(|b| a == b || hears(*a, *b)));
        sets.filter(whole).max_by_key(Vec::len).unwrap_or_default().into_iter().collect()
    }
}

#[test]
fn a_quorum_that_hears_each_other_is_led_and_leaders_do_not_change_whoever_else_is_heard() {
    let mut led = 0;
    for seed in 1..=300 {
        let members = [3, 5][seed as usize % 2];
        let mut world = World::new(members, seed);
        let (before, cuts) = (world.below(3000), world.below(2 * members as u64));
        world.run(before);
        for _ in 0..cuts {
            let (a, b) = (world.below(members as u64) as usize, world.below(members as u64) as usize);
            world.cuts.insert((a, b));
        }
        world.run(60_000);
        let changes = world.run(60_000);
        let clique = world.clique();
        // If there is no such set, two members may take themselves for the leader for a moment.
        if world.quorums.is_phase1(clique) {
            led += 1;
            let says = format!("seed {seed}, cuts {:?}: {:?}", world.cuts, world.states);
            assert_eq!((world.ready().len(), changes), (1, 0), "{says}");
        }
    }
    assert!(led > 100, "{led}");
}

#[test]
fn who_falls_silent_again_and_again_does_not_lead_again() {
    for seed in 1..=20 {
        let mut world = World::new(3, seed);
        world.run(2000);
        assert_eq!(world.ready(), [0], "seed {seed}");
        let mut changes = 0;
        for _ in 0..30 {
            // A disk that takes two seconds per flush has this effect.
            world.cuts.extend([(0, 1), (0, 2)]);
            changes += world.run(2000);
            world.cuts.clear();
            changes += world.run(1000);
        }
        assert!(world.ready() != [0] && changes <= 4, "seed {seed}: {changes} changes");
    }
}
