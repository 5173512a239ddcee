//! What the cluster itself says, in decisions.

use homeostat_core::{ClusterFact, ClusterObjectRef, FactKind, Remedy, Standing};

use super::*;

pub(super) fn missing_image() -> Annotation {
    let fact = ClusterFact {
        kind: FactKind::ImagePull,
        incident_type: IncidentType::ImagePull,
        standing: Standing::Opens,
        subject: cart(),
        object: ClusterObjectRef { kind: "Pod".into(), namespace: "shop".into(), name: "cart-1".into() },
        sentence: "the image `shop/cart:1.4.9` can't be pulled: not found".into(),
        since: NOW,
        revision: None,
        affected: vec![],
        cannot_cure: vec![Remedy::NewPods],
        may_cure: vec![],
    };
    Annotation::ClusterFact { fact, until: None }
}

#[test]
fn a_type_that_a_fact_establishes_needs_no_confidence_and_one_that_it_doesnt_does() {
    let mut case = case();
    case.incident.confidence = Calibrated::UNKNOWN;
    let Annotation::ClusterFact { mut fact, .. } = missing_image() else { panic!("it is one") };
    (fact.incident_type, fact.cannot_cure) = (IncidentType::OomKilled, vec![]);
    case.incident.annotations = vec![Annotation::ClusterFact { fact: fact.clone(), until: None }];
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
    let codes = |case: &Case| -> Vec<String> {
        case.decide().objections().iter().map(|objection| objection.code.to_string()).collect()
    };
    // What is over, what only hints, and what is of another type establish nothing.
    let over = Annotation::ClusterFact { fact: fact.clone(), until: Some(NOW) };
    let hint = ClusterFact { standing: Standing::Hints, ..fact.clone() };
    let other = ClusterFact { incident_type: IncidentType::Latency, ..fact };
    for annotation in [
        over,
        Annotation::ClusterFact { fact: hint, until: None },
        Annotation::ClusterFact { fact: other, until: None },
    ] {
        case.incident.annotations = vec![annotation];
        assert_eq!(codes(&case), ["low-confidence", "too-few-outcomes"]);
    }
}

#[test]
fn an_objection_by_a_fact_names_the_object_and_the_cause() {
    let mut case = case();
    case.incident.annotations.push(missing_image());
    let decision = case.decide();
    let [objection] = decision.objections() else { panic!("{decision:?}") };
    assert!(objection.text.contains("the image `shop/cart:1.4.9` can't be pulled: not found"), "{objection}");
    assert_eq!(objection.values["object"], "Pod/cart-1");
    // Going back to the revision before isn't forbidden.
    case.incident.incident_type = IncidentType::BadDeployment;
    assert!(matches!(case.decide(), Decision::Execute(_)), "{:?}", case.decide());
}
