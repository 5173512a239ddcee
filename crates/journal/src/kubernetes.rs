//! Rows as objects in a Kubernetes cluster: etcd makes them durable, and one object's `resourceVersion` is the fence.
//!
//! A row is written by replacing the `Journal` object, which holds it, if that is still the version that was read. Then, before
//! the next one is written, it becomes a `JournalRow` of its own. So there is one moment at which a row is in the journal, and
//! no two writers get past it together (docs/decisions/0139).

mod head;
mod may_write;
mod rows;
mod sweep;
mod views;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use head::HeadObject;
pub use may_write::MayWrite;
pub use views::Views;

use crate::error::ReadError;
use crate::lease::Term;
use crate::objects::{Collection, Objects, RequestError, Verb, get, list, write};
use crate::row::{Epoch, Head, Row};
use crate::sqlite::ArchiveFiles;
use crate::store::{AppendError, Cut, READ_ROWS_MAX, Store};

/// Objects a page of a list: some 1.5 MB.
const PAGE: u32 = 500;

/// So many rows are read one by one; more are read as a list. A follower reads a few in each cycle.
const ONE_BY_ONE_MAX: i64 = 32;

/// How often a write is tried at the version that somebody's harmless change (an annotation, say) has made.
const ATTEMPTS: usize = 4;

/// The longest body of a row. etcd takes 1.5 MB a request; the object of the last row has the list of those that stay as well.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// The one journal of a namespace; its rows' names begin so.
const NAME: &str = "homeostat";

/// A store in a cluster.
pub struct KubernetesStore {
    objects: Arc<dyn Objects>,
    journals: Collection,
    rows: Collection,
    /// Where archived rows go: files of the SQLite journal's layout.
    archive: ArchiveFiles,
    may_write: MayWrite,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The `Journal` object as it was last seen.
    known: Option<HeadObject>,
    /// Whether its last row is an object of its own.
    is_last_stored: bool,
    /// Where reading on after a row begins.
    cursor: Option<(i64, String)>,
}

impl KubernetesStore {
    /// The journal of this namespace. `archive_beside` is where archived rows go: `DIR/journal.db` makes
    /// `DIR/journal-2026-11.db`. `may_write` is asked right before each write.
    pub fn new(objects: Arc<dyn Objects>, namespace: &str, archive_beside: PathBuf, may_write: MayWrite) -> Self {
        let collection =
            |resource| Collection { api_version: rows::API_VERSION, resource, namespace: namespace.to_owned() };
        Self {
            objects,
            journals: collection("journals"),
            rows: collection("journalrows"),
            archive: ArchiveFiles::beside(archive_beside),
            may_write,
            state: Mutex::default(),
        }
    }

    /// Makes this process the writer: from here on rows of every earlier epoch are refused. `term`: the lease's, where there is
    /// leader election; a term that is over claims nothing.
    pub async fn claim(&self, term: Option<&Term>) -> Result<Epoch, AppendError> {
        for _ in 0..ATTEMPTS {
            (self.may_write)().map_err(AppendError::NotWritten)?;
            let mut head = match self.look().await.map_err(|error| AppendError::NotWritten(error.why))? {
                Some(head) => head,
                None => self.first().await?,
            };
            if let (Some(ours), Some(theirs)) = (term, &head.term)
                && ours.is_before(theirs)
            {
                return Err(AppendError::Fenced(format!("{} leads since", theirs.holder)));
            }
            head.epoch = Epoch(head.epoch.0 + 1);
            head.term = term.cloned();
            match self.put(&head).await {
                Ok(stored) => {
                    let epoch = stored.epoch;
                    self.know(stored);
                    return Ok(epoch);
                }
                Err(error) if error.code() == Some(409) => {}
                Err(error) => return Err(self.not_put(&error)),
            }
        }
        Err(AppendError::NotWritten("the Journal object keeps changing; try again".to_owned()))
    }

