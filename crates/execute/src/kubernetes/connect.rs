//! Finding the cluster and its credentials.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::error_chain::chain;

/// Which cluster to act on.
#[derive(Clone, Debug)]
pub struct ConnectSpec {
    /// A kubeconfig file. Without one: the service account when running in a pod, else `$KUBECONFIG` or
    /// `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; without one, its current context. Naming one means a kubeconfig, even in a pod.
    pub context: Option<String>,
    /// How long each call to the API server may take, from sending to the last byte of the answer.
    pub timeout: Duration,
}

impl Default for ConnectSpec {
    fn default() -> Self {
        Self { kubeconfig: None, context: None, timeout: TIMEOUT_DEFAULT }
    }
}

/// The default of [`ConnectSpec::timeout`]. API servers answer a read of one object in milliseconds and give up on
/// a write waiting for admission webhooks after 10 s (their default), so a little more than that.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(12);

/// It isn't known where the cluster is, or the configuration is wrong: fix the configuration.
#[derive(Debug, thiserror::Error)]
#[error("no usable Kubernetes configuration: {why}; name a kubeconfig file, or run in a pod with a service account")]
pub struct NoConfig {
    /// The whole chain of causes.
    pub why: String,
}

/// A client, and what its configuration says.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The URL that it asks.
    pub(super) url: String,
    /// The pod's namespace, or that of the kubeconfig's context.
    pub(super) namespace: String,
}

/// A client from the configuration as it is now.
pub(super) async fn client(spec: &ConnectSpec) -> Result<Connection, NoConfig> {
    let config = tuned(load(spec).await?, spec.timeout);
    let (url, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| NoConfig { why: chain(&error) })?;
    Ok(Connection { client, url, namespace })
}

async fn load(spec: &ConnectSpec) -> Result<Config, NoConfig> {
    let no_config = |why: String| NoConfig { why };
    let options = KubeConfigOptions { context: spec.context.clone(), ..KubeConfigOptions::default() };
    if let Some(path) = &spec.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| no_config(chain(&error)))?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| no_config(chain(&error)));
    }
    let in_pod =
        if spec.context.is_none() { Config::incluster().map_err(|error| chain(&error)) } else { Err(String::new()) };
    match in_pod {
        Ok(config) => Ok(config),
        Err(not_in_pod) => Config::from_kubeconfig(&options).await.map_err(|error| {
            let kubeconfig = chain(&error);
            no_config(if not_in_pod.is_empty() { kubeconfig } else { format!("{kubeconfig}; in a pod: {not_in_pod}") })
        }),
    }
}

/// The same choice for programs that use client-go, which prefer a kubeconfig where there is one.
pub(super) fn environment(spec: &ConnectSpec) -> Vec<(String, String)> {
    let own = |name: &str| std::env::var(name).ok().map(|value| (name.to_owned(), value));
    let is_in_pod = spec.kubeconfig.is_none() && spec.context.is_none() && own(IN_POD[0]).is_some();
    let mut environment = Vec::new();
    match &spec.kubeconfig {
        Some(path) => environment.push(("KUBECONFIG".to_owned(), path.display().to_string())),
        None if is_in_pod => environment.extend(IN_POD.into_iter().filter_map(own)),
        // And what a plug-in for credentials needs.
        None => environment.extend(["KUBECONFIG", "HOME", "PATH"].into_iter().filter_map(own)),
    }
    environment.extend(spec.context.iter().map(|context| ("HELM_KUBECONTEXT".to_owned(), context.clone())));
    environment
}

/// How a pod knows its API server.
const IN_POD: [&str; 2] = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"];

/// The configuration with our own habits.
fn tuned(mut config: Config, timeout: Duration) -> Config {
    // The client would repeat a write on 429, 503 and 504 by itself. An executor makes one attempt a call, and what
    // follows an unclear one is for the driver to decide, with the marker in hand (I6).
    config.default_retry = false;
    config.connect_timeout = Some(timeout);
    config.write_timeout = Some(timeout);
    if let (Ok(name), Ok(value)) = ("user-agent".parse(), USER_AGENT.parse()) {
        config.headers.push((name, value));
    }
    config
}

/// How the API server's audit log knows us.
const USER_AGENT: &str = concat!("homeostat/", env!("CARGO_PKG_VERSION"));
