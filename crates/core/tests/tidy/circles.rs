//! Files that take names from each other in a circle.
//!
//! An arrow runs from a file to the file that defines a name which the first one uses, through any number of
//! re-exports. A module that names its own submodules draws no arrow: that is how Rust builds a tree.

use std::collections::{BTreeMap, BTreeSet};

/// Which files a file takes names from, and which names.
pub(crate) type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// One crate's files by module path (`["forest", "kernel"]`; the root is empty).
#[derive(Default)]
pub(crate) struct Crate {
    modules: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: String,
    defined: BTreeSet<String>,
    /// Names brought in by `use`: name → path. A glob has the name `*`.
    used: Vec<(String, Vec<String>)>,
    paths: BTreeSet<Vec<String>>,
}

impl Crate {
    /// `files`: name below `src` and code, without tests and comments.
    pub(crate) fn of(files: &[(String, String)]) -> Self {
        let mut all = Self::default();
        for (file, code) in files {
            let below = file.split("/src/").nth(1).unwrap_or(file).trim_end_matches(".rs");
            let mut module: Vec<String> = below.split('/').map(str::to_owned).collect();
            if module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
                module.pop();
            }
            all.modules.insert(module, Module::of(file, code));
        }
        all
    }

    /// The arrows between this crate's files.
    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, module) in &self.modules {
            let used = module.used.iter().map(|(_, path)| path);
            for path in used.chain(&module.paths) {
                let Some(to) = self.defining(at, path, 0) else { continue };
                if !to.starts_with(at) {
                    let names = arrows.entry(module.file.clone()).or_default();
                    names.entry(self.modules[&to].file.clone()).or_default().insert(path.join("::"));
                }
            }
        }
        arrows
    }

    /// The module whose file defines what `path` names, seen from the module `at`.
    fn defining(&self, at: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        // Re-exports of re-exports are few; a circle of them ends here.
        if depth > 8 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.below(&[], rest, depth),
            "self" => self.below(at, rest, depth),
            "super" => self.below(at.split_last()?.1, rest, depth).or_else(|| {
                // `super::super::x`
                let up = at.split_last()?.1;
                (rest.first()? == "super").then(|| self.defining(up, rest, depth + 1))?
            }),
            _ => self.below(at, path, depth),
        }
    }

    fn below(&self, at: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let module = self.modules.get(at)?;
        let Some((first, rest)) = path.split_first() else { return Some(at.to_vec()) };
        let mut child = at.to_vec();
        child.push(first.clone());
        if self.modules.contains_key(&child) {
            return self.below(&child, rest, depth);
        }
        if module.defined.contains(first) {
            return Some(at.to_vec());
        }
        let named = module.used.iter().filter(|(name, _)| name == first).find_map(|(_, to)| {
            let whole: Vec<String> = to.iter().chain(rest).cloned().collect();
            (to.first() != Some(first)).then(|| self.defining(at, &whole, depth + 1)).flatten()
        });
        named.or_else(|| {
            let globs = module.used.iter().filter(|(name, _)| name == "*");
            globs.into_iter().find_map(|(_, to)| {
                let whole: Vec<String> = to.iter().chain(path).cloned().collect();
                self.defining(at, &whole, depth + 1)
            })
        })
    }
}

impl Module {
    fn of(file: &str, code: &str) -> Self {
        let words: Vec<&str> = code.split(|letter: char| letter != '_' && !letter.is_alphanumeric()).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let kinds = ["struct", "enum", "trait", "fn", "const", "static", "type", "union", "macro_rules"];
        let defined = words.windows(2).filter(|pair| kinds.contains(&pair[0])).map(|pair| pair[1].to_owned());
        let mut used = Vec::new();
        let mut rest = String::new();
        let mut at = 0;
        while let Some(found) = code[at..].find("use ") {
            let start = at + found;
            let begins = code[..start].chars().next_back().is_none_or(char::is_whitespace);
            let end = code[start..].find(';').map_or(code.len(), |length| start + length);
            rest.push_str(&code[at..start]);
            if begins {
                tree(&code[start + 4..end], &[], &mut used);
                at = end;
            } else {
                at = start + 4;
            }
        }
        rest.push_str(&code[at..]);
        Self { file: file.to_owned(), defined: defined.collect(), used, paths: paths(&rest) }
    }
}

