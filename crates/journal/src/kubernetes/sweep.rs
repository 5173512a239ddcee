//! Removing the objects of archived rows, a few at a time.

use super::{KubernetesStore, NAME, PAGE, head, rows, told};
use crate::error::ReadError;
use crate::objects::{Verb, list, write};

impl KubernetesStore {
    /// Deletes at most `n_max` objects of rows that were archived and don't count any more, and says how many. Also those that
    /// a process which died, or was fenced, has left.
    pub async fn sweep(&self, n_max: usize) -> Result<usize, ReadError> {
        let unreadable = |error| ReadError { why: told(&error) };
        let Some(head) = self.look().await?.filter(|head: &head::HeadObject| head.base.is_some()) else { return Ok(0) };
        let labels = format!("{}={NAME}", rows::JOURNAL_LABEL);
        let (mut n_deleted, mut token) = (0, None);
        loop {
            let (items, next) = list(&*self.objects, &self.rows, &labels, PAGE, token).await.map_err(unreadable)?;
            for item in &items {
                let (Some(seq), Some(name)) = (item["spec"]["seq"].as_i64(), item["metadata"]["name"].as_str()) else {
                    continue;
                };
                // What is beyond the last row, or isn't archived, is none of this.
                if head.keeps(seq) || seq > head.head().seq {
                    continue;
                }
                if n_deleted == n_max || (self.may_write)().is_err() {
                    return Ok(n_deleted);
                }
                write(&*self.objects, &self.rows, Verb::Delete { name: name.to_owned() }).await.map_err(unreadable)?;
                n_deleted += 1;
            }
            match next {
                Some(next) => token = Some(next),
                None => return Ok(n_deleted),
            }
        }
    }
}
