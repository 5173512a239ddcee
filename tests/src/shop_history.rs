//! The shop's past, as an OpenMetrics file for Prometheus to be back-filled with.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use homeostat_core::Timestamp;

use crate::exporter::{labels_text, number};
use crate::prometheus::Setup;
use crate::scratch::Scratch;
use crate::shop::{JOBS, Shop};
use crate::shop_feed;

/// Writes what would have been scraped every `step` from the shop's moment up to `until`, where the shop is
/// afterwards. Returns the number of samples.
///
/// # Errors
/// When the file can't be written.
pub fn write(shop: &mut Shop, until: Timestamp, step: Duration, path: &Path) -> Result<usize> {
    let file = File::create(path).with_context(|| format!("writing {}", path.display()))?;
    let mut file = BufWriter::new(file);
    let step_ms = i64::try_from(step.as_millis())?;
    let mut n_samples = 0;
    loop {
        n_samples += write_scrape(shop, &mut file)?;
        let next = Timestamp::from_millis(shop.now().as_millis() + step_ms);
        if next > until {
            break;
        }
        shop.advance(next);
    }
    writeln!(file, "# EOF")?;
    file.flush()?;
    Ok(n_samples)
}

/// One scrape of each job, with the labels that Prometheus would have added.
fn write_scrape(shop: &Shop, file: &mut impl Write) -> Result<usize> {
    let at_s = shop.now().as_secs_f64();
    let mut n_samples = 0;
    for (job, page) in JOBS.iter().zip(shop.pages()) {
        let mut added = vec![("job", *job), ("instance", *job)];
        added.extend_from_slice(shop_feed::job_labels(job));
        let added = labels_text(&added);
        let added = added.trim_start_matches('{').trim_end_matches('}');
        writeln!(file, "up{{{added}}} 1 {at_s}")?;
        for (name, labels, value) in page.series() {
            let own = labels.trim_start_matches('{').trim_end_matches('}');
            let comma = if own.is_empty() { "" } else { "," };
            writeln!(file, "{name}{{{own}{comma}{added}}} {} {at_s}", number(value))?;
            n_samples += 1;
        }
    }
    Ok(n_samples)
}

/// As [`write`], into `scratch`, and the [`Setup`] of a Prometheus that has this past. Its jobs are still to be added.
///
/// # Errors
/// As [`write`].
pub fn setup(shop: &mut Shop, until: Timestamp, step: Duration, scratch: &Scratch) -> Result<Setup> {
    let path = scratch.path().join("history.om");
    write(shop, until, step, &path)?;
    Ok(Setup { history: Some(path), ..Setup::default() })
}
