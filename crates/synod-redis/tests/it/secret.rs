//! A password over TLS.

use crate::local::Local;
use crate::served::PATIENCE;
use std::sync::Arc;
use std::time::Duration;
use synod_redis::{Cursors, Limits, Password, Server, Shared, acceptor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

#[test]
fn a_client_with_the_certificate_and_the_password_is_served_and_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let test = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let password = Password::new(b"secret").expect("a password");
        let limits = Limits { stalled: Duration::from_millis(300), ..Limits::default() };
        let shared = Shared::new(limits, Some(password), Cursors::starting_at(1));
        let tls = acceptor(&cert, &key).expect("they belong together");
        tokio::spawn(Server::new(shared, Some(tls)).serve(listener, Local::default()));

        let stream = TcpStream::connect(address).await.expect("it listens");
        let name = "localhost".try_into().expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
        stream.write_all(b"get a\r\nauth secret\r\nset a 1\r\nget a\r\nquit\r\n").await.expect("it is sent");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.expect("a clean end");
        let said = String::from_utf8(said).expect("text");
        assert_eq!(said, "-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n");

        // Without TLS there is no answer in words, and whoever says nothing is not waited for.
        let mut plain = TcpStream::connect(address).await.expect("it listens");
        plain.write_all(b"auth secret\r\nget a\r\n").await.expect("it is sent");
        let mut said = Vec::new();
        let _ = plain.read_to_end(&mut said).await;
        assert!(!said.starts_with(b"+") && !said.starts_with(b"-"), "{}", said.escape_ascii());
        let mut silent = TcpStream::connect(address).await.expect("it listens");
        assert_eq!(silent.read(&mut [0]).await.expect("an end"), 0);
    };
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("it ends") });
}
