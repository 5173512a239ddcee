//! What stands before the API server and lies: it loses requests and answers, doubles, delays and mutilates them, shows objects as they were,
//! and kills who asks. Everything else goes through unchanged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use homeostat_tests::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// More than a client waits (a second and a half), and less than a write that nobody answered is waited for (three seconds).
const TOO_LONG: Duration = Duration::from_millis(2200);

/// How long a trouble of all reads lasts: ten cycles of the driver.
const A_WHILE: Duration = Duration::from_secs(3);

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It never arrives.
    LostRequest,
    /// It arrives, and its answer doesn't.
    LostAnswer,
    /// It arrives twice; the second answer comes back.
    Twice,
    /// It doesn't arrive: 409.
    Conflict,
    /// It doesn't arrive: 429 with `Retry-After`.
    TooMany,
    /// It doesn't arrive: 500.
    Failed,
    /// It arrives, and the answer is 500.
    FailedAfterwards,
    /// It arrives, and half of its answer comes back.
    HalfAnswer,
    /// It doesn't arrive: 401, as of a token that has expired.
    Unauthorized,
    /// The answer is of an object with another UID; a write arrives all the same.
    OtherUid,
    /// It arrives when its sender has given up.
    Late,
    /// It arrives, and its answer comes when its sender has given up.
    LateAnswer,
    /// A read shows the object as it was when it was read first.
    Stale,
}

impl Trouble {
    pub(super) const OF_WRITES: [Self; 12] = [
        Self::LostRequest,
        Self::LostAnswer,
        Self::Twice,
        Self::Conflict,
        Self::TooMany,
        Self::Failed,
        Self::FailedAfterwards,
        Self::HalfAnswer,
        Self::Unauthorized,
        Self::OtherUid,
        Self::Late,
        Self::LateAnswer,
    ];
    pub(super) const OF_READS: [Self; 8] = [
        Self::LostRequest,
        Self::TooMany,
        Self::Failed,
        Self::HalfAnswer,
        Self::Unauthorized,
        Self::OtherUid,
        Self::LateAnswer,
        Self::Stale,
    ];
}

/// When something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Who sends the n-th request is killed before it arrives.
    KillBefore(usize),
    /// And once it was answered, which nobody hears.
    KillAfter(usize),
    /// The n-th request that changes something.
    Write(usize, Trouble),
    /// The n-th one and all that change something within a while.
    Writes(usize, Trouble),
    /// All reads for a while, from the n-th request that changes something on; from the beginning where n is 0.
    Reads(usize, Trouble),
    /// The answer to the first request that changes something is lost, and all reads are stale, for a while or for ever.
    LostAndStale { for_ever: bool },
}

struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn is_write(&self) -> bool {
        let is_question =
            self.target.contains("dryRun=All") || String::from_utf8_lossy(&self.body).contains("\"dryRun\"");
        self.method != "GET" && !is_question
    }

    fn is_read(&self) -> bool {
        self.method == "GET"
    }
}

#[derive(Clone)]
struct Answer {
    code: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    n_requests: usize,
    n_writes: usize,
    /// When the fault began.
    since: Option<Instant>,
    was_killed: bool,
    victim: Option<Pid>,
    /// How objects were when they were read first.
    first: BTreeMap<String, Answer>,
}

impl Seen {
    /// The fault begins now, if it is its moment and it hasn't begun. How long ago it began.
    fn begin(&mut self, is_now: bool) -> Option<Duration> {
        if is_now && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        self.since.map(|since| since.elapsed())
    }
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    fault: Fault,
    seen: Mutex<Seen>,
}

