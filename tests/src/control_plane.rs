//! A real Kubernetes control plane: etcd, the API server, the controllers, the scheduler, and KWOK for kubelets.
//!
//! There are no containers. Pods get scheduled, run and become ready because KWOK says so; a test plays a fault by
//! patching a pod's status (see [`crate::workload`]), which KWOK leaves alone.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::audit::{self, AuditEvent};
use crate::certificates::Certificates;
use crate::identity::Identity;
use crate::parts::Parts;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::{ports, wait};

use self::api_server::{ApiServer, path_flag, text, wait_ready};

mod api_server;

/// How many nodes [`ControlPlane::start`] makes: enough to spread three replicas.
pub const N_NODES: usize = 3;

/// A start takes 5 s on two idle cores; this leaves room for a busy machine.
const START_WITHIN: Duration = Duration::from_secs(120);

/// A running control plane. Dropping it kills all of it.
///
/// Fields are in the order of their dropping: an API server that loses etcd first would hang on to its port.
#[derive(Debug)]
pub struct ControlPlane {
    _kwok: Process,
    _scheduler: Process,
    _controller_manager: Process,
    api_server: Process,
    _etcd: Process,
    launch: ApiServer,
    admin: Identity,
    pub(crate) scratch: Scratch,
}

impl ControlPlane {
    /// Starts one with [`N_NODES`] ready nodes.
    ///
    /// # Errors
    /// When a part doesn't start; the end of its log is part of the message.
    pub async fn start(parts: &Parts) -> Result<Self> {
        Self::start_with_nodes(parts, N_NODES).await
    }

