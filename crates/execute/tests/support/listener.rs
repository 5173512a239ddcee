//! A listener on loopback that answers as it is told, and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// To a port where nobody listens.
    Redirect,
    /// The beginning of an answer.
    Half,
    /// The connection closes without one.
    HangUp,
    /// Nothing, for ever.
    Silence,
}

/// What is answered to a head, in lower case, and a body; nothing closes the connection.
type Answers = Arc<dyn Fn(&str, &str) -> Answer + Send + Sync>;

/// An answer.
pub(crate) enum Answer {
    Text(String),
    HangUp,
    Silence,
}

pub(crate) struct Listener {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<(String, String)>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::answering(Arc::new(move |_, _| answer(reply))).await
    }

    pub(crate) async fn answering(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&answers)));
            }
        });
        Self { address, requests, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/s3cret77", self.address)
    }

    pub(crate) async fn stop(self) {
        self.accepting.abort();
        let _ = self.accepting.await;
    }

    /// The heads, in lower case, and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<(String, String)>>>, answers: Answers) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let request = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                break (head, body.to_owned());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n_bytes) => bytes.extend_from_slice(&buffer[..n_bytes]),
        }
    };
    let answer = answers(&request.0, &request.1);
    log.lock().unwrap().push(request);
    match answer {
        Answer::Text(text) => drop(stream.write_all(text.as_bytes()).await),
        Answer::HangUp => {}
        Answer::Silence => std::future::pending().await,
    }
}

fn answer(reply: Reply) -> Answer {
    Answer::Text(match reply {
        Reply::Status(status) => ok(status, "answer"),
        Reply::Redirect => "HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n".to_owned(),
        Reply::Half => "HTTP/1.1 2".to_owned(),
        Reply::HangUp => return Answer::HangUp,
        Reply::Silence => return Answer::Silence,
    })
}

/// An answer with this status and body.
pub(crate) fn ok(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}
