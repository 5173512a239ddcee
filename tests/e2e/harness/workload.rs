//! Deployments roll out, restart, are replaced, and suffer.

use anyhow::{Context, Result};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::{need_parts, wait, workload};
use serde_json::{Value, json};

#[tokio::test]
async fn three_replicas_roll_out_and_a_restart_makes_a_second_replica_set() -> Result<()> {
    let parts = need_parts!("three_replicas_roll_out_and_a_restart_makes_a_second_replica_set");
    let client = ControlPlane::shared(&parts).await?.client().await?;
    workload::create_namespace(&client, "rollout").await?;
    let deployed = workload::deploy(&client, "rollout", "payment-api", 3).await?;
    assert_eq!(workload::pods_of(&client, "rollout", "payment-api").await?.len(), 3);
    assert_eq!(workload::replica_sets_of(&client, "rollout", "payment-api").await?.len(), 1);

    workload::restart(&client, "rollout", "payment-api").await?;
    let restarted = workload::wait_rolled_out(&client, "rollout", "payment-api").await?;
    assert_eq!(restarted.metadata.uid, deployed.metadata.uid);
    assert_eq!(workload::replica_sets_of(&client, "rollout", "payment-api").await?.len(), 2);

    workload::set_image(&client, "rollout", "payment-api", "registry.example/payment-api:2.0.0").await?;
    workload::wait_rolled_out(&client, "rollout", "payment-api").await?;
    assert_eq!(workload::replica_sets_of(&client, "rollout", "payment-api").await?.len(), 3);

    workload::scale(&client, "rollout", "payment-api", 5).await?;
    workload::wait_rolled_out(&client, "rollout", "payment-api").await?;
    assert_eq!(workload::pods_of(&client, "rollout", "payment-api").await?.len(), 5);
    Ok(())
}

#[tokio::test]
async fn a_recreated_deployment_has_the_name_and_another_uid() -> Result<()> {
    let parts = need_parts!("a_recreated_deployment_has_the_name_and_another_uid");
    let client = ControlPlane::shared(&parts).await?.client().await?;
    workload::create_namespace(&client, "recreate").await?;
    let first = workload::deploy(&client, "recreate", "cart", 2).await?;
    let second = workload::recreate(&client, "recreate", "cart").await?;
    assert_eq!(first.metadata.name, second.metadata.name);
    assert_ne!(first.metadata.uid, second.metadata.uid);
    Ok(())
}

#[tokio::test]
async fn an_oom_kill_is_seen_in_the_pods_status_and_stays() -> Result<()> {
    let parts = need_parts!("an_oom_kill_is_seen_in_the_pods_status_and_stays");
    let client = ControlPlane::shared(&parts).await?.client().await?;
    workload::create_namespace(&client, "oom").await?;
    workload::deploy(&client, "oom", "cart", 2).await?;
    let pod = workload::oom_kill(&client, "oom", "cart", 2).await?;
    assert_eq!(workload::oom_kill(&client, "oom", "cart", 1).await?, pod);
    // A change elsewhere makes KWOK look at everything again.
    workload::scale(&client, "oom", "cart", 3).await?;
    workload::wait_rolled_out(&client, "oom", "cart").await?;
    let pods = workload::pods_of(&client, "oom", "cart").await?;
    let killed = pods.iter().find(|other| other.metadata.name.as_deref() == Some(&*pod)).context("the pod is gone")?;
    let status: Value = serde_json::to_value(&killed.status)?;
    assert_eq!(status["containerStatuses"][0]["restartCount"], json!(3));
    assert_eq!(status["containerStatuses"][0]["lastState"]["terminated"]["reason"], json!("OOMKilled"));
    Ok(())
}

#[tokio::test]
async fn a_crash_loop_costs_a_replica_until_its_pod_is_replaced() -> Result<()> {
    let parts = need_parts!("a_crash_loop_costs_a_replica_until_its_pod_is_replaced");
    let client = ControlPlane::shared(&parts).await?.client().await?;
    workload::create_namespace(&client, "crash").await?;
    workload::deploy(&client, "crash", "cart", 3).await?;
    workload::crash_loop(&client, "crash", "cart").await?;
    let deployments = kube::Api::<k8s_openapi::api::apps::v1::Deployment>::namespaced(client.clone(), "crash");
    wait::until_true("a replica is missing", workload::ROLLOUT_WITHIN, || async {
        let status = deployments.get("cart").await?.status;
        Ok(status.is_some_and(|status| status.available_replicas == Some(2)))
    })
    .await?;
    workload::restart(&client, "crash", "cart").await?;
    workload::wait_rolled_out(&client, "crash", "cart").await?;
    Ok(())
}
