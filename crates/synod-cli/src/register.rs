//! `synod put` and `synod get`: a write-once register an instance, which is what Basic Paxos is.

use crate::args::{Get, Put};
use crate::status::{FAILED, INCOMPLETE, OK};
use crate::words;
use std::io::{Read, Write};
use synod_server::{Answer, Config, Question, ask};

/// Has a value chosen.
pub fn put(args: &Put) -> Result<u8, String> {
    let config = words::config(&args.cluster.config)?;
    let value = if args.value == "-" {
        let mut value = Vec::new();
        // One byte more than allowed is enough to see that it is too much.
        let most = config.max_value as u64 + 1;
        std::io::stdin().take(most).read_to_end(&mut value).map_err(|error| format!("stdin: {error}"))?;
        value
    } else {
        args.value.clone().into_bytes()
    };
    let question = Question::Put(value.clone());
    match ask(&config, args.instance, &question, args.patience.timeout).map_err(|error| error.to_string())? {
        Answer::Value(chosen) => {
            print(&chosen);
            if chosen == value {
                return Ok(OK);
            }
            anstream::eprintln!("instance {} already had another value, which stays", args.instance);
            Ok(FAILED)
        }
        Answer::Unset => Err("a member answered a put as if it were a get".to_owned()),
        Answer::Unknown { reached, busy } => {
            silence(&config, reached, busy);
            anstream::eprintln!("the value may yet be chosen; it is safe to put it again");
            Ok(INCOMPLETE)
        }
    }
}

/// Says what was chosen.
pub fn get(args: &Get) -> Result<u8, String> {
    let config = words::config(&args.cluster.config)?;
    match ask(&config, args.instance, &Question::Get, args.patience.timeout)
        .map_err(|error| error.to_string())?
    {
        Answer::Value(chosen) => {
            print(&chosen);
            Ok(OK)
        }
        Answer::Unset => {
            anstream::eprintln!("instance {} has no value", args.instance);
            Ok(FAILED)
        }
        Answer::Unknown { reached, busy } => {
            silence(&config, reached, busy);
            Ok(INCOMPLETE)
        }
    }
}

/// A value as it is; with a line end where people look.
fn print(value: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    // When whoever reads it has gone, there is nothing left to do.
    let _ = stdout.write_all(value).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
}

fn silence(config: &Config, reached: usize, busy: u64) {
    let members = config.members.len();
    anstream::eprintln!("no answer in time: {reached} of {members} members could be reached");
    if reached == 0 {
        anstream::eprintln!("do they run, and is the client key the same?");
    } else if reached <= members / 2 {
        anstream::eprintln!("a majority must be up for anything to be chosen or read");
    }
    if busy > 0 {
        anstream::eprintln!("{busy} times a member said that it was too busy");
    }
}