/// The paths of a use tree, each with the name it brings in.
fn tree(text: &str, before: &[String], into: &mut Vec<(String, Vec<String>)>) {
    let text = text.trim();
    if let Some(open) = text.find('{') {
        let mut path = before.to_vec();
        path.extend(segments(&text[..open]));
        let inside = &text[open + 1..text.rfind('}').unwrap_or(text.len())];
        let mut depth = 0_i32;
        for part in inside.split_inclusive([',', '{', '}']).fold(vec![String::new()], |mut parts, piece| {
            let current = parts.last_mut().map(|last| {
                last.push_str(piece);
                piece.chars().next_back()
            });
            match current.flatten() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(',') if depth == 0 => parts.push(String::new()),
                _ => {}
            }
            parts
        }) {
            tree(part.trim().trim_end_matches(','), &path, into);
        }
        return;
    }
    let (path, alias) = text.split_once(" as ").map_or((text, None), |(path, alias)| (path, Some(alias.trim())));
    let mut whole = before.to_vec();
    whole.extend(segments(path));
    if whole.last().is_some_and(|last| last == "self") && whole.len() > 1 {
        whole.pop();
    }
    let name = alias.map(str::to_owned).or_else(|| whole.last().cloned());
    if name.as_deref() == Some("*") {
        whole.pop();
    }
    if let Some(name) = name {
        into.push((name, whole));
    }
}

fn segments(path: &str) -> impl Iterator<Item = String> {
    path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty())
}

/// Paths of two or more segments in code that isn't a `use`.
fn paths(code: &str) -> BTreeSet<Vec<String>> {
    let pieces = code.split(|letter: char| letter != '_' && letter != ':' && !letter.is_alphanumeric());
    let pieces = pieces.map(|piece| piece.trim_matches(':')).filter(|piece| piece.contains("::"));
    pieces.map(|piece| segments(piece).collect::<Vec<_>>()).filter(|path| path.len() > 1).collect()
}

/// The groups of files that reach each other, largest first.
pub(crate) fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = arrows
        .keys()
        .map(|from| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&String> = vec![from];
            while let Some(file) = next.pop() {
                for to in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
                    if seen.insert(to) {
                        next.push(to);
                    }
                }
            }
            (from, seen)
        })
        .collect();
    let both = |a: &String, b: &String| reach.get(a).is_some_and(|reached| reached.contains(b));
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for file in arrows.keys().filter(|file| both(file, file)) {
        groups.insert(arrows.keys().filter(|other| both(file, other) && both(other, file)).cloned().collect());
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

/// The arrows inside a circle, one a line.
pub(crate) fn told(circle: &[String], arrows: &Arrows) -> String {
    let mut lines = vec![format!("a circle of {} files:", circle.len())];
    for from in circle {
        for (to, names) in arrows.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(to)) {
            lines.push(format!("  {from} -> {to}: {}", names.iter().cloned().collect::<Vec<_>>().join(", ")));
        }
    }
    lines.join("\n")
}

fn crate_of(files: &[(&str, &str)]) -> Crate {
    let files: Vec<_> = files.iter().map(|(name, code)| (format!("crates/x/src/{name}"), (*code).to_owned())).collect();
    Crate::of(&files)
}

#[test]
fn two_files_that_name_each_other_are_a_circle_through_reexports_too() {
    let mutual = crate_of(&[
        ("lib.rs", "mod a;\nmod b;\npub use b::B;"),
        ("a.rs", "use crate::B;\npub struct A(B);"),
        ("b.rs", "use std::fmt;\npub struct B;\nfn f() { crate::a::A::new() }"),
    ]);
    assert_eq!(circles(&mutual.arrows()), [["crates/x/src/a.rs", "crates/x/src/b.rs"]]);
}

#[test]
fn a_parent_and_its_child_are_no_circle_but_one_through_a_third_file_is() {
    let tree = [
        ("lib.rs", "mod a;\nmod c;"),
        ("a.rs", "mod b;\nuse b::{B, other::{self, C as D}};\npub struct A;\nuse crate::c::C;"),
        ("a/b.rs", "use super::A;\npub struct B;"),
    ];
    let plain = crate_of(&[tree[0], tree[1], tree[2], ("c.rs", "pub struct C;")]);
    assert_eq!(circles(&plain.arrows()), Vec::<Vec<String>>::new());
    let back = crate_of(&[tree[0], tree[1], tree[2], ("c.rs", "use crate::a::b::B;\npub struct C;")]);
    assert_eq!(circles(&back.arrows()).len(), 1);
}
