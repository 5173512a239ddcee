//! Processes end with whoever started them.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use homeostat_tests::process::Process;
use homeostat_tests::scratch::Scratch;
use homeostat_tests::{ports, wait};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn exists(process: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_dropped_process_takes_its_group_with_it() -> Result<()> {
    let scratch = Scratch::new("process")?;
    let process = Process::start("family", shell("sleep 1000 & echo child $!; wait"), scratch.path())?;
    let child = wait::until("the child is told", SOON, || async {
        Ok(process.log().trim().strip_prefix("child ").map(str::to_owned))
    })
    .await?;
    assert!(exists(&child));
    drop(process);
    wait::until_true("the child is gone", SOON, || async { Ok(!exists(&child)) }).await
}

#[tokio::test]
async fn a_process_that_ends_early_fails_at_once_and_shows_its_log() -> Result<()> {
    let scratch = Scratch::new("process")?;
    let mut process = Process::start("early", shell("echo no such flag >&2; exit 3"), scratch.path())?;
    let failed = process.ready(Duration::from_secs(1000), || async { Ok(None::<()>) }).await;
    assert!(format!("{failed:?}").contains("no such flag"), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn a_stopped_process_tells_how_it_ended() -> Result<()> {
    let scratch = Scratch::new("process")?;
    let mut process =
        Process::start("polite", shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"), scratch.path())?;
    process.ready(SOON, || async { Ok(Some(())) }).await?;
    wait::until_true("the trap is set", SOON, || async { Ok(process.log().contains("up")) }).await?;
    assert_eq!(process.stop(SOON).await?.code(), Some(7));
    Ok(())
}

#[test]
fn ports_differ() -> Result<()> {
    assert_ne!(ports::free()?, ports::free()?);
    Ok(())
}
