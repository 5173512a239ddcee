//! Each right of each action, dropped: what comes of it is a refusal that names the verb and the resource, and nothing is changed before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_execute::{Executor, actions};
use homeostat_remediate::{Action, ActionName, Right};
use homeostat_tests::need_parts;
use homeostat_tests::parts::Parts;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::case::{CASES, Case, NODES};
use crate::stage::{Stage, journal};

/// Stages at once.
const AT_ONCE: usize = 6;

/// Cycles that an action of several writes is given to say what it lacks.
const CYCLES: usize = 20;

/// What came of acting without a right.
#[derive(Debug, PartialEq)]
enum Without {
    /// A refusal that names it, before anything was changed.
    Refused,
    /// It was done as ever: this case doesn't need the right.
    NotNeeded,
    /// Anything else.
    Otherwise(String),
}

fn all_rights(case: &Case) -> Result<Vec<Right>> {
    let name = ActionName::new(case.action);
    let all = actions();
    let action: &dyn Action = all.get(&name).context("the action")?;
    Ok(action.spec().rights_for(case.kind).chain(action.cluster_rights().iter().copied()).collect())
}

async fn without(parts: &Parts, case: &'static Case, dropped: Right, namespace: &str) -> Result<Without> {
    let stage = case.stage(parts, namespace).await?;
    let (identity, executor) = stage.acting_without(dropped).await?;
    let names_it = |text: &str| {
        let dot = if dropped.group.is_empty() { "" } else { "." };
        text.contains(&format!("not allowed to {} {}{dot}{}", dropped.verb, dropped.resource, dropped.group))
            && text.contains("homeostat rbac")
    };
    let verdict = match tried(&stage, &executor).await {
        Ok(()) => Without::NotNeeded,
        Err(error) => {
            let text = format!("{error:#}");
            let changes = stage.plane.changes_by(&identity.user).await?;
            if !names_it(&text) {
                Without::Otherwise(text)
            } else if !changes.is_empty() {
                Without::Otherwise(format!("{} changes were made before: {text}", changes.len()))
            } else {
                Without::Refused
            }
        }
    };
    stage.leave().await?;
    Ok(verdict)
}

/// The way of an action; the error says where it was refused.
async fn tried(stage: &Stage, executor: &homeostat_execute::Registry) -> Result<()> {
    let plan = stage.plan_by(executor).await?;
    executor.dry_run(&plan).await?;
    let journaled = journal(&plan)?;
    executor.apply(&journaled, &plan.target.resource_version).await?;
    let mut last = Ok(());
    for _ in 0..CYCLES {
        last = executor.go_on(&journaled).await.map_err(anyhow::Error::from);
        if last.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    last?;
    executor.outcome_of_write(&plan).await?;
    executor.progress(&plan).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_right_that_is_dropped_is_named_before_anything_is_changed() -> Result<()> {
    let parts = Arc::new(need_parts!("every_right_that_is_dropped_is_named_before_anything_is_changed"));
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut wanted: BTreeMap<&str, BTreeSet<Right>> = BTreeMap::new();
    for case in CASES {
        for (right_no, right) in all_rights(case)?.into_iter().enumerate() {
            wanted.entry(case.action).or_default().insert(right);
            let (parts, permits) = (Arc::clone(&parts), Arc::clone(&permits));
            tasks.spawn(async move {
                let _alone = if case.is_of_nodes { Some(NODES.lock().await) } else { None };
                let _permit = permits.acquire().await?;
                let namespace = format!("rights-{}-{right_no}", case.name);
                let verdict = without(&parts, case, right, &namespace).await.with_context(|| namespace.clone())?;
                anyhow::Ok((case, right, verdict))
            });
        }
    }
    let (mut n_refused, mut wrong) = (0, Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (case, right, verdict) = done??;
        match verdict {
            Without::Refused => {
                n_refused += 1;
                if let Some(rights) = wanted.get_mut(case.action) {
                    rights.remove(&right);
                }
            }
            Without::NotNeeded => {}
            Without::Otherwise(text) => wrong.push(format!("{} without {right}: {text}", case.name)),
        }
    }
    println!("figure faults.rights.refused {n_refused} count");
    let unneeded: Vec<String> = wanted
        .iter()
        .flat_map(|(action, rights)| rights.iter().map(move |right| format!("{action}: {right}")))
        .collect();
    ensure!(wrong.is_empty() && unneeded.is_empty(), "{}\nnever missed: {unneeded:?}", wrong.join("\n"));
    Ok(())
}
