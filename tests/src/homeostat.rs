//! The program under test, as its users run it: a process with flags, a configuration file and a data directory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::Process;
use crate::scratch::Scratch;
use crate::{http, ports, wait};

/// How long the service may take to become ready, on a machine that is busy with everything else.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long it may take to end when asked to.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// The built program: `HOMEOSTAT_BIN`, or else the one in `release` or `debug` beside the running test.
///
/// # Errors
/// When it isn't built.
pub fn binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("HOMEOSTAT_BIN") {
        let path = PathBuf::from(given);
        ensure!(path.is_file(), "HOMEOSTAT_BIN={} is not a file", path.display());
        return Ok(path);
    }
    // The test is at TARGET/debug/deps/NAME-HASH.
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(3).context("the test isn't in a target directory")?;
    let built = ["release", "debug"].map(|profile| target.join(profile).join("homeostat"));
    match built.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => {
            bail!("homeostat isn't built in {}: run `cargo build --release`, or set HOMEOSTAT_BIN", target.display())
        }
    }
}

/// A way to run the program: its arguments and environment, and a directory that outlives each process.
#[derive(Debug)]
pub struct Homeostat {
    scratch: Scratch,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    port: u16,
    process: Option<Process>,
}

/// What a command that ended has left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed, standard output and standard error together.
    pub output: String,
}

impl Homeostat {
    /// `homeostat ARGS…`, not started yet.
    ///
    /// # Errors
    /// When no directory or port can be had.
    pub fn command<I, A>(args: I) -> Result<Self>
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString>,
    {
        Ok(Self {
            scratch: Scratch::new("homeostat")?,
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            port: ports::free()?,
            process: None,
        })
    }

    /// `homeostat serve` with this configuration, a data directory of its own and a free loopback port; not started.
    ///
    /// # Errors
    /// As [`Homeostat::command`].
    pub fn serve(config: &str) -> Result<Self> {
        let mut homeostat = Self::command(["serve"])?;
        let config = homeostat.scratch.write("homeostat.yml", config)?;
        let mut flag = |name: &str, value: &Path| {
            let mut flag = OsString::from(format!("--{name}="));
            flag.push(value);
            homeostat.args.push(flag);
        };
        flag("config.file", &config);
        flag("storage.path", &homeostat.scratch.path().join("data"));
        flag("web.listen-address", Path::new(&format!("127.0.0.1:{}", homeostat.port)));
        Ok(homeostat)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Takes away every argument that begins so: for the next process, on the same data.
    #[must_use]
    pub fn without_arg(mut self, beginning: &str) -> Self {
        self.args.retain(|arg| !arg.to_string_lossy().starts_with(beginning));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Lets it ask the API server as this user; see [`crate::rights`].
    #[must_use]
    pub fn with_kubeconfig(self, kubeconfig: &Path) -> Self {
        self.env("KUBECONFIG", kubeconfig)
    }

    /// Its directory: `homeostat.yml`, `data/` and `homeostat.log` are there.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The data directory that [`Homeostat::serve`] gives it; the journal is there.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// Writes a file into its directory, such as a bundle or policy that the configuration names.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        self.scratch.write(name, content)
    }

    /// `http://127.0.0.1:PORT`, of [`Homeostat::serve`].
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything it has printed so far, over all its processes.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(self.scratch.path().join("homeostat.log"));
        log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Starts a process, and doesn't wait for anything.
    ///
    /// # Errors
    /// When one runs already, or the program can't be started.
    pub fn spawn(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process {
            ensure!(process.ended()?.is_some(), "homeostat runs already");
        }
        let mut command = Command::new(binary()?);
        // A test must not read the configuration of whoever runs it.
        command.env_remove("KUBECONFIG").env("HOME", self.scratch.path()).current_dir(self.scratch.path());
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start("homeostat", command, self.scratch.path())?);
        Ok(())
    }

    /// Starts the service, for the first time or again, and waits until it says it's ready.
    ///
    /// # Errors
    /// When it ends, or isn't ready in time; the end of its log is part of the message.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        let url = format!("{}/-/ready", self.base_url());
        self.running()?.ready(READY_WITHIN, || async { Ok(Some(http::get(&url).await?)) }).await?;
        Ok(())
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it can't be started or hasn't ended after `within`. A failure of the command itself is in the status.
    pub async fn run(mut self, within: Duration) -> Result<Finished> {
        self.spawn()?;
        let status = self.running()?.wait(within).await?;
        Ok(Finished { status, output: self.log() })
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it doesn't.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.running()?.stop(STOP_WITHIN).await
    }

    /// Kills it with `kill -9`; [`Homeostat::start`] then starts it again on the same data.
    ///
    /// # Errors
    /// When the system won't.
    pub fn kill(&mut self) -> Result<()> {
        self.running()?.kill()
    }

    /// Its process, for freezing it or sending it a signal.
    ///
    /// # Errors
    /// When it was never started.
    pub fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("homeostat was not started")
    }

    /// Waits until its log holds `text`.
    ///
    /// # Errors
    /// When it doesn't within `within`; the end of the log is part of the message.
    pub async fn wait_log(&self, text: &str, within: Duration) -> Result<()> {
        let what = format!("the log holds {text:?}");
        let found = wait::until_true(&what, within, || async { Ok(self.log().contains(text)) });
        found.await.with_context(|| match &self.process {
            Some(process) => format!("the log ends:\n{}", process.log_tail()),
            None => "homeostat was not started".to_owned(),
        })
    }
}
