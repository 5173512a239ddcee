//! Content digests, for ids that are the same wherever and whenever the same thing is seen.

use sha2::{Digest, Sha256};

/// SHA-256 of the parts, each preceded by its length so that `("ab","c")` and `("a","bc")` differ; lower-case hex.
///
/// ```
/// use homeostat_core::sha256_hex;
///
/// assert_ne!(sha256_hex(&[b"ab", b"c"]), sha256_hex(&[b"a", b"bc"]));
/// assert_eq!(sha256_hex(&[b"ab"]).len(), 64);
/// ```
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 16 hex digits of [`sha256_hex`]: short enough for a log line. 64 bits keep the chance of
/// two equal ids among a million incidents below one in ten million.
///
/// ```
/// use homeostat_core::{sha256_hex, short_id};
///
/// let id = short_id(&[b"incident", b"cart"]);
/// assert_eq!(id.len(), 16);
/// assert!(sha256_hex(&[b"incident", b"cart"]).starts_with(&id));
/// ```
pub fn short_id(parts: &[&[u8]]) -> String {
    let mut hex = sha256_hex(parts);
    hex.truncate(16);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_borders_between_parts_count() {
        assert_ne!(sha256_hex(&[b"ab", b"c"]), sha256_hex(&[b"a", b"bc"]));
        assert_eq!(short_id(&[b"ab"]).len(), 16);
    }
}
