//! What each key of a policy means: the sentences of `docs/reference/config.md`, as in `keys`.

use super::keys::{Described, key, of_kind};

pub(super) const KEYS: &[Described] = &[
    key("name", "the incident type's", "The policy's name; no two policies share one."),
    of_kind(
        "incident_type",
        "an incident type, such as `oom-killed`",
        "required",
        "The incidents it is for. Two policies for one type must have scopes that don't overlap.",
    ),
    key(
        "detection_signal",
        "none",
        "The platform's own name for the cause, such as `OOMKilled`; for people, the incident type decides.",
    ),
    key("auto_execute", "required", "Whether the action may be executed without a human's approval."),
    key(
        "allow_irreversible",
        "`false`",
        "Whether it may execute what can't be taken back, such as a webhook or a command; otherwise that is proposed.",
    ),
    key("confidence_threshold", "required", "The lower bound of the incident's confidence must be at least this."),
    of_kind(
        "action",
        "an action, such as `rollout-restart` or `rollout-undo`",
        "the incident type's, if it has one",
        "What to do.",
    ),
    of_kind("with", "section", "nothing", "How to do it: the action's own keys, see [the actions](actions.md)."),
    key("max_attempts", "`1`", "Attempts on one workload for this incident type within `attempts_window`."),
    key("attempts_window", "`1h`", "The sliding window of `max_attempts`."),
    key("cooldown_after_action", "`10m`", "No further action on the workload for this long after one has ended."),
    key("verification_window", "`5m`", "How long the signals are watched to see whether the action helped."),
    key(
        "verification_settle",
        "`2m`",
        "How long after the action measurements don't count yet; `verification_window` begins afterwards.",
    ),
    key(
        "rollback_if_failed",
        "`false`",
        "Whether the action is undone if it didn't help. If it can't be undone, the incident is escalated.",
    ),
    key("escalation_channel", "the channel `log`", "The channel that escalations of these incidents go to."),
    of_kind(
        "mode",
        "`observe`, `recommend` or `execute`",
        "`execute`",
        "How far this policy may go; the config's `mode` still holds.",
    ),
    key("scope", "none: the policy never executes", "Where the policy holds."),
    key(
        "scope.namespaces",
        "required in a scope",
        "Namespaces, each written out. An empty list is refused where `auto_execute` is true.",
    ),
    key("scope.workloads", "none: every workload of the namespaces", "Names of workloads, each written out."),
    key(
        "scope.kinds",
        "none: every kind",
        "Kinds of workload: `deployment`, `stateful-set`, `daemon-set`, `external`.",
    ),
    key(
        "traffic_floor",
        "`0.5`",
        "Traffic after the action must be at least this share of the traffic before it to count as recovered.",
    ),
    key("outcomes_min", "`20`", "Labelled outcomes that the confidence must rest on before anything is executed."),
];
