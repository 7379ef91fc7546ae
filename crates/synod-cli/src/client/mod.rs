//! The client's commands: each is one request, its result on stdout, and an exit status that says if it took effect.

pub mod args;
mod front;
mod told;
mod watch;

use crate::status::{FAILED, OK};
use args::{Balance, Cas, Delete, Expected, Fence, Get, Keys, Lock, Paying, Put, Transfer, Unlock};
use front::{Front, failed};
use std::io::Read;
use synod_client::requests::{self, Listed, Locked, Request, Swap, Unlocked};
use synod_client::{Reading, lives};
use synod_machine::{BankCommand, BankOutput, Expect, Held};
use synod_server::Config;
use told::{Told, bytes_for_people};

pub use watch::watch;

/// The bytes of an argument, or of stdin if it is `-`; `None` after it has said that they are too many.
fn value(argument: &str, config: &Config) -> Result<Option<Vec<u8>>, String> {
    if argument != "-" {
        return Ok(Some(argument.as_bytes().to_vec()));
    }
    let mut value = Vec::new();
    // One byte more than allowed is enough to see that it is too much.
    let most = config.max_value as u64 + 1;
    std::io::stdin().take(most).read_to_end(&mut value).map_err(|error| format!("stdin: {error}"))?;
    if value.len() > config.max_value {
        refused(&format!(
            "stdin: the value has more than {} bytes, which is the most that this cluster takes (max-value in its configuration)",
            config.max_value
        ));
        return Ok(None);
    }
    Ok(Some(value))
}

fn reading(stale: bool) -> Reading {
    if stale { Reading::Stale } else { Reading::Linearizable }
}

/// The request under the lock that its command names.
fn fenced<T>(request: Request<T>, fence: &Fence) -> Request<T> {
    match &fence.fence {
        Some((lock, token)) => request.fenced(lock.as_str(), *token),
        None => request,
    }
}

/// Stores a value.
pub fn put(args: &Put) -> Result<u8, String> {
    let (front, config) = Front::new(&args.asking)?;
    let Some(value) = value(&args.value, &config)? else { return Ok(FAILED) };
    let request = fenced(requests::put(args.key.as_str(), value, lives(args.ttl.ttl)), &args.fence);
    Ok(front.run(request, |told, version| told.version(&args.key, version)))
}

/// Prints a value.
pub fn get(args: &Get) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    Ok(front.run(requests::get(args.key.as_str(), reading(args.stale)), |told, item| match item {
        Some(item) => told.value(&args.key, &item),
        None => refused(&format!("{}: there is no value", args.key)),
    }))
}

/// Stores a value if the expected is there.
pub fn cas(args: &Cas) -> Result<u8, String> {
    let (front, config) = Front::new(&args.asking)?;
    let Some(value) = value(&args.value, &config)? else { return Ok(FAILED) };
    let expect = match &args.expect {
        Expected { expect: Some(value), .. } => Expect::Value(value.as_str().into()),
        Expected { expect_version: Some(version), .. } => Expect::Version(*version),
        Expected { .. } => Expect::Absent,
    };
    let request = requests::compare_and_swap(args.key.as_str(), expect, value, lives(args.ttl.ttl));
    Ok(front.run(fenced(request, &args.fence), |told, swap| match swap {
        Swap::Swapped { version } => told.version(&args.key, version),
        Swap::NotMet { found: None } => {
            refused(&format!("{}: there is no value; nothing was stored", args.key))
        }
        Swap::NotMet { found: Some(item) } => refused(&format!(
            "{}: {} is there, of version {}; nothing was stored",
            args.key,
            bytes_for_people(&item.value),
            item.version
        )),
    }))
}

/// Deletes a key.
pub fn delete(args: &Delete) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    let request = fenced(requests::delete(args.key.as_str()), &args.fence);
    Ok(front.run(request, |told, deleted| {
        if deleted { told.done(&args.key) } else { refused(&format!("{}: there is no value", args.key)) }
    }))
}

