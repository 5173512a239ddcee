//! `homeostat serve` as a process: where its models come from, what signals do, where it listens.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use homeostat_core::{
    Calibrated, CorrelationId, Incident, IncidentId, IncidentState, IncidentType, Score, Subject, Timestamp,
};
use homeostat_journal::{Journal, Note};
use support::prometheus::noise;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homeostat");

/// A Prometheus that knows every moment and so many workloads.
fn prometheus(n_subjects: u64) -> String {
    support::prometheus::serve(move |asked| {
        let series = |subject: u64| {
            let labels = format!(r#"{{"namespace":"shop","workload":"s{subject}"}}"#);
            asked.series(&labels, |at| noise(at, subject << 40, 16))
        };
        (0..n_subjects).map(series).collect()
    })
}

/// A service, killed when a test ends early.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    /// Where the API listens.
    port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

impl Service {
    fn start(room: &Path, more: &[&str]) -> Self {
        let port = free_port();
        let mut child = Command::new(PROGRAM)
            .current_dir(room)
            .args(["serve", "--config.file", "c.yaml", "--web.listen-address", &format!("localhost:{port}")])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, log, port }
    }

    /// The log up to the first line with this part; all of it, if it ends before.
    fn until(&mut self, part: &str) -> String {
        let mut told = String::new();
        while !told.contains(part) {
            if self.log.read_line(&mut told).expect("a line") == 0 {
                panic!("it ended without {part:?}:\n{told}");
            }
        }
        told
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Waits for so many cycles.
    fn cycles(&mut self, n: usize) {
        while !ask(self.port, "GET", "/metrics").1.contains(&format!("homeostat_cycles_total{{result=\"ok\"}} {n}\n")) {
            assert!(self.child.try_wait().expect("a child").is_none(), "it ended");
            // Only so that asking doesn't take the processor from what is asked.
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn resident_kib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// Status and body of a request.
fn ask(port: u16, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

fn write_config(room: &Path, url: &str, more: &str) {
    let text = format!(
        "datasources: [{{url: '{url}'}}]\nglobal: {{step: 1s, history: 20m, offset: 0s}}\n\
         queries: {{latency: a, traffic: bb}}\nstorage: {{path: data}}\n{more}"
    );
    fs::write(room.join("c.yaml"), text).expect("room to write");
}

#[test]
fn a_hangup_reloads_the_config_and_ends_nothing_and_probes_listen_apart() {
    let room = tempfile::tempdir().expect("a directory");
    let url = prometheus(2);
    write_config(room.path(), &url, "detectors: [forest, forecast]\n");
    let probes = free_port();
    let mut service = Service::start(room.path(), &["--web.probe-address", &format!(":{probes}")]);
    service.until("watching");
    assert_eq!(ask(probes, "GET", "/livez").0, 200);
    assert_eq!(ask(probes, "GET", "/api/v1/incidents").0, 404);
    assert_eq!(ask(service.port, "GET", "/api/v1/incidents").0, 200);
    write_config(room.path(), &url, "detectors: [forest, forecast]\nmode: recommend\n");
    service.signal("HUP");
    let told = service.until("the config was reloaded");
    assert!(told.contains("mode=recommend"), "{told}");
    write_config(room.path(), &url, "mode: recomend\n");
    service.signal("HUP");
    service.until("the previous one stays in force");
    let (status, why) = ask(service.port, "POST", "/-/reload");
    assert!(status == 500 && why.contains("recomend"), "{why}");
    let metrics = ask(probes, "GET", "/metrics").1;
    assert!(metrics.contains("homeostat_config_last_reload_successful 0"), "{metrics}");
    service.signal("TERM");
    assert_eq!(service.child.wait().expect("it ends").code(), Some(0));
    assert!(!room.path().join("data/training").exists(), "the training left nothing behind");
}

#[test]
fn what_training_took_is_given_back() {
    const N_SUBJECTS: u64 = 40;
    let room = tempfile::tempdir().expect("a directory");
    let url = prometheus(N_SUBJECTS);
    // From a bundle of the same models.
    write_config(room.path(), &url, "");
    let trained = Command::new(PROGRAM)
        .current_dir(room.path())
        .args(["train", "--config.file", "c.yaml", "--output", "models"])
        .output()
        .expect("the program runs");
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let resident = |more: &str| {
        write_config(room.path(), &url, more);
        let mut service = Service::start(room.path(), &[]);
        service.until("watching");
        // A few cycles, so that windows and what scores them are there in both.
        service.cycles(5);
        service.resident_kib()
    };
    let from_bundle = resident("bundle: models\n");
    let after_training = resident("");
    let ratio = after_training / from_bundle;
    println!("figure serve.rss_after_training_ratio {ratio:.2} ratio");
    assert!(ratio <= 1.2, "{after_training} KiB after training, {from_bundle} KiB from a bundle");
}

#[test]
fn a_mistyped_level_is_refused_with_those_there_are() {
    let output = Command::new(PROGRAM).args(["demo", "--log.level", "inof"]).output().expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("unknown level \"inof\""), "{told}");
}

/// An API server that answers every request with its version until it hangs: from then on it takes connections and requests and
/// says nothing. Sends the path of each request on the way.
fn api_server(hangs: Arc<AtomicBool>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (paths, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (hangs, paths) = (Arc::clone(&hangs), paths.clone());
            thread::spawn(move || answer_version(&stream, &hangs, &paths));
        }
    });
    (url, receiver)
}

fn answer_version(stream: &TcpStream, hangs: &AtomicBool, paths: &mpsc::Sender<String>) {
    const VERSION: &str = r#"{"major":"1","minor":"36","gitVersion":"v1.36.3","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        while lines.next().is_some_and(|header| !header.is_empty()) {}
        // Nobody listens any more once the test is over.
        let _ = paths.send(request.split(' ').nth(1).unwrap_or_default().to_owned());
        if hangs.load(Ordering::SeqCst) {
            // Until the client gives up.
            for _ in lines.by_ref() {}
            return;
        }
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", VERSION.len());
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(VERSION.as_bytes())).is_err() {
            return;
        }
    }
}

