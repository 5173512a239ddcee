//! Ed25519 keys as OpenSSL writes them, and signatures by them.

use std::path::Path;

use anyhow::Context;
use homeostat_journal::Signature;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

const ALGORITHM: &str = "ed25519";

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key to sign with.
pub(super) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads a PKCS #8 PEM file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let advice = || {
            format!("{}: no Ed25519 private key; make one with `openssl genpkey -algorithm ed25519`", path.display())
        };
        let key = PrivatePkcs8KeyDer::from_pem_file(path).with_context(advice)?;
        // OpenSSL writes keys without their public half, which this reads as well.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der());
        pair.map(Self).map_err(|error| anyhow::anyhow!("{}: {error}", advice()))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        Signature {
            algorithm: ALGORITHM.to_owned(),
            public_key: hex(self.0.public_key().as_ref()),
            value: hex(self.0.sign(message).as_ref()),
        }
    }
}

/// The key that must have signed.
pub(super) struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo PEM file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let advice =
            || format!("{}: no Ed25519 public key; `openssl pkey -in PRIVATE -pubout` prints one", path.display());
        let info = SubjectPublicKeyInfoDer::from_pem_file(path).with_context(advice)?;
        let key = info.as_ref().strip_prefix(&SPKI_PREFIX).filter(|key| key.len() == 32);
        key.map(|key| Self(key.to_vec())).with_context(advice)
    }
}

/// Whether the signature is one of the message, by `known` if that is given, else by the key that it names.
pub(super) fn check(message: &[u8], signature: &Signature, known: Option<&PublicKey>) -> Result<(), String> {
    if signature.algorithm != ALGORITHM {
        return Err(format!("it is signed with {}, and only {ALGORITHM} is read", signature.algorithm));
    }
    let malformed = || "the signature isn't one".to_owned();
    let named = unhex(&signature.public_key).ok_or_else(malformed)?;
    if known.is_some_and(|known| known.0 != named) {
        return Err(format!("it is signed by another key, {}", signature.public_key));
    }
    let value = unhex(&signature.value).ok_or_else(malformed)?;
    let verified = UnparsedPublicKey::new(&ED25519, named).verify(message, &value);
    verified.map_err(|_| "the signature doesn't go with what is in the file".to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
