//! A long range, page by page: each page as long as its bytes allow, which its predecessor shows, and as the server accepts.

use homeostat_core::{Grid, Timestamp};

use crate::fetch_error::FetchError;
use crate::matrix::Matrix;
use crate::source::RangeSource;

/// Rows of the first page, before anybody knows how many series a row has: of ten thousand series they are 17 MB.
const ROWS_FIRST: usize = 60;
/// Rows of a page at most: half of what Prometheus answers.
const ROWS_MAX: usize = 5_000;
/// A sample in an answer: `[1767571200,"0.123456789"],`.
pub(crate) const SAMPLE_BYTES: usize = 28;

/// Where a walk through a range is.
///
/// ```
/// # async fn walked(source: &homeostat_ingest::PrometheusSource) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use homeostat_core::{Grid, Timestamp};
/// use homeostat_ingest::RangePages;
///
/// let a_week = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 7 * 24 * 60)?;
/// let mut pages = RangePages::new(a_week, 16 << 20);
/// while let Some((start, page)) = pages.next(source, "sum by (namespace, workload) (rate(x[5m]))").await? {
///     println!("{} samples from {start} on", page.n_samples());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RangePages {
    grid: Grid,
    page_bytes: usize,
    n_done: usize,
    n_rows: usize,
    /// What the server was seen to accept.
    n_rows_max: usize,
    n_rows_of_last: usize,
}

impl RangePages {
    /// A walk over these steps, in pages of about so many bytes.
    pub fn new(grid: Grid, page_bytes: usize) -> Self {
        Self { grid, page_bytes, n_done: 0, n_rows: ROWS_FIRST, n_rows_max: ROWS_MAX, n_rows_of_last: 0 }
    }

    /// The next page and its first step; `None` at the end. What is too much at once is asked for in halves, down to one row.
    ///
    /// # Errors
    /// What the source says; the walk may go on from the same page.
    pub async fn next(
        &mut self,
        source: &dyn RangeSource,
        expr: &str,
    ) -> Result<Option<(Timestamp, Matrix)>, FetchError> {
        loop {
            if self.n_done >= self.grid.n_steps() {
                return Ok(None);
            }
            let last = (self.n_done + self.n_rows).min(self.grid.n_steps()) - 1;
            let start = self.grid.at(self.n_done);
            match source.range(expr, start, self.grid.at(last), self.grid.step()).await {
                Ok(page) => {
                    let fitting = self.page_bytes / (SAMPLE_BYTES * page.series().len().max(1));
                    self.n_rows = fitting.clamp(1, self.n_rows_max);
                    self.n_rows_of_last = last + 1 - self.n_done;
                    self.n_done = last + 1;
                    return Ok(Some((start, page)));
                }
                Err(FetchError::TooMuch { .. }) if last > self.n_done => {
                    self.n_rows_max = (last + 1 - self.n_done).div_ceil(2);
                    self.n_rows = self.n_rows_max;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Rows of the page that came last.
    pub fn n_rows_of_last(&self) -> usize {
        self.n_rows_of_last
    }

    /// The last step of the page that came last.
    pub fn end_of_last(&self) -> Timestamp {
        self.grid.at(self.n_done.saturating_sub(1))
    }
}
