//! A tour of the client: values, a counter that several threads raise, a lock with a fencing token, and a watch.
//!
//! `synod cluster --data demo` prints the addresses of its members. In another terminal, with the members in the order of their ids:
//!
//! `cargo run -p synod-client --example tour -- local demo/client.key 127.0.0.1:7100 127.0.0.1:7101 127.0.0.1:7102`

use std::time::Duration;
use synod_client::requests::{Locked, Swap};
use synod_client::{Client, Config, Error, Watch};
use synod_machine::{Condition, Expect, Lives, Operation, StoreOutput};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[allow(dead_code, reason = "a test runs the tour without the arguments")]
fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (Some(cluster), Some(key)) = (args.next(), args.next()) else {
        return Err("give the cluster's name, its client key and the addresses of its members".into());
    };
    let mut config = Config::new(cluster, key);
    for (id, address) in (0..).zip(args) {
        config = config.member(id, address.parse()?);
    }
    tour(&config)
}

/// Takes the tour.
pub(crate) fn tour(config: &Config) -> Result<(), Failure> {
    let client = Client::connect(config)?;

    // A put either has its version, or says if it may have taken effect.
    match client.put("tour/greeting", "hello") {
        Ok(version) => println!("stored as version {version}"),
        Err(error) if error.may_have_taken_effect() => println!("perhaps stored: {error}"),
        Err(error) => return Err(error.into()),
    }
    let greeting = client.get("tour/greeting")?.ok_or("it was stored")?;
    println!("{:?}, version {}", greeting.value, greeting.version);

    // Threads share the client. Their calls are under way together.
    client.delete("tour/count")?;
    let raisers: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || (0..5).try_for_each(|_| raise(&client, "tour/count")))
        })
        .collect();
    for raiser in raisers {
        raiser.join().map_err(|_| "a thread panicked")??;
    }
    let count = client.get("tour/count")?.ok_or("it was raised")?;
    println!("raised to {:?}", count.value);
    if *count.value != *b"20" {
        return Err("somebody else raised the count, too".into());
    }

    // Whoever holds the lock writes under its token. After the grant has ended, such a write is refused.
    if let Locked::Granted { token, .. } = client.lock("tour", "me", Some(Duration::from_secs(30)))? {
        let when = vec![Condition::Lock { lock: "tour".into(), token }];
        let key = "tour/guarded".into();
        let then = vec![Operation::Put { key, value: "mine".into(), lives: Lives::Forever }];
        let under_lock = client.transaction(when.clone(), then.clone())?;
        client.unlock("tour", token)?;
        let too_late = client.transaction(when, then)?;
        println!("under the lock: {under_lock:?}\nafter it: {too_late:?}");
        if !matches!(too_late, StoreOutput::Fenced { .. }) {
            return Err("a write got past the fencing token".into());
        }
    }

    // A watch sees every change once, in order.
    let mut watch = Watch::from_now(client.clone(), "tour/")?;
    client.put("tour/greeting", "goodbye")?;
    for change in watch.next(Duration::from_secs(10))? {
        println!("version {}: {:?} is {:?} now", change.version, change.key, change.value);
    }
    Ok(())
}

/// Adds one to a number by compare-and-swap, as often as somebody else was faster.
fn raise(client: &Client, key: &str) -> Result<(), Error> {
    loop {
        let (number, expect) = match client.get(key)? {
            Some(item) => {
                let number = std::str::from_utf8(&item.value).ok().and_then(|text| text.parse().ok());
                (number.unwrap_or(0_u64), Expect::Version(item.version))
            }
            None => (0, Expect::Absent),
        };
        let next = (number + 1).to_string();
        if let Swap::Swapped { .. } = client.compare_and_swap(key, expect, next.into_bytes())? {
            return Ok(());
        }
    }
}
