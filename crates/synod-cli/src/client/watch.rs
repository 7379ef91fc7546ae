//! `synod watch`: follows changes until it is stopped, or until some were missed.

use super::args::Watch as Args;
use super::front::{Front, failed};
use crate::status::{FAILED, OK};
use std::time::Duration;
use synod_client::{Watch, WatchError};

/// The time that a question for changes may go unanswered by a change before it is asked anew.
const ROUND: Duration = Duration::from_secs(10);

/// Prints changes.
pub fn watch(args: &Args) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    let mut watch = match args.from {
        Some(from) => Watch::after(front.client.clone(), args.prefix.as_str(), from.saturating_sub(1)),
        None => match Watch::from_now(front.client.clone(), args.prefix.as_str()) {
            Ok(watch) => {
                anstream::eprintln!("from version {} on", watch.version() + 1);
                watch
            }
            Err(error) => return Ok(failed(&error)),
        },
    };
    let (mut left, mut has_answered, mut is_silent) = (args.count, false, false);
    loop {
        match watch.next(ROUND) {
            Ok(changes) => {
                (has_answered, is_silent) = (true, false);
                for change in &changes {
                    if left == Some(0) {
                        return Ok(OK);
                    }
                    front.told.change(change);
                    left = left.map(|left| left - 1);
                }
                if left == Some(0) {
                    return Ok(OK);
                }
            }
            Err(WatchError::Truncated { oldest }) => {
                anstream::eprintln!("{}", WatchError::Truncated { oldest });
                return Ok(FAILED);
            }
            Err(WatchError::Failed(error)) if !has_answered => return Ok(failed(&error)),
            Err(WatchError::Failed(error)) => {
                if !std::mem::replace(&mut is_silent, true) {
                    anstream::eprintln!("{error}; asking again from version {} on", watch.version() + 1);
                }
            }
        }
    }
}
