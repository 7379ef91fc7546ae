//! The changes that an operator asks for, as calls in the log: one at a time, each answered once.
//!
//! Every member executes a change, so the answer stands in this member's own state, whoever proposed it. A call that a leader did not propose is voided by a
//! later one: once that is executed, the earlier one has no effect any more (M4). So what is said to be refused stays so. One that nobody waits for any more is
//! voided in the same way, so that it does not come long after, and so is whatever an earlier start of the member asked for.

use super::words::{LONGEST_WAIT, Reply};
use crate::wiring::operator;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use synod::{Change, ChangeKind, Membership, Value};

/// The time after which a call is said again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The words of a call that is no change, and voids those before it.
const VOID: &str = "nothing";

/// The calls of a member's operator.
pub(crate) struct Calls {
    /// The id that the operator has as a client.
    id: u64,
    /// The number of the last call.
    last: u64,
    open: Option<Open>,
}

/// A change that has no answer yet.
struct Open {
    number: u64,
    /// The member that leaves by it, if it is to remove one.
    gone: Option<usize>,
    /// The words that are said now: the change, or those that void it.
    words: Value,
    /// Whoever waits for it; `None` once that one was told that nobody knows.
    reply: Option<SyncSender<Reply>>,
    until: Duration,
    again: Duration,
    /// The answer of the member that proposed it, before this one has executed it.
    heard: Option<Value>,
    /// The reason why it is voided, if it is.
    voided: Option<String>,
}

/// The answer to a change, by what the log said.
fn reply(said: &Value) -> Reply {
    let said = String::from_utf8_lossy(said.as_bytes()).into_owned();
    match said.split_once(": ") {
        Some(("refused", why)) => Reply::Refused(why.to_owned()),
        Some(("unknown", why)) => Reply::Unknown(why.to_owned()),
        _ => Reply::Done(said),
    }
}

impl Calls {
    /// The calls of a member's operator at one of its starts. A later start has higher numbers.
    pub(crate) fn new(member: u64, boot: u64) -> Calls {
        Calls { id: operator(member), last: boot << 32, open: None }
    }

    /// The id that the operator has as a client.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Voids whatever an earlier start of this member has asked for, and was not executed: nobody waits for it any more.
    pub(crate) fn void_earlier(&mut self, now: Duration) {
        self.last += 1;
        let words = Value::from(VOID);
        self.open = Some(Open {
            number: self.last,
            gone: None,
            words,
            reply: None,
            until: Duration::MAX,
            again: now,
            heard: None,
            voided: Some(String::new()),
        });
    }

    /// Takes on a change. One at a time is under way.
    pub(crate) fn begin(&mut self, now: Duration, (words, timeout_ms): (&str, u64), to: SyncSender<Reply>) {
        let words = Value::from(words);
        let refused = match Change::read(&words) {
            None => Err("not a change of members"),
            Some(_) if self.open.as_ref().is_some_and(|open| open.reply.is_some()) => {
                Err("another change is being asked for at this member")
            }
            // A later call voids one that nobody waits for.
            Some(change) => Ok(change),
        };
        let change = match refused {
            Ok(change) => change,
            Err(why) => return say(&to, Reply::Refused(why.to_owned())),
        };
        self.last += 1;
        let until = now + Duration::from_millis(timeout_ms.min(LONGEST_WAIT));
        let gone = match change.kind {
            ChangeKind::Remove(old) => Some(old),
            ChangeKind::Add { .. } | ChangeKind::Replace { .. } | ChangeKind::SetAddress { .. } => None,
        };
        let (number, again) = (self.last, now);
        self.open =
            Some(Open { number, gone, words, reply: Some(to), until, again, heard: None, voided: None });
    }

    /// Takes what a member says to a call.
    pub(crate) fn hear(&mut self, number: u64, output: &Value, now: Duration) {
        let Some(open) = self.open.as_mut().filter(|open| open.number == number && open.voided.is_none())
        else {
            return;
        };
        match reply(output) {
            Reply::Unknown(why) if why.contains("did not propose it") => {
                self.last += 1;
                open.void(
                    self.last,
                    now,
                    "too few of those that would remain answer the leader; bring them back or replace them, and ask again",
                );
            }
            // What this member executes says which call that was.
            Reply::Unknown(_) => {}
            _ => open.heard = Some(output.clone()),
        }
    }

