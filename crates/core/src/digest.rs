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

/// HMAC-SHA-256 of a message (RFC 2104), in lower-case hex: what a receiver with the same key checks a message by.
///
/// ```
/// use homeostat_core::hmac_sha256_hex;
///
/// // RFC 4231, test case 2.
/// let signature = hmac_sha256_hex(b"Jefe", b"what do ya want for nothing?");
/// assert_eq!(signature, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
/// ```
pub fn hmac_sha256_hex(key: &[u8], message: &[u8]) -> String {
    let mut block = [0_u8; HMAC_BLOCK];
    if key.len() > HMAC_BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The block size of SHA-256 in bytes.
const HMAC_BLOCK: usize = 64;

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

    /// RFC 4231, test cases 1, 4 and 6.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let long_key = [0xaa; 131];
        let counted: Vec<u8> = (1..=25).collect();
        for (key, message, expected) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (&counted, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                &long_key,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hmac_sha256_hex(key, message), expected);
        }
    }
}
