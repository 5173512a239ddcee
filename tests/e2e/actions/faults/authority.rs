//! The cluster's certificate authority is replaced while homeostat runs, as it is once in some years, at night.

use anyhow::{Context, Result};
use homeostat_core::Subject;
use homeostat_execute::Executor;
use homeostat_remediate::{ActionName, Args};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::{need_parts, shop_feed, workload};

use crate::stage::executor_of;

#[tokio::test]
async fn an_authority_that_was_replaced_is_read_anew_without_a_restart() -> Result<()> {
    let parts = need_parts!("an_authority_that_was_replaced_is_read_anew_without_a_restart");
    let mut plane = ControlPlane::start_with_nodes(&parts, 1).await?;
    let client = plane.client().await?;
    workload::create_namespace(&client, "rotated").await?;
    workload::deploy(&client, "rotated", "cart", 1).await?;
    let executor = executor_of(plane.admin()).await?;
    let (restart, subject) = (ActionName::new("rollout-restart"), Subject::deployment("rotated", "cart"));
    let args = Args::default();
    let look = || executor.inspect_for(&restart, &subject, &args, shop_feed::now());
    let before = look().await?;
    plane.rotate_authority().await?;
    let after = look().await.context("after the authority was replaced")?;
    assert_eq!(after.uid, before.uid);
    Ok(())
}