    /// Looks at what this member has executed, and tells what is due. Returns when it wants to be called again even if nothing happens.
    pub(crate) fn turn(
        &mut self,
        now: Duration,
        membership: &Membership,
        tell: &mut dyn FnMut(u64, Value),
    ) -> Duration {
        let answer = membership.answers.get(&(self.id as usize).into());
        let Some(open) = &mut self.open else { return Duration::MAX };
        let executed = answer.filter(|(number, _)| *number >= open.number);
        let done = match (executed, &open.voided) {
            (Some((number, said)), None) if *number == open.number => Some(reply(said)),
            (Some(_), None) => Some(Reply::Unknown(
                "a later call was executed, and what became of this one is forgotten".to_owned(),
            )),
            // It cannot be executed any more. It may have been before.
            (Some(_), Some(why)) => Some(match open.gone {
                Some(old) if membership.latest().is_some_and(|latest| !latest.members.contains(old)) => {
                    Reply::Done(format!("configuration {} is without {old}", membership.number()))
                }
                _ => Reply::Refused(why.clone()),
            }),
            // Another member says so, which has executed it.
            (None, None) if now >= open.until && open.heard.is_some() => open.heard.as_ref().map(reply),
            (None, _) => None,
        };
        if let Some(done) = done {
            open.answer(done);
            self.open = None;
            return Duration::MAX;
        }
        if now >= open.until {
            open.answer(Reply::Unknown(
                "nobody has answered in time; it is taken back as soon as the members can be reached, unless it was executed by then"
                    .to_owned(),
            ));
            open.until = Duration::MAX;
            if open.voided.is_none() {
                self.last += 1;
                open.void(self.last, now, "nobody has answered in time");
            }
        }
        if now >= open.again {
            tell(open.number, open.words.clone());
            open.again = now + PATIENCE;
        }
        open.again.min(open.until)
    }

    /// Ends what is under way: the member stops.
    pub(crate) fn end(&mut self) {
        if let Some(mut open) = self.open.take() {
            let why = "the member stops before it has an answer; the change may still be executed";
            open.answer(Reply::Unknown(why.to_owned()));
        }
    }
}

impl Open {
    /// Says from now on what is no change, under a later number.
    fn void(&mut self, number: u64, now: Duration, why: &str) {
        (self.number, self.words, self.again) = (number, Value::from(VOID), now);
        self.voided = Some(why.to_owned());
    }

    fn answer(&mut self, reply: Reply) {
        if let Some(to) = self.reply.take() {
            say(&to, reply);
        }
    }
}

