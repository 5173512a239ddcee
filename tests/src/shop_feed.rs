//! The shop's present: exporters whose values continue its history, up to the moment of each scrape.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use homeostat_core::Timestamp;
use kube::Client;

use crate::exporter::Exporter;
use crate::kube_state::KubeState;
use crate::prometheus::ScrapeJob;
use crate::shop::{JOBS, Shop};

/// Exporters for the jobs `shop` (what the services report), `kubelet` (what cAdvisor reports) and
/// `kube-state-metrics`.
pub struct ShopFeed {
    shop: Arc<Mutex<Shop>>,
    exporters: [Exporter; 3],
}

/// The labels that a scrape adds to a job's series besides `job` and `instance`.
#[must_use]
pub fn job_labels(job: &str) -> &'static [(&'static str, &'static str)] {
    // The usual scrape configuration of a kubelet has this label, and queries tell its pages apart by it.
    if job == "kubelet" { &[("metrics_path", "/metrics/cadvisor")] } else { &[] }
}

/// The machine's clock: real parts run by it.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "Prometheus stamps its scrapes by this clock, and the feed must agree")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl ShopFeed {
    /// Shows `shop` as of now, from now on.
    ///
    /// # Errors
    /// When an exporter can't be started.
    pub fn start(shop: Shop) -> Result<Self> {
        let shop = Arc::new(Mutex::new(shop));
        let exporters = [Exporter::start()?, Exporter::start()?, Exporter::start()?];
        for (index, exporter) in exporters.iter().enumerate() {
            let shop = Arc::clone(&shop);
            exporter.before_scrape(move |page| {
                let mut shop = shop.lock().unwrap_or_else(PoisonError::into_inner);
                shop.advance(now());
                *page = std::mem::take(&mut shop.pages()[index]);
            });
        }
        Ok(Self { shop, exporters })
    }

    /// What Prometheus should scrape.
    #[must_use]
    pub fn jobs(&self) -> Vec<ScrapeJob> {
        let job = |(name, exporter): (&&str, &Exporter)| {
            job_labels(name)
                .iter()
                .fold(ScrapeJob::of(name, exporter), |job, (label, value)| job.with_label(label, value))
        };
        JOBS.iter().zip(&self.exporters).map(job).collect()
    }

    /// The shop, for disturbing it. Not to be held across an `await`: no scrape is answered meanwhile.
    pub fn shop(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exporter of one of [`JOBS`], for breaking it.
    #[must_use]
    pub fn exporter(&self, job: &str) -> Option<&Exporter> {
        JOBS.iter().position(|known| *known == job).map(|index| &self.exporters[index])
    }

    /// From now on the shop's pods are those of the cluster's namespace of that name, and kube-state-metrics tells
    /// what the API server has, for as long as the returned mirror is kept.
    ///
    /// # Errors
    /// When the API server doesn't answer.
    pub async fn follow(&self, client: Client) -> Result<KubeState> {
        let namespace = self.shop().namespace().to_owned();
        let kube_state = &self.exporters[2];
        let mirror = KubeState::mirror(client, &namespace, kube_state.handle(), Some(Arc::clone(&self.shop))).await?;
        // The page is the mirror's now; the shop must not write over it.
        kube_state.before_scrape(|_| {});
        Ok(mirror)
    }
}
