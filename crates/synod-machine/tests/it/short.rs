//! Sessions over every short history of more clients than are held, beside a table that forgets nothing.

use synod_machine::{
    Bank, BankCommand, BankOutput, Limits, SessionCommand, SessionOutput, Sessions, StateMachine,
};

/// One entry of a log.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Open {
        client: u64,
    },
    Apply {
        session: u64,
        number: u64,
    },
    Refuse {
        session: u64,
        number: u64,
    },
    Close {
        session: u64,
    },
    /// Other limits hold from here on.
    Limit {
        sessions: u32,
        window: u32,
    },
}

const ENTRIES: [Entry; 13] = [
    Entry::Open { client: 7 },
    Entry::Open { client: 8 },
    Entry::Open { client: 9 },
    Entry::Apply { session: 1, number: 1 },
    Entry::Apply { session: 1, number: 2 },
    Entry::Apply { session: 1, number: 3 },
    Entry::Apply { session: 2, number: 1 },
    Entry::Apply { session: 3, number: 1 },
    Entry::Refuse { session: 1, number: 1 },
    Entry::Refuse { session: 1, number: 2 },
    Entry::Close { session: 1 },
    Entry::Limit { sessions: 1, window: 1 },
    Entry::Limit { sessions: 2, window: 2 },
];

type Output = SessionOutput<BankOutput>;

fn limits(sessions: u32, window: u32) -> Limits {
    Limits { sessions, window, reply_bytes: 32, bytes: 4096, idle: None }
}

/// A session of which everything is remembered.
#[derive(Clone)]
struct Remembered {
    client: u64,
    /// The place of its last command in the log.
    used: u64,
    is_over: bool,
    /// The answer to each number, however old.
    answers: Vec<(u64, Output)>,
    /// The numbers that nobody needs to be told the answer of any more, by the narrowest window so far since each was answered.
    below: u64,
}

#[derive(Clone)]
struct Naive {
    most: usize,
    window: u64,
    now: u64,
    balance: u64,
    /// Session 1 is the first.
    sessions: Vec<Remembered>,
}

impl Naive {
    fn new() -> Naive {
        Naive { most: 2, window: 2, now: 0, balance: 0, sessions: Vec::new() }
    }

    /// Those used longest ago go, but for one.
    fn make_room(&mut self, spared: usize) {
        let open = |naive: &Naive| naive.sessions.iter().filter(|session| !session.is_over).count();
        while open(self) > self.most {
            let others = self.sessions.iter_mut().enumerate();
            let oldest = others.filter(|(at, session)| !session.is_over && *at != spared);
            oldest.min_by_key(|(_, session)| session.used).expect("there are two").1.is_over = true;
        }
    }

    fn numbered(&mut self, session: u64, number: u64, is_admitted: bool) -> Output {
        let (now, window) = (self.now, self.window);
        let Some(known) = self.sessions.get_mut(session as usize - 1) else { return SessionOutput::Unknown };
        if known.is_over {
            return SessionOutput::Expired;
        }
        known.used = now;
        if number < known.below {
            return SessionOutput::Answered;
        }
        if let Some((_, answer)) = known.answers.iter().find(|(other, _)| *other == number) {
            return answer.clone();
        }
        let answer = if is_admitted {
            let old = self.balance;
            self.balance += 1;
            SessionOutput::Output(BankOutput::Done { old, new: old + 1 })
        } else {
            SessionOutput::NotAdmitted
        };
        known.answers.push((number, answer.clone()));
        known.forget(window);
        answer
    }

    fn apply(&mut self, entry: Entry) -> Option<Output> {
        if !matches!(entry, Entry::Limit { .. }) {
            self.now += 1;
        }
        let now = self.now;
        Some(match entry {
            Entry::Open { client } => {
                let at = self.sessions.iter().position(|one| one.client == client && !one.is_over);
                let at = at.unwrap_or_else(|| {
                    let new = Remembered { client, used: now, is_over: false, answers: Vec::new(), below: 0 };
                    self.sessions.push(new);
                    self.sessions.len() - 1
                });
                self.sessions[at].used = now;
                self.make_room(at);
                SessionOutput::Opened { session: at as u64 + 1 }
            }
            Entry::Apply { session, number } => self.numbered(session, number, true),
            Entry::Refuse { session, number } => self.numbered(session, number, false),
            Entry::Close { session } => match self.sessions.get_mut(session as usize - 1) {
                None => SessionOutput::Unknown,
                Some(known) if known.is_over => SessionOutput::Expired,
                Some(known) => {
                    known.is_over = true;
                    SessionOutput::Ended
                }
            },
            Entry::Limit { sessions, window } => {
                (self.most, self.window) = (sessions as usize, window.into());
                self.sessions.iter_mut().for_each(|session| session.forget(window.into()));
                self.make_room(usize::MAX);
                return None;
            }
        })
    }
}