/// A kubeconfig and policies that propose for whatever a fault is taken for.
fn write_remediation(room: &Path, api_server: &str) {
    let kubeconfig = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}],\n\
         clusters: [{{name: c, cluster: {{server: '{api_server}'}}}}], users: [{{name: u, user: {{token: t}}}}]}}\n"
    );
    fs::write(room.join("kubeconfig"), kubeconfig).expect("room to write");
    let of_type = |incident_type: &str| {
        format!(
            "- {{incident_type: {incident_type}, action: rollout-restart, auto_execute: true, confidence_threshold: 0.01,\n   \
             max_attempts: 1, cooldown_after_action: 10m, verification_window: 5m, escalation_channel: log,\n   \
             scope: {{namespaces: [shop]}}}}\n"
        )
    };
    let types = ["latency", "traffic-surge", "traffic-drop", "error-burst", "resource-starvation", "unknown"];
    fs::write(room.join("policies.yaml"), format!("remediation_policies:\n{}", types.map(of_type).concat()))
        .expect("room to write");
}

/// What a service needs that would act on what `write_remediation` names.
const REMEDIATION: &str = "mode: execute\ndetectors: [forest, forecast]\npolicies: policies.yaml\n\
                           channels: {log: {type: log}}\n\
                           kubernetes: {kubeconfig: kubeconfig, timeout: 30s, assume_same_cluster: true}\n";

#[test]
fn detection_begins_without_an_api_server() {
    let room = tempfile::tempdir().expect("a directory");
    let url = prometheus(1);
    // Nobody listens on port 1 of loopback.
    write_remediation(room.path(), "http://127.0.0.1:1");
    write_config(room.path(), &url, REMEDIATION);
    let mut service = Service::start(room.path(), &[]);
    let told = service.until("watching");
    // Told once, whichever came first.
    let unusable = "the Kubernetes API server isn't usable";
    if !told.contains(unusable) {
        service.until(unusable);
    }
    assert!(!told.contains("failed with error"), "a library's own line: {told}");
    assert!(ask(service.port, "GET", "/metrics").1.contains("homeostat_kubernetes_up 0"));
}

