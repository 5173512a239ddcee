//! What the API server says when it refuses to create a pod.

use homeostat_core::{ClusterObjectRef, FactKind};

use super::words::{cut, quoted, quoted_after};

/// Why pods can't be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: FactKind,
    /// The object at fault, where it isn't the workload itself.
    pub(super) object: Option<ClusterObjectRef>,
    pub(super) sentence: String,
}

pub(super) fn refusal(namespace: &str, message: &str) -> Refusal {
    let object = |kind: &str, namespace: &str, name: &str| {
        Some(ClusterObjectRef { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() })
    };
    if let Some((_, rest)) = message.split_once("exceeded quota: ") {
        let name = rest.split(',').next().unwrap_or_default();
        let of = |what: &str| quota_part(rest, what).unwrap_or("?");
        let sentence = format!(
            "ResourceQuota `{name}` is exhausted: its pods ask for {}, {} of {} is used",
            of("requested: "),
            of("used: "),
            of("limited: ")
        );
        return Refusal { kind: FactKind::QuotaExceeded, object: object("ResourceQuota", namespace, name), sentence };
    }
    if let Some((_, rest)) = message.split_once("failed quota: ") {
        let (name, why) = rest.split_once(": ").unwrap_or((rest, "its pods don't fit it"));
        let sentence = format!("ResourceQuota `{name}` refuses its pods: {}", cut(why));
        return Refusal { kind: FactKind::QuotaExceeded, object: object("ResourceQuota", namespace, name), sentence };
    }
    if message.contains("serviceaccount") && message.contains("not found") {
        let name = quoted_after(message, "serviceaccount ").unwrap_or("?");
        let sentence = format!("ServiceAccount `{name}` doesn't exist");
        let object = object("ServiceAccount", namespace, name);
        return Refusal { kind: FactKind::MissingServiceAccount, object, sentence };
    }
    if let Some((_, rest)) = message.split_once("failed calling webhook ") {
        let name = quoted(rest).unwrap_or("?");
        let why = rest.rsplit_once(": ").map_or("", |(_, why)| why);
        let sentence =
            format!("the admission webhook `{name}` can't be reached, so no pod can be created: {}", cut(why));
        return Refusal { kind: FactKind::AdmissionDenied, object: object("Webhook", "", name), sentence };
    }
    if let Some((_, rest)) = message.split_once("admission webhook ")
        && let Some(name) = quoted(rest)
    {
        let why = rest.split_once("denied the request: ").map_or("it says no more", |(_, why)| why);
        let sentence = format!("the admission webhook `{name}` denies its pods: {}", cut(why));
        return Refusal { kind: FactKind::AdmissionDenied, object: object("Webhook", "", name), sentence };
    }
    if let Some((_, rest)) = message.split_once("violates PodSecurity ") {
        let level = quoted(rest).unwrap_or("?");
        let why = rest.split_once(": ").map_or("", |(_, why)| why);
        let sentence = format!("Pod Security `{level}` of the namespace denies its pods: {}", cut(why));
        return Refusal { kind: FactKind::AdmissionDenied, object: object("Namespace", "", namespace), sentence };
    }
    if let Some((_, rest)) = message.split_once("ValidatingAdmissionPolicy '") {
        let name = rest.split('\'').next().unwrap_or_default();
        let why = rest.split_once("denied request: ").map_or("it says no more", |(_, why)| why);
        let sentence = format!("ValidatingAdmissionPolicy `{name}` denies its pods: {}", cut(why));
        let object = object("ValidatingAdmissionPolicy", "", name);
        return Refusal { kind: FactKind::AdmissionDenied, object, sentence };
    }
    let is_limit_range = ["imum memory usage per", "imum cpu usage per", "max limit to request ratio per"];
    if is_limit_range.iter().any(|text| message.contains(text)) {
        let why = message.split_once("is forbidden: ").map_or(message, |(_, why)| why);
        let sentence = format!("a LimitRange of the namespace refuses its pods: {}", cut(why));
        return Refusal { kind: FactKind::QuotaExceeded, object: None, sentence };
    }
    Refusal {
        kind: FactKind::PodCreation,
        object: None,
        sentence: format!("its pods can't be created: {}", cut(message)),
    }
}

/// The numbers after `what`, up to the next part of the quota's message. Each part may have commas of its own.
fn quota_part<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(what)?;
    let end = [", used: ", ", limited: "].iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len());
    rest.get(..end).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_servers_words_for_why_not() {
        use FactKind as F;
        for (message, kind, wanted) in [
            (
                r#"pods "cart-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"#,
                F::QuotaExceeded,
                "ResourceQuota `small` is exhausted: its pods ask for pods=1, pods=2 of pods=2 is used",
            ),
            (
                r#"pods "cart-1" is forbidden: exceeded quota: q, requested: limits.cpu=1,pods=1, used: limits.cpu=2,pods=2, limited: limits.cpu=2,pods=2"#,
                F::QuotaExceeded,
                "ResourceQuota `q` is exhausted: its pods ask for limits.cpu=1,pods=1, limits.cpu=2,pods=2 of limits.cpu=2,pods=2 is used",
            ),
            (
                r#"pods "cart-1" is forbidden: failed quota: q: must specify limits.cpu for: app"#,
                F::QuotaExceeded,
                "ResourceQuota `q` refuses its pods: must specify limits.cpu for: app",
            ),
            (
                r#"pods "cart-1" is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found"#,
                F::MissingServiceAccount,
                "ServiceAccount `robot` doesn't exist",
            ),
            (
                r#"admission webhook "policy.example.com" denied the request: no team label"#,
                F::AdmissionDenied,
                "the admission webhook `policy.example.com` denies its pods: no team label",
            ),
            (
                r#"Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.shop.svc:443/?timeout=10s": dial tcp 10.0.0.9:443: connect: connection refused"#,
                F::AdmissionDenied,
                "the admission webhook `policy.example.com` can't be reached, so no pod can be created: connection refused",
            ),
            (
                r#"pods "cart-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod must set it)"#,
                F::AdmissionDenied,
                "Pod Security `restricted:latest` of the namespace denies its pods: runAsNonRoot != true (pod must set it)",
            ),
            (
                r#"pods "cart-1" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"#,
                F::QuotaExceeded,
                "a LimitRange of the namespace refuses its pods: maximum memory usage per Container is 1Gi, but limit is 2Gi",
            ),
            ("something else", F::PodCreation, "its pods can't be created: something else"),
        ] {
            let found = refusal("shop", message);
            assert_eq!((found.kind, found.sentence.as_str()), (kind, wanted), "{message}");
        }
    }
}
