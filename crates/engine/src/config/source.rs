//! `datasources`: where the metrics are.

use std::time::Duration;

use homeostat_settings::Reader;

/// One Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataSource {
    /// Its name in logs.
    pub(crate) name: String,
    /// Its address, with path prefix if any.
    pub(crate) url: String,
    /// Longest wait for one answer.
    pub(crate) timeout: Duration,
    /// Requests at a time.
    pub(crate) concurrency_max: u32,
    /// Series a query may answer with.
    pub(crate) series_max: u32,
}

/// Two requests at a time: enough to hide the round trip, never enough to crowd a Prometheus that others need.
const CONCURRENCY_DEFAULT: u32 = 2;
/// Series a query may answer with: a thousand workloads with ten pods each. More is nearly always a query without `by`.
const SERIES_DEFAULT: u32 = 10_000;

pub(super) fn read(reader: &mut Reader<'_>, step: Duration) -> Option<DataSource> {
    let place = reader.place();
    let items = reader.items("datasources");
    let [item] = items else {
        let place = items.get(1).map_or(place, |second| second.place);
        let message = if items.is_empty() {
            "datasources: name one Prometheus, as `- url: http://127.0.0.1:9090`".to_owned()
        } else {
            format!("datasources: one Prometheus is supported so far, {} are given", items.len())
        };
        reader.problem(place, message);
        return None;
    };
    let file = reader.file();
    let mut inner = Reader::new(file, "datasources[0]", item, reader.problems());
    let url = inner.text("url");
    let url = inner.require("url", url);
    if let Some(url) = &url
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        let place = inner.node("url").map_or(item.place, |node| node.place);
        inner.problem(place, format!("datasources[0].url: {url:?} must begin with http:// or https://"));
    }
    // A cycle must end within its step even when an answer is slow, yet a loaded server deserves some seconds.
    let timeout_default = step.clamp(Duration::from_secs(5), Duration::from_secs(30));
    let source = DataSource {
        name: inner.text("name").unwrap_or_else(|| "prometheus".to_owned()),
        url: url.unwrap_or_default(),
        timeout: inner.duration("timeout").unwrap_or(timeout_default),
        concurrency_max: inner.count("concurrency_max", 1..=16).unwrap_or(CONCURRENCY_DEFAULT),
        series_max: inner.count("series_max", 1..=1_000_000).unwrap_or(SERIES_DEFAULT),
    };
    inner.finish();
    Some(source)
}