impl Remembered {
    /// The client has the answers of all numbers that are a window below one it has sent.
    fn forget(&mut self, window: u64) {
        let highest = self.answers.iter().map(|(number, _)| *number).max().unwrap_or(0);
        self.below = self.below.max((highest + 1).saturating_sub(window));
    }
}

fn apply(sessions: &mut Sessions<Bank>, entry: Entry) -> Option<Output> {
    Some(match entry {
        Entry::Open { client } => sessions.apply(&SessionCommand::Open { client }),
        Entry::Apply { session, number } => {
            let command = BankCommand::Deposit { account: 1, amount: 1 };
            sessions.apply(&SessionCommand::Apply { session, number, command })
        }
        Entry::Refuse { session, number } => sessions.refuse(session, number),
        Entry::Close { session } => sessions.apply(&SessionCommand::Close { session }),
        Entry::Limit { sessions: most, window } => {
            sessions.limit(limits(most, window)).expect("there is room");
            return None;
        }
    })
}

/// The sums over many histories.
#[derive(Debug, Default)]
struct Came {
    /// Answers, balances and numbers of open sessions that differ.
    differ: usize,
    /// Commands of sessions that had to make room.
    expired: usize,
    /// Late copies.
    answered: usize,
}

/// All histories of so many entries beyond one. `happens` is what happens to the table after each entry.
fn came(steps: u32, happens: fn(&mut Sessions<Bank>)) -> Came {
    let mut came = Came::default();
    let start = Sessions::new(Bank::default(), limits(2, 2)).expect("there is room");
    go_on(steps, &start, &Naive::new(), happens, &mut came);
    came
}

fn go_on(
    steps: u32,
    sessions: &Sessions<Bank>,
    naive: &Naive,
    happens: fn(&mut Sessions<Bank>),
    came: &mut Came,
) {
    for entry in ENTRIES {
        let (mut sessions, mut naive) = (sessions.clone(), naive.clone());
        let (mine, theirs) = (apply(&mut sessions, entry), naive.apply(entry));
        let open = naive.sessions.iter().filter(|session| !session.is_over).count();
        let is_same = mine == theirs
            && (sessions.open().count(), sessions.machine().balance(1)) == (open, naive.balance);
        came.differ += usize::from(!is_same);
        came.expired += usize::from(mine == Some(SessionOutput::Expired));
        came.answered += usize::from(mine == Some(SessionOutput::Answered));
        happens(&mut sessions);
        if steps > 1 {
            go_on(steps - 1, &sessions, &naive, happens, came);
        }
    }
}

/// Puts a replica that was restored from the snapshot in the place of the one that executed.
fn restored(sessions: &mut Sessions<Bank>) {
    let mut other = Sessions::new(Bank::default(), limits(9, 9)).expect("there is room");
    other.restore(&sessions.snapshot()).expect("its own");
    assert_eq!(*sessions, other);
    *sessions = other;
}

#[test]
fn more_clients_than_are_held_are_served_as_by_a_table_that_forgets_nothing_whatever_the_log() {
    let came = came(5, |_| {});
    assert_eq!(came.differ, 0, "{came:?}");
    assert!(came.expired > 1000 && came.answered > 1000, "{came:?}");
}

#[test]
fn replicas_that_are_restored_between_any_two_entries_answer_the_same() {
    assert_eq!(came(4, restored).differ, 0);
}

/// A replica that forgets the answers, holds one session more, or has other windows is noticed.
#[test]
fn tables_that_hold_something_else_differ() {
    assert!(came(3, |sessions| sessions.limit(limits(3, 2)).expect("room")).differ > 0);
    assert!(came(3, |sessions| sessions.limit(limits(1, 2)).expect("room")).differ > 0);
    assert!(came(4, |sessions| sessions.limit(limits(2, 1)).expect("room")).differ > 0);
}
