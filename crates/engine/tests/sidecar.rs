//! The README's scoring request: typed as it stands there, it is answered.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Ends with its test, however that ends.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_readmes_score_request_is_answered_by_name() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    for part in ["serve --config.file examples/sidecar.yaml", "-d @examples/sidecar-request.json"] {
        assert!(readme.contains(part), "README.md doesn't say {part:?}");
    }
    let storage = tempfile::tempdir().expect("a directory");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let child = Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .current_dir(root())
        .args(["serve", "--config.file", "examples/sidecar.yaml", "--storage.path"])
        .arg(storage.path())
        .args(["--web.listen-address", &free.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut served = Served(child);
    let log = BufReader::new(served.0.stderr.take().expect("its log"));
    let mut seen = Vec::new();
    for line in log.lines() {
        let line = line.expect("text");
        let is_ready = line.contains("watching");
        seen.push(line);
        if is_ready {
            break;
        }
    }
    let body = std::fs::read_to_string(root().join("examples/sidecar-request.json")).expect("the request");
    let mut stream = TcpStream::connect(free).unwrap_or_else(|error| panic!("{error}\n{}", seen.join("\n")));
    let head = format!(
        "POST /api/v1/score HTTP/1.1\r\nhost: {free}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let json = &answer[answer.find("{").expect("JSON")..=answer.rfind('}').expect("JSON")];
    let data = &serde_json::from_str::<serde_json::Value>(json).expect("JSON")["data"];
    assert!(data["score"].as_f64().is_some_and(|score| score > 1.0), "{data:#}");
    assert_eq!(data["type"], "cpu-spike", "{data:#}");
    let cpu = &data["features"]["cpu"];
    assert!(cpu["deviation"].as_f64().is_some_and(|deviation| deviation > 3.0), "{data:#}");
    assert!(cpu["observed"].as_f64() > cpu["expected"].as_f64(), "{data:#}");
}
