//! What `promtool tsdb dump` writes: `{__name__="up", job="shop"} 1 1700000000000`, milliseconds.

use std::io::BufRead;

use homeostat_core::Timestamp;

use super::ReadError;
use super::answers::histograms_text;
use super::labels_text::{closing_brace, read_labels};
use super::lines::Lines;
use super::sink::{SampleSink, SeriesTexts, What};
use super::stamp::number;
use crate::matrix::{Labels, Sample};

pub(super) fn read(text: impl BufRead, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let mut lines = Lines::new(text);
    let mut texts = SeriesTexts::default();
    let mut n_histograms = 0;
    while let Some(line) = lines.next()? {
        if line.text.trim().is_empty() {
            continue;
        }
        // The dump has no closing mark. A cut within a line shows; one between two lines can't.
        if !line.is_whole {
            return Err(line.wrong("no end of line"));
        }
        let n_braces = closing_brace(line.text).filter(|_| line.text.starts_with('{'));
        let n_braces = n_braces.ok_or_else(|| line.wrong("it doesn't begin with labels in braces"))?;
        let (braces, rest) = line.text.split_at(n_braces);
        let series = texts.series(braces, || {
            let mut labels = Labels::new();
            read_labels(&braces[1..n_braces - 1], &mut labels).map_err(|why| line.wrong(why))?;
            sink.series(What::Raw, &labels)
        })?;
        let Some(series) = series else { continue };
        let rest = rest.trim();
        // A native histogram isn't a number; what windows hold are quantiles of it, which a dump can't give.
        if rest.starts_with('{') {
            n_histograms += 1;
            continue;
        }
        let words = rest.split_once(' ').ok_or_else(|| line.wrong("there is no value and timestamp"))?;
        let value = number(words.0).ok_or_else(|| line.wrong(format!("{:?} isn't a number", words.0)))?;
        let millis = words
            .1
            .parse()
            .map_err(|_| line.wrong(format!("timestamp {:?} isn't a number of milliseconds", words.1)))?;
        sink.sample(series, Sample { at: Timestamp::from_millis(millis), value })?;
    }
    if n_histograms > 0 {
        sink.note(&histograms_text(n_histograms, ""));
    }
    Ok(())
}
