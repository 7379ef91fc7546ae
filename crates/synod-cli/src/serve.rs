//! `synod serve` and `synod keygen`: one member of a cluster, and the keys it needs.

use crate::args::LogFormat;
use crate::args::{Keygen, Serve};
use crate::output::{grouped, line};
use crate::words;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use synod_runtime::keys::{self, ClientKeys, Keys};
use synod_runtime::refusal::{LOST, ids};
use synod_runtime::transport::Dropped;
use synod_runtime::wire::Waker;
use synod_server::status::Board;
use synod_server::{Config, Notice, Orders};
use zeroize::Zeroizing;

/// The configuration file of an example, with comments.
const EXAMPLE: &str = include_str!("../../../deploy/cluster.toml");

/// Runs a member until a signal stops it.
pub fn run(args: &Serve) -> Result<u8, String> {
    let Some(id) = args.id.filter(|_| !args.example_config) else {
        anstream::print!("{EXAMPLE}");
        return Ok(crate::status::OK);
    };
    crate::log::start(args.log_format, args.log_level);
    let done = serve(args, id);
    if args.log_format == LogFormat::Json
        && let Err(error) = &done
    {
        tracing::error!(member = id, "{error}");
        return Ok(crate::status::UNUSABLE);
    }
    done
}

fn serve(args: &Serve, id: u64) -> Result<u8, String> {
    let config = words::config(&args.cluster.config)?;
    let orders = Orders::default();
    let board = Board::default();
    let mut unheard = None;
    let http = synod_status::serve(&config, id, &board).map_err(|error| error.to_string())?;
    let redis = synod_redis::serve(&config, id)?;
    let (counts, datagrams) = synod_server::run(
        &config,
        id,
        &orders,
        &board,
        &mut |node| {
            let address =
                node.wire().address().map_or_else(|_| "?".to_owned(), |address| address.to_string());
            say(id, &format!("listens on UDP {address}"));
            if let Some(address) = http {
                say(id, &format!("tells of itself at http://{address}/"));
            }
            if let Some(address) = redis {
                say(id, &format!("serves clients of Redis at {address}"));
            }
            unheard = synod_server::obey_signals(&orders, node.wire().waker()).err();
            if args.attached {
                stop_with_stdin(orders.clone(), node.wire().waker());
            }
        },
        &mut |notice| tell(id, &notice),
    )
    .map_err(|error| error.to_string())?;
    if let Some(error) = unheard {
        return Err(format!("signals could not be caught: {error}"));
    }
    let dropped: Vec<String> = Dropped::ALL
        .iter()
        .filter(|why| datagrams.dropped(**why) > 0)
        .map(|why| format!("{} {why}", grouped(datagrams.dropped(*why))))
        .collect();
    if !dropped.is_empty() {
        let received = grouped(datagrams.received);
        say(id, &format!("received {received} datagrams and dropped {}", dropped.join(", ")));
    }
    let text = format!(
        "stopped: {} events, {} saves in {} flushes",
        grouped(counts.steps),
        grouped(counts.saves),
        grouped(counts.flushes)
    );
    say(id, &text);
    Ok(crate::status::OK)
}

/// Stops the member when standard input ends: when the process that started it has gone.
fn stop_with_stdin(orders: Orders, waker: Arc<Waker>) {
    thread::spawn(move || {
        // An input that cannot be read has ended too.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        orders.stop.store(true, Ordering::Relaxed);
        let _ = waker.wake();
    });
}

fn say(id: u64, text: &str) {
    tracing::info!(member = id, "{text}");
}

fn tell(id: u64, notice: &Notice) {
    match notice {
        Notice::Cut(bytes) => {
            say(id, &format!("cut {bytes} bytes off its journal: a batch that was never acknowledged"));
        }
        Notice::Waiting(silent) => {
            tracing::warn!(
                member = id,
                "waits to hear from member {} that its disk is not behind; members with another number of `groups` are not heard",
                ids(silent)
            );
        }
        Notice::TakesPart => say(id, "takes part"),
        Notice::Leads { group: None, round } => tracing::info!(member = id, round, "leads in round {round}"),
        Notice::Leads { group: Some(group), round } => {
            tracing::info!(member = id, group, round, "leads group {group} in round {round}");
        }
        Notice::Abstains(reason) => tracing::error!(member = id, "abstains: {reason}; {LOST}"),
        Notice::OtherMembers { from, theirs, ours } => tracing::error!(
            member = id,
            "does not talk with member {from}: the members are {} there and {} here. Changing them is not possible yet; start each \
             with those that its data directory was made for",
            ids(theirs),
            ids(ours)
        ),
        Notice::KeysRead => say(id, "has read its keys anew"),
        Notice::TooLarge(most) => tracing::error!(
            member = id,
            "could not send a client a message of more than {} bytes. Values may be longer at another member: is `max-value` the \
             same everywhere?",
            grouped(*most as u64)
        ),
        Notice::NoLease => tracing::warn!(
            member = id,
            "has no lease in its configuration, and others take mastership: it will end if it is elected. Set `lease` in [master] as at the other members"
        ),
        Notice::KeysKept(error) => tracing::error!(member = id, "keeps its old keys: {error}"),
    }
}

/// Makes the key files that a configuration names, or prints a key.
pub fn keygen(args: &Keygen) -> Result<u8, String> {
    if args.print {
        line(&keys::line(&*new_key()?));
        return Ok(crate::status::OK);
    }
    let config = words::config(&args.cluster.config)?;
    let cluster = || Keys::load(&config.cluster_key).map_err(|error| error.to_string());
    if args.client {
        line(&keys::client_line(&*new_key()?, &cluster()?));
        return Ok(crate::status::OK);
    }
    let made = make_keys(&config)?;
    for path in [&config.cluster_key, &config.client_key] {
        match made.iter().find(|(there, _)| there == path) {
            Some((_, what)) => line(&format!("{}: {what}", path.display())),
            None => anstream::eprintln!("{}: is there already, and stays as it is", path.display()),
        }
    }
    if made.is_empty() {
        anstream::eprintln!(
            "no key was made; `synod keygen --print` prints a cluster key to be added to a file, `--client` a client key"
        );
    }
    Ok(crate::status::OK)
}

/// Makes the key files of a configuration that are not there yet. Returns those that were made, each with who may have it.
pub fn make_keys(config: &Config) -> Result<Vec<(PathBuf, &'static str)>, String> {
    let mut made = Vec::new();
    if !config.cluster_key.exists() {
        keys::create(&config.cluster_key, &keys::line(&*new_key()?)).map_err(|error| error.to_string())?;
        made.push((config.cluster_key.clone(), "for the members, and nobody else"));
    }
    let cluster = Keys::load(&config.cluster_key).map_err(|error| error.to_string())?;
    if !config.client_key.exists() {
        let text = keys::client_line(&*new_key()?, &cluster);
        keys::create(&config.client_key, &text).map_err(|error| error.to_string())?;
        made.push((config.client_key.clone(), "for the members and their clients"));
    }
    // What was there before may be of an earlier version, or of another cluster key.
    let clients = ClientKeys::load(&config.client_key).map_err(|error| error.to_string())?;
    clients.fits(&cluster, &config.client_key).map_err(|error| error.to_string())?;
    Ok(made)
}

fn new_key() -> Result<Zeroizing<[u8; 32]>, String> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|error| format!("no randomness: {error}"))?;
    Ok(key)
}
