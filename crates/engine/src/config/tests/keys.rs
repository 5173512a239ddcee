//! What each key of the config means: the sentences of `docs/reference/config.md`.
//!
//! Types and bounds come from the reader itself. A default in backquotes is checked: written out, it changes nothing.

/// One key.
pub(super) struct Described {
    /// As the reader notes it.
    pub(super) path: &'static str,
    /// What it may be, where the reader doesn't say.
    pub(super) kind: Option<&'static str>,
    /// `required`, a literal in backquotes, or what happens without it.
    pub(super) default: &'static str,
    /// What it is for, in a sentence.
    pub(super) text: &'static str,
}

const fn key(path: &'static str, default: &'static str, text: &'static str) -> Described {
    Described { path, kind: None, default, text }
}

const fn of_kind(path: &'static str, kind: &'static str, default: &'static str, text: &'static str) -> Described {
    Described { path, kind: Some(kind), default, text }
}

pub(super) const KEYS: &[Described] = &[
    of_kind(
        "mode",
        "`observe`, `recommend` or `execute`",
        "`observe`",
        "How far homeostat may go, whatever the policies say: record incidents, also propose actions, or also execute them.",
    ),
    key("global", "", "Times that everything shares."),
    of_kind(
        "global.step",
        "duration, 1s to 1h, whole seconds",
        "`60s`",
        "Time between two rows of a window, and between two cycles.",
    ),
    of_kind(
        "global.history",
        "duration, 60 to 50000 steps",
        "`14d`, or less: at most 50000 steps",
        "How much history models are trained on. Two weeks show a weekly season twice.",
    ),
    of_kind(
        "global.retrain_every",
        "duration, at least 1h",
        "none: models are trained at each start only",
        "How often models are trained again while serving. Workloads in an incident keep their models. Not together with `bundle`.",
    ),
    of_kind(
        "global.offset",
        "duration, at most 5m",
        "`30s`",
        "How long to wait for late samples: a cycle reads up to this long before now.",
    ),
    key("global.scrape_interval", "`30s`", "How often Prometheus scrapes. It sets the rate windows of presets."),
    key("datasources", "required", "Where the metrics are: one Prometheus, or a server with the same HTTP API."),
    key("datasources[].name", "`prometheus`", "Its name in logs and metrics."),
    of_kind(
        "datasources[].url",
        "URL, `http://` or `https://`",
        "required",
        "Its address, with a path prefix if it has one.",
    ),
    key("datasources[].timeout", "the step, but at least 5s and at most 30s", "Longest wait for one answer."),
    key("datasources[].concurrency_max", "`2`", "Requests at a time."),
    key(
        "datasources[].series_max",
        "`10000`",
        "Series that one query may return. More is nearly always a query without `by`.",
    ),
    of_kind(
        "preset",
        "`kubernetes-workload`, or another preset's name",
        "none: only `queries` are asked",
        "A set of queries that ships with homeostat.",
    ),
    key(
        "queries",
        "none: only the preset's",
        "Queries by name; each is one feature. A text alone is its expression. One with a preset query's name replaces it.",
    ),
    key("queries.<name>.expr", "required", "The PromQL expression; it returns one or more series per workload."),
    of_kind(
        "queries.<name>.signal",
        "a signal, such as `memory` or `error-ratio`",
        "`other`",
        "What the query measures. Incident types depend on it.",
    ),
    of_kind(
        "queries.<name>.direction",
        "`up`, `down` or `both`",
        "`both`",
        "Which deviations are unusual: above what is expected, below it, or both.",
    ),
    of_kind(
        "queries.<name>.across",
        "`max`, `sum` or `mean`",
        "`max`",
        "How several series of one workload become one.",
    ),
    of_kind(
        "queries.<name>.absent",
        "`hole` or `zero`",
        "`hole`",
        "What a missing sample means: unknown, or zero (for counters of rare events).",
    ),
    key("queries.<name>.deviation_min", "`0`", "Smaller deviations are never unusual, in the query's own unit."),
    key(
        "queries.<name>.limit",
        "none",
        "Where the feature is exhausted, in its own unit. Incidents say when it will be reached.",
    ),
    key("limits", "", "How much the process may take."),
    key("limits.workloads_max", "`10000`", "Workloads watched at most; `homeostat check config` says what one costs."),
    key(
        "limits.answer_mib",
        "`32`",
        "Largest answer of Prometheus, in MiB; longer ranges are read in pages. Twice as much is held for each request.",
    ),
    key("subjects", "", "How series name workloads."),
    of_kind(
        "subjects.kind",
        "a kind of workload, such as `deployment`",
        "`deployment`",
        "What kind of workload the series describe.",
    ),
    key("subjects.namespace_label", "`namespace`", "The label with the namespace."),
    key("subjects.name_label", "`workload`", "The label with the workload's name."),
    key(
        "subjects.namespace",
        "none: the label says it",
        "One namespace for all series, for metrics without that label.",
    ),
    key("subjects.cluster_label", "none: one cluster", "The label with the cluster, where one server holds several."),
    key("subjects.cluster", "none: all of them", "The one cluster to watch; needs `subjects.cluster_label`."),
    key("replicas", "none: replicas aren't compared", "Compares the pods of each workload with each other."),
    key("replicas.label", "`pod`", "The label that names the replica."),
    of_kind(
        "replicas.preset",
        "`kubernetes-replicas`, or another preset's name",
        "none: only `replicas.queries` are asked",
        "A set of queries with one series per replica.",
    ),
    key(
        "replicas.queries",
        "none: only the preset's",
        "Queries with one series per replica; their keys are those of `queries`.",
    ),
    key("incidents", "", "How incidents are judged."),
    of_kind(
        "incidents.false_alarm_budget",
        "a count per duration, such as `1 per 7d`",
        "`1 per 7d`",
        "How many false incidents each workload may have. It sets the alarm threshold.",
    ),
    of_kind(
        "incidents.calibration",
        "file",
        "the measurements that ship with homeostat",
        "How often incidents were right, measured on labelled incidents of your own.",
    ),
    key("onnx", "", "How the autoencoder is run."),
    of_kind(
        "onnx.library",
        "file",
        "none: the embedded backend",
        "A native ONNX Runtime library, relative to the config's directory.",
    ),
    of_kind(
        "bundle",
        "directory or `.tar.zst` file",
        "none: models are trained at start",
        "Models saved by `homeostat train`. Workloads that it doesn't contain aren't watched.",
    ),
    key(
        "share_models",
        "`true`",
        "Workloads with the same queries share their largest models, for a tenth of the memory.",
    ),
    key("seed", "`1`", "Seed of all training: the same history and seed give the same models."),
    of_kind(
        "detectors",
        "list of names",
        "`[residual, forest, dbscan, forecast, pca, autoencoder]`",
        "Which detectors vote; at least one.",
    ),
    key("detection", "", "Options of the detectors, and when incidents open and close."),
    key("detection.forest", "", "The isolation forest."),
    of_kind("detection.forest.trees", "whole number, 1 to 1000", "`100`", "Trees."),
    of_kind("detection.forest.sample_rows_max", "whole number", "`256`", "Rows that each tree is grown from."),
    key("detection.dbscan", "", "The density clusters."),
    of_kind(
        "detection.dbscan.epsilon",
        "`knee`, `quantile 0.95`, or a distance in training deviations",
        "`knee`",
        "How near two rows must be to be neighbours.",
    ),
    of_kind(
        "detection.dbscan.min_points",
        "`auto` or a whole number",
        "`auto`",
        "Neighbours that make a row a core row.",
    ),
    of_kind("detection.dbscan.sample_rows_max", "whole number", "`2000`", "Rows of the history that are clustered."),
    of_kind("detection.dbscan.core_rows_max", "whole number", "`1000`", "Core rows that are kept to compare with."),
    key("detection.forecast", "", "The seasonal forecast."),
    of_kind(
        "detection.forecast.season_cycles_min",
        "whole number",
        "`3`",
        "How often a season must fit into the history to be used.",
    ),
    of_kind("detection.forecast.slow_half_life", "duration, 1m to 30d", "`6h`", "How quickly the level follows."),
    key("detection.forecast.accept_after", "`1d`", "A level that lasts this long is the new normal."),
    key("detection.autoencoder", "", "The autoencoder."),
    of_kind(
        "detection.autoencoder.epochs_max",
        "whole number",
        "`80`",
        "Longest training, in passes over the windows.",
    ),
    of_kind("detection.autoencoder.windows_max", "whole number", "`4096`", "Windows that it is trained on."),
    key("detection.autoencoder.learning_rate", "`0.003`", "Learning rate."),
    of_kind(
        "detection.autoencoder.model",
        "ONNX file",
        "none: one is trained",
        "A network of your own (see the guide own-autoencoder.md).",
    ),
    key("detection.opening", "", "When incidents open and close."),
    of_kind(
        "detection.opening.open_rows",
        "whole number",
        "`2`",
        "An incident opens when so many of the last `of_rows` rows alarm.",
    ),
    of_kind("detection.opening.of_rows", "whole number", "`3`", "See `open_rows`."),
    key("detection.opening.at_once", "`4`", "One row opens an incident at so many times the alarm threshold."),
    of_kind(
        "detection.opening.close_rows",
        "whole number",
        "`5`",
        "An incident closes after so many rows below `close_below`.",
    ),
    key("detection.opening.close_below", "`0.5`", "Below so many times the alarm threshold a row counts as normal."),
    key("topology", "none", "Who depends on whom: one incident for each cause, not one for each caller."),
    of_kind("topology[].workload", "`namespace/kind/name`", "required", "The caller."),
    of_kind("topology[].depends_on", "list of `namespace/kind/name`", "required", "What it calls."),
    key("calendar", "none", "Planned events. Incidents in them are annotated, and nothing is executed."),
    key("calendar[].name", "required", "The event's name."),
    of_kind("calendar[].start", "time, RFC 3339", "required", "When it begins."),
    of_kind("calendar[].end", "time, RFC 3339", "required", "When it ends; after the start."),
    key("calendar[].namespaces", "none: every namespace", "The namespaces it concerns."),
    key("calendar[].workloads", "none: every workload", "The names of the workloads it concerns."),
    of_kind(
        "policies",
        "list of files, or one",
        "none: nothing is proposed or executed",
        "Policy files, relative to the config's directory.",
    ),
    key("channels", "a channel `log` is always there", "Where calls for a human go, by name."),
    of_kind("channels.<name>.type", "`log` or `webhook`", "required", "What kind of channel it is."),
    of_kind(
        "channels.<name>.url",
        "URL, `http://` or `https://`",
        "required for a webhook, or `url_file`",
        "Where to post. Never printed.",
    ),
    of_kind(
        "channels.<name>.url_file",
        "file",
        "none: `url` has it",
        "A file with the URL, read at each attempt, so that it can be rotated.",
    ),
    key("channels.<name>.timeout", "`10s`", "Longest wait for one attempt at a webhook."),
    key(
        "channels.<name>.changes",
        "`false`",
        "Whether it also gets every opened, updated and resolved incident, not only calls for a human.",
    ),
    key("kubernetes", "none: nothing can be executed", "The cluster that actions are executed on."),
    of_kind(
        "kubernetes.kubeconfig",
        "file",
        "the pod's service account, or the usual kubeconfig",
        "The kubeconfig, relative to the config's directory.",
    ),
    key("kubernetes.context", "the kubeconfig's current context", "The context in it."),
    key("kubernetes.timeout", "`10s`", "Longest wait for one answer of the API server."),
    of_kind("own_workload", "`namespace/kind/name`", "none", "homeostat's own workload, on which it never acts."),
    key("storage", "", "Where homeostat keeps its state."),
    of_kind(
        "storage.path",
        "directory",
        "`homeostat-data`",
        "Journal, outbox and kill switch, relative to the config's directory.",
    ),
    key("server", "", "The HTTP server."),
    of_kind(
        "server.listen_address",
        "loopback address and port",
        "`127.0.0.1:9476`",
        "Where the HTTP API, `/metrics` and the probes listen.",
    ),
];
