//! A program that runs in a process group of its own, which ends with it, or with whoever waits for it.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How much of what it writes is kept: its beginning, where most programs say what is wrong. The rest is read and dropped, so that it
/// doesn't wait for a reader.
const OUTPUT_BYTES_MAX: usize = 4096;

/// How long the last of its output may take after its end: it is in the pipe already.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// A program to run.
pub(crate) struct Program {
    /// Its path and its arguments.
    pub(crate) argv: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: Vec<(String, String)>,
    /// How long it may run.
    pub(crate) limit: Duration,
}

/// How it ended.
pub(crate) struct Ended {
    /// Its exit code; none where it was killed.
    pub(crate) code: Option<i32>,
    /// The beginning of what it wrote, on one line.
    pub(crate) output: String,
}

impl Program {
    /// Whether it could be started, as far as that shows without starting it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = self.argv.first().map(String::as_str).unwrap_or_default();
        let metadata = std::fs::metadata(path).map_err(|error| format!("{path}: {error}"))?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            Ok(())
        } else {
            Err(format!("{path} isn't a program that can be executed"))
        }
    }
}

/// A running program. Dropped, it and all it started are killed.
pub(crate) struct Child {
    child: tokio::process::Child,
    group: Group,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Child {
    /// Starts it; an error means that nothing ran.
    pub(crate) fn start(program: &Program) -> Result<Self, String> {
        let (path, args) = program.argv.split_first().ok_or("its argv is empty")?;
        let mut command = Command::new(path);
        command.args(args).env_clear().envs(program.environment.iter().cloned()).current_dir("/").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("{path} can't be started: {error}"))?;
        let group = Group(child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)));
        let output = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|pipe| tokio::spawn(keep(pipe, Arc::clone(&output)))));
        readers.extend(child.stderr.take().map(|pipe| tokio::spawn(keep(pipe, Arc::clone(&output)))));
        Ok(Self { child, group, output, readers })
    }

    /// Waits for its end, and makes it end when that takes too long. What it started and left behind ends, too.
    pub(crate) async fn end(mut self, limit: Duration) -> Ended {
        let status = timeout(limit, self.child.wait()).await;
        self.group.kill();
        for reader in &mut self.readers {
            let _ = timeout(LAST_OUTPUT, reader).await;
        }
        let bytes = self.output.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8_lossy(&bytes);
        let output = text.split(|char: char| char.is_control()).filter(|line| !line.is_empty()).collect::<Vec<_>>();
        Ended { code: status.ok().and_then(Result::ok).and_then(|status| status.code()), output: output.join(" | ") }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

/// The process group; it is killed with whoever has it.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        // Where all have ended already there is nothing to kill.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn keep(mut pipe: impl AsyncRead + Unpin, output: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(n_bytes @ 1..) = pipe.read(&mut buffer).await {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        let n_kept = n_bytes.min(OUTPUT_BYTES_MAX.saturating_sub(output.len()));
        output.extend_from_slice(&buffer[..n_kept]);
    }
}
