//! `kill -9` at every row of the journal of every action: before it is durable, after it, and between a row and its write.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use homeostat_remediate::Stage;
use homeostat_tests::need_parts;
use homeostat_tests::parts::Parts;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::case::{CASES, Case, NODES};
use super::child::Death;
use super::life::{Outcome, with_death};
use super::tally::Tally;

/// Lives at once: each is a process that sleeps most of the time.
const AT_ONCE: usize = 8;

/// Lives of an action in the sample that runs with every change.
const SAMPLE: usize = 2;

/// A story: an action that helps, or one that doesn't.
async fn uninterrupted(parts: &Parts, case: &'static Case, recovers: bool) -> Result<Outcome> {
    let namespace = format!("k9-{}-{}", case.name, u8::from(recovers));
    let outcome = with_death(parts, case, recovers, Death::Never, &namespace).await?;
    let wanted = match (recovers, case.is_reversible) {
        (true, _) if case.is_followed => Stage::Recovered,
        (true, _) => Stage::NotRecovered,
        (false, true) => Stage::Undone,
        (false, false) => Stage::NotRecovered,
    };
    let stages: Vec<Stage> = outcome.actions.iter().map(|action| action.stage).collect();
    ensure!(stages == [wanted], "{}: without any fault it comes to {stages:?}: {:?}", outcome.told, outcome.calls);
    Ok(outcome)
}

/// Every death of a life with so many rows.
fn deaths(n_rows: u64) -> Vec<Death> {
    let rows = (1..=n_rows).flat_map(|row| [Death::BeforeRow(row), Death::AfterRow(row)]);
    rows.chain([Death::BetweenJournalAndWrite, Death::BetweenWriteAndItsRow]).collect()
}

/// All deaths of all cases, or every so-manieth of them, spread over everything.
async fn kill_everywhere(parts: Parts, every: usize) -> Result<Tally> {
    let (parts, permits) = (Arc::new(parts), Arc::new(Semaphore::new(AT_ONCE)));
    let mut cases = JoinSet::new();
    for (index, case) in CASES.iter().enumerate() {
        for recovers in [true, false] {
            let (parts, permits) = (Arc::clone(&parts), Arc::clone(&permits));
            cases.spawn(async move {
                let alone = async || if case.is_of_nodes { Some(NODES.lock().await) } else { None };
                let first = {
                    let _permit = permits.acquire().await?;
                    let _alone = alone().await;
                    uninterrupted(&parts, case, recovers).await?
                };
                let all = deaths(first.n_rows);
                let mut outcomes = vec![first];
                let offset = (index * 5 + usize::from(recovers) * 3) % every;
                for (death_no, death) in all.into_iter().enumerate().skip(offset).step_by(every) {
                    let _permit = permits.acquire().await?;
                    let _alone = alone().await;
                    let namespace = format!("k9-{}-{}-{death_no}", case.name, u8::from(recovers));
                    let lived = with_death(&parts, case, recovers, death, &namespace).await;
                    outcomes.push(lived.with_context(|| format!("{namespace}: {death:?}"))?);
                }
                anyhow::Ok(outcomes)
            });
        }
    }
    let (mut tally, mut n_killed, mut failed) = (Tally::default(), 0, Vec::new());
    while let Some(outcomes) = cases.join_next().await {
        match outcomes? {
            Ok(outcomes) => {
                for outcome in outcomes {
                    n_killed += usize::from(outcome.was_killed);
                    tally.add(&outcome)?;
                }
            }
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    println!("figure faults.k9.kills {n_killed} count");
    ensure!(n_killed >= CASES.len() * SAMPLE, "only {n_killed} were killed");
    Ok(tally)
}

/// I5, I6, I7, I10, I16.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_rows_of_the_journal_nothing_is_done_twice_forgotten_or_done_elsewhere() -> Result<()> {
    let parts = need_parts!("killed_at_rows_of_the_journal_nothing_is_done_twice_forgotten_or_done_elsewhere");
    // Everything takes an hour: with every change a part, spread over all actions and rows.
    let every = match std::env::var("HOMEOSTAT_FAULTS_EVERY") {
        Ok(every) => every.parse::<usize>().context("HOMEOSTAT_FAULTS_EVERY")?.max(1),
        Err(_) => 13,
    };
    kill_everywhere(parts, every).await?.conclude("k9")
}