/// Answers. Whoever asked may have gone.
fn say(to: &SyncSender<Reply>, reply: Reply) {
    let _ = to.try_send(reply);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::wiring::Wiring;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, sync_channel};
    use synod::{Call, Instance, LogEntry};

    /// The members 0, 1 and 2, of which nothing was executed, and the calls of the operator of member 1 at its second start.
    fn scene() -> (Membership, Calls) {
        let text = "cluster = \"x\"\ncluster-key = \"a\"\nclient-key = \"b\"\nmember = [{ id = 0, address = \"127.0.0.1:1\" }]\n\
                    [members]\nfirst = [0, 1, 2]\n";
        let config = Config::read("c.toml", text, Path::new("")).expect("it is right");
        let cluster = Wiring { directory: Some(1), ..Wiring::from(&config) }.cluster();
        let log = cluster.log.clone().expect("it keeps a log");
        (Membership::first(&cluster, &log).expect("its members change"), Calls::new(1, 2))
    }

    fn begin(calls: &mut Calls, words: &str) -> Receiver<Reply> {
        let (to, reply) = sync_channel(1);
        calls.begin(Duration::ZERO, (words, 5000), to);
        reply
    }

    /// What is told in a turn.
    fn turn(calls: &mut Calls, at: u64, membership: &Membership) -> Option<(u64, String)> {
        let mut told = None;
        let now = Duration::from_millis(at);
        calls.turn(now, membership, &mut |number, words| {
            told = Some((number, String::from_utf8_lossy(words.as_bytes()).into_owned()));
        });
        told
    }

    fn execute(membership: &mut Membership, at: u64, number: u64, words: &str) {
        let call = Call { client: (operator(1) as usize).into(), number };
        membership.execute(Instance(at), &LogEntry { call, command: Value::from(words) });
    }

    const FIRST: u64 = (2 << 32) + 1;

    #[test]
    fn a_change_is_said_again_and_answered_by_what_was_executed() {
        let (mut membership, mut calls) = scene();
        let reply = begin(&mut calls, "remove 2 on 0");
        let said = Some((FIRST, "remove 2 on 0".to_owned()));
        assert_eq!(turn(&mut calls, 0, &membership), said);
        assert_eq!(turn(&mut calls, 999, &membership), None);
        assert_eq!(turn(&mut calls, 1000, &membership), said);
        let other = begin(&mut calls, "add 7");
        assert!(matches!(other.try_recv(), Ok(Reply::Refused(why)) if why.contains("another change")));
        assert!(matches!(begin(&mut calls, "nothing").try_recv(), Ok(Reply::Refused(_))));
        execute(&mut membership, 5, FIRST, "remove 2 on 0");
        turn(&mut calls, 1100, &membership);
        assert!(matches!(reply.try_recv(), Ok(Reply::Done(said)) if said.starts_with("configuration 1")));
        let reply = begin(&mut calls, "remove 0 on 0");
        execute(&mut membership, 50, FIRST + 1, "remove 0 on 0");
        turn(&mut calls, 1200, &membership);
        assert!(
            matches!(reply.try_recv(), Ok(Reply::Refused(why)) if why.contains("it rests on configuration 0"))
        );
    }

    #[test]
    fn what_an_earlier_start_has_asked_for_is_voided() {
        let (mut membership, mut calls) = scene();
        calls.void_earlier(Duration::ZERO);
        let voided = Some((FIRST, VOID.to_owned()));
        assert_eq!(
            (turn(&mut calls, 0, &membership), turn(&mut calls, 1000, &membership)),
            (voided.clone(), voided)
        );
        execute(&mut membership, 5, FIRST, VOID);
        assert_eq!(turn(&mut calls, 2000, &membership), None);
        execute(&mut membership, 6, FIRST - 2, "remove 2 on 0");
        assert_eq!(membership.number(), 0, "it comes too late");
        // A change that is asked for meanwhile does the same.
        let (membership, mut calls) = scene();
        calls.void_earlier(Duration::ZERO);
        let _reply = begin(&mut calls, "remove 2 on 0");
        assert_eq!(turn(&mut calls, 0, &membership), Some((FIRST + 1, "remove 2 on 0".to_owned())));
    }

    #[test]
    fn what_was_not_proposed_is_voided_before_it_is_refused() {
        let (mut membership, mut calls) = scene();
        let reply = begin(&mut calls, "remove 2 on 0");
        turn(&mut calls, 0, &membership);
        let unproposed = Value::from("unknown: this server did not propose it");
        calls.hear(FIRST + 7, &unproposed, Duration::ZERO);
        assert_eq!(turn(&mut calls, 1, &membership), None, "that was another call");
        calls.hear(FIRST, &unproposed, Duration::from_millis(2));
        assert_eq!(turn(&mut calls, 2, &membership), Some((FIRST + 1, VOID.to_owned())));
        assert!(reply.try_recv().is_err(), "it may still be executed");
        execute(&mut membership, 5, FIRST + 1, VOID);
        turn(&mut calls, 3, &membership);
        assert!(matches!(reply.try_recv(), Ok(Reply::Refused(why)) if why.contains("too few of those")));
        execute(&mut membership, 6, FIRST, "remove 2 on 0");
        assert_eq!(membership.number(), 0, "it comes too late");

        // Another server had proposed it, and both came at once.
        let (mut membership, mut calls) = scene();
        let reply = begin(&mut calls, "remove 2 on 0");
        calls.hear(FIRST, &unproposed, Duration::ZERO);
        execute(&mut membership, 5, FIRST, "remove 2 on 0");
        execute(&mut membership, 5, FIRST + 1, VOID);
        turn(&mut calls, 4, &membership);
        assert!(matches!(reply.try_recv(), Ok(Reply::Done(said)) if said.contains("without 2")));
    }

    #[test]
    fn what_nobody_answers_may_or_may_not_be_done() {
        let (membership, mut calls) = scene();
        let reply = begin(&mut calls, "remove 2 on 0");
        turn(&mut calls, 4999, &membership);
        assert!(reply.try_recv().is_err());
        let voided = Some((FIRST + 1, VOID.to_owned()));
        assert_eq!(turn(&mut calls, 5000, &membership), voided, "it must not come long after");
        assert!(matches!(reply.try_recv(), Ok(Reply::Unknown(_))));
        assert_eq!(turn(&mut calls, 6000, &membership), voided);
        // A later change does the same. The member that proposed it has executed it, and this one has not.
        let reply = begin(&mut calls, "remove 2 on 0");
        calls.hear(FIRST + 2, &Value::from("configuration 1 from #13"), Duration::ZERO);
        turn(&mut calls, 1, &membership);
        assert!(reply.try_recv().is_err());
        turn(&mut calls, 5000, &membership);
        assert!(matches!(reply.try_recv(), Ok(Reply::Done(_))));
        let reply = begin(&mut calls, "remove 2 on 0");
        let mut later = membership.clone();
        execute(&mut later, 9, FIRST + 99, "remove 2 on 0");
        turn(&mut calls, 2, &later);
        assert!(
            matches!(reply.try_recv(), Ok(Reply::Unknown(why)) if why.contains("a later call was executed"))
        );
        let reply = begin(&mut calls, "remove 2 on 0");
        calls.end();
        assert!(matches!(reply.try_recv(), Ok(Reply::Unknown(why)) if why.contains("the member stops")));
    }
}
