//! A tiny exporter whose values the test sets. It plays the application, kube-state-metrics or cAdvisor.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::ports;

/// Longest time a scraper may take to send its request; a stuck one must not stop the exporter.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// The series of one page: name → labels as text → value.
#[derive(Clone, Debug, Default)]
pub struct Page(BTreeMap<String, BTreeMap<String, f64>>);

impl Page {
    /// Sets the value of one series.
    pub fn set(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.entry(name.to_owned()).or_default().insert(labels_text(labels), value);
    }

    /// Adds to the value of one series, which starts at zero.
    pub fn add(&mut self, name: &str, labels: &[(&str, &str)], amount: f64) {
        *self.0.entry(name.to_owned()).or_default().entry(labels_text(labels)).or_default() += amount;
    }

    /// Takes one series off the page.
    pub fn remove(&mut self, name: &str, labels: &[(&str, &str)]) {
        if let Some(series) = self.0.get_mut(name) {
            series.remove(&labels_text(labels));
        }
    }

    /// Takes every series of that name off the page.
    pub fn remove_all(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Takes everything off the page.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Every series: its name, its labels as text (`{a="b"}` or nothing), its value.
    pub fn series(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        self.0.iter().flat_map(|(name, series)| {
            series.iter().map(move |(labels, value)| (name.as_str(), labels.as_str(), *value))
        })
    }

    /// The page as Prometheus reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, labels, value) in self.series() {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{name}{labels} {}", number(value));
        }
        text
    }
}

/// `{a="b",c="d"}`, sorted by name, or nothing without labels.
#[must_use]
pub fn labels_text(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A value as both text formats write it.
#[must_use]
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

type Refresh = Box<dyn FnMut(&mut Page) + Send>;

struct Shared {
    page: Mutex<Page>,
    refresh: Mutex<Option<Refresh>>,
    broken: AtomicBool,
    ended: AtomicBool,
}

/// A running exporter, on loopback; every path gives its page. Dropping it ends it.
pub struct Exporter {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts one with an empty page.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free()?)).context("starting an exporter")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            page: Mutex::default(),
            refresh: Mutex::default(),
            broken: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&listener, &served));
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens: the target to scrape.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the value of one series.
    pub fn set(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.change(|page| page.set(name, labels, value));
    }

    /// Changes the page in one step: a scrape sees all of it or nothing.
    pub fn change<T>(&self, change: impl FnOnce(&mut Page) -> T) -> T {
        change(&mut self.shared.page.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls `refresh` before each scrape is answered, so that values are as fresh as the scrape.
    pub fn before_scrape(&self, refresh: impl FnMut(&mut Page) + Send + 'static) {
        *self.shared.refresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(refresh));
    }

    /// Makes every scrape fail (status 503) from now on, or work again: a target that is down.
    pub fn set_broken(&self, broken: bool) {
        self.shared.broken.store(broken, Ordering::SeqCst);
    }

    /// A handle for changing the page from elsewhere; it doesn't keep the exporter alive.
    #[must_use]
    pub fn handle(&self) -> PageHandle {
        PageHandle(Arc::clone(&self.shared))
    }
}

/// Changes an exporter's page from a task or thread.
#[derive(Clone)]
pub struct PageHandle(Arc<Shared>);

impl PageHandle {
    /// As [`Exporter::change`].
    pub fn change<T>(&self, change: impl FnOnce(&mut Page) -> T) -> T {
        change(&mut self.0.page.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread from `accept`; were the connection refused, the thread would be gone already.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Shared) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        // A scraper that hangs up early is its own problem.
        let _ = stream.and_then(|stream| answer(stream, shared));
    }
}

fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_WITHIN))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    // The request's content makes no difference, but it must be read before the answer.
    while reader.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        line.clear();
    }
    let (status, body) = if shared.broken.load(Ordering::SeqCst) {
        ("503 Service Unavailable", String::new())
    } else {
        let mut page = shared.page.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refresh) = shared.refresh.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            refresh(&mut page);
        }
        ("200 OK", page.text())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = reader.into_inner();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}
