//! A real browser without a window, told what to do over a pipe (the Chrome DevTools Protocol).

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::parts::{on_path, skip};
use crate::scratch::Scratch;

/// How long an answer may take on a machine that is busy with everything else.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Messages of the page that are kept at most: a page that tells more than that is broken anyway.
const EVENTS_MAX: usize = 10_000;

/// Names a Chromium may have; `tests/parts/install` follows the same rule.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A page in a browser of its own.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: Option<ChildStdin>,
    messages: Receiver<Value>,
    session: Option<String>,
    next_id: u64,
    events: Vec<Value>,
    _profile: Scratch,
}

/// How a page is asked to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark ink on light paper.
    Light,
    /// Light ink on dark paper.
    Dark,
}

impl Scheme {
    /// As in the media feature `prefers-color-scheme`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The browser on this machine, or a loud `SKIP` for `test` and nothing.
#[must_use]
pub fn browser_or_skip(test: &str) -> Option<PathBuf> {
    let found = NAMES.into_iter().find_map(on_path);
    if found.is_none() {
        skip(test, "no Chromium on PATH; run ./test (or tests/parts/install) as root first");
    }
    found
}

impl Browser {
    /// Starts it with a blank page of this many pixels.
    ///
    /// # Errors
    /// When it can't be started or doesn't answer.
    pub fn start(program: &Path, width: u32, height: u32) -> Result<Self> {
        let profile = Scratch::new("browser")?;
        let mut command = Command::new("sh");
        // The protocol is spoken on descriptors 3 and 4; the shell makes them of its own input and output.
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"]).arg(program);
        command.args([
            "--headless",
            "--remote-debugging-pipe",
            // Root can't have the sandbox, and what is opened is the tests' own file.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ]);
        let mut folder = OsString::from("--user-data-dir=");
        folder.push(profile.path());
        command.arg(folder).arg(format!("--window-size={width},{height}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting the browser")?;
        let commands = child.stdin.take();
        let answers = child.stdout.take().context("the browser has no output")?;
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                let Ok(message) = serde_json::from_slice::<Value>(&message) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Self { child, commands, messages, session: None, next_id: 1, events: Vec::new(), _profile: profile };
        browser.attach()?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<()> {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", &target)?;
        self.session = Some(session["sessionId"].as_str().context("no session")?.to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// Asks the page to look light or dark.
    ///
    /// # Errors
    /// When the browser doesn't answer.
    pub fn prefer(&mut self, scheme: Scheme) -> Result<()> {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme.name()});
        self.call("Emulation.setEmulatedMedia", &json!({"features": [feature]})).map(drop)
    }

    /// Opens an address and waits until the page has loaded.
    ///
    /// # Errors
    /// When it can't be opened, or isn't there in time.
    pub fn open(&mut self, url: &str) -> Result<()> {
        self.events.clear();
        let answer = self.call("Page.navigate", &json!({"url": url}))?;
        ensure!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
        let until = Instant::now() + ANSWER_WITHIN;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.receive(until).with_context(|| format!("{url} isn't loaded"))?;
            self.keep(message);
        }
        Ok(())
    }

    /// What this expression gives, which must be a value.
    ///
    /// # Errors
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let answer = self.call("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}))?;
        ensure!(answer["exceptionDetails"].is_null(), "it throws: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].clone())
    }

    /// The whole page as a PNG.
    ///
    /// # Errors
    /// When the browser can't.
    pub fn screenshot(&mut self) -> Result<Vec<u8>> {
        let how = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.call("Page.captureScreenshot", &how)?;
        from_base64(answer["data"].as_str().context("a screenshot without data")?)
    }

    /// What went wrong in the page since it was opened: errors of scripts, of the console and of loading.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let is_error = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Network.loadingFailed") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some(_) | None => false,
        };
        self.events.iter().filter(is_error).map(Value::to_string).collect()
    }

    /// Addresses the page asked for since it was opened, its own first.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let asked = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        asked.filter_map(|event| Some(event["params"]["request"]["url"].as_str()?.to_owned())).collect()
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let commands = self.commands.as_mut().context("the browser was closed")?;
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        commands.write_all(&bytes).and_then(|()| commands.flush()).with_context(|| format!("sending {method}"))?;
        let until = Instant::now() + ANSWER_WITHIN;
        loop {
            let message = self.receive(until).with_context(|| format!("{method} isn't answered"))?;
            if message["id"] == json!(id) {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].clone());
            }
            self.keep(message);
        }
    }

    fn keep(&mut self, message: Value) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(message);
        }
    }

    fn receive(&self, until: Instant) -> Result<Value> {
        match self.messages.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => bail!("nothing for {ANSWER_WITHIN:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the browser has ended"),
        }
    }
}

/// Bytes from base64 (RFC 4648), as the protocol sends pictures.
fn from_base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0_u32, 0_u32);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => bail!("{other} is no base64 digit"),
        };
        bits = (bits << 6) | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push(((bits >> n_bits) & 0xff) as u8);
        }
    }
    Ok(bytes)
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when nobody talks to it any more; killed, its helpers notice by themselves.
        self.commands = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
