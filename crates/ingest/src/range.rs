//! Cutting a long range into pages that Prometheus answers. Pure arithmetic on moments.

use std::time::Duration;

use homeostat_core::Timestamp;

/// Most points per series asked for at once. Prometheus refuses more than 11 000 ("exceeded maximum resolution");
/// the rest is room for servers that count otherwise.
pub(crate) const POINTS_MAX: usize = 10_000;

/// Most pages of one range: 2 million points per series, nearly four years of minutes. More is a mistyped step.
pub(crate) const PAGES_MAX: usize = 200;

/// One page, both ends included and on the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

/// Why a range can't be asked for.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_ingest::RangeError;
///
/// let error = RangeError::Backwards { start: Timestamp::from_secs(60), end: Timestamp::from_secs(0) };
/// let text = "the range ends (1970-01-01T00:00:00Z) before it starts (1970-01-01T00:01:00Z)";
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Prometheus takes whole seconds for start and end, so only such a step keeps them on it.
    #[error("the step must be one or more whole seconds")]
    Step,
    /// The end is before the start.
    #[error("the range ends ({end}) before it starts ({start})")]
    Backwards {
        /// The start asked for.
        start: Timestamp,
        /// The end asked for.
        end: Timestamp,
    },
    /// More points than anything here could use.
    #[error("the range has more than {PAGES_MAX} pages of {POINTS_MAX} points; use a longer step or a shorter range")]
    TooLong,
}

/// The pages that cover the range from `start` to `end`, both aligned down to the step first.
///
/// Two neighbours share no point: the next page starts one step after the last one ended.
pub(crate) fn pages(
    start: Timestamp,
    end: Timestamp,
    step: Duration,
    points_max: usize,
) -> Result<Vec<Page>, RangeError> {
    if step.is_zero() || step.subsec_nanos() != 0 {
        return Err(RangeError::Step);
    }
    let (first, last) = (start.align_down(step), end.align_down(step));
    if last < first {
        return Err(RangeError::Backwards { start, end });
    }
    let steps_per_page = u32::try_from(points_max.max(1) - 1).unwrap_or(u32::MAX);
    let page_length = step.checked_mul(steps_per_page).ok_or(RangeError::TooLong)?;
    let mut pages = Vec::new();
    let mut page_start = first;
    loop {
        if pages.len() == PAGES_MAX {
            return Err(RangeError::TooLong);
        }
        let page_end = last.min(page_start + page_length);
        pages.push(Page { start: page_start, end: page_end });
        if page_end >= last {
            return Ok(pages);
        }
        page_start = page_end + step;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    const STEP: Duration = Duration::from_secs(60);

    #[test]
    fn both_ends_go_down_to_the_step() {
        let found = pages(secs(61), secs(185), STEP, 10).expect("a page");
        assert_eq!(found, [Page { start: secs(60), end: secs(180) }]);
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        assert_eq!(pages(secs(0), secs(9), Duration::ZERO, 10), Err(RangeError::Step));
        assert_eq!(pages(secs(0), secs(9), Duration::from_millis(1500), 10), Err(RangeError::Step));
        assert!(matches!(pages(secs(120), secs(0), STEP, 10), Err(RangeError::Backwards { .. })));
        assert_eq!(pages(secs(0), secs(1_000_000_000), Duration::from_secs(1), 10), Err(RangeError::TooLong));
    }

    proptest! {
        #[test]
        fn pages_cover_every_step_once(start in -5000i64..5000, length in 0i64..5000, step in 1u64..90, max in 1usize..50) {
            let step = Duration::from_secs(step);
            let (start, end) = (secs(start), secs(start + length));
            if let Ok(found) = pages(start, end, step, max) {
                let mut moment = start.align_down(step);
                for page in &found {
                    prop_assert_eq!(page.start, moment);
                    let mut points = 0;
                    while moment <= page.end {
                        moment = moment + step;
                        points += 1;
                    }
                    prop_assert_eq!(moment, page.end + step);
                    prop_assert!(points <= max && points > 0);
                }
                prop_assert_eq!(found.last().map(|page| page.end), Some(end.align_down(step)));
            }
        }
    }
}
