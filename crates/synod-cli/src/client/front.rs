//! The client behind the commands, and the exit status where a request has no result.

use super::args::Asking;
use super::told::Told;
use crate::status::{FAILED, INCOMPLETE, UNUSABLE};
use crate::words;
use synod_client::requests::Request;
use synod_client::{Changing, Client, Error, Refusal};
use synod_server::Config;

/// A client, and how its results are told.
pub(super) struct Front {
    pub(super) client: Client,
    pub(super) told: Told,
}

/// The client's settings in a cluster's configuration.
fn settings(config: &Config) -> synod_client::Config {
    let members = config.members.iter().map(|member| (member.id, member.address)).collect();
    let changing = config.changing.as_ref().map(|changing| Changing {
        first: changing.first.clone(),
        lag: changing.lag,
        alpha: config.log.alpha,
    });
    synod_client::Config {
        members,
        changing,
        groups: config.groups,
        max_key: config.log.max_key,
        max_value: config.max_value,
        max_command: config.longest_command(),
        datagram: config.datagram,
        window: config.log.sessions.window,
        ..synod_client::Config::new(config.cluster.clone(), config.client_key.clone())
    }
}

impl Front {
    pub(super) fn new(asking: &Asking) -> Result<(Front, Config), String> {
        let config = words::config(&asking.cluster.config)?;
        let client = Client::connect(&settings(&config)).map_err(|error| error.to_string())?;
        let client = client.with_timeout(asking.timeout);
        Ok((Front { client, told: Told::new(asking.format) }, config))
    }

    /// Runs a request and tells its result. `tell` returns the exit status.
    pub(super) fn run<T>(self, request: Request<T>, tell: impl FnOnce(&Told, T) -> u8) -> u8 {
        match self.client.run(request) {
            Ok(result) => tell(&self.told, result),
            Err(error) => failed(&error),
        }
    }
}

/// Says why a request has no result. The exit status says if it may have taken effect.
pub(super) fn failed(error: &Error) -> u8 {
    anstream::eprintln!("{error}");
    status_of(error)
}

/// The exit status for a request that has no result.
pub(super) fn status_of(error: &Error) -> u8 {
    match error {
        error if error.may_have_taken_effect() => INCOMPLETE,
        Error::Refused(Refusal::NotSent | Refusal::NotAnswered)
        | Error::NotReached
        | Error::Stopped { .. }
        | Error::MayHaveTakenEffect(_)
        | Error::Unexpected(_) => UNUSABLE,
        Error::Refused(_)
        | Error::Busy
        | Error::Full(_)
        | Error::TooLong(_)
        | Error::Fenced(_)
        | Error::Across(_) => FAILED,
    }
}
