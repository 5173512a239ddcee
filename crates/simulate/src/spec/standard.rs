//! The shop of the demo and the tests: a table.

use std::time::Duration;

use homeostat_core::WorkloadKind;

use super::{Call, ServiceSpec, ShopSpec};

/// One line of the table below.
struct Line {
    name: &'static str,
    replicas: u32,
    demand_rps: f64,
    cpu_ms_per_request: f64,
    cpu_limit_cores: f64,
    latency_base_ms: f64,
    memory_base: f64,
    memory_load: f64,
    startup_s: f64,
    /// (to, per request, criticality, waits)
    calls: &'static [(&'static str, f64, f64, bool)],
}

/// CPU costs are such that a pod is a quarter busy at mean traffic, so 40 % at the daily peak: what
/// sensible teams leave free, and room for a campaign.
#[rustfmt::skip]
const LINES: [Line; 9] = [
    Line { name: "frontend", replicas: 4, demand_rps: 400.0, cpu_ms_per_request: 2.5, cpu_limit_cores: 1.0, latency_base_ms: 40.0,
        memory_base: 0.42, memory_load: 0.20, startup_s: 25.0, calls: &[("catalog", 1.2, 0.6, true), ("cart", 0.4, 0.5, true), ("checkout", 0.06, 1.0, true)] },
    Line { name: "catalog", replicas: 3, demand_rps: 0.0, cpu_ms_per_request: 1.6, cpu_limit_cores: 1.0, latency_base_ms: 25.0,
        memory_base: 0.50, memory_load: 0.15, startup_s: 35.0, calls: &[("inventory", 0.2, 0.3, true)] },
    Line { name: "cart", replicas: 3, demand_rps: 0.0, cpu_ms_per_request: 2.4, cpu_limit_cores: 0.5, latency_base_ms: 18.0,
        memory_base: 0.38, memory_load: 0.20, startup_s: 20.0, calls: &[("inventory", 0.1, 0.3, true)] },
    Line { name: "checkout", replicas: 3, demand_rps: 0.0, cpu_ms_per_request: 16.0, cpu_limit_cores: 0.5, latency_base_ms: 60.0,
        memory_base: 0.40, memory_load: 0.20, startup_s: 30.0, calls: &[("payment-api", 1.0, 1.0, true), ("orders", 1.0, 1.0, true), ("inventory", 1.5, 0.8, true), ("email-worker", 1.0, 0.0, false)] },
    Line { name: "payment-api", replicas: 3, demand_rps: 0.0, cpu_ms_per_request: 15.0, cpu_limit_cores: 0.5, latency_base_ms: 80.0,
        memory_base: 0.45, memory_load: 0.20, startup_s: 30.0, calls: &[("ledger-db", 3.0, 1.0, true)] },
    Line { name: "orders", replicas: 2, demand_rps: 12.0, cpu_ms_per_request: 7.0, cpu_limit_cores: 0.5, latency_base_ms: 35.0,
        memory_base: 0.40, memory_load: 0.20, startup_s: 30.0, calls: &[("ledger-db", 1.0, 0.5, true)] },
    Line { name: "inventory", replicas: 3, demand_rps: 0.0, cpu_ms_per_request: 2.4, cpu_limit_cores: 0.5, latency_base_ms: 15.0,
        memory_base: 0.48, memory_load: 0.15, startup_s: 25.0, calls: &[] },
    Line { name: "email-worker", replicas: 2, demand_rps: 0.0, cpu_ms_per_request: 10.0, cpu_limit_cores: 0.5, latency_base_ms: 120.0,
        memory_base: 0.36, memory_load: 0.20, startup_s: 20.0, calls: &[] },
    Line { name: "ledger-db", replicas: 1, demand_rps: 0.0, cpu_ms_per_request: 9.0, cpu_limit_cores: 4.0, latency_base_ms: 8.0,
        memory_base: 0.60, memory_load: 0.10, startup_s: 40.0, calls: &[] },
];

impl Line {
    fn service(&self) -> ServiceSpec {
        // The database is somebody else's: watched through its exporter, out of reach of any action.
        let kind = if self.name == "ledger-db" { WorkloadKind::External } else { WorkloadKind::Deployment };
        let call = |&(to, per_request, criticality, waits): &(&str, f64, f64, bool)| Call {
            to: to.to_owned(),
            per_request,
            criticality,
            waits,
        };
        ServiceSpec {
            name: self.name.to_owned(),
            kind,
            replicas: self.replicas,
            demand_rps: self.demand_rps,
            calls: self.calls.iter().map(call).collect(),
            cpu_s_per_request: self.cpu_ms_per_request / 1000.0,
            cpu_limit_cores: self.cpu_limit_cores,
            latency_base_s: self.latency_base_ms / 1000.0,
            memory_base: self.memory_base,
            memory_load: self.memory_load,
            startup_s: self.startup_s,
        }
    }
}

impl Default for ShopSpec {
    /// Eight Deployments and an external database in namespace `shop`, a row a minute, two weeks of history.
    fn default() -> Self {
        Self {
            namespace: "shop".to_owned(),
            step: Duration::from_secs(60),
            services: LINES.iter().map(Line::service).collect(),
            history_steps: 14 * 24 * 60,
            // A Prometheus on a busy cluster loses about one scrape in two thousand to timeouts.
            scrape_loss: 0.0005,
        }
    }
}
