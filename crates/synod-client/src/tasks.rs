//! The front for tasks: a call is a future with its result. The client runs in a thread of its own, so it needs no particular executor.

use crate::client::Client;
use crate::config::Config;
use crate::division::To;
use crate::error::Error;
use crate::message::Reading;
use crate::requests::Request;
use crate::running::{Kind, Running};
use std::sync::Arc;
use std::time::Duration;
use synod_machine::{StoreCommand, StoreOutput};
use tokio::sync::oneshot;

/// A client of a cluster for tasks. Copies share one session, and any number of tasks may call at a time.
///
/// A call whose future is dropped goes on until its deadline, and nobody hears its outcome.
#[derive(Clone)]
pub struct AsyncClient {
    running: Arc<Running>,
    timeout: Duration,
}

impl AsyncClient {
    /// Starts a client. It does not wait for a member to answer: the first call does.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect(config: &Config) -> Result<AsyncClient, Error> {
        Client::connect(config).map(AsyncClient::from)
    }

    /// The same client with another time that [`AsyncClient::run`] may take. It is 10 seconds otherwise.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> AsyncClient {
        self.timeout = timeout;
        self
    }

    /// The number of groups among which the cluster divides keys.
    pub fn groups(&self) -> usize {
        self.running.groups()
    }

    /// Has a command executed, once.
    ///
    /// # Errors
    /// Any of [`Error`]. [`Error::may_have_taken_effect`] tells if the command may have taken effect.
    pub async fn submit(&self, command: StoreCommand, timeout: Duration) -> Result<StoreOutput, Error> {
        self.call(Kind::Submit, command, timeout).await
    }

    /// Has a command answered that changes nothing.
    ///
    /// # Errors
    /// Any of [`Error`]; the command has no effect in any case.
    pub async fn query(
        &self,
        command: StoreCommand,
        reading: Reading,
        timeout: Duration,
    ) -> Result<StoreOutput, Error> {
        self.call(Kind::Query(reading), command, timeout).await
    }

    /// Runs a request, such as one of [`crate::requests`].
    ///
    /// # Errors
    /// Any of [`Error`].
    pub async fn run<T>(&self, request: Request<T>) -> Result<T, Error> {
        let output = self.call(request.kind, request.command, self.timeout).await?;
        Request::result(request.read, output)
    }

    fn call(
        &self,
        kind: Kind,
        command: StoreCommand,
        timeout: Duration,
    ) -> impl Future<Output = Result<StoreOutput, Error>> + use<> {
        let (then, result) = oneshot::channel();
        let then = Box::new(move |output| {
            // The future may have been dropped.
            let _ = then.send(output);
        });
        self.running.call(To::WhereItLies, kind, command, timeout, then);
        async {
            // The loop gives every call its result. Only a loop that was killed from outside would not.
            let gone = |_| Error::Stopped { why: "the client has gone".to_owned(), is_sent: true };
            result.await.unwrap_or_else(|error| Err(gone(error)))
        }
    }
}

impl From<Client> for AsyncClient {
    /// The same session for tasks.
    fn from(client: Client) -> AsyncClient {
        AsyncClient { running: client.running, timeout: client.timeout }
    }
}
