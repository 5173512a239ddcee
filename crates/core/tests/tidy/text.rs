//! Rust text without its comments and without what only tests compile.

/// A source file's code: no comments, and no item that stands under `#[cfg(test)]`, wherever it is.
pub(crate) fn code(text: &str) -> String {
    without_tests(&without_comments(text))
}

/// The text without its comments; the lines stay, so that a file's length can be told.
fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut kept = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        let token = &text[at..end];
        if token.starts_with("//") || token.starts_with("/*") {
            kept.extend(token.chars().filter(|letter| *letter == '\n'));
        } else {
            kept.push_str(token);
        }
        at = end;
    }
    kept
}

/// Code with its strings emptied, so that only names are left.
pub(crate) fn without_strings(code: &str) -> String {
    let bytes = code.as_bytes();
    let mut kept = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        let token = &code[at..end];
        kept.push_str(if token.ends_with('"') { "\"\"" } else { token });
        at = end;
    }
    kept
}

/// The text without the items under `#[cfg(test)]`: modules, functions, uses, variants, match arms, fields.
pub(crate) fn without_tests(text: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let bytes = text.as_bytes();
    let mut kept = String::new();
    let mut at = 0;
    while at < bytes.len() {
        if text[at..].starts_with(MARK) {
            at = item_end(text, at + MARK.len());
            continue;
        }
        let end = token_end(bytes, at);
        kept.push_str(&text[at..end]);
        at = end;
    }
    kept
}

/// Where the item that begins at `at` ends, its attributes included.
fn item_end(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if !text[at..].starts_with("#[") {
            break;
        }
        at = closing(bytes, at + 1);
    }
    let words: Vec<&str> = text[at..]
        .split(|letter: char| letter != '_' && !letter.is_alphanumeric())
        .filter(|word| !word.is_empty() && !["pub", "crate", "super", "in", "unsafe", "async"].contains(word))
        .take(2)
        .collect();
    let ends_at_semicolon = match words.as_slice() {
        ["const", "fn"] => false,
        [first, ..] => ["use", "const", "static", "type", "let"].contains(first),
        [] => false,
    };
    let is_item = words.first().is_some_and(|first| {
        ["fn", "mod", "impl", "struct", "enum", "trait", "union", "const", "extern"].contains(first)
    });
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' => at = closing(bytes, at),
            b'{' => {
                at = closing(bytes, at);
                let rest = text[at..].trim_start();
                let goes_on = !is_item && [",", "=>", "|", "if ", "."].iter().any(|mark| rest.starts_with(mark));
                if !ends_at_semicolon && !goes_on {
                    return at;
                }
            }
            b';' => return at + 1,
            b',' if !is_item && !ends_at_semicolon => return at + 1,
            b')' | b']' | b'}' => return at,
            _ => at = token_end(bytes, at),
        }
    }
    at
}

/// Past the bracket that closes the one at `at`.
fn closing(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at = token_end(bytes, at);
    }
    at
}

/// Where what begins at `at` ends: a whole comment, string or character, or else one letter.
fn token_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let past = |length: usize| (at + length).min(bytes.len());
    if rest.starts_with(b"//") {
        return past(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return comment_end(bytes, at);
    }
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest[0] == b'r' && (!in_word || bytes[at - 1] == b'b') {
        let n_hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
        if rest.get(1 + n_hashes) == Some(&b'"') {
            let end: Vec<u8> = [b'"'].into_iter().chain(std::iter::repeat_n(b'#', n_hashes)).collect();
            let body = 2 + n_hashes;
            let length = rest[body..].windows(end.len()).position(|window| window == end);
            return past(length.map_or(rest.len(), |length| body + length + end.len()));
        }
    }
    match rest[0] {
        b'"' => past(quoted(rest, b'"')),
        // A lifetime has no closing quote right behind its first letter.
        b'\'' if rest.get(1) == Some(&b'\\') || letter_then_quote(rest) => past(quoted(rest, b'\'')),
        _ => {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] & 0xC0 == 0x80 {
                end += 1;
            }
            end
        }
    }
}

fn letter_then_quote(rest: &[u8]) -> bool {
    let next = (2..6).find(|at| rest.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80));
    rest.get(1) != Some(&b'\'') && next.is_some_and(|at| rest.get(at) == Some(&b'\''))
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

#[test]
fn what_stands_after_a_test_module_is_seen() {
    let text = "use a;\n#[cfg(test)]\nmod tests {\n    const BRACE: &str = \"}\";\n    fn f<'a>() -> char { '}' } // }\n}\nfn after() {}\n";
    assert_eq!(without_tests(text), "use a;\n\nfn after() {}\n");
    assert_eq!(without_tests("#[cfg(test)]\nmod tests;\nmod later;"), "\nmod later;");
    assert_eq!(without_tests("#[cfg(test)]\n#[path = \"x.rs\"]\nuse a::{b, c};\nuse d;"), "\nuse d;");
}

#[test]
fn variants_and_arms_of_tests_go_and_their_neighbours_stay() {
    assert_eq!(without_tests("enum E { A, #[cfg(test)] B(u8, u8), C }"), "enum E { A,  C }");
    assert_eq!(
        without_tests("match x { #[cfg(test)] E::B { a, b } => { f(a, b) } E::C => g() }"),
        "match x {  E::C => g() }"
    );
    assert_eq!(
        without_tests("match x { #[cfg(test)]\nSelf::B(s) => s.name, Self::C => g() }"),
        "match x {  Self::C => g() }"
    );
    assert_eq!(without_tests("#[cfg(test)]\nfn f<A, B>(a: [A; 2]) -> B { g() }\nfn h() {}"), "\nfn h() {}");
    assert_eq!(without_tests("#[cfg(test)]\npub(crate) const N: [u8; 2] = [1, 2];\nfn h() {}"), "\nfn h() {}");
}

#[test]
fn comments_go_and_strings_stay() {
    assert_eq!(
        code("let a = \"// no comment\"; // one\n/* two /* three */ */let b = r#\"\"/*\"#;"),
        "let a = \"// no comment\"; \nlet b = r#\"\"/*\"#;"
    );
    assert_eq!(without_strings("f(\"use a; }\", 'b', c)"), "f(\"\", 'b', c)");
}
