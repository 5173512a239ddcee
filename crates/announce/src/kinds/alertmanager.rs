//! `type: alertmanager`: each open incident is an alert of Alertmanager (API v2), which groups, routes, silences and repeats it.
//!
//! As Prometheus does, alerts are sent again and again with an end a few times that far ahead: when homeostat dies they end by
//! themselves, and an Alertmanager that was away learns of them with the next time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Incident, IncidentState, Subject, Timestamp, WorkloadKind};
use homeostat_settings::Reader;
use serde_json::{Value, json};

use super::ChannelKind;
use crate::endpoint::Endpoint;
use crate::http::{Http, Post, post};
use crate::outlet::{Attempt, Delivery, Mirror, Outlet};
use crate::wording;

pub(super) static KIND: ChannelKind =
    ChannelKind { name: "alertmanager", example: "{type: alertmanager, url: https://receiver.example/hook}", open };

/// As `--rules.alert.resend-delay` of Prometheus.
const RESEND_DELAY_DEFAULT: Duration = Duration::from_secs(60);

/// More often is a burden without use; more seldom, and an Alertmanager that was restarted has forgotten what is open.
const RESEND_DELAYS: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(3_600);

/// How many delays ahead an alert ends unless it is sent again: as Prometheus, which lets three in a row be lost.
const ENDS_AFTER_DELAYS: u32 = 4;

type Labels = BTreeMap<String, String>;

struct Alertmanager {
    http: Http,
    url: Endpoint,
    resend_delay: Duration,
    /// Added to each alert.
    labels: Labels,
    /// What it takes for firing, with its start: what isn't open any more is told as ended.
    firing: Mutex<BTreeMap<Labels, Timestamp>>,
}

fn open(reader: &mut Reader<'_>, http: &Http) -> Option<Outlet> {
    let resend_delay = reader.duration_in("resend_delay", RESEND_DELAYS).unwrap_or(RESEND_DELAY_DEFAULT);
    let labels = reader.named_texts("labels");
    let url = Endpoint::read(reader)?;
    let firing = Mutex::default();
    Some(Outlet::Mirror(Arc::new(Alertmanager { http: http.clone(), url, resend_delay, labels, firing })))
}

impl Alertmanager {
    /// The labels make it one and the same alert: only what doesn't change while it is open, and its type. When that changes it
    /// is another alert, and this one ends.
    fn labels(&self, incident: &Incident) -> Labels {
        let Subject { namespace, kind, name } = &incident.subject;
        let kind = match kind {
            // As kube-state-metrics names its labels.
            WorkloadKind::Deployment => "deployment",
            WorkloadKind::StatefulSet => "statefulset",
            WorkloadKind::DaemonSet => "daemonset",
            WorkloadKind::External => "external",
        };
        let own = [
            ("alertname", "HomeostatIncident".to_owned()),
            ("incident", incident.id.to_string()),
            ("incident_type", incident.incident_type.name().to_owned()),
            ("namespace", wording::one_line(namespace)),
            (kind, wording::one_line(name)),
        ];
        // Its own labels win: without them nobody would know what it is about.
        let mut labels = self.labels.clone();
        labels.extend(own.map(|(label, value)| (label.to_owned(), value)));
        labels
    }

    fn firing_alert(&self, incident: &Incident, now: Timestamp) -> Value {
        let subject = &incident.subject;
        let summary = match incident.facts().next() {
            Some(fact) => format!("{subject}: {}", fact.sentence),
            None => format!("{}: {subject}", incident.incident_type),
        };
        let mut description = wording::description(incident);
        if incident.state == IncidentState::Stale {
            description = format!("Its data has stopped; {description}");
        }
        json!({
            "labels": self.labels(incident),
            "annotations": { "summary": wording::one_line(summary), "description": description },
            "startsAt": incident.opened_at.to_string(),
            "endsAt": (now + self.resend_delay * ENDS_AFTER_DELAYS).to_string(),
        })
    }
}

#[async_trait]
impl Mirror for Alertmanager {
    async fn show(&self, open: &[Incident], attempt: Attempt) -> Delivery {
        let url = match self.url.url().and_then(|url| url.join("api/v2/alerts")) {
            Ok(url) => url,
            Err(why) => return Delivery::Retry { why, after: None },
        };
        let now_firing: BTreeMap<Labels, Timestamp> =
            open.iter().map(|incident| (self.labels(incident), incident.opened_at)).collect();
        let before = self.firing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ended = before.iter().filter(|(labels, _)| !now_firing.contains_key(*labels)).map(|(labels, started_at)| {
            json!({ "labels": labels, "startsAt": started_at.to_string(), "endsAt": attempt.now.to_string() })
        });
        let alerts: Vec<Value> =
            open.iter().map(|incident| self.firing_alert(incident, attempt.now)).chain(ended).collect();
        if alerts.is_empty() {
            return Delivery::Accepted;
        }
        let body = Value::Array(alerts).to_string();
        let request = Post { url: &url, content_type: "application/json", headers: &[], body };
        let delivery = post(&self.http, request, attempt).await;
        // What wasn't accepted may have arrived all the same; an end that is told once more does no harm, one that isn't told does.
        let mut firing = self.firing.lock().unwrap_or_else(PoisonError::into_inner);
        match delivery {
            Delivery::Accepted => *firing = now_firing,
            Delivery::Retry { .. } | Delivery::Refused { .. } => firing.extend(now_firing),
        }
        delivery
    }

    fn every(&self) -> Duration {
        self.resend_delay
    }
}
