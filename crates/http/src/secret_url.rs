//! A URL that may hold a secret.

use std::fmt;

use reqwest::Url;

/// Parts of a URL's path that are shorter are words, not tokens; masking those would make messages unreadable.
const TOKEN_CHARS_MIN: usize = 6;

/// A URL that may hold a secret, as those of chat services do: it is shown nowhere, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(<secret>)")
    }
}

impl SecretUrl {
    /// The URL to send to, or what is wrong with it. The messages never repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !(text.starts_with("http://") || text.starts_with("https://")) {
            return Err("must begin with http:// or https://".to_owned());
        }
        match Url::parse(text) {
            Ok(url) if url.has_host() => Ok(Self(url)),
            Ok(_) => Err("has no host; write it as https://host/path".to_owned()),
            Err(error) => Err(format!("isn't a valid URL ({error}); write it as https://host/path")),
        }
    }

    /// What may be shown of it: where it leads, without path, query and credentials.
    ///
    /// ```
    /// use homeostat_http::SecretUrl;
    ///
    /// let url = SecretUrl::parse("https://bot:pass@hooks.example:8443/services/T0KEN?key=1")?;
    /// assert_eq!(url.origin(), "https://hooks.example:8443");
    /// # Ok::<(), String>(())
    /// ```
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The URL of a path below this one, as `api/v2/alerts` below the address of a server; or why there is none.
    ///
    /// ```
    /// use homeostat_http::SecretUrl;
    ///
    /// let below = SecretUrl::parse("http://127.0.0.1:9093/prefix")?.join("api/v2/alerts")?;
    /// assert_eq!(below.redact("at /prefix/api/v2/alerts"), "at <secret>");
    /// # Ok::<(), String>(())
    /// ```
    pub fn join(&self, path: &str) -> Result<Self, String> {
        let mut url = self.0.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path.split('/')),
            Err(()) => return Err("has no path that could be extended".to_owned()),
        };
        Ok(Self(url))
    }

    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    /// The text without any part of the URL that may be secret: receivers like to repeat what they were asked for.
    pub fn redact(&self, text: &str) -> String {
        let url = &self.0;
        let mut secrets = vec![url.as_str().to_owned(), url.path().to_owned(), url.username().to_owned()];
        secrets.extend(url.query().map(str::to_owned));
        secrets.extend(url.password().map(str::to_owned));
        secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        secrets.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
        secrets.retain(|secret| secret.chars().count() >= TOKEN_CHARS_MIN);
        // The longest first: a part of what was masked already must not be left standing.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "<secret>"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_hides_is_hidden_wherever_it_is_repeated() {
        let url = SecretUrl::parse("https://bot:passw0rd@chat.example/services/T0KEN123?key=qwertz77").unwrap();
        let answer = "404: POST /services/T0KEN123?key=qwertz77 as bot passw0rd: no service T0KEN123 for qwertz77";
        let shown = url.redact(answer);
        for secret in ["T0KEN123", "qwertz77", "passw0rd"] {
            assert!(!shown.contains(secret) && !url.origin().contains(secret), "{shown}");
        }
        assert!(shown.starts_with("404: POST <secret>"), "{shown}");
        assert_eq!(format!("{url:?}"), "SecretUrl(<secret>)");
    }

    #[test]
    fn only_what_can_be_sent_to_is_taken() {
        for good in ["http://127.0.0.1:8099/escalations", "https://u:p@host/x?y=z"] {
            assert!(SecretUrl::parse(good).is_ok(), "{good}");
        }
        for bad in ["host/path", "user:secret@host", "ftp://secret/", "https://", "http://[secret", ""] {
            let why = SecretUrl::parse(bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