#[test]
fn a_hung_api_server_delays_neither_the_kill_switch_nor_the_end() {
    let room = tempfile::tempdir().expect("a directory");
    let is_faulty = Arc::new(AtomicBool::new(false));
    let faulty = Arc::clone(&is_faulty);
    let url = support::prometheus::serve(move |asked| {
        let labels = r#"{"namespace":"shop","workload":"s0"}"#;
        let fault = if faulty.load(Ordering::SeqCst) { 10_000_000 } else { 0 };
        vec![asked.series(labels, |at| noise(at, 1 << 40, 16) + fault)]
    });
    let (api_server, paths) = api_server(Arc::clone(&is_faulty));
    write_remediation(room.path(), &api_server);
    write_config(room.path(), &url, REMEDIATION);
    let mut service = Service::start(room.path(), &[]);
    let told = service.until("watching");
    assert!(told.contains("the Kubernetes API server answers"), "{told}");
    is_faulty.store(true, Ordering::SeqCst);
    while !paths.recv_timeout(Duration::from_secs(120)).expect("the target is looked at").contains("/deployments/") {}
    let began = Instant::now();
    let stopped = Command::new(PROGRAM)
        .current_dir(room.path())
        .args(["stop", "--storage.path", "data", "--reason", "a test"])
        .output()
        .expect("the program runs");
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    service.until("remediation is stopped");
    let kill_switch = began.elapsed();
    println!("figure killswitch.seconds {:.2} s", kill_switch.as_secs_f64());
    let began = Instant::now();
    service.signal("TERM");
    assert_eq!(service.child.wait().expect("it ends").code(), Some(0));
    let shutdown = began.elapsed();
    println!("figure shutdown.seconds {:.2} s", shutdown.as_secs_f64());
    // Kubernetes kills after 30 s, and an operator who says stop looks at the screen.
    assert!(kill_switch <= Duration::from_secs(5), "{kill_switch:?} until the stop was known");
    assert!(shutdown <= Duration::from_secs(5), "{shutdown:?} until it ended");
}

const HOUR_S: u64 = 3_600;