    /// One control plane for all tests of a test binary that don't disturb it: each uses a namespace of its own.
    ///
    /// It's never dropped; the guards of its processes end them with the test binary.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn shared(parts: &Parts) -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(parts)).await
    }

    /// Starts one with `n_nodes` ready nodes, named `node-0` and so on.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn start_with_nodes(parts: &Parts, n_nodes: usize) -> Result<Self> {
        let scratch = Scratch::new("control-plane")?;
        let certificates = Certificates::make(&scratch)?;
        let token = |user: &str| format!("{user}-token");
        // token,user,uid,"groups". A group of masters passes every check; the others have their bootstrap roles.
        let tokens = scratch.write(
            "tokens.csv",
            format!(
                "{},admin,1,\"system:masters\"\n{},system:kube-controller-manager,2\n{},system:kube-scheduler,3\n\
                 {},kwok,4,\"system:masters\"\n",
                token("admin"),
                token("system:kube-controller-manager"),
                token("system:kube-scheduler"),
                token("kwok"),
            ),
        )?;

        let (etcd_url, etcd) = start_etcd(parts, scratch.path())?;
        let port = ports::free()?;
        let launch = ApiServer {
            binary: parts.kube_apiserver.clone(),
            url: format!("https://127.0.0.1:{port}"),
            port,
            etcd_url,
            tokens,
            policy: scratch.write("audit-policy.yaml", audit::POLICY)?,
            audit_log: scratch.path().join("audit.jsonl"),
            certificates,
        };
        let identity =
            |user: &str| Identity::new(&scratch, &launch.url, &launch.certificates.authority, user, &token(user));
        let admin = identity("admin")?;
        let mut api_server = launch.start(scratch.path())?;
        let client = admin.client().await?;
        wait_ready(&mut api_server, &client).await?;

        // Many small objects in bursts: with the default limits of 20 to 50 requests a second, 200 pods take 30 s.
        let hurry = ["--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000", "--secure-port=0"];
        let mut command = Command::new(&parts.kube_controller_manager);
        command.args(hurry).arg("--use-service-account-credentials=true");
        // KWOK renews no leases: after the default of 50 s every node would be lost, and every pod with it.
        command.arg("--node-monitor-grace-period=24h");
        path_flag(&mut command, "--kubeconfig", &identity("system:kube-controller-manager")?.kubeconfig);
        path_flag(&mut command, "--root-ca-file", &launch.certificates.authority);
        path_flag(&mut command, "--service-account-private-key-file", &launch.certificates.service_account_key);
        let controller_manager = Process::start("kube-controller-manager", command, scratch.path())?;

        let mut command = Command::new(&parts.kube_scheduler);
        command.args(hurry);
        path_flag(&mut command, "--kubeconfig", &identity("system:kube-scheduler")?.kubeconfig);
        let scheduler = Process::start("kube-scheduler", command, scratch.path())?;

        let mut command = Command::new(&parts.kwok);
        path_flag(&mut command, "--kubeconfig", &identity("kwok")?.kubeconfig);
        path_flag(&mut command, "--config", &parts.kwok_stages);
        // Its default range of pod addresses overlaps the range of services.
        command.args(["--manage-all-nodes=true", "--cidr=10.64.0.0/16"]);
        command.arg(format!("--server-address=127.0.0.1:{}", ports::free()?));
        let kwok = Process::start("kwok", command, scratch.path())?;

        let mut plane = Self {
            _kwok: kwok,
            _scheduler: scheduler,
            _controller_manager: controller_manager,
            api_server,
            _etcd: etcd,
            launch,
            admin,
            scratch,
        };
        plane.add_nodes(&client, n_nodes).await?;
        Ok(plane)
    }

    /// The user that may do everything. Tests ask as this one; homeostat gets one of its own.
    #[must_use]
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// A new client of the admin, for the async runtime of the calling test.
    ///
    /// # Errors
    /// When the client can't be made.
    pub async fn client(&self) -> Result<Client> {
        self.admin.client().await
    }

    /// The admin's kubeconfig file.
    #[must_use]
    pub fn kubeconfig_path(&self) -> &Path {
        &self.admin.kubeconfig
    }

    /// The API server's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.launch.url
    }

    /// The certificate that signed the API server's.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.launch.certificates.authority
    }

    /// Every finished request, in order, as the API server wrote it down; see [`AuditEvent`].
    ///
    /// A request is written down a moment after it's answered. Therefore this makes a request of its own, and reads
    /// once that one is in the log. Without an answer (a stopped API server) it reads what there is.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn audit(&self) -> Result<Vec<AuditEvent>> {
        static N_READS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let n_reads = N_READS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mark = format!("/version?audit-mark={n_reads}");
        let asked = tokio::time::timeout(Duration::from_secs(5), text(&self.client().await?, &mark)).await;
        if !matches!(asked, Ok(Ok(_))) {
            return audit::read(&self.launch.audit_log);
        }
        wait::until("the audit log holds our mark", Duration::from_secs(10), || async {
            let events = audit::read(&self.launch.audit_log)?;
            Ok(events.iter().any(|event| event.uri == mark).then_some(events))
        })
        .await
    }

    /// The changes that `user` made, in order: accepted, not dry runs, not reviews. Leases and Events are among
    /// them; a test that counts actions filters by [`AuditEvent::resource`].
    ///
    /// # Errors
    /// As [`ControlPlane::audit`].
    pub async fn changes_by(&self, user: &str) -> Result<Vec<AuditEvent>> {
        let events = self.audit().await?;
        Ok(events.into_iter().filter(|event| event.user == user && event.is_change()).collect())
    }

    /// Stops the API server from answering, with its connections open; [`ControlPlane::thaw_api_server`] undoes it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze_api_server(&self) -> Result<()> {
        self.api_server.freeze()
    }

    /// Lets the API server answer again.
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw_api_server(&self) -> Result<()> {
        self.api_server.thaw()
    }

    /// Kills the API server: connections to it are refused.
    ///
    /// # Errors
    /// When the system won't.
    pub fn kill_api_server(&mut self) -> Result<()> {
        self.api_server.kill()
    }

    /// Starts the API server again after [`ControlPlane::kill_api_server`], at the same address and with the same
    /// objects, and waits until it's ready.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn restart_api_server(&mut self) -> Result<()> {
        self.api_server.kill()?;
        self.api_server = self.launch.start(self.scratch.path())?;
        wait_ready(&mut self.api_server, &self.admin.client().await?).await
    }

    /// Puts another certificate authority in the place of the present one, in the same files, and starts the API server anew with a certificate
    /// of that one. Who has read the old one doesn't trust the server any more; tokens stay good.
    ///
    /// # Errors
    /// As [`ControlPlane::restart_api_server`].
    pub async fn rotate_authority(&mut self) -> Result<()> {
        self.launch.certificates.rotate()?;
        self.restart_api_server().await
    }

    async fn add_nodes(&mut self, client: &Client, n_nodes: usize) -> Result<()> {
        let nodes: Api<Node> = Api::all(client.clone());
        for index in 0..n_nodes {
            let name = format!("node-{index}");
            let node = json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {
                    "kubernetes.io/hostname": name,
                    "topology.kubernetes.io/zone": format!("zone-{}", index % 3),
                }},
            });
            nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        }
        wait::until_true("every node is ready and takes pods", START_WITHIN, || async {
            let nodes = nodes.list(&Default::default()).await?;
            ensure!(nodes.items.len() >= n_nodes, "nodes are missing");
            Ok(nodes.iter().all(is_ready))
        })
        .await
        .context("starting the nodes")
    }
}

fn start_etcd(parts: &Parts, folder: &Path) -> Result<(String, Process)> {
    let url = format!("http://127.0.0.1:{}", ports::free()?);
    let peer = format!("http://127.0.0.1:{}", ports::free()?);
    let mut command = Command::new(&parts.etcd);
    command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.arg(format!("--initial-cluster=default={peer}"));
    path_flag(&mut command, "--data-dir", &folder.join("etcd"));
    // A test's objects needn't survive the machine; they do survive a killed process.
    command.args(["--unsafe-no-fsync", "--log-level=warn"]);
    Ok((url, Process::start("etcd", command, folder)?))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    // Until the controllers take the taint off, the scheduler leaves the node alone.
    let taken = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).count() > 0;
    ready && !taken && !node.name_any().is_empty()
}
