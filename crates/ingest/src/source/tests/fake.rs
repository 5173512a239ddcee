//! A hand-written HTTP server that answers as told, wrongly too. One request for each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A whole answer: status, more headers, body.
    Whole(u16, Vec<(&'static str, &'static str)>, String),
    /// A whole answer after a while.
    Slow(Duration, String),
    /// A whole body whose end is the end of the connection.
    WithoutLength(String),
    /// The length of the whole, half of it, and the end.
    HalfThenClose(u16, String),
    /// Half a body whose end is the end of the connection: only its content shows that it is half.
    HalfWithoutLength(String),
    /// Half of it and then nothing.
    HalfThenSilence(String),
    /// Nothing at all.
    Silence,
}

impl Reply {
    pub(super) fn ok(body: String) -> Self {
        Self::Whole(200, Vec::new(), body)
    }

    pub(super) fn status(status: u16, body: String) -> Self {
        Self::Whole(status, Vec::new(), body)
    }

    pub(super) fn status_asking_for(status: u16, retry_after: &'static str) -> Self {
        Self::Whole(status, vec![("Retry-After", retry_after)], "busy".to_owned())
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// Counted from 0 over all connections.
    pub(super) number: usize,
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    params: Vec<(String, String)>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the form or the URL.
    pub(super) fn param(&self, name: &str) -> Option<String> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    at_once: usize,
    at_once_max: usize,
}

pub(super) struct FakeServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

impl FakeServer {
    pub(super) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let answer = Arc::new(answer);
        let shared = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &shared, &*answer).await });
            }
        });
        Self { address, seen, accepting }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").requests.clone()
    }

    pub(super) fn at_once_max(&self) -> usize {
        self.seen.lock().expect("no panic").at_once_max
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Seen>, answer: &(impl Fn(&Request) -> Reply + Send + Sync)) {
    let Some(mut request) = read_request(&mut stream).await else { return };
    {
        let mut seen = seen.lock().expect("no panic");
        request.number = seen.requests.len();
        seen.requests.push(request.clone());
        seen.at_once += 1;
        seen.at_once_max = seen.at_once_max.max(seen.at_once);
    }
    let reply = answer(&request);
    // The client may have gone by now; that's its affair.
    let _ = write_reply(&mut stream, reply, || seen.lock().expect("no panic").at_once -= 1).await;
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_length = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_length].to_vec()).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut request = Request { method, headers, ..Request::default() };
    let body_length: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while bytes.len() < head_length + body_length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    request.path = path.to_owned();
    let form = String::from_utf8(bytes[head_length..].to_vec()).ok()?;
    let pairs = reqwest::Url::parse(&format!("http://x/?{query}&{form}")).ok()?;
    request.params = pairs.query_pairs().into_owned().collect();
    Some(request)
}

async fn write_reply(stream: &mut TcpStream, reply: Reply, done: impl FnOnce()) -> std::io::Result<()> {
    let head = |status: u16, length: Option<usize>, headers: &[(&str, &str)]| {
        let mut head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Type: application/json\r\n");
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    };
    let text = match &reply {
        Reply::Whole(status, headers, body) => head(*status, Some(body.len()), headers) + body,
        Reply::Slow(wait, body) => {
            tokio::time::sleep(*wait).await;
            head(200, Some(body.len()), &[]) + body
        }
        Reply::WithoutLength(body) => head(200, None, &[]) + body,
        Reply::HalfThenClose(status, body) => head(*status, Some(body.len()), &[]) + &body[..body.len() / 2],
        Reply::HalfThenSilence(body) => head(200, Some(body.len()), &[]) + &body[..body.len() / 2],
        Reply::HalfWithoutLength(body) => head(200, None, &[]) + &body[..body.len() / 2],
        Reply::Silence => String::new(),
    };
    // Before the last byte leaves, or the client's next request could be counted beside this one.
    done();
    stream.write_all(text.as_bytes()).await?;
    if matches!(reply, Reply::Silence | Reply::HalfThenSilence(_)) {
        // Until the client gives up and closes.
        let mut rest = [0_u8; 16];
        while stream.read(&mut rest).await? > 0 {}
    }
    stream.shutdown().await
}
