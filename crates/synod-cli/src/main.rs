//! The `synod` command: parse, resolve, then one match on what was asked for. Its contract is that of its `--help`:
//! results on stdout, progress and trouble on stderr, and an exit status that means something.

#![allow(unreachable_pub, reason = "a binary has no outside that could reach anything")]

mod args;
mod check;
mod client;
mod cluster;
mod explore;
mod flight;
mod formats;
mod front;
mod list;
mod log;
mod members;
mod memory;
mod operator;
mod output;
mod progress;
mod report;
mod serve;
mod side_by_side;
mod status;
mod sum;
mod table;
mod teach;
mod trace;
mod which;
mod words;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Check(args) => check::run(&args),
        Command::List(args) => list::run(&args),
        Command::Explore(args) => explore::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::New(args) => teach::new(&args),
        Command::Explain(args) => teach::explain(&args),
        Command::Completions(args) => Ok(teach::completions(&args)),
        Command::Man => teach::man(),
        Command::Keygen(args) => serve::keygen(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Status(args) => members::run(&args),
        Command::Member(args) => operator::run(&args),
        Command::Put(args) => client::put(&args),
        Command::Get(args) => client::get(&args),
        Command::Cas(args) => client::cas(&args),
        Command::Delete(args) => client::delete(&args),
        Command::Keys(args) => client::keys(&args),
        Command::Watch(args) => client::watch(&args),
        Command::Lock(args) => client::lock(&args),
        Command::Unlock(args) => client::unlock(&args),
        Command::Deposit(args) => client::deposit(&args),
        Command::Withdraw(args) => client::withdraw(&args),
        Command::Transfer(args) => client::transfer(&args),
        Command::Balance(args) => client::balance(&args),
    };
    ExitCode::from(done.unwrap_or_else(|error| {
        anstream::eprintln!("{}error{}: {error}", output::RED.render(), output::RED.render_reset());
        status::UNUSABLE
    }))
}
