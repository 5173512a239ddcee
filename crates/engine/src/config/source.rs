//! `datasources`: where the metrics are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use homeostat_ingest::{Authorization, Credential, Secret, ServerUrl};
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
    /// Who asks, if the server wants to know.
    pub(crate) authorization: Option<Authorization>,
    /// The certificate authorities to trust instead of the machine's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Two requests at a time: enough to hide the round trip, never enough to crowd a Prometheus that others need.
const CONCURRENCY_DEFAULT: u32 = 2;
/// Series a query may answer with: a thousand workloads with ten pods each. More is nearly always a query without `by`.
const SERIES_DEFAULT: u32 = 10_000;

pub(super) fn read(reader: &mut Reader<'_>, base: &Path, step: Duration) -> Option<DataSource> {
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
    // The text itself is never repeated: without its scheme, too, it may hold a password.
    if let Some(Err(error)) = url.as_ref().map(|url| url.parse::<ServerUrl>()) {
        inner.reject("url", error);
    }
    // A cycle must end within its step even when an answer is slow, yet a loaded server deserves some seconds.
    let timeout_default = step.clamp(Duration::from_secs(5), Duration::from_secs(30));
    let source = DataSource {
        name: inner.text("name").unwrap_or_else(|| "prometheus".to_owned()),
        url: url.unwrap_or_default(),
        timeout: inner.duration("timeout").unwrap_or(timeout_default),
        concurrency_max: inner.count("concurrency_max", 1..=16).unwrap_or(CONCURRENCY_DEFAULT),
        series_max: inner.count("series_max", 1..=1_000_000).unwrap_or(SERIES_DEFAULT),
        authorization: read_authorization(&mut inner, base),
        ca_file: inner.section("tls_config", |tls| tls.text("ca_file")).flatten().map(|path| base.join(path)),
    };
    inner.finish();
    Some(source)
}

/// `authorization` or `basic_auth`, with Prometheus's own names.
fn read_authorization(reader: &mut Reader<'_>, base: &Path) -> Option<Authorization> {
    let bearer = reader.section("authorization", |section| {
        read_credential(section, base, "credentials", "credentials_file").map(Authorization::Bearer)
    });
    let basic = reader.section("basic_auth", |section| {
        let username = section.text("username");
        let username = section.require("username", username);
        let password = read_credential(section, base, "password", "password_file");
        Some(Authorization::Basic { username: username?, password: password? })
    });
    if bearer.is_some() && basic.is_some() {
        reader.reject("basic_auth", "authorization is given, too: only one of them can be sent");
    }
    bearer.or(basic).flatten()
}

/// A secret, or the file that has it. Neither is repeated in a problem.
fn read_credential(
    reader: &mut Reader<'_>,
    base: &Path,
    key: &'static str,
    file_key: &'static str,
) -> Option<Credential> {
    let (inline, file) = (reader.text(key), reader.text(file_key));
    match (inline, file) {
        (Some(secret), None) => Some(Credential::Inline(Secret::new(secret))),
        (None, Some(path)) => Some(Credential::File(base.join(path))),
        (Some(_), Some(_)) => {
            reader.reject(file_key, format_args!("{key} is given, too: leave one of them out"));
            None
        }
        (None, None) => {
            let (place, path) = (reader.place(), reader.path_of(file_key));
            reader.problem(place, format!("{path} is missing"));
            None
        }
    }
}
