//! `synod watch`: follows changes until it is stopped, or until some were missed.

use super::args::Watch as Args;
use super::front::{Front, status_of};
use crate::status::{FAILED, OK};
use std::time::Duration;
use synod_client::{Watch, WatchError};
use synod_machine::Change;

/// The time that a question for changes may go unanswered by a change before it is asked anew.
const ROUND: Duration = Duration::from_secs(10);

/// Prints changes.
pub fn watch(args: &Args) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    let (client, prefix) = (front.client.clone(), args.prefix.as_str());
    let mut watch = match &args.from[..] {
        [] => match Watch::from_now(client, prefix) {
            Ok(watch) => {
                anstream::eprintln!("from {}", place(&watch.versions()));
                watch
            }
            Err(error) => return Ok(fail(&error)),
        },
        [0 | 1] => Watch::from_the_first(client, prefix),
        from => {
            let seen: Vec<u64> = from.iter().map(|version| version.saturating_sub(1)).collect();
            Watch::after(client, prefix, &seen).map_err(|error| format!("--from: {error}"))?
        }
    };
    let (status, untold) = follow(args, &front, &mut watch);
    let mut seen = watch.versions();
    if seen.len() > 1 {
        for change in &untold {
            let of = watch.group_of(change).and_then(|group| seen.get_mut(usize::from(group)));
            if let Some(seen) = of {
                *seen = change.version.saturating_sub(1).min(*seen);
            }
        }
        anstream::eprintln!("go on from {}", place(&seen));
    }
    Ok(status)
}

/// Follows changes until there were enough of them, or some were missed. Returns the exit status and the changes that came and are not told.
fn follow(args: &Args, front: &Front, watch: &mut Watch) -> (u8, Vec<Change>) {
    let (mut left, mut is_silent) = (args.count, false);
    while left != Some(0) {
        match watch.next(ROUND) {
            Ok(changes) => {
                is_silent = false;
                let most = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
                let (now, untold) = changes.split_at(most.min(changes.len()));
                for change in now {
                    front.told.change(watch.group_of(change), change);
                }
                left = left.map(|left| left - now.len() as u64);
                if left == Some(0) {
                    return (OK, untold.to_vec());
                }
            }
            Err(error) if !watch.has_answered() || !matches!(error, WatchError::Failed { .. }) => {
                return (fail(&error), Vec::new());
            }
            Err(error) => {
                if !std::mem::replace(&mut is_silent, true) {
                    anstream::eprintln!("{error}; asking again from {}", place(&watch.versions()));
                }
            }
        }
    }
    (OK, Vec::new())
}

/// Says why nothing can be followed. Returns the exit status.
fn fail(error: &WatchError) -> u8 {
    anstream::eprintln!("{error}");
    match error {
        WatchError::Failed { error, .. } => status_of(error),
        WatchError::Truncated { .. } | WatchError::Versions { .. } => FAILED,
    }
}

/// The place of a watch, in words.
fn place(seen: &[u64]) -> String {
    let next: Vec<String> = seen.iter().map(|version| (version + 1).to_string()).collect();
    match &next[..] {
        [version] => format!("version {version} on"),
        next => format!("--from {}", next.join(",")),
    }
}
