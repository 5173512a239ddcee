//! Where Prometheus is, in a form that can be shown.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A Prometheus server's base URL. `https://user:password@host/path` is accepted; what is shown has no credentials.
///
/// ```
/// use homeostat_ingest::ServerUrl;
///
/// let url: ServerUrl = "https://me:secret@prometheus.example/prod/".parse()?;
/// assert_eq!(url.to_string(), "https://prometheus.example/prod");
/// # Ok::<(), homeostat_ingest::NotAServerUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerUrl {
    url: reqwest::Url,
    shown: String,
}

/// Why a text is no base URL. The text itself is not repeated: it may hold a password.
///
/// ```
/// use homeostat_ingest::ServerUrl;
///
/// let refused = "ftp://me:hunter2@prometheus".parse::<ServerUrl>().map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("must be http or https") && !text.contains("hunter2")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no Prometheus URL ({0}); write it as http://prometheus:9090 or https://host/prometheus")]
pub struct NotAServerUrl(&'static str);

impl ServerUrl {
    /// The URL with credentials, to connect and never to show.
    pub(crate) fn expose(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The URL without credentials.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl FromStr for ServerUrl {
    type Err = NotAServerUrl;

    fn from_str(text: &str) -> Result<Self, NotAServerUrl> {
        let mut url = reqwest::Url::parse(text).map_err(|_| NotAServerUrl("it can't be read"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NotAServerUrl("the scheme must be http or https"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(NotAServerUrl("it must have no query and no fragment"));
        }
        // `api/v1/…` is appended with a slash: another one would make an empty path segment, which some proxies refuse.
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let mut bare = url.clone();
        bare.set_username("").map_err(|()| NotAServerUrl("there is no host"))?;
        bare.set_password(None).map_err(|()| NotAServerUrl("there is no host"))?;
        let shown = bare.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, shown })
    }
}

impl TryFrom<String> for ServerUrl {
    type Error = NotAServerUrl;
    fn try_from(text: String) -> Result<Self, NotAServerUrl> {
        text.parse()
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_kept_and_never_shown() {
        let url: ServerUrl = "https://me:hunter2@host:9090/prometheus/".parse().expect("a URL");
        assert_eq!(format!("{url} {url:?}"), "https://host:9090/prometheus https://host:9090/prometheus");
        assert_eq!(url.expose(), "https://me:hunter2@host:9090/prometheus");
    }

    #[test]
    fn what_is_no_base_url_is_refused_without_repeating_it() {
        for text in ["", "prometheus:9090", "ftp://hunter2@h", "http://", "http://h?x=hunter2", "http://h#hunter2"] {
            let error = text.parse::<ServerUrl>().expect_err(text);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
