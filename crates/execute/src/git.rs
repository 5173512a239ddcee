//! A git remote, by the `git` command: reading one file of a branch, and pushing one commit to a new branch. Every call works in a bare
//! repository of its own that is removed afterwards, without a shell and without anybody's configuration.
//!
//! Nothing here forces a push, and the branch that is read is never written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use homeostat_core::parse_duration;
use homeostat_remediate::{Args, GitFile};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::child::{Child, Ended, Program};

/// A manifest is some kilobytes; what is much larger isn't one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Each call waits for a server elsewhere, and detection waits for it.
pub(crate) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(8);

/// A branch of a remote, and a file in it.
pub(crate) struct Remote {
    program: String,
    url: String,
    branch: String,
    file: String,
    credentials_file: Option<String>,
    ssh_key_file: Option<String>,
    known_hosts_file: Option<String>,
    limit: Duration,
}

/// A commit to push.
pub(crate) struct Commit<'a> {
    /// The new branch.
    pub(crate) branch: &'a str,
    /// The content that the file must still have.
    pub(crate) blob: &'a str,
    pub(crate) message: &'a str,
    /// Its date, in seconds: the same commit twice has the same id.
    pub(crate) at_s: i64,
    /// Only ask whether it would be accepted.
    pub(crate) is_dry_run: bool,
}

/// Why nothing was pushed, or may have been.
#[derive(Debug)]
pub(crate) enum PushError {
    /// The file isn't what was decided on any more.
    Stale(String),
    /// The remote refused it for good.
    Refused(String),
    /// Nothing was pushed; it may go later.
    NotNow(String),
    /// The push may have arrived.
    Unknown(String),
}

impl Remote {
    /// As a policy, or a step, says it.
    pub(crate) fn of(args: &Args) -> Result<Self, String> {
        let text = |name: &str| args.text(name).map(str::to_owned);
        let required = |name: &str| text(name).ok_or_else(|| format!("it doesn't say its {name}"));
        Ok(Self {
            program: required("program")?,
            url: required("remote")?,
            branch: required("branch")?,
            file: required("file")?,
            credentials_file: text("credentials_file"),
            ssh_key_file: text("ssh_key_file"),
            known_hosts_file: text("known_hosts_file"),
            limit: text("timeout").and_then(|text| parse_duration(&text).ok()).unwrap_or(TIMEOUT_DEFAULT),
        })
    }

    /// The file as it is at the branch's head.
    pub(crate) async fn read(&self) -> Result<GitFile, String> {
        let clone = Clone::new(self).await?;
        let (commit, mode, blob) = clone.fetch().await?;
        let text = clone.content(&commit).await?;
        Ok(GitFile { commit, mode, blob, text })
    }

    /// Whether the remote has this branch.
    pub(crate) async fn has_branch(&self, branch: &str) -> Result<bool, String> {
        Clone::new(self).await?.has_branch(branch).await
    }

    /// Pushes a commit that gives the file the content that `edit` makes of it, to a new branch. One that is there already is this very
    /// commit's: its name is the plan's.
    pub(crate) async fn push(
        &self,
        commit: &Commit<'_>,
        edit: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<(), PushError> {
        let not_now = PushError::NotNow;
        let clone = Clone::new(self).await.map_err(not_now)?;
        if clone.has_branch(commit.branch).await.map_err(not_now)? {
            return Ok(());
        }
        let (head, mode, blob) = clone.fetch().await.map_err(not_now)?;
        if blob != commit.blob {
            return Err(PushError::Stale(format!("{} has changed on {}", self.file, self.branch)));
        }
        let text = clone.content(&head).await.map_err(not_now)?;
        let text = edit(&text).map_err(|why| PushError::Stale(format!("{} {why}", self.file)))?;
        let made = clone.commit(commit, &head, &mode, &text).await.map_err(not_now)?;
        let target = format!("{made}:refs/heads/{}", commit.branch);
        let mut args = vec!["push", "--quiet"];
        args.extend(commit.is_dry_run.then_some("--dry-run"));
        args.extend(["--", &self.url, &target]);
        match clone.run(&args, &[]).await {
            Ok(Ended { code: Some(0), .. }) => Ok(()),
            Ok(Ended { code, output }) => {
                // A copy of it may have been first, and only the remote knows what came of a push that was cut off.
                match clone.has_branch(commit.branch).await {
                    Ok(true) => Ok(()),
                    Ok(false) if code.is_some() => Err(PushError::Refused(format!("git push: {output}"))),
                    Ok(false) => Err(PushError::NotNow(format!("git push didn't end in time: {output}"))),
                    Err(why) => Err(PushError::Unknown(format!("git push: {output}; {why}"))),
                }
            }
            Err(why) => Err(PushError::NotNow(why)),
        }
    }
}

/// A bare repository that is gone when this is.
struct Clone<'a> {
    remote: &'a Remote,
    folder: TempDir,
    deadline: Instant,
}

impl<'a> Clone<'a> {
    async fn new(remote: &'a Remote) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("homeostat-git-").tempdir();
        let folder = folder.map_err(|error| format!("no temporary directory can be made: {error}"))?;
        let clone = Self { remote, folder, deadline: Instant::now() + remote.limit };
        clone.check_credentials()?;
        clone.git(&["init", "--quiet", "--bare", "--template="], &[]).await?;
        Ok(clone)
    }

