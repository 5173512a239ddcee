//! `${NAME}` and `${NAME:-default}` in a settings text; `$$` is a dollar sign.

use crate::problem::{Place, Problem};

/// Replaces variables by those of the process's environment; see [`expand_from`].
pub fn expand(file: &str, text: &str) -> Result<String, Vec<Problem>> {
    expand_from(file, text, |name| std::env::var(name).ok())
}

/// Shorter values are hidden in no message: they are no secrets, and would be found in words everywhere.
const HIDDEN_CHARS_MIN: usize = 4;

/// Replaces values of `text`'s variables in messages about it by the variables' names: what comes from the environment may
/// be a password, whatever key it was put under by mistake.
pub fn hide_variables(text: &str, problems: &mut [Problem]) {
    hide_variables_from(text, problems, |name| std::env::var(name).ok());
}

fn hide_variables_from(text: &str, problems: &mut [Problem], variable: impl Fn(&str) -> Option<String>) {
    let names = text.split("${").skip(1).filter_map(|part| part.split_once('}')).map(|(inner, _)| inner);
    let names = names.map(|inner| inner.split_once(":-").map_or(inner, |(name, _)| name));
    let mut values: Vec<(String, &str)> = Vec::new();
    for name in names {
        let Some(value) = variable(name).filter(|value| value.chars().count() >= HIDDEN_CHARS_MIN) else { continue };
        // A message may show a text as it is, or as Rust would write it.
        values.push((value.escape_debug().to_string(), name));
        values.push((value, name));
    }
    // The longest first: one value may be a part of another.
    values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    for problem in problems {
        for (value, name) in &values {
            problem.message = problem.message.replace(value.as_str(), &format!("${{{name}}}"));
        }
    }
}

/// Replaces variables by what `variable` says. A variable that isn't set and has no default is a problem: an empty URL
/// or token in its place would fail later and elsewhere. Comment lines and single `$` (as in a regular expression's
/// end) stay as they are.
pub fn expand_from(file: &str, text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, Vec<Problem>> {
    let mut expanded = String::with_capacity(text.len());
    let mut problems = Vec::new();
    for (line_idx, line) in lines(text).enumerate() {
        if line.trim_start().starts_with('#') {
            expanded.push_str(line);
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find('$') {
            let column = line.len() - rest.len() + at + 1;
            let place = Place { line: line_idx as u64 + 1, column: column as u64 };
            let mut problem = |message: String| problems.push(Problem { file: file.to_owned(), place, message });
            expanded.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                expanded.push('$');
                rest = tail;
            } else if let Some(inner) = after.strip_prefix('{') {
                let Some(end) = inner.find('}') else {
                    problem("${ without }".to_owned());
                    rest = "";
                    break;
                };
                let (name, default) = match inner[..end].split_once(":-") {
                    Some((name, default)) => (name, Some(default)),
                    None => (&inner[..end], None),
                };
                match variable(name).or(default.map(str::to_owned)) {
                    Some(value) => expanded.push_str(&value),
                    None => problem(format!(
                        "the environment variable {name} isn't set; set it, or write ${{{name}:-default}}"
                    )),
                }
                rest = &inner[end + 1..];
            } else {
                expanded.push('$');
                rest = after;
            }
        }
        expanded.push_str(rest);
    }
    if problems.is_empty() { Ok(expanded) } else { Err(problems) }
}

/// The lines with their ends, as YAML counts them: a lone carriage return ends one, too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end =
            rest.find(['\n', '\r']).map_or(rest.len(), |at| at + if rest[at..].starts_with("\r\n") { 2 } else { 1 });
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_port(text: &str) -> Result<String, Vec<Problem>> {
        expand_from("f.yaml", text, |name| (name == "PORT").then(|| "9090".to_owned()))
    }

    #[test]
    fn variables_defaults_and_dollars() {
        assert_eq!(with_port("url: http://x:${PORT}\n").as_deref(), Ok("url: http://x:9090\n"));
        assert_eq!(with_port("${HOST:-localhost}").as_deref(), Ok("localhost"));
        assert_eq!(with_port("$$5 code=~\"5..$\"").as_deref(), Ok("$5 code=~\"5..$\""));
        assert_eq!(with_port("# ${UNSET}\n").as_deref(), Ok("# ${UNSET}\n"));
    }

    #[test]
    fn what_came_from_the_environment_is_hidden_in_messages() {
        let variable = |name: &str| match name {
            "TOKEN" => Some("hunter2\"hunter2".to_owned()),
            "STEP" => Some("5".to_owned()),
            _ => None,
        };
        let text = "mode: ${TOKEN}\nglobal: {step: ${STEP:-60s}}\nurl: ${UNSET:-http://x}\n";
        let place = Place { line: 1, column: 7 };
        let problem = |message: &str| Problem { file: "f".into(), place, message: message.into() };
        let mut problems = [
            problem(r#"mode: "hunter2\"hunter2" isn't a mode"#),
            problem(r#"x: hunter2"hunter2"#),
            problem("at most 5"),
        ];
        hide_variables_from(text, &mut problems, variable);
        let messages = problems.map(|problem| problem.message);
        assert_eq!(messages, [r#"mode: "${TOKEN}" isn't a mode"#, "x: ${TOKEN}", "at most 5"]);
    }

    #[test]
    fn a_line_ends_where_yaml_ends_it() {
        assert_eq!(with_port("# ${UNSET}\rport: ${PORT}").as_deref(), Ok("# ${UNSET}\rport: 9090"));
        assert_eq!(with_port("# a\r\nport: ${PORT}\r\n\r\n").as_deref(), Ok("# a\r\nport: 9090\r\n\r\n"));
        let problems = with_port("a: 1\rb: 2\r\nc: ${X}").expect_err("unset");
        assert_eq!((problems[0].place.line, problems[0].place.column), (3, 4));
        let parsed = crate::parse_documents("f.yaml", "a: 1\rb: [").expect_err("unclosed");
        assert!(parsed.place.line >= 2, "{parsed}");
    }

    #[test]
    fn every_unset_variable_is_named_with_its_place() {
        let problems = with_port("a: ${X}\nb: 1 ${Y}\n").expect_err("two are unset");
        let places: Vec<_> = problems.iter().map(|problem| (problem.place.line, problem.place.column)).collect();
        assert_eq!(places, [(1, 4), (2, 6)]);
    }
}