/// An incident that opened two minutes after its fault began, and was over with it.
fn recorded(fault: std::ops::Range<u64>) -> Incident {
    let at = |secs: u64| Timestamp::from_secs(i64::try_from(secs).expect("a moment"));
    let (subject, opened_at) = (Subject::deployment("shop", "cart"), at(fault.start + 120));
    Incident {
        id: IncidentId::of(&subject, opened_at),
        correlation: CorrelationId::of(&subject, opened_at),
        subject,
        incident_type: IncidentType::Latency,
        state: IncidentState::Resolved,
        opened_at,
        updated_at: at(fault.end),
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        confidence: Calibrated::UNKNOWN,
        evidence: vec![],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

#[test]
fn at_a_start_the_incidents_of_the_journal_are_not_learned_and_the_same_fault_calls_again() {
    // Whether the fault that has gone on for a quarter of an hour opens an incident, and what the log says of the one that was eight hours ago.
    let started = |is_recorded: bool| {
        let room = tempfile::tempdir().expect("a directory");
        let began = fs::metadata(room.path()).and_then(|made| made.modified()).expect("a directory");
        let began = began.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let past = began - 8 * HOUR_S..began - 7 * HOUR_S;
        let is_faulty = {
            let past = past.clone();
            move |at: u64| past.contains(&at) || at >= began - 900
        };
        let url = support::prometheus::serve(move |asked| {
            let salt = asked.query().len() as u64;
            let labels = r#"{"namespace":"shop","workload":"cart"}"#;
            vec![asked.series(labels, |at| 10_000 + noise(at, salt << 40, 10) + if is_faulty(at) { 2_000 } else { 0 })]
        });
        let text = format!(
            "datasources: [{{url: '{url}'}}]\nglobal: {{step: 60s, history: 1d, offset: 0s}}\n\
             queries: {{latency: a, traffic: bb}}\nstorage: {{path: data}}\ndetectors: [residual, forest, forecast]\n"
        );
        fs::write(room.path().join("c.yaml"), text).expect("room to write");
        fs::create_dir(room.path().join("data")).expect("room to write");
        let journal = Journal::open(&room.path().join("data/journal.db")).expect("a journal");
        let incident = recorded(past);
        if is_recorded {
            journal.note(&Note::Incident(Box::new(incident.clone())), incident.updated_at).expect("noted");
        }
        drop(journal);
        let mut service = Service::start(room.path(), &[]);
        let told = service.until("watching");
        service.cycles(1);
        let (status, open) = ask(service.port, "GET", "/api/v1/incidents?state=open");
        assert_eq!(status, 200, "{open}");
        let said = told.contains("a past incident isn't learned") && told.contains(incident.id.as_str());
        (open.contains("\"state\":\"open\""), said)
    };
    assert_eq!(started(true), (true, true), "it is as unusual as it was the first time");
    assert_eq!(started(false), (false, false), "what nobody recorded is learned");
}

/// Runs `incident` with these words, and gives what it prints.
fn incident(room: &Path, words: &[&str]) -> String {
    let output =
        Command::new(PROGRAM).current_dir(room).arg("incident").args(words).output().expect("the program runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn an_incident_is_labelled_before_beside_and_through_a_running_service() {
    let room = tempfile::tempdir().expect("a directory");
    write_config(room.path(), &prometheus(2), "detectors: [forest, forecast]\n");
    let recorded: homeostat_core::Incident = serde_json::from_value(serde_json::json!({
        "id": "inc-0123456789abcdef", "correlation": "cor-0123456789abcdef", "subject": "shop/deployment/s0",
        "type": "latency", "state": "resolved", "opened_at": "2026-11-30T04:00:00Z", "updated_at": "2026-11-30T04:10:00Z",
        "score": 0.5, "score_peak": 5.0, "confidence": {"confidence": 0.9, "lower": 0.8, "n_outcomes": 20},
        "evidence": [], "votes": [], "affected": [], "annotations": [],
    }))
    .expect("an incident");
    let data = room.path().join("data");
    fs::create_dir_all(&data).expect("room to write");
    {
        let journal = homeostat_journal::Journal::open(&data.join("journal.db")).expect("a journal");
        let note = homeostat_journal::Note::Incident(Box::new(recorded.clone()));
        journal.note(&note, recorded.updated_at).expect("noted");
    }
    let by_file = ["--by", "anna", "--storage.path", "data"];
    let label = |verdict: &str, more: &[&str]| incident(room.path(), &[&["label", "inc-01", verdict], more].concat());
    let before = label("false", &by_file);
    assert!(before.contains("is labelled false-positive: recorded in the journal"), "{before}");
    let mut service = Service::start(room.path(), &[]);
    service.until("watching");
    let beside = label("expected-daily", &by_file);
    assert!(beside.contains("is labelled expected-daily: the running service records it"), "{beside}");
    service.until("incident labelled");
    let url = format!("http://127.0.0.1:{}", service.port);
    let shown = || incident(room.path(), &["show", "inc-01", "--url", &url]);
    assert!(shown().contains("expected-daily by anna"), "{}", shown());
    let through = label("true-positive", &["--by", "ben", "--note", "a disk", "--url", &url]);
    assert!(through.contains("is labelled true-positive: recorded by the service"), "{through}");
    assert!(shown().contains("true-positive by ben"), "{}", shown());
    service.signal("TERM");
    assert_eq!(service.child.wait().expect("it ends").code(), Some(0));
    let withdrawn = label("none", &by_file);
    assert!(withdrawn.contains("is withdrawn"), "{withdrawn}");
    assert!(!incident(room.path(), &["show", "inc-01", "--storage.path", "data"]).contains("Label "));
}
