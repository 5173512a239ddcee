//! What a config asks of a live server: told as a table, and saved as files that `train` reads.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

/// A server with three workloads of `good`, series without a workload for `nameless`, histograms for `native`, and nothing else.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    url
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut n_body = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            n_body = length.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut form = vec![0; n_body];
    reader.read_exact(&mut form)?;
    let form = String::from_utf8_lossy(&form).into_owned();
    let of = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
    let (start, end): (u64, u64) = (of("start").parse().expect("a number"), of("end").parse().expect("a number"));
    let values = |salt: u64| -> String {
        let value = |at: u64| (at ^ (salt << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
        (start..=end).map(|at| format!(r#"[{at},"{}"]"#, value(at))).collect::<Vec<_>>().join(",")
    };
    let result: Vec<String> = match of("query") {
        "good" => (0..3)
            .map(|idx| format!(r#"{{"metric":{{"namespace":"shop","workload":"w{idx}"}},"values":[{}]}}"#, values(idx)))
            .collect(),
        "nameless" => vec![format!(r#"{{"metric":{{"pod":"x"}},"values":[{}]}}"#, values(1))],
        "native" => vec![format!(
            r#"{{"metric":{{"namespace":"shop","workload":"w0"}},"histograms":[[{end},{{"count":"1","sum":"2"}}]]}}"#
        )],
        _nothing => Vec::new(),
    };
    let body = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, result.join(","));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn run(dir: &Path, args: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_homeostat")).current_dir(dir).args(args).output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

fn config(dir: &Path, queries: &str) {
    let text = format!(
        "datasources: [{{url: '{}'}}]\nglobal: {{step: 1s, history: 10m}}\nqueries: {{{queries}}}\ndetectors: [residual, forest]\n",
        serve()
    );
    std::fs::write(dir.join("c.yml"), text).expect("written");
}

#[test]
fn check_config_online_says_of_each_query_what_it_gives_and_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    config(dir.path(), "a: good, b: nothing, c: nameless, d: native");
    let (output, text) = run(dir.path(), &["check", "config", "--online", "c.yml"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = |name: &str| text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default();
    assert!(line("a").contains("100 %") && line("a").trim_end().ends_with('-'), "{text}");
    assert!(line("b").contains("no series; check the metric's name"), "{text}");
    assert!(line("c").contains("no series has the labels that name a workload"), "{text}");
    assert!(line("d").contains("only native histograms") && line("d").contains("histogram_quantile()"), "{text}");
    config(dir.path(), "a: good");
    let (output, text) = run(dir.path(), &["check", "config", "--online", "c.yml"]);
    assert!(output.status.success() && text.contains("all queries have data"), "{text}");
}

#[test]
fn what_is_exported_is_what_train_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    config(dir.path(), "a: good");
    let (output, text) = run(dir.path(), &["export", "--config.file=c.yml", "--output=saved", "--range=5m"]);
    assert!(output.status.success() && text.contains("903 samples of 1 queries"), "{text}");
    assert!(dir.path().join("saved/a.json.gz").exists());
    let (output, text) = run(dir.path(), &["train", "saved", "--config.file=c.yml", "--output=models"]);
    assert!(output.status.success() && text.contains("3 subjects trained"), "{text}");
    let (output, text) = run(dir.path(), &["export", "--config.file=c.yml", "--output=saved"]);
    assert!(!output.status.success() && text.contains("isn't empty"), "{text}");
}
