//! What may change while the service runs: mode, policies, calendar, topology, channels. Read at the start of each cycle, so that one
//! cycle goes by one config; replaced as a whole, or not at all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use homeostat_announce::Channels;
use homeostat_core::{Calendar, Mode, Topology};
use homeostat_remediate::{Policy, RegoRules};
use tokio::sync::{mpsc, oneshot, watch};

use super::metrics::Metrics;
use super::policy_files::PolicyFiles;
use crate::clock::Clock;
use crate::config::{self, Config};

/// Reloads that may wait for their turn. Whoever asks while as many wait is told to try again.
const RELOADS_WAITING_MAX: usize = 4;

/// How often the policy files are looked at: a kubelet brings changes of a ConfigMap within a minute, and reading a few small files
/// costs nothing.
const POLICY_FILES_EVERY: Duration = Duration::from_secs(10);

/// The part of the config that a reload changes.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// How far homeostat may go.
    pub(crate) mode: Mode,
    /// What may be done.
    pub(crate) policies: Vec<Policy>,
    /// The rules in Rego, where there are some.
    pub(crate) rego: Option<RegoRules>,
    /// Planned events.
    pub(crate) calendar: Calendar,
    /// Who depends on whom.
    pub(crate) topology: Topology,
    /// Who is told.
    pub(crate) channels: Channels,
}

impl Live {
    /// What this config says.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            mode: config.mode,
            policies: config.policies.clone(),
            rego: config.rego.clone(),
            calendar: config.calendar.clone(),
            topology: config.topology.clone(),
            channels: config.channels.clone(),
        }
    }
}

/// Reads the newest.
pub(crate) type LiveReader = watch::Receiver<Arc<Live>>;

/// Asks for reloads.
#[derive(Clone)]
pub(crate) struct ReloadHandle {
    requests: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
}

impl ReloadHandle {
    /// One that nobody answers.
    #[cfg(test)]
    pub(crate) fn to_nobody() -> Self {
        Self { requests: mpsc::channel(1).0 }
    }

    /// Reads the config again and says what was wrong with it, if anything.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the service is ending".to_owned();
        self.requests.try_send(reply).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => "reloads are waiting already; try again".to_owned(),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// Reads the config file again when asked to.
pub(crate) struct Reloader {
    path: PathBuf,
    /// As it is in force: what a reload doesn't change is compared with it.
    config: Arc<Config>,
    policy_files: PolicyFiles,
    sender: watch::Sender<Arc<Live>>,
    requests: mpsc::Receiver<oneshot::Sender<Result<(), String>>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl Reloader {
    /// Of the file that `config` was read from.
    pub(crate) fn new(
        path: PathBuf,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> (Self, ReloadHandle, LiveReader) {
        let (sender, reader) = watch::channel(Arc::new(Live::of(&config)));
        let (handle, requests) = mpsc::channel(RELOADS_WAITING_MAX);
        metrics.config_reloaded(true, clock.now());
        metrics.policies_reloaded(true, clock.now());
        let policy_files = PolicyFiles::new(config.policy_files.clone());
        (
            Self { path, config, policy_files, sender, requests, metrics, clock },
            ReloadHandle { requests: handle },
            reader,
        )
    }

    /// Reloads at each request and at each SIGHUP, and the policies when their files change, for as long as it is polled.
    pub(crate) async fn run(mut self) {
        let mut hangups = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
            Ok(hangups) => Some(hangups),
            Err(error) => {
                tracing::error!(%error, "can't listen for SIGHUP; reload with POST /-/reload");
                None
            }
        };
        let mut hangup = async move || match &mut hangups {
            Some(hangups) => hangups.recv().await,
            None => std::future::pending().await,
        };
        let mut look = tokio::time::interval(POLICY_FILES_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let reply = tokio::select! {
                _ = look.tick() => {
                    self.look_at_policies();
                    continue;
                }
                reply = self.requests.recv() => reply,
                _ = hangup() => None,
            };
            let result = self.reload();
            if let Some(reply) = reply {
                // Whoever asked may have gone; it was reloaded all the same.
                let _ = reply.send(result);
            }
        }
    }

    /// Puts the policies in force as their files have them now, if those changed. Whatever else the config file says by now waits for
    /// a reload that somebody asks for.
    fn look_at_policies(&mut self) {
        if !self.policy_files.have_changed() {
            return;
        }
        let live = Live::clone(&self.sender.borrow());
        let read = self.config.read_policies_of(self.policy_files.paths(), &live.channels, live.mode);
        self.metrics.policies_reloaded(read.is_ok(), self.clock.now());
        match read {
            Ok(read) => {
                for warning in &read.warnings {
                    tracing::warn!("policy {warning}");
                }
                tracing::info!(policies = read.policies.len(), "the policy files changed and are in force");
                self.sender.send_replace(Arc::new(Live { policies: read.policies, rego: read.rego, ..live }));
            }
            Err(error) => {
                tracing::error!(why = %error, "the policy files changed and are invalid; the previous policies stay in force");
            }
        }
    }

    /// Puts a new config in force, or keeps the one there is.
    pub(crate) fn reload(&mut self) -> Result<(), String> {
        match config::load(&self.path) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    tracing::warn!("{warning}");
                }
                let live = Live::of(&loaded.config);
                let waiting = needs_restart(&self.config, &loaded.config);
                if !waiting.is_empty() {
                    tracing::warn!(changed = waiting.join(", "), "these changes take effect only after a restart");
                }
                let before = self.sender.borrow().mode;
                tracing::info!(mode = %live.mode, mode_before = %before, policies = live.policies.len(), "the config was reloaded");
                self.sender.send_replace(Arc::new(live));
                self.policy_files.watch(loaded.config.policy_files);
                self.metrics.config_reloaded(true, self.clock.now());
                self.metrics.policies_reloaded(true, self.clock.now());
                Ok(())
            }
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let why = lines.join("\n");
                tracing::error!(why, "the new config is invalid; the previous one stays in force");
                self.metrics.config_reloaded(false, self.clock.now());
                self.metrics.policies_reloaded(false, self.clock.now());
                Err(why)
            }
        }
    }
}

