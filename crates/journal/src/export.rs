//! A journal as one file for auditors: every row as a line of JSON, between a first line that says what it is and a last line
//! with the chain's head, a digest of everything before, and a signature. Without its last line it is no export, so a file that
//! was cut shows.

use std::io::{BufRead, Write};

use homeostat_core::{Timestamp, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::row::{About, Epoch, Head, Row};

/// What the first line names.
const FORMAT: &str = "homeostat-journal-export";
const VERSION: u32 = 1;

/// The longest line that is read: a row with the longest body there can be, escaped.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What makes the signature of a message; the error says why it can't.
pub type Sign<'a> = dyn Fn(&[u8]) -> Result<Signature, String> + 'a;

/// Whether a signature is one of a message; the error says what is wrong.
pub type CheckSignature<'a> = dyn Fn(&[u8], &Signature) -> Result<(), String> + 'a;

/// A signature of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// `ed25519`.
    pub algorithm: String,
    /// The key that proves it, in hexadecimal: compare it with the one you know.
    pub public_key: String,
    /// The signature itself, in hexadecimal.
    pub value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    format: String,
    version: u32,
    exported_at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: i64,
    at: String,
    at_ms: i64,
    epoch: i64,
    format: i64,
    kind: String,
    must_understand: bool,
    incident: String,
    correlation: String,
    subject: String,
    plan: String,
    policy: String,
    body: String,
    prev_hash: String,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    head: Head,
    rows: u64,
    missing: Vec<(i64, i64)>,
    sha256: String,
    signature: Option<Signature>,
}

impl Line {
    fn of(row: &Row) -> Self {
        let About { incident, correlation, subject, plan, policy } = row.about.clone();
        Self {
            seq: row.seq,
            at: row.at.to_string(),
            at_ms: row.at.as_millis(),
            epoch: row.epoch.0,
            format: row.format,
            kind: row.kind.clone(),
            must_understand: row.must_understand,
            incident,
            correlation,
            subject,
            plan,
            policy,
            body: row.body.clone(),
            prev_hash: row.prev_hash.clone(),
            hash: row.hash.clone(),
        }
    }

    fn row(self) -> Result<Row, String> {
        let at = Timestamp::from_millis(self.at_ms);
        if at.to_string() != self.at {
            return Err("its time was changed after it was written".to_owned());
        }
        let Self { incident, correlation, subject, plan, policy, .. } = self;
        Ok(Row {
            seq: self.seq,
            at,
            epoch: Epoch(self.epoch),
            format: self.format,
            kind: self.kind,
            must_understand: self.must_understand,
            about: About { incident, correlation, subject, plan, policy },
            body: self.body,
            prev_hash: self.prev_hash,
            hash: self.hash,
        })
    }
}

/// What is signed.
fn message(last: &Last) -> Vec<u8> {
    let Last { head, rows, missing, sha256, signature: _ } = last;
    format!("{FORMAT} {VERSION}\n{sha256}\n{} {}\n{rows}\n{missing:?}\n", head.seq, head.hash).into_bytes()
}

/// A digest that grows with each line: of the digest before and the line.
fn extended(digest: &str, line: &str) -> String {
    sha256_hex(&[digest.as_bytes(), line.as_bytes()])
}

/// An export that is being written.
pub struct Export<W> {
    out: W,
    digest: String,
    rows: u64,
}

impl<W: Write> Export<W> {
    /// Begins one.
    pub fn begin(out: W, now: Timestamp) -> Result<Self, String> {
        let mut export = Self { out, digest: String::new(), rows: 0 };
        export.line(&First { format: FORMAT.to_owned(), version: VERSION, exported_at: now.to_string() })?;
        Ok(export)
    }

    fn line(&mut self, what: &impl Serialize) -> Result<(), String> {
        let text = serde_json::to_string(what).map_err(|error| error.to_string())?;
        self.digest = extended(&self.digest, &text);
        writeln!(self.out, "{text}").map_err(|error| error.to_string())
    }

    /// Adds the next row.
    pub fn row(&mut self, row: &Row) -> Result<(), String> {
        self.rows += 1;
        self.line(&Line::of(row))
    }

