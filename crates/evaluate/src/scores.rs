//! The scores format: what any program that wants to be judged writes, one CSV a series.
//!
//! Header `score[,confidence][,alert][,surprisal]`, then one line a row, in order: for every row of the series, or for the judged
//! rows only. `score` is higher where more anomalous; `confidence` is the claimed probability that the row lies in an anomaly;
//! `alert` is 1 where the program would really raise one; `surprisal` (or `surprise`, as it was called before) is −ln of the probability, in nats, that a normal row
//! alone is as unusual: what homeostat's alert policy goes by, where a peer is compared under it.

use std::fmt::Write as _;
use std::io::{self, BufRead};

/// One program's scores of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// One a row; NaN ranks lowest.
    pub score: Vec<f64>,
    /// One a row, if the program claims any.
    pub confidence: Option<Vec<f64>>,
    /// One a row, if the program raises any.
    pub alert: Option<Vec<bool>>,
    /// One a row, in nats, if the program says so; NaN where it doesn't.
    pub surprisal_nats: Option<Vec<f64>>,
}

/// Why a file holds no scores: mend the program that wrote it.
#[derive(Debug, thiserror::Error)]
pub enum ScoresError {
    /// Reading failed.
    #[error("it can't be read")]
    Io(#[source] io::Error),
    /// A header that isn't the format's.
    #[error("the header {0:?} isn't score[,confidence][,alert][,surprisal]")]
    Header(String),
    /// A line that isn't a row.
    #[error("line {line}: {why}")]
    Row {
        /// Counted from 1, the header included.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Neither all rows nor the judged ones.
    #[error("it has {found} rows; {all} are expected, or {judged} for the judged rows alone")]
    Rows {
        /// In the file.
        found: usize,
        /// All rows of the series.
        all: usize,
        /// The judged rows.
        judged: usize,
    },
}

impl Scores {
    /// The file's text. Numbers are written so that they read back the same.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("score");
        for (name, there) in [
            ("confidence", self.confidence.is_some()),
            ("alert", self.alert.is_some()),
            ("surprisal", self.surprisal_nats.is_some()),
        ] {
            if there {
                let _ = write!(text, ",{name}");
            }
        }
        text.push('\n');
        for (row, score) in self.score.iter().enumerate() {
            // Writing to a String can't fail.
            let _ = write!(text, "{score}");
            if let Some(confidence) = self.confidence.as_ref().and_then(|all| all.get(row)) {
                let _ = write!(text, ",{confidence}");
            }
            if let Some(alert) = self.alert.as_ref().and_then(|all| all.get(row)) {
                let _ = write!(text, ",{}", u8::from(*alert));
            }
            if let Some(nats) = self.surprisal_nats.as_ref().and_then(|all| all.get(row)) {
                let _ = write!(text, ",{nats}");
            }
            text.push('\n');
        }
        text
    }

    /// Reads a file.
    pub fn read(file: impl BufRead) -> Result<Self, ScoresError> {
        let mut lines = file.lines();
        let header = lines.next().transpose().map_err(ScoresError::Io)?.unwrap_or_default();
        let columns: Vec<&str> = header.split(',').map(str::trim).collect();
        let place = |name: &str| columns.iter().position(|column| *column == name);
        let known =
            columns.iter().all(|column| ["score", "confidence", "alert", "surprisal", "surprise"].contains(column));
        let Some(score_at) = place("score").filter(|_| known) else { return Err(ScoresError::Header(header.clone())) };
        let (confidence_at, alert_at, surprisal_at) =
            (place("confidence"), place("alert"), place("surprisal").or_else(|| place("surprise")));
        let mut scores = Self {
            score: Vec::new(),
            confidence: confidence_at.map(|_| Vec::new()),
            alert: alert_at.map(|_| Vec::new()),
            surprisal_nats: surprisal_at.map(|_| Vec::new()),
        };
        for (idx, line) in lines.enumerate() {
            let line = line.map_err(ScoresError::Io)?;
            let wrong = |why: String| ScoresError::Row { line: idx + 2, why };
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let number = |at: usize| number(cells.get(at).copied()).map_err(&wrong);
            scores.score.push(number(score_at)?);
            if let (Some(at), Some(all)) = (confidence_at, &mut scores.confidence) {
                let claimed = number(at)?;
                if !(0.0..=1.0).contains(&claimed) {
                    return Err(wrong(format!("confidence {claimed} isn't between 0 and 1")));
                }
                all.push(claimed);
            }
            if let (Some(at), Some(all)) = (alert_at, &mut scores.alert) {
                all.push(number(at)? > 0.0);
            }
            if let (Some(at), Some(all)) = (surprisal_at, &mut scores.surprisal_nats) {
                all.push(number(at)?);
            }
        }
        Ok(scores)
    }

    /// Its train rows, where it has them, and the judged rows alone, of a series with so many rows.
    pub fn split(self, n_rows: usize, train_rows: usize) -> Result<(Option<Self>, Self), ScoresError> {
        let judged = n_rows - train_rows;
        if self.score.len() == judged {
            return Ok((None, self));
        }
        if self.score.len() != n_rows {
            return Err(ScoresError::Rows { found: self.score.len(), all: n_rows, judged });
        }
        let mut train = self;
        let judged = Self {
            score: train.score.split_off(train_rows),
            confidence: train.confidence.as_mut().map(|all| all.split_off(train_rows)),
            alert: train.alert.as_mut().map(|all| all.split_off(train_rows)),
            surprisal_nats: train.surprisal_nats.as_mut().map(|all| all.split_off(train_rows)),
        };
        Ok((Some(train), judged))
    }
}

/// An empty cell is not a number, as the judge in Python reads it.
fn number(cell: Option<&str>) -> Result<f64, String> {
    match cell {
        None => Err("a column is missing".to_owned()),
        Some("") => Ok(f64::NAN),
        Some(text) => text.parse().map_err(|_| format!("{text:?} isn't a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let scores = Scores {
            score: vec![0.1 + 0.2, f64::NAN, 1e300],
            confidence: Some(vec![0.0, 1.0 / 3.0, 1.0]),
            alert: Some(vec![false, true, false]),
            surprisal_nats: Some(vec![0.5, f64::NAN, 7.25]),
        };
        let read = Scores::read(scores.to_csv().as_bytes()).expect("scores");
        assert_eq!(read.to_csv(), scores.to_csv());
        assert_eq!((read.score[0], read.alert), (0.1 + 0.2, scores.alert));
    }

    #[test]
    fn train_rows_are_split_off_where_they_are() {
        let nats = Some(vec![0.0, 0.5, 9.0]);
        let scores = Scores { score: vec![1.0, 2.0, 3.0], surprisal_nats: nats, ..Scores::default() };
        let (train, judged) = scores.clone().split(3, 2).expect("all rows");
        assert_eq!(train.as_ref().map(|train| &train.score), Some(&vec![1.0, 2.0]));
        assert_eq!(train.and_then(|train| train.surprisal_nats), Some(vec![0.0, 0.5]));
        assert_eq!((judged.score, judged.surprisal_nats), (vec![3.0], Some(vec![9.0])));
        assert_eq!(scores.clone().split(5, 2).expect("judged rows").0, None);
        assert!(matches!(scores.split(9, 2), Err(ScoresError::Rows { found: 3, all: 9, judged: 7 })));
    }

    #[test]
    fn what_is_no_scores_file_is_refused_with_its_line() {
        for text in
            ["", "points\n1\n", "score,label\n1,0\n", "score\nx\n", "score,alert\n1\n", "score,confidence\n1,2\n"]
        {
            assert!(Scores::read(text.as_bytes()).is_err(), "{text:?}");
        }
        let why = Scores::read("score\n1\n?\n".as_bytes()).expect_err("bad").to_string();
        assert!(why.contains("line 3"), "{why}");
    }
}
