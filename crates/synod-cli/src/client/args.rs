//! The arguments of the client's commands.

use crate::which::Where;
use crate::words;
use clap::{Args as ClapArgs, ValueEnum};
use std::time::Duration;

/// The cluster to ask, and how.
#[derive(Clone, ClapArgs)]
pub struct Asking {
    #[command(flatten)]
    pub cluster: Where,
    /// How long to wait for an answer, such as 500ms or 10s
    #[arg(long, value_parser = words::duration, default_value = "10s")]
    pub timeout: Duration,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    pub format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, and for pipes
    Human,
    /// One JSON object a line; bytes that are no text are in hexadecimal, under another name
    Json,
}

/// The time that something has.
#[derive(ClapArgs)]
pub struct Ttl {
    /// It is gone after this time, such as 30s, counted by the cluster [default: it stays]
    #[arg(long, value_parser = words::duration)]
    pub ttl: Option<Duration>,
}

/// The lock under which a change is made.
#[derive(ClapArgs)]
pub struct Fence {
    /// Only while the lock NAME is held under this fencing token, which `synod lock` printed; otherwise exit status 1
    #[arg(long, value_name = "NAME=TOKEN", value_parser = words::fence)]
    pub fence: Option<(String, u64)>,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints the version of the change. Exit status: 0 stored, 1 refused (too long, the store is full or the lock of --fence is not held), 2 not stored (no member answered), 3 perhaps stored.

Examples:
  synod put greeting hello
  synod put report - < report.txt
  synod put seat 12A --ttl 5m
  synod put report done --fence report=7      only while the lock `report` is held under token 7")]
pub struct Put {
    /// The key
    pub key: String,
    /// The value, or - for stdin
    pub value: String,
    #[command(flatten)]
    pub ttl: Ttl,
    #[command(flatten)]
    pub fence: Fence,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints the value. Exit status: 0 there is one, 1 there is none, 2 no answer came in time.

Examples:
  synod get greeting
  synod get greeting --stale        whatever one member has, which may be old: also without a majority")]
pub struct Get {
    /// The key
    pub key: String,
    /// Takes the answer of any member, which may be old
    #[arg(long)]
    pub stale: bool,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints the version of the change. Exit status: 0 stored, 1 refused (something else was there, too long, the store is full or the lock of --fence is not held), 2 not stored (no member answered), 3 perhaps stored.

Examples:
  synod cas greeting --expect hello goodbye
  synod cas greeting --absent hello
  synod cas greeting --expect-version 7 goodbye")]
pub struct Cas {
    /// The key
    pub key: String,
    /// The new value, or - for stdin
    pub value: String,
    #[command(flatten)]
    pub expect: Expected,
    #[command(flatten)]
    pub ttl: Ttl,
    #[command(flatten)]
    pub fence: Fence,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[group(required = true, multiple = false)]
pub struct Expected {
    /// Stores if this value is there
    #[arg(long, value_name = "VALUE")]
    pub expect: Option<String>,
    /// Stores if what this change put there is there
    #[arg(long, value_name = "N", value_parser = words::number)]
    pub expect_version: Option<u64>,
    /// Stores if nothing is there
    #[arg(long)]
    pub absent: bool,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Exit status: 0 deleted, 1 there was nothing, or the lock of --fence is not held, 2 not deleted (no member reached), 3 perhaps deleted.

Example:
  synod delete greeting")]
pub struct Delete {
    /// The key
    pub key: String,
    #[command(flatten)]
    pub fence: Fence,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints a line per key: the key, a tab and the value, with control characters escaped. A long list is asked for in pieces, \
and keys that change meanwhile may or may not be in it. Exit status: 0 all printed, 1 there is none, 2 no answer came in time.

Examples:
  synod keys user/
  synod keys ''                     every key")]
pub struct Keys {
    /// The prefix of the keys
    pub prefix: String,
    /// Takes the answers of any member, which may be old
    #[arg(long)]
    pub stale: bool,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints the fencing token of the grant. A later grant has a higher one, by which whatever the lock protects can refuse a \
former holder. Changes with `--fence NAME=TOKEN` are refused once the grant has ended. Exit status: 0 it is yours, 1 \
another one holds it or the store is full, 2 not taken (no member reached), 3 perhaps taken: ask again with the same --owner.

Examples:
  synod lock backup --ttl 10m
  token=$(synod lock backup --ttl 10m --owner host-1) && run-backup && synod unlock backup --token $token")]
pub struct Lock {
    /// The lock
    pub name: String,
    /// Whose it is to be: who holds a lock may take it again, to have more time [default: drawn at random]
    #[arg(long)]
    pub owner: Option<String>,
    #[command(flatten)]
    pub ttl: Ttl,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Exit status: 0 given back, 1 it was free or is held under another token, 2 not given back (no member reached), 3 perhaps given back.

Example:
  synod unlock backup --token 7")]
pub struct Unlock {
    /// The lock
    pub name: String,
    /// The fencing token that `synod lock` printed
    #[arg(long, value_name = "N", value_parser = words::number)]
    pub token: u64,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Accounts are numbers and need not be opened. Prints the balance of the account that pays, before and after. Exit status: 0 done, \
1 not covered, the store is full or the lock of --fence is not held, 2 not done (no member reached), 3 perhaps done.

Example:
  synod deposit 1 100 && synod transfer 1 2 30 && synod balance 2")]
pub struct Transfer {
    /// The account that pays
    #[arg(value_parser = words::number)]
    pub from: u64,
    /// The account that receives
    #[arg(value_parser = words::number)]
    pub to: u64,
    /// The amount
    #[arg(value_parser = words::number)]
    pub amount: u64,
    #[command(flatten)]
    pub fence: Fence,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints the balance, before and after. Exit status: 0 done, 1 not covered or too much, the store is \
full or the lock of --fence is not held, 2 not done (no member reached), 3 perhaps done.

Example:
  synod deposit 1 100")]
pub struct Paying {
    /// The account
    #[arg(value_parser = words::number)]
    pub account: u64,
    /// The amount
    #[arg(value_parser = words::number)]
    pub amount: u64,
    #[command(flatten)]
    pub fence: Fence,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints the balance. Exit status: 0 printed, 2 no answer came in time.

Example:
  synod balance 1")]
pub struct Balance {
    /// The account
    #[arg(value_parser = words::number)]
    pub account: u64,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Prints a line per change, in order and without gaps: its version, `put` with the key and the value or `delete` with the key. \
Where there are several groups, each has versions of its own, and a line opens with its group and version: 3:17. Changes of a key come in their \
order, those of keys in two groups in any. At its end the command prints the place to go on from. \
A value whose time is over counts as deleted. The cluster keeps the latest changes only. If some were missed, it says so and ends \
with status 1. While no member answers, it goes on asking.

Examples:
  synod watch user/                 from now on
  synod watch user/ --from 1        from the first change on, as far as changes are kept
  synod watch user/ --from 18       goes on after having seen version 17
  synod watch user/ --from 18,3,1   the same of three groups, in their order")]
pub struct Watch {
    /// The prefix of the keys
    pub prefix: String,
    /// The version of the first change to print, or one per group [default: the next one]
    #[arg(long, value_name = "VERSION", value_delimiter = ',', value_parser = words::number)]
    pub from: Vec<u64>,
    /// Ends after so many changes
    #[arg(long, value_name = "N", value_parser = words::number)]
    pub count: Option<u64>,
    #[command(flatten)]
    pub asking: Asking,
}
