//! What a kubelet's message about a missing object or an image means.

use homeostat_core::ClusterObjectRef;

use super::words::{cut, quoted, quoted_after};

/// An object, or a key of one, that a container needs and that isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) object: ClusterObjectRef,
    pub(super) sentence: String,
}

/// What a message says is missing in this namespace, if that is what it says.
pub(super) fn missing(namespace: &str, message: &str) -> Option<Missing> {
    let lower = message.to_lowercase();
    let kind = |kind: &str| match kind {
        "configmap" => "ConfigMap",
        _secret => "Secret",
    };
    let object = |kind: &str, name: &str| ClusterObjectRef {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    for word in ["configmap", "secret"] {
        // `couldn't find key color in ConfigMap shop/settings`
        if let Some((_, rest)) = message.split_once("couldn't find key ")
            && let Some((key, rest)) = rest.split_once(" in ")
            && rest.to_lowercase().starts_with(word)
        {
            let name = rest.split_whitespace().nth(1).unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or(name).trim_matches('"');
            let sentence = format!("{} `{name}` has no key `{key}`", kind(word));
            return Some(Missing { object: object(kind(word), name), sentence });
        }
        // `configmap "settings" not found`, and `references non-existent secret key: tls.crt`
        if lower.contains("not found")
            && let Some(at) = lower.find(&format!("{word} \""))
            && let Some(name) = message.get(at..).and_then(quoted)
        {
            let sentence = format!("{} `{name}` doesn't exist", kind(word));
            return Some(Missing { object: object(kind(word), name), sentence });
        }
    }
    let key = message.split_once("references non-existent ").map(|(_, rest)| rest)?;
    let (what, key) = key.split_once(" key: ")?;
    let kind = if what.contains("secret") { "Secret" } else { "ConfigMap" };
    let key = key.split_whitespace().next().unwrap_or_default();
    let volume = quoted_after(message, "volume ").unwrap_or("?");
    let sentence = format!("the {kind} of volume `{volume}` has no key `{key}`");
    Some(Missing { object: object(kind, volume), sentence })
}

/// Why an image can't be pulled; `None` where the message doesn't say.
pub(super) fn of_image(reason: &str, message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|text| lower.contains(text));
    let why = match reason {
        "InvalidImageName" => "the name isn't valid",
        "ErrImageNeverPull" => "it isn't on the node, and the pull policy is Never",
        _pull if says(&["toomanyrequests", "too many requests", "429"]) => "the registry refuses more pulls for now",
        _pull if says(&["unauthorized", "authentication required", "no basic auth", "denied", "403 forbidden"]) => {
            "the registry denies access"
        }
        _pull
            if says(&["no such host", "i/o timeout", "connection refused", "dial tcp", "timeout", "tls:", "x509"]) =>
        {
            "the registry can't be reached"
        }
        _pull if says(&["no match for platform", "no matching manifest"]) => "there is none for the node's platform",
        _pull if says(&["not found", "manifest unknown", "does not exist"]) => "not found",
        _pull if reason == "ErrImagePull" && !message.is_empty() => return Some(cut(message)),
        _pull => return None,
    };
    Some(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_words_for_what_is_missing() {
        for (message, wanted) in [
            (r#"configmap "settings" not found"#, "ConfigMap `settings` doesn't exist"),
            (r#"secret "db" not found"#, "Secret `db` doesn't exist"),
            ("couldn't find key color in ConfigMap shop/settings", "ConfigMap `settings` has no key `color`"),
            ("couldn't find key pass in Secret shop/db", "Secret `db` has no key `pass`"),
            (
                r#"MountVolume.SetUp failed for volume "cfg" : configmap "settings" not found"#,
                "ConfigMap `settings` doesn't exist",
            ),
            (
                r#"MountVolume.SetUp failed for volume "tls" : references non-existent secret key: tls.crt"#,
                "the Secret of volume `tls` has no key `tls.crt`",
            ),
        ] {
            assert_eq!(missing("shop", message).map(|found| found.sentence).as_deref(), Some(wanted), "{message}");
        }
        assert_eq!(missing("shop", "container has runAsNonRoot and image will run as root"), None);
    }

    #[test]
    fn the_registries_words_for_why_not() {
        for (reason, message, wanted) in [
            (
                "ErrImagePull",
                r#"rpc error: code = NotFound desc = failed to pull and unpack image "x": not found"#,
                "not found",
            ),
            ("ErrImagePull", "pull access denied, repository does not exist", "the registry denies access"),
            ("ErrImagePull", "dial tcp: lookup registry: no such host", "the registry can't be reached"),
            (
                "ImagePullBackOff",
                "toomanyrequests: You have reached your pull rate limit",
                "the registry refuses more pulls for now",
            ),
            ("InvalidImageName", "", "the name isn't valid"),
        ] {
            assert_eq!(of_image(reason, message).as_deref(), Some(wanted), "{message}");
        }
        assert_eq!(of_image("ImagePullBackOff", r#"Back-off pulling image "x""#), None);
    }
}
