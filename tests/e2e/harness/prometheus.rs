//! Prometheus scrapes, restarts and stops answering.

use std::time::Duration;

use anyhow::Result;
use homeostat_tests::exporter::Exporter;
use homeostat_tests::need_parts;
use homeostat_tests::prometheus::{Prometheus, ScrapeJob, Setup};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn values_of_an_exporter_arrive_within_a_scrape() -> Result<()> {
    let parts = need_parts!("values_of_an_exporter_arrive_within_a_scrape");
    let exporter = Exporter::start()?;
    exporter.set("lamp_brightness", &[("room", "kitchen \"1\"")], 0.25);
    let job = ScrapeJob::of("lamps", &exporter).with_label("floor", "2");
    let setup = Setup { jobs: vec![job], ..Setup::default() };
    let mut prometheus = Prometheus::start(&parts, &setup).await?;

    let brightness = r#"lamp_brightness{room="kitchen \"1\"",job="lamps",instance="lamps",floor="2"}"#;
    prometheus.wait_for(brightness, SOON, |value| value == 0.25).await?;
    exporter.set("lamp_brightness", &[("room", "kitchen \"1\"")], 0.75);
    prometheus.wait_for(brightness, SOON, |value| value == 0.75).await?;

    exporter.set_broken(true);
    prometheus.wait_for(r#"up{job="lamps"}"#, SOON, |up| up == 0.0).await?;
    assert_eq!(prometheus.value(brightness).await?, None, "a broken target's series end");
    exporter.set_broken(false);
    prometheus.wait_for(brightness, SOON, |value| value == 0.75).await?;

    prometheus.kill()?;
    assert!(prometheus.query("up").await.is_err());
    prometheus.restart().await?;
    prometheus.wait_for("count_over_time(lamp_brightness[5m])", SOON, |count| count >= 2.0).await?;
    prometheus.freeze()?;
    assert!(tokio::time::timeout(Duration::from_millis(300), prometheus.query("up")).await.is_err());
    prometheus.thaw()?;
    prometheus.query("up").await?;
    Ok(())
}
