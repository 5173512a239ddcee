use super::*;
use crate::node::parse_documents;

fn problems_of(text: &str, read: impl FnOnce(&mut Reader<'_>)) -> Vec<String> {
    let documents = parse_documents("f.yaml", text).expect("YAML");
    let mut problems = Findings::new();
    let mut reader = Reader::new("f.yaml", "", &documents[0], &mut problems);
    read(&mut reader);
    reader.finish();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let text = "step: fast\nratio: 1.5\nserver:\n  listne: x\n";
    let problems = problems_of(text, |reader| {
        assert_eq!(reader.duration("step"), None);
        assert_eq!(reader.number("ratio", 0.0..=1.0), None);
        reader.section("server", |server| server.text("listen"));
    });
    assert_eq!(
        problems,
        [
            "f.yaml:1:7: step: invalid duration \"fast\": write it like 30s, 10m, 1h30m, 7d or 250ms",
            "f.yaml:2:8: ratio: must lie between 0 and 1, not 1.5",
            "f.yaml:4:3: unknown key server.listne; did you mean listen?",
        ]
    );
}

#[test]
fn a_missing_key_is_reported_where_its_section_begins() {
    let problems = problems_of("a: 1\n", |reader| {
        let a = reader.count("a", 0..=9);
        assert_eq!(reader.require("a", a), Some(1));
        let url = reader.text("url");
        assert_eq!(reader.require("url", url), None);
    });
    assert_eq!(problems, ["f.yaml:1:1: url is missing"]);
}

#[test]
fn a_number_that_is_none_never_gets_through() {
    // The parser already refuses it; should that ever change, the range check must.
    assert!(parse_documents("f.yaml", "ratio: .nan\n").is_err());
    assert!(!(0.0..=1.0).contains(&f64::NAN));
}

#[test]
fn what_is_missing_may_come_with_an_example() {
    let problems = problems_of("server: {}\n", |reader| {
        reader.section("server", |server| {
            let port = server.count("port", 1..=65_535);
            server.require_such_as("port", port, "9476")
        });
    });
    assert_eq!(problems, ["f.yaml:1:9: server.port is missing; for instance `port: 9476`"]);
}

#[test]
fn what_is_no_section_is_one_problem_not_one_for_each_key() {
    let problems = problems_of("server: 7\n", |reader| {
        reader.section("server", |server| {
            let url = server.text("url");
            server.require("url", url)
        });
    });
    assert_eq!(problems, ["f.yaml:1:9: server must be keys with values, not a whole number"]);
}

#[test]
fn a_value_that_is_wrong_is_not_called_missing_too() {
    let problems = problems_of("url: ''\n", |reader| {
        let url = reader.text("url");
        reader.require("url", url);
    });
    assert_eq!(problems, ["f.yaml:1:6: url: must not be empty"]);
}

#[test]
fn both_ends_of_a_range_of_durations_are_in_it() {
    let range = || Duration::from_secs(60)..=Duration::from_secs(3600);
    let problems = problems_of("a: 1m\nb: 1h\nc: 59s\nd: 2h\n", |reader| {
        assert_eq!(reader.duration_in("a", range()), Some(Duration::from_secs(60)));
        assert_eq!(reader.duration_in("b", range()), Some(Duration::from_secs(3600)));
        assert_eq!(reader.duration_in("c", range()), None);
        assert_eq!(reader.duration_in("d", range()), None);
    });
    assert_eq!(
        problems,
        ["f.yaml:3:4: c: must lie between 1m and 1h, not 59s", "f.yaml:4:4: d: must lie between 1m and 1h, not 2h"]
    );
}

#[test]
fn a_count_is_whole_and_says_what_it_is_not() {
    let problems = problems_of("a: 1.5\nb: 12\nc: many\n", |reader| {
        for key in ["a", "b", "c"] {
            assert_eq!(reader.count(key, 1..=10), None, "{key}");
        }
    });
    assert_eq!(
        problems,
        [
            "f.yaml:1:4: a: must be a whole number, not 1.5",
            "f.yaml:2:4: b: must lie between 1 and 10, not 12",
            "f.yaml:3:4: c: must be a whole number, not a text",
        ]
    );
}

#[test]
fn each_item_that_is_no_text_is_reported_at_its_own_place() {
    let problems = problems_of("names: [a, 5, b, {}]\none: a\n", |reader| {
        assert_eq!(reader.texts("names"), None);
        assert_eq!(reader.texts("one"), Some(vec!["a".to_owned()]));
    });
    assert_eq!(
        problems,
        [
            "f.yaml:1:12: names: must be a list of texts; this is a whole number",
            "f.yaml:1:18: names: must be a list of texts; this is keys with values",
        ]
    );
}

#[test]
fn sections_of_a_list_are_told_apart_by_number() {
    let problems = problems_of("rules:\n- {name: a}\n- {nam: b}\n- c\n", |reader| {
        let names = reader.sections("rules", |rule| rule.text("name"));
        assert_eq!(names, [Some("a".to_owned()), None, None]);
    });
    assert_eq!(
        problems,
        [
            "f.yaml:3:4: unknown key rules[1].nam; did you mean name?",
            "f.yaml:4:3: rules[2] must be keys with values, not a text",
        ]
    );
}

#[test]
fn every_key_that_is_asked_for_is_known_with_its_bounds_whether_it_is_there_or_not() {
    let documents = parse_documents("f.yaml", "channels: {pager: {}, mail: {}}\nrules: [{}, {}]\n").expect("YAML");
    let mut findings = Findings::new();
    let mut reader = Reader::new("f.yaml", "", &documents[0], &mut findings);
    reader.count("n", 1..=9);
    reader.duration_in("wait", Duration::ZERO..=Duration::from_secs(60));
    reader.get("kind", |_| Ok(()));
    for (name, _, node) in reader.named("channels") {
        let mut channel = Reader::new("f.yaml", &format!("channels.{name}"), node, reader.problems());
        channel.flag("changes");
    }
    reader.sections("rules", |rule| rule.text("name"));
    let keys: Vec<_> = findings.keys().iter().map(|key| (key.path.as_str(), key.kind.clone())).collect();
    assert_eq!(
        keys,
        [
            ("n", Kind::Count(1..=9)),
            ("wait", Kind::Duration(Some(Duration::ZERO..=Duration::from_secs(60)))),
            ("kind", Kind::Other),
            ("channels", Kind::Named),
            ("channels.<name>.changes", Kind::Flag),
            ("rules", Kind::Sections),
            ("rules[].name", Kind::Text),
        ]
    );
}

#[test]
fn a_key_under_its_old_name_is_read_with_a_warning_and_under_both_is_a_problem() {
    let documents = parse_documents("f.yaml", "a: {old: 1}\nb: {old: 1, new: 2}\n").expect("YAML");
    let mut findings = Findings::new();
    let mut reader = Reader::new("f.yaml", "", &documents[0], &mut findings);
    for (key, wanted) in [("a", 1), ("b", 2)] {
        let read = reader.section(key, |section| {
            section.renamed("new", "old");
            section.count("new", 0..=9)
        });
        assert_eq!(read, Some(Some(wanted)));
    }
    reader.finish();
    let warnings: Vec<_> = findings.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["f.yaml:1:5: a.old is now called new"]);
    let problems: Vec<_> = findings.into_problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["f.yaml:2:5: b.old and b.new are the same key: remove old"]);
}

#[test]
fn a_value_under_its_old_name_is_read_with_a_warning() {
    let documents = parse_documents("f.yaml", "a: old\nb: new\n").expect("YAML");
    let mut findings = Findings::new();
    let mut reader = Reader::new("f.yaml", "", &documents[0], &mut findings);
    assert!(reader.renamed_value("a", "new", "old"));
    assert!(!reader.renamed_value("b", "new", "old") && !reader.renamed_value("c", "new", "old"));
    reader.finish();
    let warnings: Vec<_> = findings.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["f.yaml:1:4: a: old is now called new"]);
}
