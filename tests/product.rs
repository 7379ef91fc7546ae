//! A member with several groups is the product of members with one: whatever comes, each group does what the served member of that group alone would do, and
//! saves and finds again what that one would. So a run of several groups is, for each of them, a run of one group in which everything else is a network that
//! is slow, and every claim that the models show of one group holds of each.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::time::Duration;
use synod::{Ask, Msg, Pace, Process, ProcessState, Stable, Timer, Value};
use synod_groups::{Groups, InGroup, Stables, States};
use synod_machine::{BankCommand, Lives, Operation, SessionCommand, StoreCommand, encode, group_of};
use synod_server::{LogSettings, Wiring};

const MEMBERS: u64 = 3;
const GROUPS: u8 = 3;
/// The clients' ids follow those of members.
const CLIENT: usize = 1 << 16;

type Of<A> = Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// Settings under which all that a served member does is done often.
fn wiring() -> Wiring {
    let ms = |from, to| Duration::from_millis(from)..Duration::from_millis(to);
    let log =
        LogSettings { alpha: 2, batch: 2, snapshot_every: 3, keep: 1, chunk: 256, ..LogSettings::default() };
    Wiring {
        groups: usize::from(GROUPS),
        members: (0..MEMBERS).collect(),
        retry: ms(20, 60),
        election: Some(Pace { beat: ms(20, 30), suspect: ms(120, 200), hold_off: ms(10, 20), doublings: 4 }),
        max_value: log.longest_command(1000),
        log: Some((log, 1000)),
        changing: None,
        directory: None,
    }
}

/// What a member of all groups saved, and what the members of one group saved.
type Saved = (Option<Stables<Stable>>, Vec<Option<Stable>>);

/// A member of one group alone.
struct Alone {
    actor: Process,
    state: ProcessState,
    saved: Option<Stable>,
}

/// A member of all groups, and beside it one per group that does the same alone.
struct Both {
    me: Id,
    actor: Groups<Process>,
    state: States<ProcessState, Stable>,
    saved: Option<Stables<Stable>>,
    alone: Vec<Alone>,
    timers: Vec<InGroup<Timer>>,
}

/// What a step of one group says, in its name.
fn in_group(group: u8, said: &[Of<Process>]) -> Vec<Of<Groups<Process>>> {
    let tag = |said: &Of<Process>| match said {
        Command::Send(to, msg) => Some(Command::Send(*to, InGroup { group, what: msg.clone() })),
        Command::SetTimer(timer, after) => {
            Some(Command::SetTimer(InGroup { group, what: *timer }, after.clone()))
        }
        Command::CancelTimer(timer) => Some(Command::CancelTimer(InGroup { group, what: *timer })),
        Command::ChooseRandom(..) => panic!("servers draw nothing"),
        Command::Save(_) => None,
    };
    said.iter().filter_map(tag).collect()
}

impl Both {
    fn start(id: u64, before: Option<Saved>) -> (Both, Vec<(Id, InGroup<Msg>)>) {
        let (wiring, me) = (wiring(), Id::from(id as usize));
        let (saved, saved_alone) = before.unwrap_or((None, vec![None; usize::from(GROUPS)]));
        let actor = wiring.servers(id);
        let mut out = Out::new();
        let state = actor.on_start(me, &saved, &mut out);
        let said: Vec<_> = out.into_iter().collect();
        let mut alone = Vec::new();
        let mut expected = Vec::new();
        for (group, saved) in (0..GROUPS).zip(saved_alone) {
            let actor = wiring.of_group(group).server(id);
            let mut out = Out::new();
            let state = actor.on_start(me, &saved, &mut out);
            let said: Vec<_> = out.into_iter().collect();
            let new = said
                .iter()
                .rev()
                .find_map(|said| if let Command::Save(new) = said { Some(new.clone()) } else { None });
            expected.extend(in_group(group, &said));
            alone.push(Alone { actor, state, saved: new.or(saved) });
        }
        let mut both = Both { me, actor, state, saved, alone, timers: Vec::new() };
        let sent = both.agree(said, &expected);
        (both, sent)
    }

