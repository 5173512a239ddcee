//! OpenMetrics text with timestamps: `name{labels} value seconds`, ending with `# EOF`. `promtool tsdb dump-openmetrics`
//! writes it too.

use std::io::BufRead;

use homeostat_core::Timestamp;

use super::ReadError;
use super::labels_text::{NAME, closing_brace, read_labels};
use super::lines::{Line, Lines};
use super::sink::{SampleSink, SeriesTexts, What};
use super::stamp::{moment_of_secs, number};
use crate::matrix::{Labels, Sample};

/// Above this, seconds would be past the year 5138: it is milliseconds, which Prometheus's older text format has.
const SECS_MAX: f64 = 1e11;

pub(super) fn read(text: impl BufRead, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let mut lines = Lines::new(text);
    let mut texts = SeriesTexts::default();
    let mut has_end = false;
    while let Some(line) = lines.next()? {
        if has_end && !line.text.trim().is_empty() {
            return Err(line.wrong("it comes after # EOF; read several exports as several files"));
        }
        if line.text.starts_with('#') || line.text.trim().is_empty() {
            has_end |= line.text.trim_end() == "# EOF";
            continue;
        }
        read_line(&line, &mut texts, sink)?;
    }
    if has_end { Ok(()) } else { Err(ReadError::CutShort { why: "the closing # EOF is missing".to_owned() }) }
}

fn read_line(line: &Line<'_>, texts: &mut SeriesTexts, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let (name, inside, rest) = parts(line.text).ok_or_else(|| line.wrong("this isn't a sample"))?;
    let series_text = &line.text[..line.text.len() - rest.len()];
    let series = texts.series(series_text, || {
        let mut labels = Labels::new();
        if !name.is_empty() {
            labels.insert(NAME.to_owned(), name.to_owned());
        }
        read_labels(inside, &mut labels).map_err(|why| line.wrong(why))?;
        sink.series(What::Raw, &labels)
    })?;
    let Some(series) = series else { return Ok(()) };
    // What follows the stamp is an exemplar: ` # {…} …`.
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().and_then(number).ok_or_else(|| line.wrong("the value isn't a number"))?;
    let at = match words.next() {
        Some(word) if word != "#" => moment(word).map_err(|why| line.wrong(why))?,
        Some(_) | None => {
            return Err(line.wrong("it has no timestamp; a history needs one on every sample"));
        }
    };
    if words.next().is_some_and(|word| word != "#") {
        return Err(line.wrong("there is something after the timestamp"));
    }
    sink.sample(series, Sample { at, value })
}

/// Whether a line looks like a sample: what a file without a comment at its beginning starts with.
pub(super) fn is_sample(line: &str) -> bool {
    let Some((name, _, rest)) = parts(line) else { return false };
    let value = rest.split_ascii_whitespace().next();
    !(name.is_empty() && line.starts_with(' ')) && value.and_then(number).is_some()
}

/// Name, the inside of the braces, and what follows; a name of letters, digits, `_` and `:`.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let n_name = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let (name, rest) = line.split_at(n_name);
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if rest.starts_with('{') {
        let n_braces = closing_brace(rest)?;
        Some((name, &rest[1..n_braces - 1], &rest[n_braces..]))
    } else {
        (!name.is_empty() && rest.starts_with([' ', '\t'])).then_some((name, "", rest))
    }
}

fn moment(word: &str) -> Result<Timestamp, String> {
    let secs = number(word).ok_or_else(|| format!("timestamp {word:?} isn't a number of seconds"))?;
    if secs.abs() > SECS_MAX {
        return Err(format!(
            "timestamp {word} must be milliseconds, which OpenMetrics doesn't have; divide by 1000, or export OpenMetrics"
        ));
    }
    moment_of_secs(secs).ok_or_else(|| format!("timestamp {word} isn't a valid time"))
}
