//! Accepts connections, and bounds what they may take: how many there are, how long a request's head may take, how long a
//! connection may last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time. Further ones are told to come back. Each holds a file, and the tracker, the journal and the
    /// executor need files, too.
    pub(crate) connections_max: usize,
    /// How long a request's head may take, and how long a connection may be idle.
    pub(crate) head_max: Duration,
    /// How long a connection may last: whoever reads an answer a byte at a time is cut off.
    pub(crate) connection_max: Duration,
}

impl Default for Limits {
    /// A hundred clients of an API on loopback are plenty, and a tenth of the usual limit of 1024 files; whoever needs ten seconds for a head of a few
    /// hundred bytes on loopback isn't sending one; two minutes are far more than the largest answer takes.
    fn default() -> Self {
        Self { connections_max: 100, head_max: Duration::from_secs(10), connection_max: Duration::from_secs(120) }
    }
}

/// Bytes of a request's head, which holds a path, a host and a few headers.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// When no connection can be accepted, as without a free file, the next try comes after so long: at once would be a busy loop.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// What a connection too many is told.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Takes the address. The first that can be taken, of several.
pub(crate) async fn bind(addresses: &[SocketAddr], flag: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(addresses).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            anyhow::bail!(
                "listening on {}: {error}; another process may have the port, choose one with {flag}",
                addresses.join(" and ")
            )
        }
    }
}

/// Serves `app` to whoever connects, until the task is aborted.
pub(crate) fn serve(listener: TcpListener, app: Router, limits: Limits) -> JoinHandle<()> {
    tokio::spawn(async move {
        let slots = Arc::new(Semaphore::new(limits.connections_max));
        // Dropped with this task, and all connections with it.
        let mut connections = JoinSet::new();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _from)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                // As much as goes out at once; waiting for a slow client here would hold up all others.
                let _ = stream.try_write(TOO_MANY);
                continue;
            };
            let app = app.clone();
            connections.spawn(async move {
                serve_one(stream, app, limits).await;
                drop(slot);
            });
        }
    })
}

async fn serve_one(stream: TcpStream, app: Router, limits: Limits) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    match tokio::time::timeout(limits.connection_max, connection).await {
        Ok(Ok(())) | Err(_) => {}
        // A client that goes away or sends no HTTP is its own business.
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn listening(limits: Limits) -> SocketAddr {
        let listener = bind(&["127.0.0.1:0".parse().expect("an address")], "--flag").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        serve(listener, Router::new().fallback(|| async { "here" }), limits);
        address
    }

    async fn said(stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer, then the end");
        answer
    }

    #[tokio::test]
    async fn a_half_sent_request_is_closed() {
        let address = listening(Limits { head_max: Duration::from_millis(50), ..Limits::default() }).await;
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await.expect("sent");
        // Ends when the server closes; without a limit it never would.
        let answer = said(&mut stream).await;
        assert!(!answer.contains("here"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_too_many_is_told_to_come_back_and_a_free_place_is_taken_again() {
        let address = listening(Limits { connections_max: 1, ..Limits::default() }).await;
        let mut first = TcpStream::connect(address).await.expect("connected");
        first.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
        let mut byte = [0; 1];
        first.read_exact(&mut byte).await.expect("the first one is served");
        let mut second = TcpStream::connect(address).await.expect("connected");
        let answer = said(&mut second).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1"), "{answer}");
        drop(first);
        // The place is free once the server has seen the end of the first one; until then it says 503.
        loop {
            let mut next = TcpStream::connect(address).await.expect("connected");
            let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            if next.write_all(request).await.is_ok() {
                let mut answer = Vec::new();
                if next.read_to_end(&mut answer).await.is_ok() && answer.ends_with(b"here") {
                    return;
                }
            }
        }
    }
}
