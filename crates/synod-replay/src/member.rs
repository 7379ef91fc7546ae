//! One member, run again: every recorded event through the same handler, every output compared.

use crate::records::Life;
use crate::verdict::{Unreadable, Verdict};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use synod_runtime::changes::{Changes, encode as encode_change};
use synod_runtime::record::{self, Change, Entries, Output, Reader, Recorded, Trigger};
use xxhash_rust::xxh3::xxh3_64;

/// A command of an actor.
type Wanted<A> = Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// A step of an actor, for those who watch.
pub(crate) struct Stepped<'s, A: Actor> {
    pub(crate) before: Option<&'s A::State>,
    pub(crate) event: Happening<A>,
    pub(crate) after: &'s A::State,
    pub(crate) outputs: &'s [Wanted<A>],
    /// True if it is the member's first start.
    pub(crate) first: bool,
}

impl<A: Actor> fmt::Display for Happening<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::Start => f.write_str("its start"),
            Happening::Deliver(src, msg) => write!(f, "{msg:?} from {}", usize::from(*src)),
            Happening::Timeout(timer) => write!(f, "{timer:?}"),
            Happening::Random(key, choice) => write!(f, "{choice:?} drawn for {key:?}"),
        }
    }
}

/// An event with its parts decoded.
pub(crate) enum Happening<A: Actor> {
    Start,
    Deliver(Id, A::Msg),
    Timeout(A::Timer),
    Random(String, A::Random),
}

/// One member on its way through its record.
pub(crate) struct Member<'a, A: Actor> {
    pub(crate) id: u64,
    /// The actor of the present life.
    actor: Option<A>,
    lives: std::vec::IntoIter<(Life<'a>, A)>,
    /// The number of saves that the next start found. Later saves did not outlive this start.
    until: u64,
    file: &'a str,
    reader: Option<Reader<'a>>,
    next: Option<Recorded<'a>>,
    state: Option<A::State>,
    stable: Option<A::Storage>,
    saves: u64,
    started: bool,
    choices: BTreeMap<String, Vec<A::Random>>,
    /// The output of the present step, to be compared.
    again: Entries,
    scratch: Vec<u8>,
    pub(crate) steps: u64,
    pub(crate) cut: u64,
}

