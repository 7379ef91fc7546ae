//! Asks members for their statuses.

use std::time::Duration;
use synod_server::status::Status;
use synod_server::{Config, Member};

/// The longest status that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// The answer of one member, or why there is none.
#[derive(Clone, Debug)]
pub enum Told {
    /// Its status.
    Status(Box<Status>),
    /// The configuration has no `http` address for it.
    Off,
    /// It gave no status: the reason.
    Silent(String),
}

impl Told {
    /// The status, if there is one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Told::Status(status) => Some(status),
            Told::Off | Told::Silent(_) => None,
        }
    }
}

/// Asks some members at once, each for no longer than `timeout`. The answers come in the order of the members.
pub fn ask_all<'a>(
    config: &Config,
    members: impl IntoIterator<Item = &'a Member>,
    timeout: Duration,
) -> Vec<(u64, Told)> {
    let cluster = &config.cluster;
    std::thread::scope(|scope| {
        let asked: Vec<_> = members
            .into_iter()
            .map(|member| (member.id, scope.spawn(move || ask(cluster, member, timeout))))
            .collect();
        asked
            .into_iter()
            .map(|(id, told)| {
                (id, told.join().unwrap_or_else(|_| Told::Silent("asking it went wrong".to_owned())))
            })
            .collect()
    })
}

fn ask(cluster: &str, member: &Member, timeout: Duration) -> Told {
    let Some(address) = member.http else { return Told::Off };
    let config =
        ureq::Agent::config_builder().timeout_global(Some(timeout)).proxy(None).max_redirects(0).build();
    let agent = ureq::Agent::new_with_config(config);
    let text = agent
        .get(format!("http://{address}/status.json"))
        .call()
        .and_then(|mut answer| answer.body_mut().with_config().limit(LONGEST).read_to_string());
    let text = match text {
        Ok(text) => text,
        Err(ureq::Error::Timeout(_)) => {
            return Told::Silent(format!("{address}: does not answer within {} ms", timeout.as_millis()));
        }
        Err(error) => return Told::Silent(format!("{address}: {error}")),
    };
    match serde_json::from_str::<Status>(&text) {
        Ok(status) if status.cluster == cluster && status.member == member.id => {
            Told::Status(Box::new(status))
        }
        Ok(other) => Told::Silent(format!(
            "{address}: there is member {} of cluster {:?}; a loopback address reaches members of one machine only",
            other.member, other.cluster
        )),
        Err(error) => Told::Silent(format!("{address}: the answer is no status of this version: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_member_that_does_not_answer_is_silent_and_so_it_says_in_words() {
        let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
        let http = deaf.local_addr().expect("an address");
        let member = Member { id: 0, address: http, data: "data".into(), http: Some(http), redis: None };
        let Told::Silent(why) = ask("c", &member, Duration::from_millis(50)) else {
            panic!("nobody answers")
        };
        assert_eq!(why, format!("{http}: does not answer within 50 ms"));
    }
}
