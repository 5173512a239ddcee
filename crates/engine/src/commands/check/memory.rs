//! How much memory a config will take, told before anything is pulled or trained.

use homeostat_core::format_duration;
use homeostat_detect::{MemoryEstimate, estimate};

use crate::config::Config;
use crate::serve::window_rows::WINDOW_ROWS;
use crate::training::ensemble_spec;

/// A measurement in a window.
const CELL_BYTES: usize = size_of::<f64>();

/// A measurement of the history, which is kept in a file while models are trained.
const TRAINING_CELL_BYTES: usize = CELL_BYTES;

/// Lines for a person: what a workload takes, by part, and all workloads there may be.
pub(super) fn text(config: &Config) -> String {
    let n_features = config.queries.n_queries();
    let workloads_max = config.limits.workloads_max;
    let models = estimate(&ensemble_spec(&config.detection), n_features, config.step, config.history);
    let rows_bytes = WINDOW_ROWS * n_features * CELL_BYTES;
    let shares = config.detection.share_models;
    let own_bytes = models.subject_bytes() - if shares { models.shared_bytes() } else { 0 } + rows_bytes;
    let all_bytes =
        own_bytes.saturating_mul(config.limits.workloads_max) + if shares { models.shared_bytes() } else { 0 };
    let shared = if shares {
        format!("; {} of it once for all workloads of a kind", bytes_text(models.shared_bytes()))
    } else {
        String::new()
    };
    let n_steps = usize::try_from(config.history.as_millis() / config.step.as_millis().max(1)).unwrap_or(usize::MAX);
    let training_bytes = n_steps.saturating_mul(n_features * TRAINING_CELL_BYTES);
    format!(
        "memory, estimated: {} a workload ({}; rows {}{shared})\n\
         memory, estimated: {} for each workload more, {} a series; {} for {workloads_max} workloads, the most there may be (limits.workloads_max)\n\
         disk, estimated: while training on {}, {} a workload\n",
        bytes_text(models.subject_bytes() + rows_bytes),
        parts_text(&models),
        bytes_text(rows_bytes),
        bytes_text(own_bytes),
        bytes_text(own_bytes / n_features.max(1)),
        bytes_text(all_bytes),
        format_duration(config.history),
        bytes_text(training_bytes),
    )
}

fn parts_text(models: &MemoryEstimate) -> String {
    let parts: Vec<String> =
        models.parts().iter().map(|(name, bytes)| format!("{name} {}", bytes_text(*bytes))).collect();
    parts.join(", ")
}

/// In the largest unit that leaves at least 1, with one decimal below 10.
pub(in crate::commands) fn bytes_text(bytes: usize) -> String {
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in ["MiB", "GiB", "TiB"] {
        if value >= 1024.0 {
            value /= 1024.0;
            unit = larger;
        }
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(more: &str) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.yaml");
        let yaml = "datasources: [{url: 'http://127.0.0.1:9090'}]\nqueries: {a: up, b: up, c: up, d: up}\n";
        std::fs::write(&path, format!("{yaml}{more}")).expect("written");
        text(&crate::config::load(&path).expect("a config").config)
    }

    #[test]
    fn every_detector_and_the_whole_are_told_before_start() {
        let told = text_of("");
        for part in ["a workload", "a series", "rows", "forest", "dbscan", "forecast", "autoencoder", "10000 workloads"]
        {
            assert!(told.contains(part), "{part} isn't in {told}");
        }
        assert!(!text_of("detectors: [forest, residual]\n").contains("autoencoder"));
    }

    #[test]
    fn a_longer_history_takes_more_to_train_on() {
        // 10 080 rows of 4 features, 8 bytes each.
        assert!(
            text_of("global: {step: 60s, history: 7d}\n").contains("while training on 1w, 315 KiB a workload"),
            "{}",
            text_of("")
        );
        assert!(text_of("global: {step: 60s, history: 14d}\n").contains("while training on 2w, 630 KiB a workload"));
    }

    #[test]
    fn bytes_are_told_in_a_unit_that_can_be_read() {
        for (bytes, text) in [(512, "0.5 KiB"), (10 << 10, "10 KiB"), (3 << 29, "1.5 GiB"), (1 << 20, "1.0 MiB")] {
            assert_eq!(bytes_text(bytes), text);
        }
    }
}
