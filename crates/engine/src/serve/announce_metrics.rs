//! Metrics of the channels, read from the announcer at each scrape.

use std::fmt;
use std::sync::Arc;

use homeostat_announce::{Announcer, ChannelStatus, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Reads how the channels do.
pub(crate) struct AnnounceMetrics(pub(crate) Arc<Announcer>);

impl fmt::Debug for AnnounceMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnnounceMetrics")
    }
}

impl Collector for AnnounceMetrics {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        encode(&self.0.status(), encoder)
    }
}

fn encode(status: &Status, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
    let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, values: &[(&[(&str, &str)], f64)]| {
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            if labels.is_empty() {
                metric.encode_gauge(value)?;
            } else {
                metric.encode_family(labels)?.encode_gauge(value)?;
            }
        }
        Ok::<(), fmt::Error>(())
    };
    let bit = |yes: bool| if yes { 1.0 } else { 0.0 };
    let no_labels: &[(&str, &str)] = &[];
    gauge(
        "outbox_pending",
        "Events that wait to be delivered, over all channels",
        None,
        &[(no_labels, status.n_pending() as f64)],
    )?;
    gauge(
        "outbox_only_in_memory",
        "Events that wait and would not survive a restart, because the outbox could not be written",
        None,
        &[(no_labels, status.n_only_in_memory as f64)],
    )?;
    gauge(
        "outbox_writable",
        "1 unless the outbox could not be written the last time",
        None,
        &[(no_labels, bit(status.outbox_writable))],
    )?;
    let channels = &status.channels;
    let names: Vec<[(&str, &str); 1]> = channels.iter().map(|channel| [("channel", channel.name.as_str())]).collect();
    let per_channel = |value: fn(&ChannelStatus) -> f64| -> Vec<(&[(&str, &str)], f64)> {
        channels.iter().zip(&names).map(|(channel, labels)| (labels.as_slice(), value(channel))).collect()
    };
    gauge(
        "announce_channel_up",
        "1 unless the channel's latest attempt failed",
        None,
        &per_channel(|channel| if channel.up { 1.0 } else { 0.0 }),
    )?;
    gauge(
        "announce_oldest_pending",
        "Age of the oldest event that waits on the channel",
        Some(&Unit::Seconds),
        &per_channel(|channel| channel.oldest_pending.as_secs_f64()),
    )?;
    let kinds: Vec<[[(&str, &str); 2]; 2]> = channels
        .iter()
        .map(|channel| ["change", "escalation"].map(|kind| [("channel", channel.name.as_str()), ("kind", kind)]))
        .collect();
    let per_kind = |value: fn(&ChannelStatus) -> [u64; 2]| {
        let mut values: Vec<(&[(&str, &str)], f64)> = Vec::new();
        for (channel, [of_changes, of_escalations]) in channels.iter().zip(&kinds) {
            let [changes, escalations] = value(channel);
            values.extend([(of_changes.as_slice(), changes as f64), (of_escalations.as_slice(), escalations as f64)]);
        }
        values
    };
    gauge(
        "announce_pending",
        "Events that wait on the channel",
        None,
        &per_kind(|channel| [channel.n_pending_changes, channel.n_pending_escalations]),
    )?;
    gauge(
        "announce_failed",
        "Events that were given up after hours of attempts and are kept in the outbox",
        None,
        &per_kind(|channel| [channel.n_failed_changes, channel.n_failed_escalations]),
    )?;
    let mut attempts =
        encoder.encode_descriptor("announce_attempts", "Attempts to deliver, by result", None, MetricType::Counter)?;
    for channel in channels {
        for (result, n_attempts) in channel.attempts {
            let labels = [("channel", channel.name.as_str()), ("result", result)];
            attempts.encode_family(&labels)?.encode_counter::<[(&str, &str); 0], _, u64>(&n_attempts, None)?;
        }
    }
    let mut dropped = encoder.encode_descriptor(
        "announce_dropped",
        "Changes dropped because too many waited",
        None,
        MetricType::Counter,
    )?;
    for channel in channels {
        let labels = [("channel", channel.name.as_str())];
        dropped.encode_family(&labels)?.encode_counter::<[(&str, &str); 0], _, u64>(&channel.n_dropped, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use homeostat_announce::{Channels, Outbox, RealClock};

    use super::*;
    use crate::serve::metrics::Metrics;

    #[test]
    fn every_channel_is_shown_with_its_backlog_and_results() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&directory.path().join("outbox.db")).unwrap();
        let clock = Arc::new(RealClock::new(crate::clock::now));
        let announcer = Announcer::new("homeostat", &Channels::default(), outbox, clock).unwrap();
        let text = Metrics::new().with_channels(&Arc::new(announcer)).text();
        for line in [
            "homeostat_outbox_pending 0",
            "homeostat_outbox_writable 1",
            "homeostat_outbox_only_in_memory 0",
            "homeostat_announce_channel_up{channel=\"log\"} 1",
            "homeostat_announce_oldest_pending_seconds{channel=\"log\"} 0",
            "homeostat_announce_pending{channel=\"log\",kind=\"escalation\"} 0",
            "homeostat_announce_failed{channel=\"log\",kind=\"change\"} 0",
            "homeostat_announce_attempts_total{channel=\"log\",result=\"accepted\"} 0",
            "homeostat_announce_dropped_total{channel=\"log\"} 0",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
