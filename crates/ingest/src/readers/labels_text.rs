//! Labels as text: `{name="value", …}`, as OpenMetrics, promtool and PromQL write them.

use crate::matrix::Labels;

/// The label that holds a metric's name.
pub(crate) const NAME: &str = "__name__";

/// Length of `text` up to and including the brace that closes the one it begins with; `None` if none does.
pub(super) fn closing_brace(text: &str) -> Option<usize> {
    let mut in_quotes = false;
    let mut escaped = false;
    for (idx, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_quotes => escaped = true,
            b'"' => in_quotes = !in_quotes,
            b'}' if !in_quotes => return Some(idx + 1),
            _ => {}
        }
    }
    None
}

/// Adds the labels within `inside`, which is without its braces. A name in quotes alone is the metric's, as OpenMetrics 2
/// and Prometheus 3 write names that aren't plain.
pub(super) fn read_labels(inside: &str, labels: &mut Labels) -> Result<(), String> {
    let mut rest = inside.trim_start();
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let n_name =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            (rest[..n_name].to_owned(), &rest[n_name..])
        };
        if name.is_empty() {
            return Err(format!("a label without a name at {rest:?}"));
        }
        let after = after.trim_start();
        let (name, value, after) = match after.strip_prefix('=') {
            Some(value) => {
                let quoted =
                    value.trim_start().strip_prefix('"').ok_or_else(|| format!("label {name}: no quoted value"))?;
                let (value, after) = unquoted(quoted)?;
                (name, value, after)
            }
            None if rest.starts_with('"') => (NAME.to_owned(), name, after),
            None => return Err(format!("label {name}: no value")),
        };
        // An empty value is the same as no such label.
        if !value.is_empty() && labels.insert(name.clone(), value).is_some() {
            return Err(format!("label {name} is there twice"));
        }
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.is_empty() => after,
            None => return Err(format!("no comma before {after:?}")),
        };
    }
    Ok(())
}

/// The text up to the closing quote, without escapes, and what follows it. Go's escapes include those of OpenMetrics.
pub(crate) fn unquoted(quoted: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut bytes = Vec::new();
    let mut chars = quoted.char_indices();
    while let Some((idx, c)) = chars.next() {
        if c != '\\' {
            flush(&mut bytes, &mut text)?;
            if c == '"' {
                return Ok((text, &quoted[idx + 1..]));
            }
            text.push(c);
            continue;
        }
        let (_, escape) = chars.next().ok_or("a text ends within an escape")?;
        let mut number = |n_digits: usize, radix: u32, first: Option<char>| -> Result<u32, String> {
            let digits: String = first.into_iter().chain(chars.by_ref().take(n_digits).map(|(_, c)| c)).collect();
            u32::from_str_radix(&digits, radix).map_err(|_| format!("\\{escape}{digits} isn't a valid escape"))
        };
        // A byte may be a part of a character: bytes are joined until something else comes.
        match escape {
            'x' => bytes.push(number(2, 16, None)? as u8),
            '0'..='3' => bytes.push(number(2, 8, Some(escape))? as u8),
            other => {
                let code = match other {
                    'u' => number(4, 16, None)?,
                    'U' => number(8, 16, None)?,
                    'n' => 0x0a,
                    't' => 0x09,
                    'r' => 0x0d,
                    'a' => 0x07,
                    'b' => 0x08,
                    'f' => 0x0c,
                    'v' => 0x0b,
                    '\\' | '"' | '\'' => other as u32,
                    _unknown => return Err(format!("\\{other} isn't a valid escape")),
                };
                flush(&mut bytes, &mut text)?;
                text.push(char::from_u32(code).ok_or_else(|| format!("\\{other}{code:x} isn't a valid character"))?);
            }
        }
    }
    Err("a text without a closing quote".to_owned())
}

fn flush(bytes: &mut Vec<u8>, text: &mut String) -> Result<(), String> {
    text.push_str(std::str::from_utf8(bytes).map_err(|_| "escaped bytes that are no UTF-8".to_owned())?);
    bytes.clear();
    Ok(())
}

/// A series for people: `name{label="value"}`.
pub(crate) fn series_text(labels: &Labels) -> String {
    let name = labels.get(NAME).map_or("", String::as_str);
    let others: Vec<String> =
        labels.iter().filter(|(name, _)| *name != NAME).map(|(name, value)| format!("{name}={value:?}")).collect();
    if others.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", others.join(",")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(inside: &str) -> Result<Vec<(String, String)>, String> {
        let mut labels = Labels::new();
        read_labels(inside, &mut labels).map(|()| labels.into_iter().collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn labels_are_read_with_their_escapes() {
        assert_eq!(read(r#"a="1", b="x,}\"\\\n""#), Ok(vec![pair("a", "1"), pair("b", "x,}\"\\\n")]));
        assert_eq!(read(r#"a="\xc3\xa4\u00e4\303\244","#), Ok(vec![pair("a", "äää")]));
        assert_eq!(read(r#""dotted.name", "a.b"="c""#), Ok(vec![pair("__name__", "dotted.name"), pair("a.b", "c")]));
        assert_eq!(read(r#"a="""#), Ok(vec![]), "an empty value is no label");
    }

    #[test]
    fn what_is_no_label_is_said() {
        for inside in ["a", "a=1", r#"a="1"#, r#"a="1" b="2""#, r#"a="1",a="2""#, r#"a="\q""#, "=", r#"a="\xff""#] {
            assert!(read(inside).is_err(), "{inside}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_back(value in "\\PC{1,20}") {
            // Rust's own escapes of printable text are a part of Go's, but for \u{…} and \'.
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("{{a=\"{escaped}\"}} rest");
            let end = closing_brace(&text).expect("a brace");
            prop_assert_eq!(&text[end..], " rest");
            prop_assert_eq!(read(&text[1..end - 1]), Ok(vec![pair("a", &value)]));
        }
    }
}
