//! Against the real git and bare repositories.

use std::path::Path;
use std::process::Command;

use super::*;

const FILE: &str = "apps/cart.yaml";

/// A bare repository with the file on `main`.
struct Origin(TempDir);

impl Origin {
    fn new() -> Self {
        let origin = Self(tempfile::tempdir().unwrap());
        git(origin.0.path(), &["init", "--quiet", "--bare", "-b", "main", "origin"]);
        git(origin.0.path(), &["clone", "--quiet", "origin", "work"]);
        origin.merge("a: 1\n");
        origin
    }

    /// Puts this content on `main`, as people do.
    fn merge(&self, text: &str) {
        let work = self.0.path().join("work");
        std::fs::create_dir_all(work.join("apps")).unwrap();
        std::fs::write(work.join(FILE), text).unwrap();
        git(&work, &["checkout", "--quiet", "-B", "main"]);
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "--allow-empty", "-m", "a change"]);
        git(&work, &["push", "--quiet", "origin", "main"]);
    }

    fn path(&self) -> String {
        self.0.path().join("origin").display().to_string()
    }

    fn remote(&self) -> Remote {
        let args = Args::default().with("program", "/usr/bin/git").with("remote", self.path());
        Remote::of(&args.with("branch", "main").with("file", FILE).with("timeout", "1m")).unwrap()
    }

    fn say(&self, args: &[&str]) -> String {
        git(&self.0.path().join("origin"), args)
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(args);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn commit(blob: &str) -> Commit<'_> {
    Commit {
        branch: "homeostat/act-1",
        blob,
        message: "cart: a to 2\n\nbecause\n",
        at_s: 1_800_000_000,
        is_dry_run: false,
    }
}

fn edit(text: &str) -> Result<String, String> {
    Ok(text.replace("a: 1", "a: 2"))
}

#[tokio::test]
async fn a_commit_arrives_on_a_branch_of_its_own_once() {
    let origin = Origin::new();
    let (remote, main) = (origin.remote(), origin.say(&["rev-parse", "main"]));
    let file = remote.read().await.unwrap();
    assert_eq!((file.text.as_str(), file.commit.as_str(), file.mode.as_str()), ("a: 1\n", main.trim(), "100644"));
    let dry = Commit { is_dry_run: true, ..commit(&file.blob) };
    remote.push(&dry, edit).await.unwrap();
    assert!(!remote.has_branch("homeostat/act-1").await.unwrap(), "it was only tried");
    remote.push(&commit(&file.blob), edit).await.unwrap();
    let pushed = origin.say(&["rev-parse", "homeostat/act-1"]);
    remote.push(&commit(&file.blob), |_| panic!("it is there already")).await.unwrap();
    assert_eq!(origin.say(&["rev-parse", "homeostat/act-1"]), pushed);
    assert_eq!(origin.say(&["rev-parse", "main"]), main, "the branch that is read is never written");
    assert_eq!(origin.say(&["show", &format!("homeostat/act-1:{FILE}")]), "a: 2\n");
    assert_eq!(origin.say(&["diff", "--name-only", "main", "homeostat/act-1"]).trim(), FILE);
    assert!(origin.say(&["log", "-1", "--format=%an %B", "homeostat/act-1"]).starts_with("homeostat cart: a to 2\n"));
    assert!(remote.has_branch("homeostat/act-1").await.unwrap() && !remote.has_branch("act-1").await.unwrap());
}

#[tokio::test]
async fn a_file_that_changed_since_is_left_and_other_changes_are_kept() {
    let origin = Origin::new();
    let remote = origin.remote();
    let file = remote.read().await.unwrap();
    origin.merge("a: 1\n");
    remote.push(&commit(&file.blob), edit).await.unwrap();
    assert_eq!(
        origin.say(&["rev-parse", "homeostat/act-1^"]),
        origin.say(&["rev-parse", "main"]),
        "on the newest head"
    );
    origin.merge("a: 7\n");
    let second = Commit { branch: "homeostat/act-2", ..commit(&file.blob) };
    assert!(matches!(remote.push(&second, edit).await, Err(PushError::Stale(_))));
    assert!(!remote.has_branch("homeostat/act-2").await.unwrap());
}

#[tokio::test]
async fn a_remote_that_refuses_is_a_refusal_and_one_that_is_away_is_not_now() {
    let origin = Origin::new();
    let remote = origin.remote();
    let file = remote.read().await.unwrap();
    let hook = Path::new(&origin.path()).join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho protected >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    match remote.push(&commit(&file.blob), edit).await {
        Err(PushError::Refused(why)) => assert!(why.contains("protected"), "{why}"),
        other => panic!("{other:?}"),
    }
    std::fs::rename(origin.path(), origin.0.path().join("away")).unwrap();
    assert!(matches!(remote.push(&commit(&file.blob), edit).await, Err(PushError::NotNow(_))));
    assert!(remote.read().await.is_err() && remote.has_branch("main").await.is_err());
}

#[tokio::test]
async fn a_link_in_the_repository_is_not_followed() {
    let origin = Origin::new();
    let work = origin.0.path().join("work");
    std::fs::remove_file(work.join(FILE)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", work.join(FILE)).unwrap();
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "-m", "a link"]);
    git(&work, &["push", "--quiet", "origin", "main"]);
    assert!(origin.remote().read().await.unwrap_err().contains("isn't a file"));
}

#[test]
fn a_path_that_a_shell_would_read_otherwise_is_not_plain() {
    assert!(is_plain_path(Path::new("/etc/homeostat/git-credentials")));
    for path in ["/a b", "/a;b", "/a$(b)", "a", "/a'b", "/a\nb"] {
        assert!(!is_plain_path(Path::new(path)), "{path:?}");
    }
}
