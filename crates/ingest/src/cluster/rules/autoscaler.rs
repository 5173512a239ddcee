//! HorizontalPodAutoscalers that can't read what they scale by.

use homeostat_core::{ClusterFact, FactKind, Standing, Subject, WorkloadKind};

use super::super::draft::Draft;
use super::super::meta::condition;
use super::super::scaling::Autoscaler;
use super::super::view::View;
use super::words::cut;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    view.autoscalers.iter().filter_map(|autoscaler| fact(view, autoscaler)).collect()
}

fn fact(view: &View<'_>, autoscaler: &Autoscaler) -> Option<ClusterFact> {
    let (name, target) = (&autoscaler.meta.name, &autoscaler.target_name);
    let able = condition(&autoscaler.conditions, "AbleToScale").filter(|able| able.is_false);
    let active = condition(&autoscaler.conditions, "ScalingActive").filter(|active| active.is_false);
    // Switched off by scaling to zero: somebody meant that.
    let at_fault = able.or_else(|| active.filter(|active| active.reason != "ScalingDisabled"))?;
    let why = match at_fault.message.split_once("missing request for ") {
        Some((_, rest)) => {
            let resource = rest.split_whitespace().next().unwrap_or("a resource");
            format!("the containers of its pods don't say how much {resource} they request")
        }
        None if at_fault.message.contains("no metrics returned")
            || at_fault.message.contains("unable to fetch metrics") =>
        {
            "the cluster has no metrics of its pods; is metrics-server running?".to_owned()
        }
        None => cut(&at_fault.message),
    };
    let kind = match autoscaler.target_kind.as_str() {
        "Deployment" => WorkloadKind::Deployment,
        "StatefulSet" => WorkloadKind::StatefulSet,
        _other => WorkloadKind::External,
    };
    let subject = Subject { namespace: autoscaler.meta.namespace.clone(), kind, name: target.clone() };
    let sentence = format!("HorizontalPodAutoscaler `{name}` doesn't scale `{target}`: {why}");
    let object = autoscaler.meta.object("HorizontalPodAutoscaler");
    let since = at_fault.since.unwrap_or(view.now);
    Some(Draft::new(FactKind::AutoscalerInactive, object, since, sentence).about(subject, Standing::Opens))
}
