//! What the cluster itself says, while homeostat serves: the cause is named, a restart that can't cure it is refused, and what may not
//! be watched is done without.

use anyhow::{Context, Result, ensure};
use homeostat_tests::rights::allow;
use homeostat_tests::{need_parts, shop_feed, wait, workload};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::scene::{SOON, Scene, VICTIM, least_rights, on_storage, refusals, tail};

/// Makes all pods of the newest revision crash in a loop, as a kubelet writes it.
async fn crash_newest(scene: &Scene) -> Result<()> {
    let sets = workload::replica_sets_of(&scene.client, &scene.namespace, VICTIM).await?;
    let newest = sets.last().context("a revision")?.name_any();
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), &scene.namespace);
    // Longer ago than the grace of crash loops.
    let now = shop_feed::now() - std::time::Duration::from_secs(180);
    let now = now.align_down(std::time::Duration::from_secs(1)).to_string();
    for pod in workload::pods_of(&scene.client, &scene.namespace, VICTIM).await? {
        if !pod.name_any().starts_with(&newest) {
            continue;
        }
        let container = json!({
            "name": VICTIM, "image": "registry.example/payment-api:2.0.0", "imageID": "", "ready": false, "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 1m20s restarting failed container=payment-api"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}},
        });
        let status = json!({"status": {"containerStatuses": [container]}});
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_new_revision_that_crashes_is_named_and_a_restart_that_cant_cure_it_is_refused() -> Result<()> {
    let parts = need_parts!("a_new_revision_that_crashes_is_named_and_a_restart_that_cant_cure_it_is_refused");
    let look = ["list", "watch"];
    let mut rights = least_rights();
    // Nodes aren't among them: they are in no namespace, and nobody gave the right.
    rights.push(allow("", &["pods", "events", "services", "persistentvolumeclaims"], &look));
    rights.push(allow("apps", &["deployments", "replicasets", "statefulsets", "daemonsets"], &look));
    rights.push(allow("autoscaling", &["horizontalpodautoscalers"], &look));
    rights.push(allow("policy", &["poddisruptionbudgets"], &look));
    let scene = Scene::set(&parts, "facts", &rights).await?.acting_by("rollout-restart");
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("execute", &bundle)?;
    homeostat.start().await?;

    workload::set_image(&scene.client, &scene.namespace, VICTIM, "registry.example/payment-api:2.0.0").await?;
    workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    crash_newest(&scene).await?;
    let row = scene
        .incident(&homeostat, "the incident is refused because of the fact", |row| {
            row["incident"]["type"] == "bad-deployment" && refusals(row).iter().any(|code| code == "fact-forbids")
        })
        .await?;
    let fact = &row["incident"]["annotations"][0]["fact"];
    let sentence = fact["sentence"].as_str().context("a sentence")?;
    ensure!(sentence.contains("crashes again and again: exit code 1"), "{row:#}");
    ensure!(sentence.ends_with("since revision 2"), "{row:#}");

    let id = row["incident"]["id"].as_str().context("an id")?;
    let page = on_storage(&homeostat, &["incident", "show", id]).await?.output;
    ensure!(page.contains("certain: the cluster itself says what it is") && page.contains("exit code 1"), "{page}");
    homeostat.wait_log("escalated", SOON).await?;

    // The oracle: nothing was written, and what may not be watched was told once.
    assert_eq!(scene.changes().await?, Vec::<String>::new());
    assert_eq!(scene.n_replica_sets().await?, 2, "the one of before and the one that crashes");
    let told = |log: &str| log.lines().filter(|line| line.contains("can't be watched")).count();
    let log = homeostat.log();
    ensure!(told(&log) == 1 && log.contains("nodes"), "{}", tail(&log));
    wait::until_true("the metrics count it", SOON, || async {
        let metrics = homeostat_tests::http::get(&format!("{}/metrics", homeostat.base_url())).await?;
        Ok(metrics.contains(r#"homeostat_cluster_facts{fact="crash-loop"} 1"#)
            && metrics.contains(r#"homeostat_cluster_watch_up{resource="nodes"} 0"#)
            && metrics.contains(r#"homeostat_cluster_watch_up{resource="pods"} 1"#))
    })
    .await
}
