//! How the API server is started, for the first time and again.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use kube::Client;

use super::START_WITHIN;
use crate::certificates::Certificates;
use crate::process::Process;

/// What it takes to start the API server, also for the second time.
#[derive(Debug)]
pub(super) struct ApiServer {
    pub(super) binary: PathBuf,
    pub(super) url: String,
    pub(super) port: u16,
    pub(super) etcd_url: String,
    pub(super) certificates: Certificates,
    pub(super) tokens: PathBuf,
    pub(super) policy: PathBuf,
    pub(super) audit_log: PathBuf,
}

impl ApiServer {
    pub(super) fn start(&self, folder: &Path) -> Result<Process> {
        let mut command = Command::new(&self.binary);
        command.args([
            format!("--etcd-servers={}", self.etcd_url),
            format!("--secure-port={}", self.port),
            format!("--service-account-issuer={}", self.url),
        ]);
        command.args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            // The `kubernetes` service would want an address that isn't loopback.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
        ]);
        path_flag(&mut command, "--tls-cert-file", &self.certificates.server);
        path_flag(&mut command, "--tls-private-key-file", &self.certificates.server_key);
        path_flag(&mut command, "--client-ca-file", &self.certificates.authority);
        path_flag(&mut command, "--service-account-key-file", &self.certificates.service_account_public_key);
        path_flag(&mut command, "--service-account-signing-key-file", &self.certificates.service_account_key);
        path_flag(&mut command, "--token-auth-file", &self.tokens);
        path_flag(&mut command, "--audit-policy-file", &self.policy);
        path_flag(&mut command, "--audit-log-path", &self.audit_log);
        Process::start("kube-apiserver", command, folder)
    }
}

pub(super) async fn wait_ready(api_server: &mut Process, client: &Client) -> Result<()> {
    api_server.ready(START_WITHIN, || async { Ok(Some(text(client, "/readyz").await?)) }).await?;
    Ok(())
}

/// What the API server answers to a GET.
pub(super) async fn text(client: &Client, path: &str) -> Result<String> {
    Ok(client.request_text(::http::Request::get(path).body(Vec::new())?).await?)
}

/// Adds `flag=path`, whatever bytes the path has.
pub(super) fn path_flag(command: &mut Command, flag: &str, path: &Path) {
    let mut argument = std::ffi::OsString::from(format!("{flag}="));
    argument.push(path);
    command.arg(argument);
}