/// A running proxy; dropping it ends it.
pub(super) struct Proxy {
    shared: Arc<Shared>,
    /// Leads through it.
    pub(super) kubeconfig: PathBuf,
    task: JoinHandle<()>,
    _scratch: Scratch,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Stands before the API server that this kubeconfig leads to.
    pub(super) async fn start(kubeconfig: &Path, fault: Fault) -> Result<Self> {
        let mut config: Value = serde_json::from_slice(&std::fs::read(kubeconfig)?)?;
        let cluster = &config["clusters"][0]["cluster"];
        let upstream = cluster["server"].as_str().context("a server")?.to_owned();
        let authority = std::fs::read(cluster["certificate-authority"].as_str().context("an authority")?)?;
        homeostat_tests::http::use_ring();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([reqwest::Certificate::from_pem(&authority)?])
            .timeout(Duration::from_secs(30))
            .build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        config["clusters"][0]["cluster"] = json!({ "server": format!("http://{}", listener.local_addr()?) });
        let scratch = Scratch::new("sieve")?;
        let kubeconfig = scratch.write("kubeconfig", config.to_string())?;
        let shared = Arc::new(Shared { upstream, client, fault, seen: Mutex::default() });
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&served);
                // A connection that breaks is what this is for.
                tokio::spawn(async move { serve(stream, &shared).await.ok() });
            }
        });
        Ok(Self { shared, kubeconfig, task, _scratch: scratch })
    }

    /// Who is to be killed.
    pub(super) fn aim_at(&self, id: u32) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(id)?);
        self.shared.seen().victim = id;
        Ok(())
    }

    /// Requests so far.
    pub(super) fn n_requests(&self) -> usize {
        self.shared.seen().n_requests
    }

    /// Whether the fault has happened.
    pub(super) fn has_struck(&self) -> bool {
        self.shared.seen().since.is_some()
    }
}

/// What is to be done with a request.
enum Plan {
    Forward,
    KillBefore,
    KillAfter,
    Trouble(Trouble),
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self, request: &Request) -> Plan {
        let mut seen = self.seen();
        seen.n_requests += 1;
        seen.n_writes += usize::from(request.is_write());
        let (n_requests, n_writes) = (seen.n_requests, seen.n_writes);
        let for_a_while = |since: Option<Duration>| since.is_some_and(|passed| passed < A_WHILE);
        match self.fault {
            Fault::KillBefore(n) if n == n_requests && !seen.was_killed => {
                seen.was_killed = true;
                seen.begin(true);
                Plan::KillBefore
            }
            Fault::KillAfter(n) if n == n_requests && !seen.was_killed => {
                seen.was_killed = true;
                seen.begin(true);
                Plan::KillAfter
            }
            Fault::KillBefore(_) | Fault::KillAfter(_) => Plan::Forward,
            Fault::Write(n, trouble) => {
                let is_it = request.is_write() && n_writes == n;
                seen.begin(is_it);
                if is_it { Plan::Trouble(trouble) } else { Plan::Forward }
            }
            Fault::Writes(n, trouble) => {
                let since = seen.begin(request.is_write() && n_writes >= n);
                if request.is_write() && for_a_while(since) { Plan::Trouble(trouble) } else { Plan::Forward }
            }
            Fault::Reads(n, trouble) => {
                let since = seen.begin(n_writes >= n);
                if request.is_read() && for_a_while(since) { Plan::Trouble(trouble) } else { Plan::Forward }
            }
            Fault::LostAndStale { for_ever } => {
                let is_first = request.is_write() && n_writes == 1;
                let since = seen.begin(is_first);
                if is_first {
                    Plan::Trouble(Trouble::LostAnswer)
                } else if request.is_read() && since.is_some() && (for_ever || for_a_while(since)) {
                    Plan::Trouble(Trouble::Stale)
                } else {
                    Plan::Forward
                }
            }
        }
    }

    fn kill(&self) {
        if let Some(victim) = self.seen().victim {
            let _ = kill_process(victim, Signal::KILL);
        }
    }

    async fn forward(&self, request: &Request) -> Result<Answer> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes())?;
        let mut sent = self.client.request(method, format!("{}{}", self.upstream, request.target));
        for (name, value) in &request.headers {
            if !matches!(name.as_str(), "host" | "content-length" | "connection" | "accept-encoding") {
                sent = sent.header(name, value);
            }
        }
        let answer = sent.body(request.body.clone()).send().await?;
        let code = answer.status().as_u16();
        let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let headers = ["content-type", "retry-after", "audit-id"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), text(name)?)))
            .collect();
        let answer = Answer { code, headers, body: answer.bytes().await?.to_vec() };
        if request.is_read() {
            self.seen().first.entry(request.target.clone()).or_insert_with(|| answer.clone());
        }
        Ok(answer)
    }
}

