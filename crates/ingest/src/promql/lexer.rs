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
            let (text, after) = rest[1..].split_once(first).ok_or_else(|| wrong("a text has no closing quote"))?;
            if first == '\'' && text.contains('\\') {
                return Err(wrong("escapes within '…' aren't read here; write \"…\""));
            }
            tokens.push(Token::Text(text.to_owned()));
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
    let token = match (word.parse::<f64>(), homeostat_core::parse_duration(word)) {
        (Ok(number), _) => Token::Number(number),
        (Err(_), Ok(duration)) => Token::Duration(duration),
        (Err(_), Err(_)) => return Err(wrong(format!("{word:?} is no number and no duration"))),
    };
    tokens.push(token);
    Ok(&rest[end..])
}

pub(super) fn wrong(why: impl Into<String>) -> NotEvaluable {
    NotEvaluable(why.into())
}
