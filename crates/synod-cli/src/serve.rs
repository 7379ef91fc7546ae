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
use synod_server::{Config, Ended, Notice, Orders};
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
    let ended = synod_server::run(
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
    let Ended { counts, datagrams, is_removed } = ended;
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
    if is_removed {
        let is_first = config.changing.as_ref().is_some_and(|changing| changing.first.contains(&id));
        let directory = if is_first {
            "Keep its data directory, or take its table out of every file: with a new directory, members of `first` would begin the cluster anew"
        } else {
            "Its data directory may go"
        };
        tracing::warn!(
            member = id,
            "was removed, and the others need nothing of it any more; its id is not used again. {directory}"
        );
        return Ok(crate::status::REMOVED);
    }
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
        Notice::Learns(until) => say(id, &format!("learns, and takes no other part until {until}")),
        Notice::TakesPart => say(id, "takes part"),
        Notice::Leads { group: None, round } => tracing::info!(member = id, round, "leads in round {round}"),
        Notice::Leads { group: Some(group), round } => {
            tracing::info!(member = id, group, round, "leads group {group} in round {round}");
        }
        Notice::Abstains(reason) => tracing::error!(member = id, "abstains: {reason}; {LOST}"),
        Notice::OtherMembers { from, theirs, ours } => tracing::error!(
            member = id,
            "does not talk with member {from}: the members are {} there and {} here. Start each with those that its data directory was made for; \
             members change only where the cluster was made with [members]",
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
        Notice::Members { number, from, members, learners } => {
            let learn = match learners.as_slice() {
                [] => String::new(),
                learners => format!("; to join: {}", ids(learners)),
            };
            let (members, from) = (ids(members), grouped(*from));
            say(id, &format!("configuration {number} from instance {from}: members {members}{learn}"));
        }
        Notice::Moved { given, here } => tracing::warn!(
            member = id,
            "listens at {here}, and the log has {given} for it; tell the others with `synod member set-address {id} {here}`"
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