    /// Ends it. `missing`: rows that were archived to files which aren't here.
    pub fn end(mut self, head: &Head, missing: &[(i64, i64)], sign: Option<&Sign<'_>>) -> Result<W, String> {
        let (head, missing) = (head.clone(), missing.to_vec());
        let mut last = Last { head, rows: self.rows, missing, sha256: self.digest.clone(), signature: None };
        last.signature = sign.map(|sign| sign(&message(&last))).transpose()?;
        self.line(&last)?;
        self.out.flush().map_err(|error| error.to_string())?;
        Ok(self.out)
    }
}

/// An export that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// When it was made.
    pub exported_at: String,
    /// The end of the chain.
    pub head: Head,
    /// How many rows it has.
    pub rows: u64,
    /// Rows that weren't there when it was made, first and last.
    pub missing: Vec<(i64, i64)>,
    /// Who signed it, if anybody did.
    pub signature: Option<Signature>,
}

/// What is wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It can't be read.
    #[error("line {line}: {why}")]
    Unreadable {
        /// Where, from 1.
        line: u64,
        /// Why.
        why: String,
    },
    /// It has no last line.
    #[error("it ends after {rows} rows without the last line of an export: it was cut off")]
    CutOff {
        /// Rows up to there.
        rows: u64,
    },
    /// A row isn't what was written, or isn't where it was.
    #[error("row {seq} (line {line}): {why}")]
    Broken {
        /// Where, from 1.
        line: u64,
        /// The row's number.
        seq: i64,
        /// What is wrong.
        why: String,
    },
    /// Its last line doesn't go with what is before it.
    #[error("the last line: {why}")]
    WrongEnd {
        /// What is wrong.
        why: String,
    },
}

/// Checks an export: each row's hash and its link to the row before, the digest of all lines, and the signature by `check`, which
/// is given the message and the signature.
///
/// # Errors
/// [`ExportError`] with the first thing that is wrong.
pub fn verify_export(mut file: impl BufRead, check: &CheckSignature<'_>) -> Result<Exported, ExportError> {
    let mut n_line = 0;
    let mut next = move || -> Result<Option<(u64, String)>, ExportError> {
        n_line += 1;
        let mut text = String::new();
        let unreadable = |why: String| ExportError::Unreadable { line: n_line, why };
        let read = std::io::Read::take(&mut file, LINE_BYTES_MAX).read_line(&mut text);
        match read.map_err(|error| unreadable(error.to_string()))? {
            0 => Ok(None),
            _ if text.ends_with('\n') => Ok(Some((n_line, text.trim_end_matches('\n').to_owned()))),
            _ => Err(unreadable("the line was cut off, or is too long".to_owned())),
        }
    };
    let no_export = |why: String| ExportError::Unreadable { line: 1, why };
    let Some((_, text)) = next()? else { return Err(no_export("the file is empty".to_owned())) };
    let first: First =
        serde_json::from_str(&text).map_err(|error| no_export(format!("not a journal export: {error}")))?;
    if first.format != FORMAT || first.version != VERSION {
        return Err(no_export(format!("{} {} isn't a format that this version reads", first.format, first.version)));
    }
    let mut digest = extended("", &text);
    let (mut head, mut rows, mut gaps) = (Head::empty(), 0, Vec::new());
    loop {
        let Some((line, text)) = next()? else { return Err(ExportError::CutOff { rows }) };
        if let Ok(last) = serde_json::from_str::<Last>(&text) {
            if next()?.is_some() {
                return Err(ExportError::WrongEnd { why: "lines follow it".to_owned() });
            }
            return end(first, last, &head, rows, &gaps, &digest, check);
        }
        let row: Line =
            serde_json::from_str(&text).map_err(|error| ExportError::Unreadable { line, why: error.to_string() })?;
        let seq = row.seq;
        let broken = |why: String| ExportError::Broken { line, seq, why };
        let row = row.row().map_err(broken)?;
        if row.seq > head.seq + 1 {
            // Allowed only where the last line says so, which is signed.
            gaps.push((head.seq + 1, row.seq - 1));
            head = Head { seq: row.seq - 1, hash: row.prev_hash.clone() };
        }
        row.follows(&head).map_err(broken)?;
        (head, rows, digest) = (row.head(), rows + 1, extended(&digest, &text));
    }
}

