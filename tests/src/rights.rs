//! Service accounts with exactly the rights a test gives them: what homeostat runs as.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::control_plane::ControlPlane;
use crate::identity::Identity;
use crate::wait;

/// A rule in one line: `allow("apps", &["deployments"], &["get", "patch"])`; the core group is `""`.
#[must_use]
pub fn allow(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

impl ControlPlane {
    /// A new service account without any rights, with a token that lasts longer than any test.
    ///
    /// Its changes are found by [`ControlPlane::changes_by`] under [`Identity::user`].
    ///
    /// # Errors
    /// When the namespace doesn't exist, or the account does.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<Identity> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        accounts.create(&PostParams::default(), &account).await.with_context(|| format!("creating {name}"))?;
        self.token_of(namespace, name).await
    }

    /// A token and kubeconfig for a service account that exists, for instance one that a manifest made.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn token_of(&self, namespace: &str, name: &str) -> Result<Identity> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() }),
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = answer.status.and_then(|status| status.token).context("the API server made no token")?;
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Identity::new(&self.scratch, self.url(), self.authority(), &user, &token)
    }

    /// Gives `identity` (a service account) rights in one namespace, and waits until they're in force.
    ///
    /// # Errors
    /// When the role can't be made or doesn't come into force.
    pub async fn grant_in(&self, identity: &Identity, namespace: &str, rules: &[PolicyRule]) -> Result<()> {
        let client = self.client().await?;
        let metadata = generated("test-");
        let role = Role { metadata, rules: Some(rules.to_vec()) };
        let role = Api::<Role>::namespaced(client.clone(), namespace).create(&PostParams::default(), &role).await?;
        let binding = RoleBinding {
            metadata: generated("test-"),
            role_ref: role_ref("Role", role.metadata.name),
            subjects: Some(vec![subject(identity)?]),
        };
        Api::<RoleBinding>::namespaced(client.clone(), namespace).create(&PostParams::default(), &binding).await?;
        wait_in_force(&client, identity, Some(namespace), rules).await
    }

    /// Gives `identity` (a service account) rights in the whole cluster, and waits until they're in force.
    ///
    /// # Errors
    /// As [`ControlPlane::grant_in`].
    pub async fn grant_everywhere(&self, identity: &Identity, rules: &[PolicyRule]) -> Result<()> {
        let client = self.client().await?;
        let role = ClusterRole { metadata: generated("test-"), rules: Some(rules.to_vec()), ..ClusterRole::default() };
        let role = Api::<ClusterRole>::all(client.clone()).create(&PostParams::default(), &role).await?;
        let binding = ClusterRoleBinding {
            metadata: generated("test-"),
            role_ref: role_ref("ClusterRole", role.metadata.name),
            subjects: Some(vec![subject(identity)?]),
        };
        Api::<ClusterRoleBinding>::all(client.clone()).create(&PostParams::default(), &binding).await?;
        wait_in_force(&client, identity, None, rules).await
    }
}

/// Whether `identity` may do `verb` on `resource` of `group`, as the API server sees it now.
///
/// # Errors
/// When the API server doesn't answer.
pub async fn may(
    client: &Client,
    identity: &Identity,
    namespace: Option<&str>,
    group: &str,
    resource: &str,
    verb: &str,
) -> Result<bool> {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        namespace: namespace.map(str::to_owned),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(identity.user.clone()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = Api::<SubjectAccessReview>::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// The API server's authoriser learns of a new role through a watch, a moment after the role was made.
async fn wait_in_force(
    client: &Client,
    identity: &Identity,
    namespace: Option<&str>,
    rules: &[PolicyRule],
) -> Result<()> {
    for rule in rules {
        let first = |words: &Option<Vec<String>>| words.iter().flatten().next().cloned();
        let (Some(group), Some(resource), Some(verb)) =
            (first(&rule.api_groups), first(&rule.resources), rule.verbs.first())
        else {
            continue;
        };
        // A rule for named objects only doesn't answer a question about all of them.
        if rule.resource_names.is_some() {
            continue;
        }
        let what = format!("{} may {verb} {resource}", identity.user);
        wait::until_true(&what, Duration::from_secs(10), || may(client, identity, namespace, &group, &resource, verb))
            .await?;
    }
    Ok(())
}

fn generated(prefix: &str) -> ObjectMeta {
    ObjectMeta { generate_name: Some(prefix.to_owned()), ..ObjectMeta::default() }
}

fn role_ref(kind: &str, name: Option<String>) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: kind.to_owned(),
        name: name.unwrap_or_default(),
    }
}

fn subject(identity: &Identity) -> Result<Subject> {
    let parts: Vec<&str> = identity.user.split(':').collect();
    ensure!(parts.len() == 4 && parts[1] == "serviceaccount", "{} is not a service account", identity.user);
    Ok(Subject {
        kind: "ServiceAccount".to_owned(),
        namespace: Some(parts[2].to_owned()),
        name: parts[3].to_owned(),
        ..Subject::default()
    })
}