    /// The object of a new journal, which isn't in the cluster yet.
    async fn first(&self) -> Result<HeadObject, AppendError> {
        let labels = format!("{}={NAME}", rows::JOURNAL_LABEL);
        let (left, _) = list(&*self.objects, &self.rows, &labels, 1, None)
            .await
            .map_err(|error| AppendError::NotWritten(told(&error)))?;
        if left.is_empty() {
            return Ok(HeadObject::new());
        }
        Err(AppendError::NotWritten(format!(
            "the Journal object {NAME} is gone, but rows of it are there: restore it, or delete them (`kubectl delete journalrows -l {labels}`) to begin a new journal"
        )))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of it is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the `Journal` object anew; `None` if there is none.
    async fn look(&self) -> Result<Option<HeadObject>, ReadError> {
        let unreadable = |why: String| ReadError { why };
        let object = get(&*self.objects, &self.journals, NAME).await.map_err(|error| unreadable(told(&error)))?;
        let head = object.map(|object| HeadObject::read(&object)).transpose().map_err(unreadable)?;
        if let Some(head) = &head {
            self.know(head.clone());
        }
        Ok(head)
    }

    fn know(&self, head: HeadObject) {
        let mut state = self.lock();
        let is_same_row = |known: &HeadObject| known.uid == head.uid && known.head() == head.head();
        if !state.known.as_ref().is_some_and(is_same_row) {
            state.is_last_stored = false;
        }
        state.known = Some(head);
    }

    /// The `Journal` object as it was last seen, or as it is; of a new journal one that isn't there yet.
    async fn known(&self) -> Result<HeadObject, AppendError> {
        let known = self.lock().known.clone();
        match known {
            Some(head) => Ok(head),
            None => match self.look().await.map_err(|error| AppendError::NotWritten(error.why))? {
                Some(head) => Ok(head),
                None => self.first().await,
            },
        }
    }

    async fn put(&self, head: &HeadObject) -> Result<HeadObject, RequestError> {
        let object = head.object(NAME, &self.journals.namespace);
        let verb = match head.exists() {
            true => Verb::Replace { name: NAME.to_owned(), object },
            false => Verb::Create { object },
        };
        let stored = write(&*self.objects, &self.journals, verb).await?;
        HeadObject::read(&stored).map_err(|why| RequestError::NoAnswer { why })
    }

    fn not_put(&self, error: &RequestError) -> AppendError {
        if error.code() == Some(404) && self.lock().known.is_some() {
            return AppendError::Fenced(format!("the Journal object {NAME} was deleted while it was in use"));
        }
        match error.is_refusal() {
            true => AppendError::NotWritten(told(error)),
            false => AppendError::NotConfirmed(told(error)),
        }
    }

    /// Makes the last row an object of its own, if it isn't yet.
    async fn store_last(&self, head: &HeadObject) -> Result<(), AppendError> {
        let Some(last) = head.last.as_ref().filter(|_| !self.lock().is_last_stored) else { return Ok(()) };
        let object = rows::object(NAME, &self.rows.namespace, last);
        match write(&*self.objects, &self.rows, Verb::Create { object }).await {
            Ok(_) => {}
            Err(error) if error.code() == Some(409) => self.is_stored(last).await?,
            Err(error) => {
                return Err(AppendError::NotWritten(format!("storing row {}: {}", last.seq, told(&error))));
            }
        }
        self.lock().is_last_stored = true;
        Ok(())
    }

    /// Whether the object with this row's name is this row.
    async fn is_stored(&self, row: &Row) -> Result<(), AppendError> {
        let name = rows::name(NAME, row.seq);
        let found = get(&*self.objects, &self.rows, &name).await;
        let found = found.map_err(|error| AppendError::NotWritten(told(&error)))?;
        match found.map(|object| rows::of_spec(&object["spec"])) {
            Some(Ok(found)) if found == *row => Ok(()),
            Some(Ok(_) | Err(_)) | None => Err(AppendError::NotWritten(format!(
                "the JournalRow {name} isn't the journal's row {}: somebody made or changed it; delete it",
                row.seq
            ))),
        }
    }

    /// Replaces the `Journal` object by what `change` makes of it, if the last row is still `after`.
    async fn commit(
        &self,
        row: &Row,
        after: &Head,
        epoch: Epoch,
        change: impl Fn(&mut HeadObject) + Send,
    ) -> Result<(), AppendError> {
        if row.body.len() > BODY_BYTES_MAX {
            let why = format!("the row has {} bytes, and a cluster's journal takes {BODY_BYTES_MAX}", row.body.len());
            return Err(AppendError::NotWritten(why));
        }
        (self.may_write)().map_err(AppendError::NotWritten)?;
        let mut known = self.known().await?;
        let uid = known.uid.clone();
        for _ in 0..ATTEMPTS {
            fence(&known, after, epoch)?;
            self.store_last(&known).await?;
            let mut next = known;
            next.epoch = epoch;
            next.last = Some(row.clone());
            change(&mut next);
            (self.may_write)().map_err(AppendError::NotWritten)?;
            match self.put(&next).await {
                Ok(stored) => {
                    self.know(stored);
                    return Ok(());
                }
                Err(error) if error.code() == Some(409) => {
                    known = self.after_conflict(row, &uid).await?;
                    // An earlier attempt of ours, whose answer was lost.
                    if known.last.as_ref() == Some(row) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(self.not_put(&error)),
            }
        }
        Err(AppendError::NotWritten("the Journal object keeps changing; try again".to_owned()))
    }

    /// What is there instead of what was expected.
    async fn after_conflict(&self, row: &Row, uid: &str) -> Result<HeadObject, AppendError> {
        let found = self.look().await.map_err(|error| AppendError::NotWritten(error.why))?;
        let Some(found) = found.filter(|found| uid.is_empty() || found.uid == uid) else {
            return Err(AppendError::Fenced(format!("the Journal object {NAME} was deleted while it was in use")));
        };
        // A write of ours that was given up and came late all the same: the journal reads it back.
        let is_late = |last: &Row| last.seq == row.seq && last.epoch == row.epoch && last != row;
        if found.epoch == row.epoch && found.last.as_ref().is_some_and(is_late) {
            return Err(AppendError::NotConfirmed(format!("an earlier write of row {} arrived late", row.seq)));
        }
        Ok(found)
    }

    /// Rows after `after`, read as a list, page by page.
    async fn read_list(&self, head: &HeadObject, after: i64) -> Result<Vec<Row>, ReadError> {
        let cursor = self.lock().cursor.take().filter(|(at, _)| *at == after);
        let mut token = cursor.map(|(_, token)| token);
        let labels = format!("{}={NAME}", rows::JOURNAL_LABEL);
        loop {
            let is_continued = token.is_some();
            let page = list(&*self.objects, &self.rows, &labels, PAGE, token.take()).await;
            let (items, next) = match page {
                Ok(page) => page,
                // The snapshot that the token is of is gone: from the beginning.
                Err(error) if error.code() == Some(410) && is_continued => continue,
                Err(error) => return Err(ReadError { why: told(&error) }),
            };
            let mut found = Vec::new();
            for item in &items {
                let row = rows::of_spec(&item["spec"]).map_err(|why| ReadError { why })?;
                if row.seq > after && head.keeps(row.seq) {
                    found.push(row);
                }
            }
            if next.is_none()
                && let Some(last) = head.last.as_ref().filter(|last| last.seq > after)
                && found.last().is_none_or(|row| row.seq < last.seq)
            {
                found.push(last.clone());
            }
            if let (Some(row), Some(next)) = (found.last(), &next) {
                self.lock().cursor = Some((row.seq, next.clone()));
            }
            if !found.is_empty() || next.is_none() {
                debug_assert!(found.len() <= READ_ROWS_MAX, "a page is shorter");
                return Ok(found);
            }
            token = next;
        }
    }

    /// Rows after `after`, read one by one.
    async fn read_few(&self, head: &HeadObject, after: i64) -> Result<Vec<Row>, ReadError> {
        let mut found = Vec::new();
        for seq in after + 1..=head.head().seq {
            if let Some(last) = head.last.as_ref().filter(|last| last.seq == seq) {
                found.push(last.clone());
                continue;
            }
            let object = get(&*self.objects, &self.rows, &rows::name(NAME, seq)).await;
            // A row that isn't there is seen where the chain is checked.
            if let Some(object) = object.map_err(|error| ReadError { why: told(&error) })? {
                found.push(rows::of_spec(&object["spec"]).map_err(|why| ReadError { why })?);
            }
        }
        Ok(found)
    }
}

/// Whether a row of this epoch may follow `after` here.
fn fence(known: &HeadObject, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
    if known.epoch > epoch {
        let by = known.term.as_ref().map(|term| format!(" by {}", term.holder)).unwrap_or_default();
        return Err(AppendError::Fenced(format!(
            "the journal was taken over{by} (epoch {}, this process has {})",
            known.epoch.0, epoch.0
        )));
    }
    let head = known.head();
    if &head != after {
        return Err(AppendError::Fenced(format!("somebody else wrote row {}", head.seq)));
    }
    Ok(())
}

/// The error, and what to do about it where that is known.
fn told(error: &RequestError) -> String {
    match error {
        RequestError::Answered { code: 403, message, .. } => {
            format!("{message}; `homeostat rbac` prints the rights that the journal needs")
        }
        RequestError::Answered { code: 404, reason, message }
            if reason != "NotFound" || message.contains("could not find") =>
        {
            format!("{message}: the cluster doesn't know the journal's kinds; `kubectl apply -f deploy/crds`")
        }
        RequestError::Answered { .. } | RequestError::NoAnswer { .. } => error.to_string(),
    }
}

#[async_trait]
impl Store for KubernetesStore {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        Ok(self.look().await?.and_then(|head| head.base))
    }

    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        let Some(head) = self.look().await? else { return Ok(Vec::new()) };
        let n_rows = head.head().seq - after;
        let is_behind = head.base.as_ref().is_some_and(|base| after < base.seq);
        match n_rows {
            ..=0 => Ok(Vec::new()),
            ..=ONE_BY_ONE_MAX if !is_behind => self.read_few(&head, after).await,
            _many => self.read_list(&head, after).await,
        }
    }

    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.commit(row, after, epoch, |_| {}).await
    }

    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        let not_written = |error: ReadError| AppendError::NotWritten(error.why);
        let from = self.base().await.map_err(not_written)?.map_or(0, |base| base.seq);
        let mut after_seq = from;
        let mut going = Vec::new();
        while after_seq < cut.through.seq {
            let read = self.read(after_seq).await.map_err(not_written)?;
            let Some(last) = read.last() else { break };
            after_seq = last.seq;
            going.extend(read.into_iter().filter(|row| row.seq <= cut.through.seq));
        }
        self.archive.add(&going).map_err(AppendError::NotWritten)?;
        let mut carried = cut.carried.clone();
        carried.sort_unstable();
        // Their objects are removed later, a few at a time: from here on nobody counts them.
        self.commit(row, after, epoch, |head| {
            head.base = Some(cut.through.clone());
            head.carried.clone_from(&carried);
        })
        .await
    }

    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        let mut found = self.archive.rows_of(incident)?;
        let Some(head) = self.look().await? else { return Ok(found) };
        let labels = format!("{}={NAME},{}={incident}", rows::JOURNAL_LABEL, rows::INCIDENT_LABEL);
        let mut token = None;
        loop {
            let page = list(&*self.objects, &self.rows, &labels, PAGE, token).await;
            let (items, next): (Vec<Value>, _) = page.map_err(|error| ReadError { why: told(&error) })?;
            for item in &items {
                let row = rows::of_spec(&item["spec"]).map_err(|why| ReadError { why })?;
                if head.keeps(row.seq) {
                    found.push(row);
                }
            }
            match next {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        found.extend(head.last.filter(|last| last.about.incident == incident));
        found.sort_by_key(|row| row.seq);
        found.dedup_by_key(|row| row.seq);
        Ok(found)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
