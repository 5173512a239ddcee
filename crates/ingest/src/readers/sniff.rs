//! Which format a file has, by its beginning.

use super::ReadError;
use super::format::Format;
use super::open_metrics::is_sample;
use super::table::is_header;

/// The format that a beginning shows.
pub(super) fn sniffed(beginning: &[u8]) -> Result<Format, ReadError> {
    if beginning.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // Cut within a character, as any beginning may be.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Err(ReadError::UnknownFormat),
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        return in_braces(inside.trim_start()).ok_or(ReadError::UnknownFormat);
    }
    let first = text.lines().next().unwrap_or_default();
    if is_header(first) {
        Ok(Format::Csv)
    } else if first.starts_with("# ") || is_sample(first) {
        Ok(Format::OpenMetrics)
    } else {
        Err(ReadError::UnknownFormat)
    }
}

/// JSON keys end in `:`, label names in `=`.
fn in_braces(inside: &str) -> Option<Format> {
    let Some(quoted) = inside.strip_prefix('"') else {
        let n_name = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
        return (n_name > 0 && inside[n_name..].starts_with('=')).then_some(Format::TsdbDump);
    };
    let (key, rest) = quoted.split_once('"')?;
    match (rest.trim_start().chars().next()?, key) {
        ('=', _) => Some(Format::TsdbDump),
        (':', "metric" | "values" | "timestamps") => Some(Format::VictoriaMetrics),
        (':', "status" | "data" | "errorType" | "error" | "warnings" | "infos" | "isPartial") => {
            Some(Format::QueryRange)
        }
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_beginning() {
        for (beginning, format) in [
            ("PAR1....", Format::Parquet),
            ("\u{feff}timestamp,cpu,memory\n1,2,3", Format::Csv),
            ("time,__name__,job,value", Format::Csv),
            (r#" {"status":"success","data":{}}"#, Format::QueryRange),
            (r#"{"metric":{"__name__":"up"},"values":[1],"timestamps":[1]}"#, Format::VictoriaMetrics),
            (r#"{__name__="up", job="x"} 1 1700000000000"#, Format::TsdbDump),
            (r#"{"http.status"="200", __name__="x"} 1 1700000000000"#, Format::TsdbDump),
            ("# TYPE up gauge\nup 1 1700000000", Format::OpenMetrics),
            ("up{job=\"a,b\"} 1 1700000000.000", Format::OpenMetrics),
            ("up 1 1700000000", Format::OpenMetrics),
        ] {
            assert_eq!(sniffed(beginning.as_bytes()).ok(), Some(format), "{beginning}");
        }
        for beginning in ["hello, world", "<html>", "\u{0}\u{1}", "{}", "[1,2]", r#"{"a":1}"#] {
            assert!(matches!(sniffed(beginning.as_bytes()), Err(ReadError::UnknownFormat)), "{beginning}");
        }
    }
}
