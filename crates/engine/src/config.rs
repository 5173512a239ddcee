//! The config file: what it may say, its defaults, and reading it with every problem at once.

mod address;
pub(crate) mod detection;
mod exclude;
mod holidays;
mod leader_election;
mod limits;
mod load;
mod options;
mod policies;
mod queries;
mod remediation;
mod source;
mod storage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use homeostat_announce::Channels;
use homeostat_core::{Calendar, Mode, Subject, Topology};
use homeostat_ingest::{QuerySet, SubjectRule};
use homeostat_remediate::{Policy, RegoRules};

pub(crate) use address::ListenAddress;
pub(crate) use detection::{Detection, detection_of};
pub(crate) use exclude::Interval;
pub(crate) use leader_election::LeaderElection;
pub(crate) use limits::Limits;
pub(crate) use load::{HISTORY_ROWS_MAX, load, load_or_explain, load_without_warnings};
pub(crate) use policies::{PoliciesError, PoliciesRead, read as read_policy_files};
pub(crate) use queries::Replicas;
pub(crate) use source::DataSource;
pub(crate) use storage::JournalPlace;

/// Everything a service is told.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// How far it may go, over all policies.
    pub(crate) mode: Mode,
    /// Time between rows of a window, and between cycles.
    pub(crate) step: Duration,
    /// How far back models are trained.
    pub(crate) history: Duration,
    /// How often models are trained anew while serving; never, unless asked for.
    pub(crate) retrain_every: Option<Duration>,
    /// How long to wait for late samples: a cycle ends its windows this long before now.
    pub(crate) offset: Duration,
    /// How often the source scrapes, for whoever must tell a gap from a slow scrape.
    pub(crate) scrape_interval: Duration,
    /// How much it may take.
    pub(crate) limits: Limits,
    /// Where the metrics are.
    pub(crate) source: DataSource,
    /// What is asked, which are the features.
    pub(crate) queries: QuerySet,
    /// How series name subjects.
    pub(crate) subjects: SubjectRule,
    /// What is asked of single replicas, to compare them with each other; nothing unless asked for.
    pub(crate) replicas: Option<Replicas>,
    /// Asks when workloads were last rolled out; nothing, if nothing says so.
    pub(crate) rollouts: Option<String>,
    /// How to detect.
    pub(crate) detection: Detection,
    /// Who depends on whom.
    pub(crate) topology: Topology,
    /// Planned events.
    pub(crate) calendar: Calendar,
    /// What may be done.
    pub(crate) policies: Vec<Policy>,
    /// The rules in Rego, where there are some.
    pub(crate) rego: Option<RegoRules>,
    /// The files that both are read from.
    pub(crate) policy_files: Vec<PathBuf>,
    /// Where changes and escalations go.
    pub(crate) channels: Channels,
    /// Where actions are done; none is fine for `observe` and `recommend` without targets.
    pub(crate) kubernetes: Option<KubernetesConfig>,
    /// homeostat's own workload, which it never acts on.
    pub(crate) own_workload: Option<Subject>,
    /// Where the journal and the kill switch are.
    pub(crate) storage: PathBuf,
    /// Where the journal is kept.
    pub(crate) journal: JournalPlace,
    /// Which of several replicas acts; without it there is one.
    pub(crate) leader_election: Option<LeaderElection>,
    /// How long rows stay in the journal before they go to its archive.
    pub(crate) journal_retention: Duration,
    /// Where the API listens; loopback.
    pub(crate) listen_address: SocketAddr,
    /// Where probes and metrics listen apart from the API, on any address; nowhere, unless asked for.
    pub(crate) probe_address: Option<ListenAddress>,
}

/// How to reach the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KubernetesConfig {
    /// The kubeconfig; in the cluster itself none is needed.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in it.
    pub(crate) context: Option<String>,
    /// The namespace of homeostat's own objects, if it isn't the pod's.
    pub(crate) namespace: Option<String>,
    /// Longest wait for one answer.
    pub(crate) timeout: Duration,
    /// What gives the creation time of Deployments, which proves that Prometheus watches this cluster.
    pub(crate) identity_query: Option<String>,
    /// Act without that proof.
    pub(crate) assume_same_cluster: bool,
    /// Whether its objects are watched for what they say of causes.
    pub(crate) facts: bool,
    /// Only those of these namespaces; all, if there are none.
    pub(crate) facts_namespaces: Vec<String>,
}

#[cfg(test)]
mod tests;