fn end(
    first: First,
    last: Last,
    head: &Head,
    rows: u64,
    gaps: &[(i64, i64)],
    digest: &str,
    check: &CheckSignature<'_>,
) -> Result<Exported, ExportError> {
    let wrong = |why: String| ExportError::WrongEnd { why };
    if gaps != last.missing {
        return Err(wrong(format!("rows are missing ({gaps:?}), and it says {:?}", last.missing)));
    }
    if &last.head != head || last.rows != rows {
        return Err(wrong(format!("it names row {} as the head, and the last row is {}", last.head.seq, head.seq)));
    }
    if last.sha256 != digest {
        return Err(wrong("the digest of the lines before is another one".to_owned()));
    }
    if let Some(signature) = &last.signature {
        check(&message(&last), signature).map_err(wrong)?;
    }
    let Last { head, rows, missing, sha256: _, signature } = last;
    Ok(Exported { exported_at: first.exported_at, head, rows, missing, signature })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn rows(n: i64) -> Vec<Row> {
        let mut head = Head::empty();
        let row = |seq| {
            let about = About { incident: "inc-1".into(), ..About::default() };
            let (kind, body) = ("decision".into(), format!("{{\"n\":{seq}}}"));
            let prev_hash = std::mem::take(&mut head.hash);
            let mut row = Row {
                seq,
                at: at(seq),
                epoch: Epoch(1),
                format: 2,
                kind,
                must_understand: false,
                about,
                body,
                prev_hash,
                hash: String::new(),
            };
            row.hash = row.own_hash();
            head = row.head();
            row
        };
        (1..=n).map(row).collect()
    }

    fn export(rows: &[Row], missing: &[(i64, i64)]) -> String {
        signed_with("secret", rows, missing)
    }

    fn signed_with(key: &str, rows: &[Row], missing: &[(i64, i64)]) -> String {
        let mut export = Export::begin(Vec::new(), at(100)).unwrap();
        rows.iter().for_each(|row| export.row(row).unwrap());
        let sign = |message: &[u8]| {
            let value = sha256_hex(&[key.as_bytes(), message]);
            Ok(Signature { algorithm: "test".into(), public_key: String::new(), value })
        };
        let head = rows.last().map_or_else(Head::empty, Row::head);
        String::from_utf8(export.end(&head, missing, Some(&sign)).unwrap()).unwrap()
    }

    fn verify(text: &str) -> Result<Exported, ExportError> {
        verify_export(text.as_bytes(), &|message, signature| {
            let is_right = signature.algorithm == "test" && signature.value == sha256_hex(&[b"secret", message]);
            if is_right { Ok(()) } else { Err("the signature is wrong".to_owned()) }
        })
    }

    #[test]
    fn what_was_exported_holds() {
        let exported = verify(&export(&rows(5), &[])).unwrap();
        assert_eq!((exported.head.seq, exported.rows), (5, 5));
        let exported = verify(&export(&rows(5)[2..], &[(1, 2)])).unwrap();
        assert_eq!((exported.rows, exported.missing), (3, vec![(1, 2)]));
        assert_eq!(verify(&export(&[], &[])).unwrap().rows, 0);
    }

    #[test]
    fn every_edit_drop_reordering_and_cut_shows() {
        let whole = export(&rows(5), &[]);
        let lines: Vec<&str> = whole.lines().collect();
        let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        for n in 0..lines.len() {
            assert!(verify(&joined(&lines[..n])).is_err(), "cut after {n} lines");
            let mut dropped = lines.clone();
            dropped.remove(n);
            assert!(verify(&joined(&dropped)).is_err(), "without line {n}");
            let mut swapped = lines.clone();
            swapped.swap(n, (n + 1) % lines.len());
            assert!(verify(&joined(&swapped)).is_err(), "line {n} and the next one change places");
            let mut twice = lines.clone();
            twice.insert(n, lines[n]);
            assert!(verify(&joined(&twice)).is_err(), "line {n} twice");
        }
        for (idx, byte) in whole.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()) {
            let mut edited = whole.clone().into_bytes();
            edited[idx] = if byte == b'0' { b'1' } else { b'0' };
            let edited = String::from_utf8(edited).unwrap();
            assert!(verify(&edited).is_err(), "byte {idx}: {}", &edited[idx.saturating_sub(20)..idx + 1]);
        }
        assert!(verify(whole.trim_end()).is_err(), "the last line's end is missing");
        // Whoever makes a new chain of fewer rows needs the key.
        assert!(verify(&signed_with("guess", &rows(4), &[])).is_err());
    }
}
