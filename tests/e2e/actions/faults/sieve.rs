//! An API server that lies, or rather what stands before it: every writing action through every fault.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use homeostat_tests::need_parts;
use homeostat_tests::parts::Parts;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::case::{CASES, Case, NODES};
use super::child::Death;
use super::life::{Life, Outcome};
use super::proxy::{Fault, Proxy, Trouble};
use super::tally::Tally;

/// Lives at once: each is a process that sleeps most of the time.
const AT_ONCE: usize = 8;

/// Requests at which a process is killed: looking, deciding, writing, and some cycles of following what was written.
const KILLS: usize = 24;

fn faults() -> Vec<Fault> {
    let kills = (1..=KILLS).flat_map(|n| [Fault::KillBefore(n), Fault::KillAfter(n)]);
    // The first change is the action; the second takes it back, or is the next pod, or the same again.
    let writes = Trouble::OF_WRITES
        .into_iter()
        .flat_map(|trouble| [1, 2].into_iter().map(move |n| Fault::Write(n, trouble)))
        .chain(Trouble::OF_WRITES.into_iter().map(|trouble| Fault::Writes(1, trouble)));
    let reads =
        Trouble::OF_READS.into_iter().flat_map(|trouble| [0, 1, 2].into_iter().map(move |n| Fault::Reads(n, trouble)));
    let both = [Fault::LostAndStale { for_ever: false }, Fault::LostAndStale { for_ever: true }];
    kills.chain(writes).chain(reads).chain(both).collect()
}

async fn through(
    parts: &Parts,
    case: &'static Case,
    recovers: bool,
    fault: Fault,
    name: &str,
) -> Result<(Outcome, bool)> {
    let life = Life::new(parts, case, recovers, name).await?;
    let proxy = Proxy::start(&life.kubeconfig(), fault).await?;
    // The victim is known before it can have asked anything: its first request waits for that.
    let mut process = life.start(Death::Never, &proxy.kubeconfig)?;
    proxy.aim_at(process.id())?;
    let was_killed = life.wait(&mut process).await?;
    if was_killed {
        process = life.start(Death::Never, &proxy.kubeconfig)?;
        ensure!(!life.wait(&mut process).await?, "nobody kills the second process");
    }
    let (log, has_struck) = (process.log(), proxy.has_struck());
    ensure!(proxy.n_requests() > 0, "it goes through the proxy");
    Ok((life.outcome(&format!("{fault:?}"), was_killed, log).await?, has_struck))
}

async fn sift(parts: Parts, every: usize, offset: usize) -> Result<Tally> {
    let (parts, permits) = (Arc::new(parts), Arc::new(Semaphore::new(AT_ONCE)));
    let stories = CASES.iter().flat_map(|case| [(case, true), (case, false)]);
    let lives = stories.flat_map(|(case, recovers)| faults().into_iter().map(move |fault| (case, recovers, fault)));
    let mut tasks = JoinSet::new();
    for (life_no, (case, recovers, fault)) in lives.enumerate().skip(offset % every).step_by(every) {
        let (parts, permits) = (Arc::clone(&parts), Arc::clone(&permits));
        tasks.spawn(async move {
            // In this order, or those that wait for the nodes keep everybody else waiting.
            let _alone = if case.is_of_nodes { Some(NODES.lock().await) } else { None };
            let _permit = permits.acquire().await?;
            let name = format!("sieve-{}-{life_no}", case.name);
            let lived = through(&parts, case, recovers, fault, &name).await;
            lived.with_context(|| format!("{name}: {fault:?}"))
        });
    }
    let (mut tally, mut n_struck, mut failed) = (Tally::default(), 0, Vec::new());
    while let Some(lived) = tasks.join_next().await {
        match lived? {
            Ok((outcome, has_struck)) => {
                n_struck += usize::from(has_struck);
                tally.add(&outcome)?;
            }
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    println!("figure faults.sieve.struck {n_struck} count");
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    // Some writes have no second, and some lives fewer requests; a sieve that never strikes proves nothing.
    ensure!(n_struck * 2 > tally.n_lives, "only {n_struck} of {} faults struck", tally.n_lives);
    Ok(tally)
}

fn number(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| name.to_owned()),
        Err(_) => Ok(default),
    }
}

/// I5, I6, I7, I8, I10, I16.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_api_server_says_nothing_is_done_twice_forgotten_or_done_elsewhere() -> Result<()> {
    let parts = need_parts!("whatever_the_api_server_says_nothing_is_done_twice_forgotten_or_done_elsewhere");
    // A prime, so that the sample goes through all faults and all actions; the seed has the last fault of the first action in it, which once was forgotten.
    let every = number("HOMEOSTAT_FAULTS_EVERY", 67)?.max(1);
    sift(parts, every, number("HOMEOSTAT_FAULTS_SEED", 42)?).await?.conclude("sieve")
}
