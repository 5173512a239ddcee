//! The demo as a new user runs it: the whole loop in one command, within its promised time and memory.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use homeostat_tests::homeostat::Homeostat;

/// What the README promises.
const WITHIN: Duration = Duration::from_secs(60);

/// The number in a scorecard line, such as the 2 of `recovered by an action  2 of 3 (…)`.
fn count(text: &str, line: &str) -> Result<u32> {
    let rest = text
        .lines()
        .find_map(|row| row.trim_start().strip_prefix(line))
        .with_context(|| format!("no line {line:?}"))?;
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).with_context(|| format!("no number in {line:?}"))
}

#[tokio::test]
async fn the_demo_finds_acts_verifies_and_leaves_the_campaign_alone() -> Result<()> {
    let began = Instant::now();
    let finished = Homeostat::command(["demo"])?.run(WITHIN).await?;
    ensure!(finished.status.success(), "{}", finished.output);
    ensure!(began.elapsed() <= WITHIN, "it took {:?}", began.elapsed());
    let text = &finished.output;
    for (line, wanted) in [
        ("faults detected", 3),
        ("located at the cause", 3),
        ("recovered by an action", 2),
        ("harmless events acted on", 0),
        ("with the fault still present", 0),
        ("made worse", 0),
    ] {
        let found = count(text, line)?;
        ensure!(found == wanted, "{line}: {found}, not {wanted}\n{text}");
    }
    ensure!(text.contains("verified   recovered"), "nothing was verified\n{text}");
    ensure!(text.contains("planned-event"), "the campaign wasn't known as planned\n{text}");
    Ok(())
}

/// What one seed tells, without the line on training, whose time is the machine's.
async fn story(seed: &str) -> Result<Vec<String>> {
    let finished = Homeostat::command(["demo", "--seed", seed])?.run(WITHIN).await?;
    Ok(finished.output.lines().filter(|line| !line.contains("  trained")).map(str::to_owned).collect())
}

#[tokio::test]
async fn the_same_seed_tells_the_same_story() -> Result<()> {
    let first = story("3").await?;
    ensure!(first.len() > 10, "too short to compare: {first:?}");
    ensure!(first == story("3").await?, "two runs differ");
    Ok(())
}
