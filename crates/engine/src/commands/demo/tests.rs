use homeostat_core::IncidentChange;

use super::story::WIDTH;
use super::*;

async fn whole_demo(seed: u64) -> (String, Played) {
    let args = DemoArgs { seed, storage: None };
    let paint = Paint::off();
    let mut text = story::title(paint, &policies().expect("the demo's policies"));
    let mut played = play(&args, paint, &|_: Shown<'_>| {}).await.expect("trained");
    while let Some(minute) = played.step().await {
        text.push_str(&minute.lines);
    }
    (text + &played.ending(None), played)
}

/// The words of the lines about one incident, in order.
fn words_of<'a>(text: &'a str, number: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|words| words.get(1) == Some(&number)).filter_map(|words| words.get(2).copied()).collect()
}

#[tokio::test]
async fn the_demo_fits_80_columns_tells_one_campaign_and_says_what_to_do_next() {
    let (text, played) = whole_demo(7).await;
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "wider than {WIDTH} columns: {line}");
    }
    assert_eq!(text.matches(" firing ").count(), 4, "one for each thing that happens\n{text}");
    assert_eq!(text.matches("planned event: campaign").count(), 1, "{text}");
    let opened = played.closed.changes().iter().filter(|change| matches!(change, IncidentChange::Opened(_)));
    assert_eq!(opened.count(), 4, "the tracker has no other incidents than those that are told");
    for number in ["#1", "#2", "#3", "#4"] {
        let words = words_of(&text, number);
        let verified = words.iter().position(|word| *word == "verified").unwrap_or(words.len());
        assert!(!words[verified..].contains(&"refused"), "{number}: refused after it was cured\n{text}");
        assert!(words.contains(&"resolved"), "{number}\n{text}");
    }
    let n_refused = words_of(&text, "#4").iter().filter(|word| **word == "refused").count();
    assert!(
        (1..=2).contains(&n_refused),
        "nothing is done in a planned event, and that is told when a reason is new\n{text}"
    );
    let next = text.split("What to do next").nth(1).expect("next steps");
    assert!(next.contains("homeostat serve") && next.contains("--storage.path"), "{next}");
    assert!(!text.contains('\u{1b}'), "colour where there is no terminal");
}
