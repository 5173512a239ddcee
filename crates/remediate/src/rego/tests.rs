use serde_json::json;

use super::*;

fn read(text: &str) -> Result<RegoRules, String> {
    let mut findings = Findings::new();
    let rules = RegoRules::read(&[RegoFile { name: "own.rego".into(), text: text.into() }], &mut findings);
    rules.ok_or_else(|| findings.into_problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn denials(text: &str) -> Result<Vec<String>, String> {
    let file = RegoFile { name: "own.rego".into(), text: format!("package homeostat\n\n{text}\n") };
    Compiled::of(&[file]).unwrap().denials(json!({"n": 2, "names": ["a", "b"], "none": null}))
}

#[test]
fn messages_come_in_one_order_and_none_is_none() {
    assert_eq!(denials("deny contains \"x\" if input.n > 2"), Ok(vec![]));
    let both = "deny contains \"z\" if input.n == 2\ndeny contains msg if {\n some name in input.names\n msg := concat(\" \", [\"not\", name])\n}";
    assert_eq!(denials(both), Ok(vec!["not a".into(), "not b".into(), "z".into()]));
    // Functions, negation, comprehensions and helpers of another package's name.
    let more = "is_low(n) if n < 5\ndeny contains \"low\" if { is_low(input.n); not input.names[7] }\n\
        deny contains \"all short\" if { every name in input.names { count(name) == 1 } }\n\
        deny contains \"two\" if count({name | some name in input.names}) == 2";
    assert_eq!(denials(more), Ok(vec!["all short".into(), "low".into(), "two".into()]));
}

/// A file that says yes, nothing, or something else than it should is no permission.
#[test]
fn an_answer_of_another_kind_is_an_error() {
    for (text, why) in [
        ("deny := true", "is true,"),
        ("deny := false", "is false,"),
        ("deny := \"no\"", "is a text,"),
        ("deny := [\"no\"]", "is an array,"),
        ("deny := {\"no\": 1}", "is an object,"),
        ("deny := null", "is null,"),
        ("deny := 0", "is a number,"),
        ("deny := {\"no\"} if input.n == 7", "is undefined,"),
        ("deny contains 7 if input.n == 2", "no message"),
        ("deny contains \" \" if input.n == 2", "no message"),
    ] {
        let answer = denials(text);
        assert!(answer.as_ref().is_err_and(|error| error.contains(why)), "{text}: {answer:?}");
    }
}

/// I36: a rule that loops ends, and one that fails isn't taken for silence.
#[test]
fn what_loops_or_fails_is_an_error_and_ends() {
    let nested = "many := [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]\ndeny contains \"late\" if {\n some a in many\n some b in many\n some c in many\n some d in many\n some e in many\n some f in many\n a + b + c + d + e + f == 0\n}";
    let answer = denials(nested);
    assert!(answer.as_ref().is_err_and(|error| error.contains("time limit")), "{answer:?}");
    let answer = denials("deny contains \"x\" if to_number(input.names[0]) == 1");
    assert!(answer.is_err(), "{answer:?}");
    let answer = denials("deny contains \"x\" if 1 / (input.n - 2) > 0");
    assert!(answer.is_err(), "{answer:?}");
    let two = "deny := {\"a\"} if input.n == 2\ndeny := {\"b\"} if input.n > 1";
    assert!(denials(two).is_err());
}

#[test]
fn what_cant_be_in_force_is_told_with_its_place() {
    for (text, place, why) in [
        ("package homeostat\n\ndeny contains if {", "own.rego:3:", ""),
        ("package other\n\ndeny contains \"x\" if input.n", "own.rego:1:1", "no rule `deny`"),
        ("package homeostat\n\nallow := true", "own.rego:1:1", "no rule `deny`"),
        (
            "package homeostat\n\ndeny contains \"x\" if numbers.range(1, input.n)[0] == 1",
            "own.rego:3:22: numbers.range",
            "memory",
        ),
        (
            "package homeostat\n\ndeny contains \"x\" if http.send({\"url\": \"http://x\"}).status_code == 200",
            "own.rego:3:22",
            "no function http.send",
        ),
        ("package homeostat\n\na := data.homeostat.deny\ndeny contains \"x\" if a", "own.rego:", "recurs"),
        ("package homeostat\n\ndeny := true", "own.rego:1:1", "is true, it must be a set"),
        ("package homeostat\n\nf(x) := f(x - 1)\ndeny contains \"x\" if f(input.n) == 1", "own.rego:", "recurs"),
        (
            "package homeostat\n\nf(x) := g(x)\ng(x) := f(x)\ndeny contains \"x\" if f(input.n) == 1",
            "own.rego:3:9",
            "recurs",
        ),
        ("package homeostat\n\na if b\nb if a\ndeny contains \"x\" if a", "own.rego:", "recurs"),
    ] {
        let told = read(text);
        assert!(told.as_ref().is_err_and(|told| told.starts_with(place) && told.contains(why)), "{text}: {told:?}");
    }
}

/// I36.
#[test]
fn long_and_many_messages_are_cut() {
    let text = "deny contains msg if { some a in input.names; some b in [1,2,3,4,5,6,7,8]; msg := sprintf(\"%s%d %s\", [a, b, concat(\"\", [x | some x in [\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"]])]) }";
    let messages = denials(text).unwrap();
    assert_eq!(messages.len(), 10);
    assert!(messages.iter().all(|message| message.chars().count() == 301 && message.ends_with('…')), "{messages:?}");
}
