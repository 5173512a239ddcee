//! Training anew while serving, beside the cycles: what the config says, when it is due, and what became of it.
//!
//! Which subjects take the new models is the monitor's to say.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::Timestamp;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::source::NotTrained;
use crate::training::Trained;
use crate::training::child::Trainer;
use crate::training::purpose::Purpose;

/// After training failed, the next try: a Prometheus that is away is back in an hour, and pulling weeks of history more often
/// would be a burden.
const AGAIN_AFTER: Duration = Duration::from_secs(3_600);

/// When models are trained anew, and the training that runs.
pub(crate) struct Retraining {
    every: Duration,
    trainer: Arc<dyn Trainer>,
    due_at: Timestamp,
    /// At most one.
    running: Option<JoinHandle<Result<Trained, NotTrained>>>,
}

impl Retraining {
    /// What the config says; nothing, if it says nothing. Models were trained at `now`.
    pub(crate) fn of(config: &Config, trainer: Arc<dyn Trainer>, now: Timestamp) -> Option<Self> {
        let every = config.retrain_every?;
        Some(Self { every, trainer, due_at: now + every, running: None })
    }

    /// Starts a training if one is due, and gives the models of one that has ended. It never waits for one.
    pub(crate) async fn tick(&mut self, now: Timestamp) -> Option<Trained> {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            return self.ended(now).await;
        }
        if self.running.is_none() && now >= self.due_at {
            let trainer = Arc::clone(&self.trainer);
            self.running = Some(tokio::spawn(async move { trainer.train(Purpose::Renewal).await }));
        }
        None
    }

    async fn ended(&mut self, now: Timestamp) -> Option<Trained> {
        let why = match self.running.take()?.await {
            Ok(Ok(trained)) => {
                self.due_at = now + self.every;
                return Some(trained);
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.due_at = now + AGAIN_AFTER;
        tracing::warn!(why, next = %self.due_at, "retraining failed; the current models stay in use");
        None
    }
}

#[cfg(test)]
mod tests;