/// The sections that differ and that only a restart puts in force.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    type Shown = fn(&Config) -> String;
    // By what they print: the parts have no equality of their own, and all of them print all they hold.
    let differs = |of: Shown| of(old) != of(new);
    let sections: [(&'static str, Shown); 9] = [
        ("datasources", |config| format!("{:?}", config.source)),
        ("queries and preset", |config| format!("{:?}", config.queries)),
        ("subjects", |config| format!("{:?}", config.subjects)),
        ("replicas", |config| format!("{:?}", config.replicas)),
        ("global", |config| {
            format!("{:?} {:?} {:?} {:?}", config.step, config.history, config.offset, config.retrain_every)
        }),
        ("detectors, detection, incidents and bundle", |config| format!("{:?}", config.detection)),
        ("kubernetes and own_workload", |config| format!("{:?} {:?}", config.kubernetes, config.own_workload)),
        ("storage and leader_election", |config| {
            format!("{:?} {:?} {:?}", config.storage, config.journal, config.leader_election)
        }),
        ("server", |config| format!("{:?} {:?}", config.listen_address, config.probe_address)),
    ];
    sections.into_iter().filter(|(_, of)| differs(*of)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::FakeClock;
    use homeostat_core::Timestamp;

    const GOOD: &str = "
datasources:
  - url: http://127.0.0.1:9090
queries:
  memory: {expr: m, signal: memory, direction: up}
";

    fn reloader(dir: &tempfile::TempDir, text: &str) -> (Reloader, ReloadHandle, LiveReader) {
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, text).expect("written");
        let config = Arc::new(config::load(&path).expect("a config").config);
        let clock = Arc::new(FakeClock::at(Timestamp::from_secs(1_000)));
        Reloader::new(path, config, Arc::new(Metrics::new()), clock)
    }

    #[test]
    fn a_good_reload_is_in_force_and_a_bad_one_keeps_what_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut reloader, _handle, reader) = reloader(&dir, GOOD);
        assert_eq!(reader.borrow().mode, Mode::Observe);
        std::fs::write(&reloader.path, format!("mode: recommend\n{GOOD}")).expect("written");
        assert_eq!(reloader.reload(), Ok(()));
        assert_eq!(reader.borrow().mode, Mode::Recommend);
        assert!(reloader.metrics.text().contains("homeostat_config_last_reload_successful 1"));
        std::fs::write(&reloader.path, format!("mode: exceute\n{GOOD}")).expect("written");
        let why = reloader.reload().expect_err("a typo");
        assert!(why.contains("exceute"), "{why}");
        assert_eq!(reader.borrow().mode, Mode::Recommend, "half a config is never in force");
        assert!(reloader.metrics.text().contains("homeostat_config_last_reload_successful 0"));
    }

    #[test]
    fn policy_files_that_change_are_in_force_and_bad_ones_keep_what_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let policies = dir.path().join("policies.yaml");
        let policy = |name: &str| {
            format!(
                "remediation_policy: {{name: {name}, incident_type: oom-killed, auto_execute: false, confidence_threshold: 0.9}}\n"
            )
        };
        std::fs::write(&policies, policy("one")).expect("written");
        let (mut reloader, _handle, reader) = reloader(&dir, &format!("policies: policies.yaml\n{GOOD}"));
        let names = || reader.borrow().policies.iter().map(|policy| policy.name.clone()).collect::<Vec<_>>();
        let shows = |reloader: &Reloader, value: u8| {
            reloader.metrics.text().contains(&format!("homeostat_policy_last_reload_successful {value}"))
        };
        assert!(names() == ["one"] && shows(&reloader, 1));
        // What else changed in the config isn't anybody's wish yet.
        std::fs::write(&reloader.path, format!("mode: recommend\npolicies: policies.yaml\n{GOOD}")).expect("written");
        std::fs::write(&policies, policy("two")).expect("written");
        reloader.look_at_policies();
        assert!(names() == ["two"] && shows(&reloader, 1) && reader.borrow().mode == Mode::Observe);
        for bad in [
            "remediation_policy: {",
            &policy("three").replace("0.9", "lots"),
            &policy("f").replace("name: f", "escalation_channel: nobody"),
        ] {
            std::fs::write(&policies, bad).expect("written");
            reloader.look_at_policies();
            assert!(names() == ["two"] && shows(&reloader, 0), "{bad}");
        }
        std::fs::write(&policies, policy("four")).expect("written");
        reloader.look_at_policies();
        assert!(names() == ["four"] && shows(&reloader, 1));
        std::fs::remove_file(&policies).expect("removed");
        reloader.look_at_policies();
        assert!(names() == ["four"] && shows(&reloader, 0), "a file that is gone is no empty file");
    }

    /// Rules that are taken away by a bad file would permit what they forbade.
    #[cfg(feature = "rego")]
    #[test]
    fn rules_that_change_are_in_force_and_bad_ones_keep_what_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let rules = dir.path().join("deny.rego");
        let rule = |message: &str| format!("package homeostat\n\ndeny contains \"{message}\" if input.n == 1\n");
        std::fs::write(&rules, rule("one")).expect("written");
        let (mut reloader, _handle, reader) = reloader(&dir, &format!("policies: [deny.rego]\n{GOOD}"));
        let told = || {
            let rego = reader.borrow().rego.clone();
            rego.map(|rego| rego.denials(serde_json::json!({"n": 1})).expect("an answer"))
        };
        assert_eq!(told(), Some(vec!["one".to_owned()]));
        std::fs::write(&rules, rule("two")).expect("written");
        reloader.look_at_policies();
        assert_eq!(told(), Some(vec!["two".to_owned()]));
        for bad in ["package homeostat\n\ndeny contains", "package homeostat\n\ndeny := true\n", ""] {
            std::fs::write(&rules, bad).expect("written");
            reloader.look_at_policies();
            assert_eq!(told(), Some(vec!["two".to_owned()]), "{bad}");
            assert!(reloader.metrics.text().contains("homeostat_policy_last_reload_successful 0"), "{bad}");
        }
        std::fs::remove_file(&rules).expect("removed");
        reloader.look_at_policies();
        assert_eq!(told(), Some(vec!["two".to_owned()]), "a file that is gone is no empty file");
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let (reloader, _handle, _reader) = reloader(&dir, GOOD);
        std::fs::write(&reloader.path, format!("{GOOD}global: {{step: 30s}}\nmode: recommend\n")).expect("written");
        let new = config::load(&reloader.path).expect("a config").config;
        assert_eq!(needs_restart(&reloader.config, &new), ["global"]);
    }

    #[tokio::test]
    async fn whoever_asks_for_a_reload_is_answered() {
        let dir = tempfile::tempdir().expect("a directory");
        let (reloader, handle, reader) = reloader(&dir, GOOD);
        std::fs::write(&reloader.path, format!("mode: recommend\n{GOOD}")).expect("written");
        let running = tokio::spawn(reloader.run());
        assert_eq!(handle.reload().await, Ok(()));
        assert_eq!(reader.borrow().mode, Mode::Recommend);
        running.abort();
        assert!(running.await.is_err(), "it goes on until it is told to end");
        assert!(handle.reload().await.is_err(), "and then says so");
    }
}
