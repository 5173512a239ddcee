//! Where a channel posts to, and the secrets it needs for it, each written in the config or in a file beside it.

use std::path::{Path, PathBuf};

use homeostat_settings::{Reader, Value};

use crate::http::SecretUrl;

/// Where the URL is written.
pub(crate) enum Endpoint {
    Config(SecretUrl),
    /// Read at each attempt: a token that is renewed in it counts at once.
    File(PathBuf),
}

impl Endpoint {
    /// Reads `url` or `url_file`, one of which must be there. `None` when it reported a problem.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if let Some(file) = Self::read_file(reader)? {
            return Some(file);
        }
        let url = read_url(reader);
        reader.require_such_as("url", url, "https://receiver.example/hook").map(Self::Config)
    }

    /// As [`read`](Self::read), but where neither is there it's the service's own public address.
    pub(crate) fn read_or(reader: &mut Reader<'_>, public: &str) -> Option<Self> {
        if let Some(file) = Self::read_file(reader)? {
            return Some(file);
        }
        if reader.node("url").is_none() {
            return SecretUrl::parse(public).ok().map(Self::Config);
        }
        read_url(reader).map(Self::Config)
    }

    /// The outer `None`: it reported a problem. The inner one: there is no `url_file`.
    fn read_file(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let Some(path) = beside_config(reader, "url_file") else { return Some(None) };
        if reader.node("url").is_some() {
            reader.reject("url_file", "either url or url_file, not both");
            return None;
        }
        if let Err(why) = url_in(&path) {
            reader.reject("url_file", why);
            return None;
        }
        Some(Some(Self::File(path)))
    }

    /// The URL as it is now, or why there is none; without any part of it.
    pub(crate) fn url(&self) -> Result<SecretUrl, String> {
        match self {
            Self::Config(url) => Ok(url.clone()),
            Self::File(path) => url_in(path),
        }
    }
}

/// A secret in a file, read at each attempt.
pub(crate) struct SecretFile(PathBuf);

impl SecretFile {
    /// Reads the key, which must be there. `None` when it reported a problem.
    pub(crate) fn read(reader: &mut Reader<'_>, key: &'static str, example: &str) -> Option<Self> {
        let path = beside_config(reader, key);
        let file = Self(reader.require_such_as(key, path, example)?);
        match file.secret() {
            Ok(_) => Some(file),
            Err(why) => {
                reader.reject(key, why);
                None
            }
        }
    }

    /// The secret as it is now, without the line's end.
    pub(crate) fn secret(&self) -> Result<String, String> {
        let text = text_in(&self.0)?;
        if text.is_empty() { Err(format!("{} is empty", self.0.display())) } else { Ok(text) }
    }
}

fn read_url(reader: &mut Reader<'_>) -> Option<SecretUrl> {
    reader.get("url", |value| match value {
        Value::Text(text) => SecretUrl::parse(text),
        other => Err(format!("must be a URL, not {}", other.kind())),
    })
}

fn beside_config(reader: &mut Reader<'_>, key: &'static str) -> Option<PathBuf> {
    let directory = Path::new(reader.file()).parent().map(Path::to_owned).unwrap_or_default();
    reader.text(key).map(|path| directory.join(path))
}

fn url_in(path: &Path) -> Result<SecretUrl, String> {
    SecretUrl::parse(&text_in(path)?).map_err(|why| format!("the URL in {} {why}", path.display()))
}

fn text_in(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}
