//! For tests of this crate: plans, notes, and a store in memory that fails where it is told to.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{
    Calibrated, CorrelationId, Escalation, Incident, IncidentId, IncidentState, IncidentType, Score, Subject, Timestamp,
};
use homeostat_remediate::{ActionName, Args, Inverse, Level, Plan, PlanId, Recovery, Repeat, Step, Target, VerifySpec};
use homeostat_remediate::{DecisionOutcome, DecisionRecord, Reason};

use crate::error::ReadError;
use crate::row::{Epoch, Head, Row};
use crate::store::{AppendError, Cut, READ_ROWS_MAX, Store};
use crate::{Intent, Note};

/// A moment of the tests' day.
pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(10_000 + secs)
}

/// A restart of `shop/deployment/NAME`, decided at `at`: one feature `errors`, settle 1 m, window 5 m, three points.
pub(crate) fn plan(name: &str, at: Timestamp) -> Plan {
    let subject = Subject::deployment("shop", name);
    let incident = IncidentId::of(&subject, at);
    let minute = Duration::from_secs(60);
    Plan {
        id: PlanId::of(&incident, 1),
        incident,
        correlation: CorrelationId::of(&subject, at),
        incident_type: IncidentType::OomKilled,
        policy: "restart".into(),
        attempt: 1,
        target: Target { subject, uid: "u".into(), resource_version: "1".into(), generation: None },
        step: Step {
            action: ActionName::new("rollout-restart"),
            args: Args::default().with("restarted_at", at.to_string()),
        },
        inverse: Inverse::Nothing,
        repeat: Repeat::Idempotent,
        undo_if_failed: false,
        verify: VerifySpec {
            features: vec!["errors".into()],
            window: 5 * minute,
            settle: minute,
            fresh_points_min: 3,
            traffic_floor: 0.5,
            replicas_before: 3,
            rollout_failed_before: false,
            recovery: Recovery::RollOut,
        },
        decided_at: at,
        apply_before: at + 2 * minute,
        deadline: at + 20 * minute,
    }
}

/// Its intent.
pub(crate) fn intent(name: &str, at: Timestamp) -> Intent {
    Intent {
        plan: plan(name, at),
        executor: "test".into(),
        write: "{}".into(),
        traffic_before: Some(10.0),
        levels_before: [("errors".to_owned(), Level { deviation: 7.5, value: 0.1 })].into(),
    }
}

/// The id of the incident of `shop/deployment/NAME` that opened then.
pub(crate) fn incident_id(name: &str, opened_at: Timestamp) -> IncidentId {
    IncidentId::of(&Subject::deployment("shop", name), opened_at)
}

/// An incident of `shop/deployment/NAME`.
pub(crate) fn incident(name: &str, opened_at: Timestamp, state: IncidentState, updated_at: Timestamp) -> Incident {
    let subject = Subject::deployment("shop", name);
    Incident {
        id: IncidentId::of(&subject, opened_at),
        correlation: CorrelationId::of(&subject, opened_at),
        subject,
        incident_type: IncidentType::OomKilled,
        state,
        opened_at,
        updated_at,
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        confidence: Calibrated::UNKNOWN,
        evidence: vec![],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

/// It as a note.
pub(crate) fn noted(name: &str, opened_at: Timestamp, state: IncidentState, updated_at: Timestamp) -> Note {
    Note::Incident(Box::new(incident(name, opened_at, state, updated_at)))
}

/// A refusal to restart for this reason.
pub(crate) fn decision(name: &str, opened_at: Timestamp, code: &str, values: &serde_json::Value) -> Note {
    let subject = Subject::deployment("shop", name);
    Note::Decision(DecisionRecord {
        incident: IncidentId::of(&subject, opened_at),
        correlation: CorrelationId::of(&subject, opened_at),
        subject,
        policy: None,
        outcome: DecisionOutcome::Refuse,
        action: Some("rollout-restart".into()),
        plan: None,
        approved_by: None,
        refusals: vec![Reason { code: code.into(), text: "because".into(), values: values.clone() }],
    })
}

/// A call for this reason.
pub(crate) fn call(name: &str, opened_at: Timestamp, reason: &str) -> Note {
    let subject = Subject::deployment("shop", name);
    Note::Escalated(Escalation {
        incident: IncidentId::of(&subject, opened_at),
        correlation: CorrelationId::of(&subject, opened_at),
        subject,
        channels: [].into(),
        reason: reason.into(),
        message: "look".into(),
        history: vec![],
        at: opened_at,
    })
}

/// How a store answers one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NotWritten,
    /// The row is lost, and so is the answer.
    LostWithItsAnswer,
    /// The row is written, and only the answer is lost.
    AnswerLost,
    Fenced,
}

/// Rows in memory. Each answer comes on the second poll, as from a store that is really asynchronous.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    rows: Vec<Row>,
    archived: Vec<Row>,
    base: Option<Head>,
    epoch: i64,
    n_appends: usize,
    fault: Option<(usize, Fault)>,
    is_unreadable: bool,
}