impl<'a, A> Member<'a, A>
where
    A: Actor<Msg: Serialize + DeserializeOwned>,
    A::Timer: Serialize + DeserializeOwned,
{
    /// A member that took part with these lives, each with the actor that it ran.
    pub(crate) fn new(id: u64, lives: Vec<(Life<'a>, A)>) -> Result<Self, Unreadable> {
        let mut member = Member {
            id,
            actor: None,
            lives: lives.into_iter(),
            until: 0,
            file: "",
            reader: None,
            next: None,
            state: None,
            stable: None,
            saves: 0,
            started: false,
            choices: BTreeMap::new(),
            again: Entries::default(),
            scratch: Vec::new(),
            steps: 0,
            cut: 0,
        };
        member.go_on()?;
        Ok(member)
    }

    /// The event that comes next, if there is one.
    pub(crate) fn next(&self) -> Option<&Recorded<'a>> {
        self.next.as_ref()
    }

    /// Its place: file and byte.
    pub(crate) fn place(&self) -> String {
        match &self.next {
            Some(entry) => format!("{} at byte {}", self.file, entry.offset),
            None => format!("the end of {}", self.file),
        }
    }

    /// Reads on to the next event that took effect: in this life or in the next.
    fn go_on(&mut self) -> Result<(), Unreadable> {
        loop {
            let Some(reader) = &mut self.reader else {
                // A start that ended before it took part has nothing to tell.
                let Some(life) = self.lives.by_ref().find(|(life, _)| life.found.is_some()) else {
                    return Ok(());
                };
                let (life, actor) = life;
                self.actor = Some(actor);
                let later = self.lives.as_slice().iter().find_map(|(life, _)| life.found);
                self.until = later.unwrap_or(u64::MAX);
                self.file = life.file;
                let opened = Reader::open(life.bytes).map_err(|damaged| self.unreadable(&damaged))?;
                self.reader = Some(opened);
                continue;
            };
            let entry = match reader.next() {
                Some(Ok(entry)) => entry,
                Some(Err(damaged)) => return Err(self.unreadable(&damaged)),
                None => {
                    self.reader = None;
                    continue;
                }
            };
            let saves = record::outputs(entry.outputs)
                .take_while(|output| !matches!(output, Output::Send { .. }))
                .any(|output| matches!(output, Output::Save { .. }));
            if saves && self.saves_after(&entry) >= self.until {
                // Recorded, and lost with the flush that did not end; nothing after it had left the process.
                self.cut += 1;
                self.reader = None;
                continue;
            }
            self.next = Some(entry);
            return Ok(());
        }
    }

    /// The number of saves before this one's own.
    fn saves_after(&self, entry: &Recorded<'_>) -> u64 {
        match entry.event {
            Trigger::Start { saves, .. } => saves,
            _ => self.saves,
        }
    }

    fn unreadable(&self, damaged: &record::Damaged) -> Unreadable {
        Unreadable { file: self.file.to_owned(), what: damaged.to_string() }
    }

    /// Takes the next event through the actor, and compares what it makes of it with what is recorded.
    pub(crate) fn step<C: Changes<A::Storage>>(
        &mut self,
        watch: &mut dyn FnMut(Stepped<'_, A>) -> Option<Verdict>,
    ) -> Result<Option<Verdict>, Unreadable> {
        let entry = self.next.take().expect("whoever steps has looked whether there is something");
        let actor = self.actor.as_ref().expect("an event is of a life");
        let me = Id::from(self.id as usize);
        let mut out = Out::new();
        let before = self.state.take();
        let file = self.file;
        let differs =
            |what: String| Verdict::Differs { place: format!("{file} at byte {}", entry.offset), what };
        let (happening, after) = match entry.event {
            Trigger::Start { saves, stable } => {
                let mut snapshot = Vec::new();
                let mine = self.stable.as_ref().map_or(0, |state| {
                    C::snapshot(state, &mut snapshot);
                    xxh3_64(&snapshot)
                });
                if saves != self.saves || stable != mine {
                    let had = self.saves;
                    return Ok(Some(differs(format!(
                        "it started from {saves} saves, and what is recorded up to here leaves it with {had}{}",
                        if saves == had { " of another content" } else { "" }
                    ))));
                }
                self.choices.clear();
                (Happening::Start, actor.on_start(me, &self.stable, &mut out))
            }
            event => {
                let Some(state) = &before else {
                    return Ok(Some(differs("it did not begin with a start".into())));
                };
                let mut next = Cow::Borrowed(state);
                let happening = match self.decode(event) {
                    Ok(happening) => happening,
                    Err(what) => return Ok(Some(differs(what))),
                };
                match &happening {
                    Happening::Start => unreachable!("starts are handled above"),
                    Happening::Deliver(src, msg) => {
                        actor.on_msg(me, &mut next, *src, msg.clone(), &mut out);
                    }
                    Happening::Timeout(timer) => actor.on_timeout(me, &mut next, timer, &mut out),
                    Happening::Random(_, random) => actor.on_random(me, &mut next, random, &mut out),
                }
                (happening, next.into_owned())
            }
        };
        self.steps += 1;
        self.encode::<C>(&out);
        if self.again.bytes() != entry.outputs {
            let (now, then) = (told::<A>(self.again.bytes()), told::<A>(entry.outputs));
            let what = format!("of {happening}, the actor makes now: {now}; recorded is: {then}");
            // Those who watch may want to see the step as it is made now.
            watch(Stepped {
                before: before.as_ref(),
                event: happening,
                after: &after,
                outputs: &out,
                first: false,
            });
            return Ok(Some(differs(what)));
        }
        let first = !std::mem::replace(&mut self.started, true);
        for command in out.iter() {
            if let Command::ChooseRandom(key, choices) = command {
                self.choices.insert(key.clone(), choices.clone());
            }
        }
        let verdict =
            watch(Stepped { before: before.as_ref(), event: happening, after: &after, outputs: &out, first });
        for command in out {
            if let Command::Save(state) = command {
                self.saves += 1;
                self.stable = Some(state);
            }
        }
        self.state = Some(after);
        self.go_on()?;
        Ok(verdict)
    }

    fn decode(&self, event: Trigger<'_>) -> Result<Happening<A>, String> {
        Ok(match event {
            Trigger::Start { .. } => Happening::Start,
            Trigger::Deliver { src, msg } => {
                let msg = postcard::from_bytes(msg)
                    .map_err(|error| format!("its message cannot be read: {error}"))?;
                Happening::Deliver(Id::from(src as usize), msg)
            }
            Trigger::Timeout { timer } => Happening::Timeout(
                postcard::from_bytes(timer).map_err(|error| format!("its timer cannot be read: {error}"))?,
            ),
            Trigger::Random { key, index } => {
                let choices = self.choices.get(key).map_or(&[][..], Vec::as_slice);
                let choice = usize::try_from(index).ok().and_then(|index| choices.get(index));
                let choice = choice.ok_or_else(|| format!("{key:?} was not offered to be chosen"))?;
                Happening::Random(key.to_owned(), choice.clone())
            }
        })
    }

    /// Encodes a step's outputs just as the recorder does.
    fn encode<C: Changes<A::Storage>>(&mut self, out: &Out<A>) {
        let Member { again, scratch, stable, .. } = self;
        again.clear();
        for command in out.iter() {
            scratch.clear();
            match command {
                Command::Save(state) => {
                    encode_change::<A::Storage, C>(state, stable.as_ref(), scratch);
                    again.output(Output::Save { change: Change::of(scratch) });
                }
                Command::Send(to, msg) => {
                    encode(msg, scratch);
                    again.output(Output::Send { to: usize::from(*to) as u64, msg: scratch });
                }
                Command::SetTimer(timer, after) => {
                    encode(timer, scratch);
                    let (from, to) = (record::nanoseconds(after.start), record::nanoseconds(after.end));
                    again.output(Output::SetTimer { timer: scratch, from, to });
                }
                Command::CancelTimer(timer) => {
                    encode(timer, scratch);
                    again.output(Output::CancelTimer { timer: scratch });
                }
                Command::ChooseRandom(key, choices) => {
                    again.output(Output::Choose { key, choices: choices.len() as u64 });
                }
            }
        }
    }
}

/// Outputs in words.
fn told<A>(outputs: &[u8]) -> String
where
    A: Actor<Msg: DeserializeOwned>,
    A::Timer: DeserializeOwned,
{
    let timer = |bytes: &[u8]| match postcard::from_bytes::<A::Timer>(bytes) {
        Ok(timer) => format!("{timer:?}"),
        Err(_) => "an unreadable timer".to_owned(),
    };
    let words: Vec<String> = record::outputs(outputs)
        .map(|output| match output {
            Output::Save { change } => format!("save ({} bytes)", change.len()),
            Output::Send { to, msg } => match postcard::from_bytes::<A::Msg>(msg) {
                Ok(msg) => format!("{msg:?} to {to}"),
                Err(_) => format!("an unreadable message to {to}"),
            },
            Output::SetTimer { timer: bytes, .. } => format!("set {}", timer(bytes)),
            Output::CancelTimer { timer: bytes } => format!("cancel {}", timer(bytes)),
            Output::Choose { key, choices } => format!("choose {key:?} of {choices}"),
        })
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn encode(value: &impl Serialize, to: &mut Vec<u8>) {
    *to = postcard::to_extend(value, std::mem::take(to)).expect("messages and timers can be encoded");
}
