//! The front of a member as its configuration has it: an ordinary client of the whole cluster, with a session of its own.

use crate::conversation::Shared;
use crate::cursors::Cursors;
use crate::password::Password;
use crate::server::Server;
use crate::submit::{Submit, SubmitError};
use crate::tls;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use synod_client::{AsyncClient, Changing, Error, Reading};
use synod_machine::{StoreCommand, StoreOutput};
use synod_server::Config;
use zeroize::Zeroizing;

/// The time that the cluster has for a command.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves clients of Redis at a member's `redis` address, until the process ends. Returns the address, or `None` if the member has none in
/// its configuration.
///
/// # Errors
/// One clear message: the address cannot be listened on, a file cannot be used, or the system has no thread or socket left.
pub fn serve(config: &Config, me: u64) -> Result<Option<SocketAddr>, String> {
    let Some(address) = config.member(me).and_then(|member| member.redis) else { return Ok(None) };
    let settings = &config.redis;
    let password = settings.password_file.as_deref().map(password).transpose()?;
    let tls = settings.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
    let cannot = |error: std::io::Error| format!("cannot serve clients of Redis at TCP {address}: {error}");
    let listener = std::net::TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .map_err(cannot)?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(cannot)?
    };
    let client = AsyncClient::connect(&client(config)).map_err(|error| error.to_string())?;
    let shared = Shared::new(settings.limits, password, Cursors::starting_at(fastrand::u64(..)));
    let server = Server::new(shared, tls);
    std::thread::Builder::new()
        .name("redis".to_owned())
        .spawn(move || runtime.block_on(server.serve(listener, ByClient(client))))
        .map_err(cannot)?;
    Ok(Some(address))
}

/// The password in a file: its first line.
fn password(path: &Path) -> Result<Password, String> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default();
    Password::new(line.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))
}

/// The settings under which a client reaches the cluster.
fn client(config: &Config) -> synod_client::Config {
    let mut client = synod_client::Config::new(config.cluster.clone(), config.client_key.clone());
    for member in &config.members {
        client = client.member(member.id, member.address);
    }
    client.max_key = config.log.max_key;
    client.max_value = config.max_value;
    client.max_command = config.longest_command();
    client.window = config.log.sessions.window;
    client.datagram = config.datagram;
    client.groups = config.groups;
    client.changing = config.changing.as_ref().map(|changing| Changing {
        first: changing.first.clone(),
        lag: changing.lag,
        alpha: config.log.alpha,
    });
    client
}

/// The cluster, by a client of it.
#[derive(Clone)]
struct ByClient(AsyncClient);

impl Submit for ByClient {
    fn groups(&self) -> usize {
        self.0.groups()
    }

    async fn submit(&self, command: StoreCommand) -> Result<StoreOutput, SubmitError> {
        let output = if command.only_asks() {
            self.0.query(command, Reading::Linearizable, PATIENCE).await
        } else {
            self.0.submit(command, PATIENCE).await
        };
        output.map_err(|error| match error {
            error if error.may_have_taken_effect() => SubmitError::Unknown(error.to_string()),
            Error::Across(_) => SubmitError::Across(error.to_string()),
            Error::Busy => SubmitError::Busy(Error::Busy.to_string()),
            error => SubmitError::Refused(error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let said = password(&folder.path().join("none")).expect_err("there is none");
        assert!(said.contains("none: cannot be read"), "{said}");
        let said = password(&write("empty", "\nsecret\n")).expect_err("the first line is empty");
        assert!(said.contains("empty: the password is empty"), "{said}");
        assert!(password(&write("right", "secret\n")).expect("a password").is(b"secret"));
        let (cert, key) = (write("cert", ""), write("key", "x"));
        let said = tls::acceptor(&cert, &key).err().expect("there is no certificate");
        assert!(said.contains("cert: holds no certificate in PEM"), "{said}");
    }
}
