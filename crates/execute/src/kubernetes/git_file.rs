//! The file in git from which a workload is kept.

use homeostat_remediate::{Args, GitFile, Known};

use crate::git::Remote;
use crate::sight::Sight;

/// The file that the action asked to see.
pub(super) async fn file(sights: &[Sight]) -> Known<GitFile> {
    let args = sights.iter().find_map(|sight| match sight {
        Sight::GitFile(args) => Some(args),
        Sight::Pods
        | Sight::Quotas
        | Sight::ScaledObject
        | Sight::Object(..)
        | Sight::HelmRelease
        | Sight::Nodes
        | Sight::PodsOfNodes => None,
    });
    let Some(args) = args else { return Known::NotVisible { why: "nobody looked".to_owned() } };
    match read(args).await {
        Ok(file) => Known::Is(file),
        Err(why) => Known::NotVisible { why },
    }
}

async fn read(args: &Args) -> Result<GitFile, String> {
    Remote::of(args)?.read().await
}
