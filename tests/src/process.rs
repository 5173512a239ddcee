//! A child process that can't outlive its test.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

/// A running program, in a process group of its own, with its output in a log file. Dropping it kills the group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: PathBuf,
    /// Kills the group when this process dies without dropping anything: interrupted, aborted or killed.
    guard: Child,
}

impl Process {
    /// Starts `command`, with what it prints in `folder/name.log`. A later process of that name appends.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        let group = Pid::from_raw(i32::try_from(child.id())?).context("a process without an id")?;
        // The kernel closes our end of the pipe however we end; then `read` returns, and the group goes.
        let guard = Command::new("sh")
            .args(["-c", "read -r _; kill -s KILL -- \"-$1\"", "guard", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the guard of a process")?;
        Ok(Self { name: name.to_owned(), child, group, log, guard })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of its log, for a message about why it failed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        /// Enough to hold a panic or a refused flag with its usage.
        const N_LINES: usize = 30;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(N_LINES)..].join("\n")
    }

    /// How it ended, or nothing while it runs.
    ///
    /// # Errors
    /// When the system won't say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails, with the end of the log, unless it is running. For use while polling until it's ready.
    ///
    /// # Errors
    /// When it has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}; its log ends:\n{}", self.name, self.log_tail()),
        }
    }

    /// Polls `ready` until it gives a value; a process that ends meanwhile fails at once, with its log.
    ///
    /// # Errors
    /// When the process ends, or `within` passes.
    pub async fn ready<T, F, Fut>(&mut self, within: Duration, mut ready: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Option<T>>>,
    {
        let what = format!("{} becomes ready", self.name);
        let found = crate::wait::until(&what, within, || {
            let alive = self.ended();
            let look = ready();
            async move {
                // A dead process is an answer, not something to go on polling for.
                if alive?.is_some() { Ok(Some(None)) } else { Ok(look.await?.map(Some)) }
            }
        })
        .await;
        match found {
            Ok(Some(value)) => Ok(value),
            Ok(None) => bail!("{} ended before it was ready; its log ends:\n{}", self.name, self.log_tail()),
            Err(error) => Err(error.context(format!("the log of {} ends:\n{}", self.name, self.log_tail()))),
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} still runs after {within:?}; its log ends:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it hasn't ended after `within`.
    pub async fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(within).await
    }

    /// Kills its group (SIGKILL), and returns when it's gone: a power cut, as far as the program can tell.
    ///
    /// # Errors
    /// When the system won't.
    pub fn kill(&mut self) -> Result<()> {
        // Once the leader has been waited for, its id may belong to somebody else.
        if self.ended()?.is_none() {
            kill_process_group(self.group, Signal::KILL).with_context(|| format!("killing {}", self.name))?;
            self.child.wait()?;
        }
        Ok(())
    }

    /// Stops it from running (SIGSTOP) without ending it: connections to it are accepted, and never answered. Returns when all its
    /// threads stand still: on a busy machine one of them may answer once more after the signal was sent.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&self) -> Result<()> {
        let freezing = || format!("freezing {}", self.name);
        kill_process_group(self.group, Signal::STOP).with_context(freezing)?;
        // Only looked at: whoever waits for its end still finds it.
        let until = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.group), until).with_context(freezing)?;
        if status.is_none_or(|status| !status.stopped()) {
            bail!("{} ended when it was to be frozen; its log ends:\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// Lets it run on after [`Process::freeze`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&self) -> Result<()> {
        kill_process_group(self.group, Signal::CONT).with_context(|| format!("thawing {}", self.name))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.expect_running()?;
        kill_process(self.group, signal).with_context(|| format!("sending {signal:?} to {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{error:#}");
        }
        // After the group: were it first, a crash in between would leave the group behind.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}