/// Prints the keys with a prefix and their values.
pub fn keys(args: &Keys) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    let (mut after, mut found) = (None, false);
    loop {
        let request = requests::list(args.prefix.as_str(), after.take(), u32::MAX, reading(args.stale));
        let Listed { items, more } = match front.client.run(request) {
            Ok(listed) => listed,
            Err(error) => return Ok(failed(&error)),
        };
        for (key, item) in &items {
            front.told.item(key, item);
        }
        found |= !items.is_empty();
        match items.last() {
            Some((key, _)) if more => after = Some(key.clone()),
            _ => break,
        }
    }
    Ok(if found { OK } else { refused(&format!("{:?}: no key begins so", args.prefix)) })
}

/// Takes a lock.
pub fn lock(args: &Lock) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    let owner = match &args.owner {
        Some(owner) => owner.clone(),
        None => {
            let mut drawn = [0; 8];
            getrandom::fill(&mut drawn).map_err(|error| format!("no randomness: {error}"))?;
            format!("{:016x}", u64::from_le_bytes(drawn))
        }
    };
    let request = requests::lock(args.name.as_str(), owner.as_str(), lives(args.ttl.ttl));
    Ok(front.run(request, |told, locked| match locked {
        Locked::Granted { token, .. } => told.token(&args.name, &owner, token),
        Locked::Held { grant, left } => {
            let left = left.map_or(String::new(), |left| format!("; it has {left} ms left"));
            refused(&held(&args.name, &grant, &left))
        }
    }))
}

fn held(name: &str, grant: &Held, left: &str) -> String {
    format!("{name}: {} holds it, with token {}{left}", bytes_for_people(&grant.owner), grant.token)
}

/// Gives a lock back.
pub fn unlock(args: &Unlock) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    Ok(front.run(requests::unlock(args.name.as_str(), args.token), |told, unlocked| match unlocked {
        Unlocked::Released => told.done(&args.name),
        Unlocked::Free => refused(&format!("{}: nobody holds it", args.name)),
        Unlocked::Held { grant } => refused(&held(&args.name, &grant, "")),
    }))
}

/// Moves an amount between accounts.
pub fn transfer(args: &Transfer) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    let request = fenced(requests::transfer(args.from, args.to, args.amount), &args.fence);
    Ok(front.run(request, |told, output| bank(told, args.from, &output)))
}

/// Adds to an account.
pub fn deposit(args: &Paying) -> Result<u8, String> {
    let (account, amount) = (args.account, args.amount);
    let (front, _) = Front::new(&args.asking)?;
    let request = requests::bank(BankCommand::Deposit { account, amount });
    Ok(front.run(fenced(request, &args.fence), |told, output| bank(told, account, &output)))
}

/// Takes from an account.
pub fn withdraw(args: &Paying) -> Result<u8, String> {
    let (account, amount) = (args.account, args.amount);
    let (front, _) = Front::new(&args.asking)?;
    let request = requests::bank(BankCommand::Withdraw { account, amount });
    Ok(front.run(fenced(request, &args.fence), |told, output| bank(told, account, &output)))
}

/// Prints a balance.
pub fn balance(args: &Balance) -> Result<u8, String> {
    let (front, _) = Front::new(&args.asking)?;
    let request = requests::bank(BankCommand::Balance { account: args.account });
    Ok(front.run(request, |told, output| match output {
        BankOutput::Done { new, .. } => told.balance(args.account, new),
        output => bank(told, args.account, &output),
    }))
}

fn bank(told: &Told, account: u64, output: &BankOutput) -> u8 {
    match output {
        BankOutput::Done { old, new } => told.balances(account, *old, *new),
        BankOutput::NotCovered { balance } => {
            refused(&format!("account {account} has {balance}, which does not cover it; nothing was done"))
        }
        BankOutput::TooMuch { balance } => refused(&format!(
            "the account that receives has {balance}, and would have more than a number holds; nothing was done"
        )),
    }
}

/// Says why a command has no effect.
fn refused(why: &str) -> u8 {
    anstream::eprintln!("{why}");
    FAILED
}
