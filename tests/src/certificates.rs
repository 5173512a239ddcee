//! A certificate authority of a test's own, and the keys of its API server.

use std::path::PathBuf;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::scratch::Scratch;

/// The files an API server wants. The validity is rcgen's (from 1975 on), so that no clock matters.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate, for clients to trust.
    pub authority: PathBuf,
    /// The server's certificate, for 127.0.0.1 and localhost.
    pub server: PathBuf,
    /// The server's private key.
    pub server_key: PathBuf,
    /// The key that signs service-account tokens.
    pub service_account_key: PathBuf,
    /// Its public half: the API server reads that out of an RSA key by itself, but not out of this one.
    pub service_account_public_key: PathBuf,
}

impl Certificates {
    /// Makes them in `scratch`.
    ///
    /// # Errors
    /// When a key can't be made or a file not written.
    pub fn make(scratch: &Scratch) -> Result<Self> {
        let service_account_key = KeyPair::generate()?;
        let server = Server::make()?;
        Ok(Self {
            authority: scratch.write("ca.crt", server.authority)?,
            server: scratch.write("apiserver.crt", server.certificate)?,
            server_key: scratch.write("apiserver.key", server.key)?,
            service_account_key: scratch.write("service-account.key", service_account_key.serialize_pem())?,
            service_account_public_key: scratch.write("service-account.pub", service_account_key.public_key_pem())?,
        })
    }

    /// Puts another authority in the place of this one, with another certificate of the server. Tokens stay good.
    ///
    /// # Errors
    /// As [`Certificates::make`].
    pub(crate) fn rotate(&self) -> Result<()> {
        let server = Server::make()?;
        std::fs::write(&self.authority, server.authority)?;
        std::fs::write(&self.server, server.certificate)?;
        std::fs::write(&self.server_key, server.key)?;
        Ok(())
    }
}

/// A server's certificate with its authority, as PEM.
struct Server {
    authority: String,
    certificate: String,
    key: String,
}

impl Server {
    fn make() -> Result<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "homeostat tests");
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);

        let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate()?;
        let server_certificate = server.signed_by(&server_key, &issuer)?;
        Ok(Self {
            authority: authority_certificate.pem(),
            certificate: server_certificate.pem(),
            key: server_key.serialize_pem(),
        })
    }
}