    /// One step of a group, at both.
    fn step(
        &mut self,
        group: u8,
        is_shared: bool,
        whole: impl FnOnce(
            &Groups<Process>,
            Id,
            &mut Cow<'_, States<ProcessState, Stable>>,
            &mut Out<Groups<Process>>,
        ),
        one: impl FnOnce(&Process, Id, &mut Cow<'_, ProcessState>, &mut Out<Process>),
    ) -> Vec<(Id, InGroup<Msg>)> {
        let before = self.state.clone();
        // Explorers share states, and a loop owns its own.
        let mut state = if is_shared { Cow::Borrowed(&before) } else { Cow::Owned(self.state.clone()) };
        let mut out = Out::new();
        whole(&self.actor, self.me, &mut state, &mut out);
        let state = state.into_owned();
        self.state = state;
        let alone = &mut self.alone[usize::from(group)];
        let (mut state, mut own) = (Cow::Owned(alone.state.clone()), Out::new());
        one(&alone.actor, self.me, &mut state, &mut own);
        alone.state = state.into_owned();
        let own: Vec<_> = own.into_iter().collect();
        for said in &own {
            if let Command::Save(new) = said {
                alone.saved = Some(new.clone());
            }
        }
        self.agree(out.into_iter().collect(), &in_group(group, &own))
    }

    /// Holds both against each other after a step. Returns what was sent.
    fn agree(
        &mut self,
        said: Vec<Of<Groups<Process>>>,
        expected: &[Of<Groups<Process>>],
    ) -> Vec<(Id, InGroup<Msg>)> {
        let mut rest = Vec::new();
        for said in said {
            match said {
                Command::Save(new) => self.saved = Some(new),
                said => rest.push(said),
            }
        }
        assert_eq!(format!("{rest:?}"), format!("{expected:?}"), "outputs");
        for (group, alone) in (0..GROUPS).zip(&self.alone) {
            assert!(self.state.of(group) == Some(&alone.state), "the state of group {group}");
            let saved = self.saved.as_ref().and_then(|all| all.of(group));
            assert!(saved == alone.saved.as_ref(), "what group {group} saved");
        }
        let mut sent = Vec::new();
        for said in rest {
            match said {
                Command::Send(to, msg) => sent.push((to, msg)),
                Command::SetTimer(timer, _) if !self.timers.contains(&timer) => self.timers.push(timer),
                Command::CancelTimer(timer) => self.timers.retain(|other| *other != timer),
                _ => {}
            }
        }
        sent
    }

    fn hear(&mut self, src: Id, msg: &InGroup<Msg>, is_shared: bool) -> Vec<(Id, InGroup<Msg>)> {
        let InGroup { group, what } = msg.clone();
        let (whole, one) = (msg.clone(), what);
        self.step(
            group,
            is_shared,
            |actor, me, state, out| actor.on_msg(me, state, src, whole, out),
            |actor, me, state, out| actor.on_msg(me, state, src, one, out),
        )
    }

    fn ring(&mut self, timer: InGroup<Timer>, is_shared: bool) -> Vec<(Id, InGroup<Msg>)> {
        self.timers.retain(|other| *other != timer);
        self.step(
            timer.group,
            is_shared,
            |actor, me, state, out| actor.on_timeout(me, state, &timer, out),
            |actor, me, state, out| actor.on_timeout(me, state, &timer.what, out),
        )
    }

    /// Ends as a crash does, and comes back with what was saved.
    fn crash(self) -> (Both, Vec<(Id, InGroup<Msg>)>) {
        let saved = self.alone.into_iter().map(|alone| alone.saved).collect();
        Both::start(usize::from(self.me) as u64, Some((self.saved, saved)))
    }
}

/// A command of a client, for the group of its key.
fn ask(rng: &mut fastrand::Rng, number: u64) -> InGroup<Msg> {
    let key = format!("k{}", rng.u8(..9));
    let group = group_of(key.as_bytes(), usize::from(GROUPS));
    let command = if rng.bool() {
        SessionCommand::Open { client: rng.u64(..4) }
    } else {
        let operation = match rng.u8(..3) {
            0 => Operation::Put {
                key: key.as_str().into(),
                value: vec![7; rng.usize(..300)].into(),
                lives: Lives::Forever,
            },
            1 => Operation::Acquire { lock: key.as_str().into(), owner: "o".into(), lives: Lives::Forever },
            _ => Operation::Bank(BankCommand::Deposit { account: 1, amount: 1 }),
        };
        let command = StoreCommand::Transact { when: Vec::new(), then: vec![operation] };
        SessionCommand::Apply { session: rng.u64(..3), number: rng.u64(..5), command }
    };
    let command = Value::from(encode(&command).as_slice());
    let what = Msg::Ask(if rng.u8(..5) == 0 {
        Ask::Query { number, command }
    } else {
        Ask::Submit { number, command }
    });
    InGroup { group, what }
}

#[test]
fn each_group_does_what_it_would_do_alone() {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, runs) = (read("SYNOD_SEED").unwrap_or(1), read("SYNOD_RUNS").unwrap_or(6));
    let (mut executed, mut crashes, mut snapshots) = ([0; GROUPS as usize], 0, 0);
    for seed in first..first + runs {
        eprintln!("SYNOD_SEED={seed} SYNOD_RUNS=1");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut flying: Vec<(Id, Id, InGroup<Msg>)> = Vec::new();
        let mut members: Vec<Both> = Vec::new();
        let fly = |flying: &mut Vec<_>, src: Id, sent: Vec<(Id, InGroup<Msg>)>| {
            flying.extend(
                sent.into_iter().filter(|(to, _)| usize::from(*to) < CLIENT).map(|(to, msg)| (src, to, msg)),
            );
        };
        for id in 0..MEMBERS {
            let (member, sent) = Both::start(id, None);
            fly(&mut flying, Id::from(id as usize), sent);
            members.push(member);
        }
        for number in 0..4000 {
            let at = rng.usize(..members.len());
            let me = members[at].me;
            let is_shared = rng.bool();
            let sent = match rng.u32(..1000) {
                0..2 => {
                    crashes += 1;
                    let (back, sent) = members.remove(at).crash();
                    members.insert(at, back);
                    sent
                }
                2..150 => {
                    let msg = ask(&mut rng, number);
                    members[at].hear(Id::from(CLIENT + rng.usize(..3)), &msg, is_shared)
                }
                150..220 if !members[at].timers.is_empty() => {
                    let timer = members[at].timers[rng.usize(..members[at].timers.len())];
                    members[at].ring(timer, is_shared)
                }
                _ if !flying.is_empty() => {
                    let (src, to, msg) = flying.swap_remove(rng.usize(..flying.len()));
                    if rng.u8(..20) == 0 {
                        flying.push((src, to, msg.clone()));
                    }
                    let to_member = usize::from(to);
                    let sent = members[to_member].hear(src, &msg, is_shared);
                    fly(&mut flying, to, sent);
                    continue;
                }
                _ => Vec::new(),
            };
            fly(&mut flying, me, sent);
            while flying.len() > 300 {
                flying.swap_remove(rng.usize(..flying.len()));
            }
        }
        for (group, executed) in (0..GROUPS).zip(&mut executed) {
            for member in &members {
                let log = member.state.of(group).and_then(|state| state.server()?.log.as_ref());
                let log = log.expect("it keeps one");
                *executed = log.next.0.max(*executed);
                snapshots += u64::from(log.snapshots.as_ref().is_some_and(|it| it.saved.is_some()));
            }
        }
    }
    eprintln!("{executed:?} executed at most, {crashes} crashes, {snapshots} snapshots");
    assert!(runs < 6 || (executed.iter().all(|most| *most > 10) && crashes > 10 && snapshots > 3));
}
