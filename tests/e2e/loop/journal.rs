//! The journal's store over a real API server: pages, archive, sweeping and the fence, as over the one in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_core::Timestamp;
use homeostat_execute::{ApiThread, ConnectSpec};
use homeostat_journal::{Journal, JournalError, KubernetesStore, Note};
use homeostat_remediate::KillSwitch;
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::scratch::Scratch;
use homeostat_tests::{http, manifest, need_parts, workload};

/// More rows than a page of a list has.
const N_ROWS: i64 = 540;

fn at(n: i64) -> Timestamp {
    Timestamp::from_secs(n * 3600)
}

fn switch(n: i64) -> Note {
    Note::KillSwitch(KillSwitch { engaged: n % 2 == 0, why: format!("drill {n}") })
}

/// A journal that writes, and its store.
fn leading(plane: &ControlPlane, archive: PathBuf) -> Result<(Journal, Arc<KubernetesStore>)> {
    let kubeconfig = Some(plane.kubeconfig_path().to_owned());
    let spec = ConnectSpec { kubeconfig, context: None, timeout: Duration::from_secs(10) };
    let objects = Arc::new(ApiThread::start(&spec)?);
    let store = Arc::new(KubernetesStore::new(objects, "journal", archive, Arc::new(|| Ok(()))));
    Ok((Journal::following(Box::new(Arc::clone(&store)), "not yet"), store))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_journal_in_the_cluster_is_read_in_pages_archived_swept_and_fenced() -> Result<()> {
    let parts = need_parts!("a_long_journal_in_the_cluster_is_read_in_pages_archived_swept_and_fenced");
    http::use_ring();
    let plane = ControlPlane::shared(&parts).await?;
    let client = plane.client().await?;
    workload::create_namespace(&client, "journal").await?;
    manifest::apply(&client, include_str!("../../../deploy/crds/journal.yaml")).await?;
    let scratch = Scratch::new("journal")?;
    let archive = scratch.path().join("journal.db");
    let (journal, store) = leading(plane, archive.clone())?;
    journal.lead(store.claim(None).await?)?;
    for n in 0..N_ROWS {
        ensure!(journal.note(&switch(n), at(n))?, "row {n}");
    }
    assert_eq!(journal.verify_chain()?, journal.head());
    assert_eq!(journal.head().seq, N_ROWS);

    // The oldest go; what is left holds together, and their objects are removed.
    let n_archived = journal.archive(at(100), at(N_ROWS))?;
    assert_eq!(n_archived, 100);
    let mut n_swept = 0;
    loop {
        match store.sweep(40).await? {
            0 => break,
            n => n_swept += n,
        }
    }
    ensure!((90..=100).contains(&n_swept), "{n_swept} objects were removed");
    assert_eq!(journal.verify_chain()?, journal.head());

    // Another process takes over, reads all of it, and the first one is fenced.
    let (second, second_store) = leading(plane, archive)?;
    second.lead(second_store.claim(None).await?)?;
    assert_eq!(second.head(), journal.head());
    assert_eq!(second.kill_switch()?, journal.kill_switch()?);
    let error = journal.note(&switch(N_ROWS), at(N_ROWS)).err().context("the first one is fenced")?;
    ensure!(matches!(error, JournalError::Fenced { .. }), "{error}");
    ensure!(second.note(&switch(N_ROWS), at(N_ROWS))?, "the second one writes");
    journal.follow("the second one writes");
    journal.refresh()?;
    assert_eq!(journal.head(), second.head());
    Ok(())
}