impl MemoryStore {
    /// From now on the `n`-th append (from 1) fails so.
    pub(crate) fn fail_at(&self, n: usize, fault: Fault) {
        let mut inner = self.inner.lock().unwrap();
        inner.n_appends = 0;
        inner.fault = Some((n, fault));
    }

    pub(crate) fn set_unreadable(&self, is_unreadable: bool) {
        self.inner.lock().unwrap().is_unreadable = is_unreadable;
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.inner.lock().unwrap().rows.clone()
    }

    /// Puts a row in behind the journal's back, as another version would have.
    pub(crate) fn put(&self, row: Row) {
        self.inner.lock().unwrap().rows.push(row);
    }
}

/// Pending once.
#[derive(Default)]
struct Later(bool);

impl Future for Later {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Inner {
    fn write(&mut self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.n_appends += 1;
        let fault = self.fault.filter(|(n, _)| *n == self.n_appends).map(|(_, fault)| fault);
        match fault {
            Some(Fault::NotWritten) => return Err(AppendError::NotWritten("disk full".into())),
            Some(Fault::LostWithItsAnswer) => return Err(AppendError::NotConfirmed("input/output error".into())),
            Some(Fault::Fenced) => return Err(AppendError::Fenced("somebody else has it".into())),
            Some(Fault::AnswerLost) | None => {}
        }
        let head = self.rows.last().map_or_else(Head::empty, Row::head);
        if self.epoch > epoch.0 || &head != after {
            return Err(AppendError::Fenced("another writer".into()));
        }
        self.epoch = epoch.0;
        self.rows.push(row.clone());
        match fault {
            Some(_) => Err(AppendError::NotConfirmed("input/output error".into())),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        Later::default().await;
        Ok(self.inner.lock().unwrap().base.clone())
    }

    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        Later::default().await;
        let inner = self.inner.lock().unwrap();
        if inner.is_unreadable {
            return Err(ReadError { why: "input/output error".into() });
        }
        Ok(inner.rows.iter().filter(|row| row.seq > after).take(READ_ROWS_MAX).cloned().collect())
    }

    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        Later::default().await;
        self.inner.lock().unwrap().write(row, after, epoch)
    }

    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        Later::default().await;
        let mut inner = self.inner.lock().unwrap();
        inner.write(row, after, epoch)?;
        let from = inner.base.as_ref().map_or(0, |base| base.seq);
        let (old, kept): (Vec<Row>, Vec<Row>) =
            std::mem::take(&mut inner.rows).into_iter().partition(|row| row.seq <= cut.through.seq);
        inner.rows = old.iter().filter(|row| cut.carried.contains(&row.seq)).cloned().chain(kept).collect();
        inner.archived.extend(old.into_iter().filter(|row| row.seq > from));
        inner.base = Some(cut.through.clone());
        Ok(())
    }

    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        Later::default().await;
        let inner = self.inner.lock().unwrap();
        let mut found: Vec<Row> =
            inner.archived.iter().chain(&inner.rows).filter(|row| row.about.incident == incident).cloned().collect();
        found.sort_by_key(|row| row.seq);
        found.dedup_by_key(|row| row.seq);
        Ok(found)
    }
}
