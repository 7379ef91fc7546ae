//! A naive interpreter of timed actors. It shares no code with what it judges: every timer and every message has a clock that counts up from
//! the moment it was set or sent, in steps as fine as one likes, and bounds that are compared as fractions.

use crate::scripts::{At, Script};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The assumptions of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Epsilon, as a fraction.
    pub drift: (u64, u64),
    pub delay: Option<(u64, u64)>,
    /// Messages can be lost.
    pub loss: bool,
    /// The actors that can crash, once in a run, and come back.
    pub crashes: bool,
    /// The steps into which a tick is divided.
    pub grain: u64,
    /// Bounds on a timer count whole ticks, rounded outwards.
    pub whole: bool,
}

/// A timer or a message: the time since it was set, and its bounds on its own clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waits {
    age: u64,
    bounds: Option<(u64, u64)>,
    drifts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    actors: Vec<Option<At>>,
    timers: BTreeMap<(usize, u8), Waits>,
    messages: Vec<(usize, usize, u8, Waits)>,
    crashed: bool,
}

/// A state without its times: the actors, the timers that are set, and the messages on their way.
pub(crate) type Outline = (Vec<Option<At>>, Vec<(usize, u8)>, Vec<(usize, usize, u8)>);

impl World {
    /// True if so much time, in grains, is enough: `age >= bound / (1 + epsilon)`.
    fn may(&self, waits: &Waits) -> bool {
        let Some((least, _)) = waits.bounds else { return true };
        let (n, d) = if waits.drifts { self.drift } else { (0, 1) };
        if self.whole {
            // The whole ticks that passed reach the greatest whole number that is not above the bound.
            let reached = (0..=least).filter(|whole| whole * (d + n) <= least * d).max().unwrap_or(0);
            return waits.age >= reached * self.grain;
        }
        waits.age * (d + n) >= least * self.grain * d
    }

    /// True if so much time is the most: one grain more would be above `bound / (1 - epsilon)`.
    fn must(&self, waits: &Waits) -> bool {
        let Some((_, most)) = waits.bounds else { return false };
        let (n, d) = if waits.drifts { self.drift } else { (0, 1) };
        if self.whole {
            let enough =
                (0..=most * d).find(|whole| whole * (d - n) >= most * d).expect("d - n is at least 1");
            return waits.age + 1 > enough * self.grain;
        }
        (waits.age + 1) * (d - n) > most * self.grain * d
    }

    /// Every outline that some run reaches.
    pub(crate) fn outlines(&self, actors: &[Script]) -> BTreeSet<Outline> {
        let mut first = Point {
            actors: vec![None; actors.len()],
            timers: BTreeMap::new(),
            messages: Vec::new(),
            crashed: false,
        };
        for (at, script) in actors.iter().enumerate() {
            let mut out = Out::new();
            first.actors[at] = Some(script.on_start(Id::from(at), &None, &mut out));
            self.put_out(&mut first, at, out);
        }
        let mut seen = BTreeSet::from([first.clone()]);
        let mut waiting = vec![first];
        while let Some(point) = waiting.pop() {
            for next in self.after(actors, &point) {
                if seen.insert(next.clone()) {
                    waiting.push(next);
                }
            }
        }
        seen.into_iter().map(outline).collect()
    }

    fn put_out(&self, point: &mut Point, at: usize, out: Out<Script>) {
        for command in out {
            match command {
                Command::Send(to, msg) => {
                    let waits = Waits { age: 0, bounds: self.delay, drifts: false };
                    point.messages.push((at, to.into(), msg, waits));
                }
                Command::SetTimer(timer, after) => {
                    let (least, most) =
                        (after.start.as_secs(), after.end.as_secs().max(after.start.as_secs()));
                    let bounds = (most > 0).then_some((least, most));
                    point.timers.insert((at, timer), Waits { age: 0, bounds, drifts: true });
                }
                Command::CancelTimer(timer) => _ = point.timers.remove(&(at, timer)),
                Command::ChooseRandom(..) | Command::Save(()) => unreachable!("no script does that"),
            }
        }
        point.messages.sort();
    }

    fn after(&self, actors: &[Script], point: &Point) -> Vec<Point> {
        let mut all = Vec::new();
        for (at, (_, to, msg, waits)) in point.messages.iter().enumerate().filter(|(_, m)| self.may(&m.3)) {
            let mut next = point.clone();
            let (from, _, _, _) = next.messages.remove(at);
            if self.loss {
                all.push(next.clone());
            }
            if let Some(state) = &point.actors[*to] {
                let (mut after, mut out) = (Cow::Borrowed(state), Out::new());
                actors[*to].on_msg(Id::from(*to), &mut after, Id::from(from), *msg, &mut out);
                if waits.bounds.is_none() && matches!(after, Cow::Borrowed(_)) && out.is_empty() {
                    // It may as well stay on its way for ever.
                    continue;
                }
                next.actors[*to] = Some(after.into_owned());
                self.put_out(&mut next, *to, out);
                all.push(next);
            } else if waits.bounds.is_some() {
                all.push(next);
            }
        }
        for (&(at, timer), _) in point.timers.iter().filter(|(_, waits)| self.may(waits)) {
            let mut next = point.clone();
            next.timers.remove(&(at, timer));
            let state = point.actors[at].as_ref().expect("no timer outlives a crash");
            let (mut after, mut out) = (Cow::Borrowed(state), Out::new());
            actors[at].on_timeout(Id::from(at), &mut after, &timer, &mut out);
            next.actors[at] = Some(after.into_owned());
            self.put_out(&mut next, at, out);
            all.push(next);
        }
        for (at, state) in point.actors.iter().enumerate() {
            let mut next = point.clone();
            if state.is_none() {
                let mut out = Out::new();
                next.actors[at] = Some(actors[at].on_start(Id::from(at), &None, &mut out));
                self.put_out(&mut next, at, out);
                all.push(next);
            } else if self.crashes && !point.crashed {
                next.actors[at] = None;
                next.crashed = true;
                next.timers.retain(|(of, _), _| *of != at);
                all.push(next);
            }
        }
        let mut waiting = point.timers.values().chain(point.messages.iter().map(|(.., waits)| waits));
        if !waiting.any(|waits| self.must(waits)) {
            let mut next = point.clone();
            let waiting = next.timers.values_mut().chain(next.messages.iter_mut().map(|(.., waits)| waits));
            for waits in waiting.filter(|waits| waits.bounds.is_some()) {
                waits.age += 1;
            }
            all.push(next);
        }
        all
    }
}

fn outline(point: Point) -> Outline {
    let messages = point.messages.into_iter().map(|(from, to, msg, _)| (from, to, msg)).collect();
    (point.actors, point.timers.into_keys().collect(), messages)
}
