//! The server: a few connections at a time, each for a short time, on a thread of its own.

use crate::ask::{Told, ask_all};
use crate::{metrics, page};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synod_server::Config;
use synod_server::status::Board;
use tokio::sync::{Mutex, Semaphore};

/// The most connections at a time. Further ones are closed at once.
const CONNECTIONS: usize = 32;
/// The time that one connection may take in all, however slowly its other end reads or writes.
const LONGEST: Duration = Duration::from_secs(10);
/// The time that a request may take to arrive.
const HEADERS: Duration = Duration::from_secs(3);
/// The longest request, in bytes.
const REQUEST: usize = 16 << 10;
/// The time that another member may take to tell of itself.
const PATIENCE: Duration = Duration::from_millis(300);
/// The time for which the words of other members are not asked for again.
const FRESH: Duration = Duration::from_millis(500);

/// What a request is answered from.
struct Desk {
    config: Config,
    me: u64,
    board: Board,
    others: Mutex<Option<(Instant, Words)>>,
}

/// The words of the other members.
type Words = Arc<Vec<(u64, Told)>>;

/// Serves the status of a member at its `http` address, until the process ends. Returns the address, or `None` if the member
/// has none in its configuration.
///
/// # Errors
/// When the address cannot be listened on, or the system has no thread left.
pub fn serve(config: &Config, me: u64, board: &Board) -> io::Result<Option<SocketAddr>> {
    let Some(address) = config.member(me).and_then(|member| member.http) else { return Ok(None) };
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on TCP {address}: {error}"));
    let listener = std::net::TcpListener::bind(address).map_err(named)?;
    listener.set_nonblocking(true)?;
    let desk = Desk { config: config.clone(), me, board: board.clone(), others: Mutex::new(None) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    std::thread::Builder::new().name("status".to_owned()).spawn(move || {
        runtime.block_on(accept(listener, Arc::new(desk)));
    })?;
    Ok(Some(address))
}

async fn accept(listener: tokio::net::TcpListener, desk: Arc<Desk>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The process may have no file left for a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = room.clone().try_acquire_owned() else { continue };
        let desk = desk.clone();
        let service = service_fn(move |request| {
            let desk = desk.clone();
            async move { Ok::<_, Infallible>(desk.answer(&request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .keep_alive(false)
            .max_buf_size(REQUEST)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // A connection that was broken off needs no answer.
            let _ = tokio::time::timeout(LONGEST, connection).await;
            drop(place);
        });
    }
}

type Answer = Response<Full<Bytes>>;

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
}

const TEXT: &str = "text/plain; charset=utf-8";

fn line(status: StatusCode, text: &str) -> Answer {
    answer(status, TEXT, format!("{text}\n"))
}

impl Desk {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return line(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
        }
        match request.uri().path() {
            "/" => answer(StatusCode::OK, "text/html; charset=utf-8", self.page().await),
            "/page.css" => answer(StatusCode::OK, "text/css; charset=utf-8", page::STYLE),
            "/page.js" => answer(StatusCode::OK, "text/javascript; charset=utf-8", page::SCRIPT),
            "/ready" => match self.board.not_ready() {
                None => line(StatusCode::OK, "ready"),
                Some(because) => line(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {because}")),
            },
            "/metrics" => self.told(|status| {
                metrics::text(status).map_or_else(
                    |_| line(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"),
                    |text| answer(StatusCode::OK, metrics::CONTENT_TYPE, text),
                )
            }),
            "/status.json" => self.told(|status| match serde_json::to_vec(&*status) {
                Ok(json) => answer(StatusCode::OK, "application/json", json),
                Err(_) => line(StatusCode::INTERNAL_SERVER_ERROR, "the status could not be written"),
            }),
            _ => line(StatusCode::NOT_FOUND, "there are /, /metrics, /status.json and /ready"),
        }
    }

    fn told(&self, say: impl FnOnce(Arc<synod_server::status::Status>) -> Answer) -> Answer {
        match self.board.read() {
            Some(status) => say(status),
            None => line(StatusCode::SERVICE_UNAVAILABLE, "the member starts"),
        }
    }

    async fn page(&self) -> String {
        let mut members = vec![(
            self.me,
            self.board.read().map_or_else(
                || Told::Silent("it starts".to_owned()),
                |status| Told::Status(Box::new((*status).clone())),
            ),
        )];
        members.extend(self.others().await.iter().cloned());
        members.sort_by_key(|(id, _)| *id);
        page::page(&self.config.cluster, self.me, &members).into_string()
    }

    /// The words of the other members, asked for once for all pages of a moment.
    async fn others(&self) -> Words {
        let mut others = self.others.lock().await;
        if let Some((at, told)) = &*others
            && at.elapsed() < FRESH
        {
            return told.clone();
        }
        let (config, me) = (self.config.clone(), self.me);
        let asked = tokio::task::spawn_blocking(move || {
            ask_all(&config, config.members.iter().filter(|member| member.id != me), PATIENCE)
        });
        let told = Arc::new(asked.await.unwrap_or_default());
        *others = Some((Instant::now(), told.clone()));
        told
    }
}
