use std::sync::Mutex;

use async_trait::async_trait;
use homeostat_core::Timestamp;
use homeostat_ingest::ClusterState;
use serde_json::json;

use super::super::api::Changes;
use super::super::resources::RESOURCES;
use super::*;

type Answer<T> = Result<T, ClusterReadError>;

/// Plays an API server: answers in their order, then nothing for ever.
#[derive(Default)]
struct Script {
    pages: Mutex<Vec<Answer<Value>>>,
    changes: Mutex<Vec<Vec<Answer<ObjectChange>>>>,
    asked: Mutex<Vec<String>>,
}

struct Played(Vec<Answer<ObjectChange>>);

#[async_trait]
impl Changes for Played {
    async fn next(&mut self) -> Option<Answer<ObjectChange>> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }
}

#[async_trait]
impl ClusterApi for Script {
    async fn page(&self, place: &Place, page: Option<&str>) -> Answer<Value> {
        self.asked.lock().unwrap().push(format!("list {} {}", place.path, page.unwrap_or("first")));
        let next = {
            let mut pages = self.pages.lock().unwrap();
            (!pages.is_empty()).then(|| pages.remove(0))
        };
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    async fn changes(&self, place: &Place, version: &str) -> Answer<Box<dyn Changes>> {
        self.asked.lock().unwrap().push(format!("watch {} {version}", place.path));
        let next = {
            let mut changes = self.changes.lock().unwrap();
            (!changes.is_empty()).then(|| changes.remove(0))
        };
        match next {
            Some(changes) => Ok(Box::new(Played(changes))),
            None => std::future::pending().await,
        }
    }
}

fn node(name: &str, version: u32, is_ready: bool) -> Value {
    json!({
        "metadata": {"name": name, "resourceVersion": version.to_string()},
        "status": {"conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "Unknown" }, "reason": "NodeStatusUnknown"}]},
    })
}

fn page(version: u32, next: &str, items: &[Value]) -> Answer<Value> {
    Ok(json!({"metadata": {"resourceVersion": version.to_string(), "continue": next}, "items": items}))
}

/// Runs against the script until it has nothing more to answer; what was asked, and the board.
async fn play(script: Script) -> (Vec<String>, Arc<Board>) {
    let (script, board) = (Arc::new(script), Arc::new(Board::new(ClusterState::default(), 1)));
    let resource = RESOURCES[10];
    let follow =
        Follow { api: Arc::clone(&script) as _, resource, namespace: None, board: Arc::clone(&board), watch_idx: 0 };
    // Time is the test's: it passes as soon as nothing else is to be done.
    let _ = tokio::time::timeout(Duration::from_secs(3_000), follow.run()).await;
    let asked = script.asked.lock().unwrap().clone();
    (asked, board)
}

fn wrong(board: &Arc<Board>) -> Vec<String> {
    let (facts, _, _) = board.tell(Timestamp::from_secs(1_000_000));
    facts.into_iter().map(|fact| fact.object.name).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_are_put_together_and_what_changes_afterwards_is_followed() {
    let script = Script {
        pages: Mutex::new(vec![page(7, "more", &[node("a", 1, false)]), page(8, "", &[node("b", 2, true)])]),
        changes: Mutex::new(vec![
            vec![
                Ok(ObjectChange::Changed(node("b", 9, false))),
                Ok(ObjectChange::Gone(node("a", 10, false))),
                Ok(ObjectChange::UpTo("20".into())),
            ],
            vec![Ok(ObjectChange::Changed(node("c", 21, false)))],
        ]),
        ..Script::default()
    };
    let (asked, board) = play(script).await;
    assert_eq!(
        asked,
        [
            "list /api/v1/nodes first",
            "list /api/v1/nodes more",
            "watch /api/v1/nodes 8",
            "watch /api/v1/nodes 20",
            "watch /api/v1/nodes 21",
        ]
    );
    assert_eq!(wrong(&board), ["b", "c"]);
    assert!(board.can_tell(1));
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_listed_anew_and_what_is_gone_by_then_is_gone() {
    let expired = Err(ClusterReadError::Expired("too old resource version".into()));
    let script = Script {
        pages: Mutex::new(vec![page(7, "", &[node("a", 1, false)]), page(30, "", &[node("b", 2, false)])]),
        changes: Mutex::new(vec![vec![expired]]),
        ..Script::default()
    };
    let (asked, board) = play(script).await;
    assert_eq!(asked.last().map(String::as_str), Some("watch /api/v1/nodes 30"));
    assert_eq!(wrong(&board), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_isnt_allowed_is_done_without_until_it_is() {
    let refused = || Err(ClusterReadError::NotAllowed("nodes is forbidden".into()));
    let (_, board) = play(Script { pages: Mutex::new(vec![refused()]), ..Script::default() }).await;
    assert_eq!(board.states(), [WatchState::Refused]);
    assert!(board.can_tell(0) && !board.can_tell(1), "without nodes much can be told, without pods nothing");
    let allowed = vec![refused(), page(7, "", &[node("a", 1, false)])];
    let (_, board) = play(Script { pages: Mutex::new(allowed), ..Script::default() }).await;
    assert_eq!((board.states(), wrong(&board)), (vec![WatchState::Following], vec!["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_asked_ever_more_slowly_and_nothing_is_told_meanwhile() {
    let away = || Err(ClusterReadError::Failed("connection refused".into()));
    let script = Script {
        pages: Mutex::new(vec![page(7, "", &[node("a", 1, false)]), away(), away(), away()]),
        changes: Mutex::new(vec![vec![Err(ClusterReadError::Failed("broken pipe".into()))]]),
        ..Script::default()
    };
    let (asked, board) = play(script).await;
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert_eq!(board.states(), [WatchState::Broken]);
    assert!(!board.can_tell(1), "what it had may be over by now");
}
