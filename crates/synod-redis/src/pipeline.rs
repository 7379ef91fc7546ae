//! Guarantees that the requests of one connection take effect in their order, and are answered in it.
//!
//! Commands that change something and wait in a row go together, as one command of the log. Those that only ask, in a row, are under
//! way at once; what stands behind them waits for all.

use crate::conversation::{Shared, replies, together};
use crate::reply::{Reply, Version};
use crate::submit::{Submit, SubmitError};
use crate::translate::Work;
use std::collections::VecDeque;
use synod_machine::StoreOutput;

/// The most questions of one connection that are under way at once.
const ASKED: usize = 8;
/// The most operations, and about the most bytes of keys and values, of commands that go together.
const OPERATIONS: usize = 128;
const BYTES: usize = 16 << 10;

/// A request that waits for its turn.
#[derive(Debug)]
pub(crate) enum Waiting {
    Reply(Reply),
    Work(Work),
}

/// Does what waits, and writes all replies.
pub(crate) async fn run<S: Submit>(
    waiting: Vec<(Waiting, Version)>,
    submit: &S,
    shared: &Shared,
    out: &mut Vec<u8>,
) {
    let mut waiting = VecDeque::from(waiting);
    while let Some((first, version)) = waiting.pop_front() {
        let first = match first {
            Waiting::Reply(reply) => {
                reply.write(version, out);
                continue;
            }
            Waiting::Work(work) => work,
        };
        let mut row = vec![first];
        while let Some((Waiting::Work(next), next_version)) = waiting.front() {
            if *next_version != version || !goes_with(&row, next, submit.groups()) {
                break;
            }
            if let Some((Waiting::Work(next), _)) = waiting.pop_front() {
                row.push(next);
            }
        }
        for reply in have_done(row, submit, shared).await {
            reply.write(version, out);
        }
    }
}

/// True if a command may go beside the others.
fn goes_with(row: &[Work], next: &Work, groups: usize) -> bool {
    let only_asks = row[0].only_asks();
    if only_asks != next.only_asks() {
        return false;
    }
    if only_asks {
        return row.len() < ASKED;
    }
    let lies = |work: &Work| together(std::slice::from_ref(work)).lies(groups);
    if groups > 1 && lies(&row[0]) != lies(next) {
        return false;
    }
    // Answers with values may be long, and one command of the log has one answer.
    let all = || row.iter().chain([next]);
    all().filter(|work| work.tells_values()).count() <= 1
        && all().map(|work| work.operations().len()).sum::<usize>() <= OPERATIONS
        && all().map(Work::size).sum::<usize>() <= BYTES
}

async fn have_done<S: Submit>(row: Vec<Work>, submit: &S, shared: &Shared) -> Vec<Reply> {
    if row.len() > 1 && row[0].only_asks() {
        let asked: Vec<_> = row
            .into_iter()
            .map(|work| {
                let (submit, command) = (submit.clone(), together(std::slice::from_ref(&work)));
                (work, tokio::spawn(async move { submit.submit(command).await }))
            })
            .collect();
        let mut told = Vec::new();
        for (work, answer) in asked {
            let lost = |_| Err(SubmitError::Unknown("the question was lost".to_owned()));
            told.extend(tell(vec![work], answer.await.unwrap_or_else(lost), shared));
        }
        return told;
    }
    match submit.submit(together(&row)).await {
        // One of them is to blame, or all together: each has its own answer.
        Err(SubmitError::Refused(_)) | Ok(StoreOutput::Full { .. }) if row.len() > 1 => {
            let mut told = Vec::new();
            for work in row {
                let output = submit.submit(together(std::slice::from_ref(&work))).await;
                told.extend(tell(vec![work], output, shared));
            }
            told
        }
        output => tell(row, output, shared),
    }
}

fn tell(row: Vec<Work>, output: Result<StoreOutput, SubmitError>, shared: &Shared) -> Vec<Reply> {
    match output {
        Ok(output) => replies(row, output, shared),
        Err(error) => vec![error.reply(); row.len()],
    }
}
