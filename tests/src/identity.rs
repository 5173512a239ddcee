//! Who asks the API server: a user with a token, a kubeconfig file for programs and a client for tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::scratch::Scratch;

/// A user of the API server.
#[derive(Clone, Debug)]
pub struct Identity {
    /// As in the audit log: `admin`, or `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// Its bearer token.
    pub token: String,
    /// A kubeconfig file with this token.
    pub kubeconfig: PathBuf,
}

impl Identity {
    /// Writes the kubeconfig of `user` into `scratch`.
    pub(crate) fn new(scratch: &Scratch, server: &str, authority: &Path, user: &str, token: &str) -> Result<Self> {
        // JSON is YAML, and needs no care about quoting.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": authority}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        });
        let name = format!("{}.kubeconfig", user.replace(':', "-"));
        let kubeconfig = scratch.write(&name, config.to_string())?;
        Ok(Self { user: user.to_owned(), token: token.to_owned(), kubeconfig })
    }

    /// A new client that asks as this user. It belongs to the async runtime of the test that calls this.
    ///
    /// # Errors
    /// When the kubeconfig can't be read back.
    pub async fn client(&self) -> Result<Client> {
        crate::http::use_ring();
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // A test against a frozen server should fail soon, not after kube's five minutes.
        config.read_timeout = Some(std::time::Duration::from_secs(30));
        config.proxy_url = None;
        Client::try_from(config).with_context(|| format!("making a client for {}", self.user))
    }
}
