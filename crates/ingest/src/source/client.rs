//! The HTTP client of one Prometheus server.

use std::error::Error;

use prometheus_http_query::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::SourceError;
use crate::prometheus_config::PrometheusConfig;

/// Makes the client. Installs `ring` as the process's TLS provider if there is none: without one, making an HTTP
/// client would panic.
pub(super) fn client(config: &PrometheusConfig) -> Result<Client, SourceError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that someone else was faster, which is just as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
    }
    let mut http = reqwest::Client::builder()
        .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers(config)?)
        .connect_timeout(config.connect_timeout)
        // A redirect would turn the POST into a GET, and may lead the credentials elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // Prometheus is inside; a proxy from the environment is meant for the way out.
        .no_proxy();
    if let Some(pem) = &config.ca_pem {
        let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| SourceError::Authorities { why: chain(&error) })?;
        if roots.is_empty() {
            return Err(SourceError::Authorities { why: "there is no certificate in it".to_owned() });
        }
        http = http.tls_certs_only(roots);
    } else if !config.url.is_https() {
        // No certificate will be checked, so a machine without any must do: our own container image has none.
        http = http.tls_certs_only([]);
    }
    let http = http.build().map_err(|error| SourceError::Client(chain(&error)))?;
    Client::from(http, config.url.expose()).map_err(|error| SourceError::Client(chain(&error)))
}

fn headers(config: &PrometheusConfig) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = || SourceError::Header { name: name.clone() };
        let header: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}

/// An error with all that stand behind it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        // Some layers repeat the one below.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    text
}