    fn check_credentials(&self) -> Result<(), String> {
        let files = [&self.remote.credentials_file, &self.remote.ssh_key_file, &self.remote.known_hosts_file];
        for file in files.into_iter().flatten() {
            std::fs::metadata(file).map_err(|error| format!("{file} can't be read: {error}"))?;
        }
        Ok(())
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    /// The head's commit, and the file's mode and content id in it.
    async fn fetch(&self) -> Result<(String, String, String), String> {
        let reference = format!("refs/heads/{}", self.remote.branch);
        self.git(&["fetch", "--quiet", "--depth=1", "--no-tags", "--", &self.remote.url, &reference], &[]).await?;
        let commit = id(&self.git(&["rev-parse", "FETCH_HEAD"], &[]).await?)?;
        let listed = self.git(&["ls-tree", &commit, "--", &self.remote.file], &[]).await?;
        let words: Vec<&str> = listed.split_whitespace().collect();
        match words.as_slice() {
            // A link would lead elsewhere.
            [mode @ ("100644" | "100755"), "blob", blob, ..] => Ok((commit, (*mode).to_owned(), id(blob)?)),
            _ => Err(format!("{} isn't a file on {}", self.remote.file, self.remote.branch)),
        }
    }

    async fn content(&self, commit: &str) -> Result<String, String> {
        std::fs::create_dir_all(self.tree()).map_err(|error| error.to_string())?;
        let tree = format!("--work-tree={}", self.tree().display());
        self.git(&[&tree, "checkout", "--quiet", commit, "--", &self.remote.file], &[]).await?;
        let path = self.tree().join(&self.remote.file);
        let unreadable = |error: std::io::Error| format!("{} can't be read: {error}", self.remote.file);
        if std::fs::metadata(&path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(format!("{} is larger than {FILE_BYTES_MAX} bytes", self.remote.file));
        }
        std::fs::read_to_string(&path).map_err(unreadable)
    }

    /// A commit on this head that differs from it in the file alone.
    async fn commit(&self, commit: &Commit<'_>, head: &str, mode: &str, text: &str) -> Result<String, String> {
        let written = self.written("content", text)?;
        let message = self.written("message", commit.message)?;
        let blob = id(&self.git(&["hash-object", "-w", "--no-filters", "--", &written], &[]).await?)?;
        self.git(&["read-tree", head], &[]).await?;
        let entry = format!("{mode},{blob},{}", self.remote.file);
        self.git(&["update-index", "--cacheinfo", &entry], &[]).await?;
        let tree = id(&self.git(&["write-tree"], &[]).await?)?;
        let date = format!("{} +0000", commit.at_s);
        let mut environment = Vec::new();
        for who in ["AUTHOR", "COMMITTER"] {
            environment.push((format!("GIT_{who}_NAME"), "homeostat".to_owned()));
            environment.push((format!("GIT_{who}_EMAIL"), "homeostat@localhost".to_owned()));
            environment.push((format!("GIT_{who}_DATE"), date.clone()));
        }
        id(&self.git(&["commit-tree", &tree, "-p", head, "-F", &message], &environment).await?)
    }

    fn written(&self, name: &str, text: &str) -> Result<String, String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.display().to_string())
    }

    async fn has_branch(&self, branch: &str) -> Result<bool, String> {
        let reference = format!("refs/heads/{branch}");
        let listed = self.git(&["ls-remote", "--quiet", "--", &self.remote.url, &reference], &[]).await?;
        Ok(listed.split_whitespace().any(|word| word == reference))
    }

    /// Runs git; what it says, if it succeeds.
    async fn git(&self, args: &[&str], environment: &[(String, String)]) -> Result<String, String> {
        let command = args.iter().find(|arg| !arg.starts_with('-')).copied().unwrap_or_default();
        match self.run(args, environment).await? {
            Ended { code: Some(0), output } => Ok(output),
            Ended { code: Some(_), output } => Err(format!("git {command}: {output}")),
            Ended { code: None, output } => Err(format!("git {command} didn't end in time: {output}")),
        }
    }

    async fn run(&self, args: &[&str], more: &[(String, String)]) -> Result<Ended, String> {
        let mut argv = vec![self.remote.program.clone(), format!("--git-dir={}", self.repository().display())];
        // Of a helper that asks on a terminal nobody would read the question.
        argv.extend(["-c", "credential.helper=", "-c", "core.hooksPath=/dev/null"].map(str::to_owned));
        if let Some(file) = &self.remote.credentials_file {
            argv.extend(["-c".to_owned(), format!("credential.helper=store --file={file}")]);
        }
        argv.extend(args.iter().map(|arg| (*arg).to_owned()));
        let mut environment: Vec<(String, String)> = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ALLOW_PROTOCOL", "file:https:ssh"),
            ("LC_ALL", "C"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        environment.push(("HOME".to_owned(), self.folder.path().display().to_string()));
        environment.push(("GIT_SSH_COMMAND".to_owned(), self.ssh()));
        environment.extend(more.iter().cloned());
        let limit = self.deadline.saturating_duration_since(Instant::now());
        let child = Child::start(&Program { argv, environment, limit })?;
        Ok(child.end(limit).await)
    }

    /// A host that isn't known is refused.
    fn ssh(&self) -> String {
        let mut ssh = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes".to_owned();
        for (option, file) in
            [("-i ", &self.remote.ssh_key_file), ("-o UserKnownHostsFile=", &self.remote.known_hosts_file)]
        {
            ssh.extend(file.iter().map(|file| format!(" {option}{file}")));
        }
        ssh
    }
}

/// An object's id; anything else that git says is an error.
fn id(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(text.to_owned()) } else { Err(format!("git answered {text:?}, which isn't an object's id")) }
}

/// Whether a path of a policy can stand in a helper's or ssh's command line, which git reads as a shell does.
pub(crate) fn is_plain_path(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
}

#[cfg(test)]
mod tests;
