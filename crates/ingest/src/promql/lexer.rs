//! PromQL's words.

use super::NotEvaluable;
use crate::readers::unquoted;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, a keyword or a metric.
    Name(String),
    Text(String),
    Number(f64),
    /// A number with a unit, as in `5m`.
    Duration(std::time::Duration),
    /// Brackets, commas and operators.
    Sign(&'static str),
}

impl Token {
    /// As it stands in an error.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => number.to_string(),
            Self::Duration(duration) => homeostat_core::format_duration(*duration),
        }
    }
}

const SIGNS: [&str; 23] = [
    "=~", "!~", "!=", "==", ">=", "<=", "=", "(", ")", "{", "}", "[", "]", ",", "+", "-", "*", "/", "%", "^", ">", "<",
    "@",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, NotEvaluable> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let after = if first == '#' {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if first == '"' {
            let (text, after) = unquoted(&rest[1..]).map_err(NotEvaluable)?;
            tokens.push(Token::Text(text));
            after
        } else if first == '\'' || first == '`' {
            let (text, after) = quoted(&rest[1..], first)?;
            tokens.push(Token::Text(text));
            after
        } else if first.is_ascii_digit() || first == '.' {
            number_or_duration(rest, &mut tokens)?
        } else if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            &rest[end..]
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            &rest[sign.len()..]
        } else {
            return Err(wrong(format!("{first:?} isn't understood")));
        };
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// A text up to its closing quote. Backquotes know no escapes, single quotes the same as double ones.
fn quoted(rest: &str, quote: char) -> Result<(String, &str), NotEvaluable> {
    let unclosed = || wrong("a text has no closing quote");
    if quote == '`' {
        return rest.split_once(quote).map(|(text, after)| (text.to_owned(), after)).ok_or_else(unclosed);
    }
    let mut is_escaped = false;
    for (idx, found) in rest.char_indices() {
        match found {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if found == quote => {
                // As it would stand between double quotes.
                let inside = rest[..idx].replace("\\'", "'").replace('"', "\\\"");
                let (text, _) = unquoted(&format!("{inside}\"")).map_err(NotEvaluable)?;
                return Ok((text, &rest[idx + quote.len_utf8()..]));
            }
            _ => {}
        }
    }
    Err(unclosed())
}

fn number_or_duration<'a>(rest: &'a str, tokens: &mut Vec<Token>) -> Result<&'a str, NotEvaluable> {
    // An exponent's sign belongs to the number; no unit of time begins with e.
    let mut end = 0;
    let bytes = rest.as_bytes();
    while let Some(byte) = bytes.get(end) {
        let is_sign_of_exponent = matches!(byte, b'+' | b'-') && end > 0 && matches!(bytes[end - 1], b'e' | b'E');
        if !(byte.is_ascii_alphanumeric() || *byte == b'.' || is_sign_of_exponent) {
            break;
        }
        end += 1;
    }
    let word = &rest[..end];
    let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    let number = match hexadecimal.map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(number)) => Ok(number as f64),
        Some(Err(_)) | None => word.parse::<f64>(),
    };
    let token = match (number, homeostat_core::parse_duration(word)) {
        (Ok(number), _) => Token::Number(number),
        (Err(_), Ok(duration)) => Token::Duration(duration),
        (Err(_), Err(_)) => return Err(wrong(format!("invalid number or duration {word:?}"))),
    };
    tokens.push(token);
    Ok(&rest[end..])
}

pub(super) fn wrong(why: impl Into<String>) -> NotEvaluable {
    NotEvaluable(why.into())
}
