//! How a Prometheus server is told who asks: a token or a password, from the config or from a file that somebody rotates.

use std::path::PathBuf;

use crate::secret::Secret;

/// A secret, or the file that has it.
///
/// ```
/// use homeostat_ingest::{Credential, Secret};
///
/// assert_eq!(format!("{:?}", Credential::Inline(Secret::new("hunter2"))), "Inline(<secret>)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The secret itself.
    Inline(Secret),
    /// Read for each request, as Prometheus does with its own: a rotated one holds at once.
    File(PathBuf),
}

impl Credential {
    /// The secret now, without the line end that an editor leaves.
    fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) if text.trim().is_empty() => Err(format!("{} is empty", path.display())),
                Ok(text) => Ok(Secret::new(text.trim())),
                Err(error) => Err(format!("{} can't be read: {error}", path.display())),
            },
        }
    }
}

/// The `Authorization` of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// `Bearer TOKEN`.
    Bearer(Credential),
    /// `Basic`, with a user's name and password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Credential,
    },
}

impl Authorization {
    /// The header's value now; why there is none.
    pub(crate) fn header(&self) -> Result<Secret, String> {
        match self {
            Self::Bearer(token) => Ok(Secret::new(format!("Bearer {}", token.read()?.expose()))),
            Self::Basic { username, password } => {
                let pair = format!("{username}:{}", password.read()?.expose());
                Ok(Secret::new(format!("Basic {}", base64(pair.as_bytes()))))
            }
        }
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |idx: usize| u32::from(chunk.get(idx).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for idx in 0..4 {
            if idx <= chunk.len() {
                text.push(char::from(ALPHABET[(group >> (18 - 6 * idx) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_rotated_file_holds_at_once_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let bearer = Authorization::Bearer(Credential::File(path.clone()));
        assert!(bearer.header().expect_err("there is no file").contains("token"));
        std::fs::write(&path, "first\n").expect("written");
        assert_eq!(bearer.header().map(|value| value.expose().to_owned()), Ok("Bearer first".to_owned()));
        std::fs::write(&path, "second").expect("written");
        assert_eq!(bearer.header().map(|value| value.expose().to_owned()), Ok("Bearer second".to_owned()));
        let basic = Authorization::Basic { username: "me".into(), password: Credential::Inline(Secret::new("pw")) };
        assert_eq!(basic.header().map(|value| value.expose().to_owned()), Ok("Basic bWU6cHc=".to_owned()));
        assert!(!format!("{basic:?}").contains("pw"), "{basic:?}");
    }
}