fn failure(code: u16, reason: &str) -> Answer {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": format!("the sieve says {reason}") });
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if code == 429 {
        headers.push(("retry-after".to_owned(), "1".to_owned()));
    }
    Answer { code, headers, body: body.to_string().into_bytes() }
}

/// The same object under another UID.
fn other_uid(mut answer: Answer) -> Answer {
    if let Ok(mut object) = serde_json::from_slice::<Value>(&answer.body)
        && object["metadata"]["uid"].is_string()
    {
        object["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
        answer.body = object.to_string().into_bytes();
    }
    answer
}

async fn serve(stream: TcpStream, shared: &Arc<Shared>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let answer = match shared.plan(&request) {
            Plan::Forward => shared.forward(&request).await?,
            Plan::KillBefore => {
                shared.kill();
                return Ok(());
            }
            Plan::KillAfter => {
                shared.forward(&request).await?;
                shared.kill();
                return Ok(());
            }
            Plan::Trouble(trouble) => match in_trouble(trouble, request, shared).await? {
                Some(answer) => answer,
                None => return Ok(()),
            },
        };
        write(&mut stream, &answer, answer.body.len()).await?;
    }
    Ok(())
}

/// The answer; without one the connection ends.
async fn in_trouble(trouble: Trouble, request: Request, shared: &Arc<Shared>) -> Result<Option<Answer>> {
    Ok(match trouble {
        Trouble::LostRequest => None,
        Trouble::LostAnswer => {
            shared.forward(&request).await?;
            None
        }
        Trouble::Twice => {
            shared.forward(&request).await?;
            Some(shared.forward(&request).await?)
        }
        Trouble::Conflict => Some(failure(409, "Conflict")),
        Trouble::TooMany => Some(failure(429, "TooManyRequests")),
        Trouble::Failed => Some(failure(500, "InternalError")),
        Trouble::FailedAfterwards => {
            shared.forward(&request).await?;
            Some(failure(500, "InternalError"))
        }
        Trouble::HalfAnswer => {
            let mut answer = shared.forward(&request).await?;
            // Its end is missing, and the length says how much.
            answer.headers.push(("x-half".to_owned(), String::new()));
            Some(answer)
        }
        Trouble::Unauthorized => Some(failure(401, "Unauthorized")),
        Trouble::OtherUid => Some(other_uid(shared.forward(&request).await?)),
        Trouble::Late => {
            // It goes on, whatever becomes of its sender.
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                tokio::time::sleep(TOO_LONG).await;
                shared.forward(&request).await.ok()
            })
            .await?;
            None
        }
        Trouble::LateAnswer => {
            let answer = shared.forward(&request).await?;
            tokio::time::sleep(TOO_LONG).await;
            Some(answer)
        }
        Trouble::Stale => {
            let first = shared.seen().first.get(&request.target).cloned();
            match first {
                Some(first) => Some(first),
                None => Some(shared.forward(&request).await?),
            }
        }
    })
}

async fn read(stream: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().context("a method")?, words.next().context("a path")?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(Ok(0), |(_, value)| value.parse())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { method, target, headers, body }))
}

async fn write(stream: &mut BufReader<TcpStream>, answer: &Answer, length: usize) -> Result<()> {
    let mut head = format!("HTTP/1.1 {} Told\r\ncontent-length: {length}\r\n", answer.code);
    let is_half = answer.headers.iter().any(|(name, _)| name == "x-half");
    for (name, value) in answer.headers.iter().filter(|(name, _)| name != "x-half") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(if is_half { &answer.body[..answer.body.len() / 2] } else { &answer.body }).await?;
    stream.flush().await?;
    anyhow::ensure!(!is_half, "the connection ends in the middle of an answer");
    Ok(())
}
