//! How `homeostat serve` starts on thousands of workloads: peak memory, seconds until it watches, seconds of a cycle.
//!
//! It answers as a Prometheus would, from a formula, on loopback, and starts the program beside itself:
//! `cargo build --release -p homeostat -p homeostat-benches --bin homeostat --bin start_bench` and then
//! `target/release/start_bench [--workloads 5000] [--features 8] [--days 7] [--cycles 3]`.
//!
//! With `--compare-bundle true` it starts once more, from a bundle of the same models, and prints how much more memory
//! the one keeps that trained at its start.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Any = Box<dyn Error + Send + Sync>;

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(3_600);
const STEP_S: i64 = 60;
const WORKLOADS: usize = 5_000;

#[derive(Clone, Copy)]
struct Sizes {
    workloads: usize,
    features: usize,
    days: usize,
    cycles: u64,
    compare_bundle: bool,
}

fn main() -> Result<(), Any> {
    let sizes = sizes(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let prometheus = listener.local_addr()?;
    thread::spawn(move || answer_all(&listener, sizes));
    let dir = std::env::temp_dir().join(format!("start-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let result = measured(&dir, prometheus, sizes);
    std::fs::remove_dir_all(&dir)?;
    result
}

fn sizes(args: &[String]) -> Result<Sizes, Any> {
    let mut sizes = Sizes { workloads: WORKLOADS, features: 8, days: 7, cycles: 3, compare_bundle: false };
    for pair in args.chunks(2) {
        let [flag, value] = pair else { return Err("each flag has a value".into()) };
        match flag.as_str() {
            "--workloads" => sizes.workloads = value.parse()?,
            "--features" => sizes.features = value.parse()?,
            "--days" => sizes.days = value.parse()?,
            "--cycles" => sizes.cycles = value.parse()?,
            "--compare-bundle" => sizes.compare_bundle = value.parse()?,
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    Ok(sizes)
}

/// The program, ended when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measured(dir: &Path, prometheus: SocketAddr, sizes: Sizes) -> Result<(), Any> {
    let config = dir.join("homeostat.yml");
    let text = config_text(prometheus, sizes);
    std::fs::write(&config, &text)?;
    // What must be reached is asked of 5 000 workloads; others are figures of their own.
    let of = if sizes.workloads == WORKLOADS { String::new() } else { format!("_{}", sizes.workloads) };
    let after_training = start(&config, sizes, &format!("serve.start{of}"))?;
    if sizes.compare_bundle {
        let models = dir.join("models");
        let mut train = Command::new(program()?);
        train.arg("train").arg(format!("--config.file={}", config.display())).arg("--output").arg(&models);
        if !train.status()?.success() {
            return Err("training failed".into());
        }
        std::fs::remove_dir_all(dir.join("homeostat-data"))?;
        std::fs::write(&config, format!("{text}bundle: {}\n", models.display()))?;
        let from_bundle = start(&config, sizes, &format!("serve.start_from_bundle{of}"))?;
        println!("figure serve.rss_after_training_ratio {:.2} ratio", after_training / from_bundle);
    }
    Ok(())
}

/// Starts the program, prints what that took, and gives the MiB it holds after its first cycles.
fn start(config: &Path, sizes: Sizes, name: &str) -> Result<f64, Any> {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let began = Instant::now();
    let mut command = Command::new(program()?);
    command.arg("serve").arg(format!("--config.file={}", config.display()));
    command.arg(format!("--web.listen-address={address}"));
    let mut running = Running(command.spawn()?);
    while get(address, "/readyz").is_none_or(|answer| !answer.starts_with("HTTP/1.1 200")) {
        if began.elapsed() > START_MAX {
            return Err("it didn't become ready".into());
        }
        if let Some(status) = running.0.try_wait()? {
            return Err(format!("it ended: {status}").into());
        }
        thread::sleep(Duration::from_millis(200));
    }
    println!("figure {name}.seconds {:.1} s", began.elapsed().as_secs_f64());
    println!("figure {name}.peak_rss_mib {:.0} MiB", mebibytes(running.0.id(), "VmHWM:")?);
    let (mut n_cycles, mut cycles_s) = (0.0, 0.0);
    while n_cycles < sizes.cycles as f64 && began.elapsed() < START_MAX {
        thread::sleep(Duration::from_secs(1));
        let Some(metrics) = get(address, "/metrics") else { continue };
        n_cycles = metric(&metrics, "homeostat_cycle_duration_seconds_count").unwrap_or(0.0);
        cycles_s = metric(&metrics, "homeostat_cycle_duration_seconds_sum").unwrap_or(0.0);
    }
    if n_cycles > 0.0 {
        println!("figure {name}.cycle_seconds {:.3} s", cycles_s / n_cycles);
        println!("figure {name}.peak_rss_with_cycles_mib {:.0} MiB", mebibytes(running.0.id(), "VmHWM:")?);
    }
    let held = mebibytes(running.0.id(), "VmRSS:")?;
    println!("figure {name}.rss_mib {held:.0} MiB");
    Ok(held)
}

fn program() -> Result<PathBuf, Any> {
    let own = std::env::current_exe()?;
    Ok(own.parent().ok_or("this program has no directory")?.join("homeostat"))
}

fn config_text(prometheus: SocketAddr, sizes: Sizes) -> String {
    let mut text = format!(
        "datasources: [{{url: 'http://{prometheus}', series_max: 100000}}]\nglobal: {{step: {STEP_S}s, history: {}d}}\nqueries:\n",
        sizes.days
    );
    let signals =
        ["memory", "cpu", "restarts", "oom-kills", "error-ratio", "latency", "traffic", "replicas-unavailable"];
    for feature in 0..sizes.features {
        let signal = signals.get(feature).copied().unwrap_or("other");
        let _ = writeln!(
            text,
            "  f{feature}: {{expr: 'sum by (namespace, workload) (rate(m{feature}_total[5m]))', signal: {signal}}}"
        );
    }
    text
}

fn mebibytes(pid: u32, name: &str) -> Result<f64, Any> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Answers `query_range`, each connection in a thread.
fn answer_all(listener: &TcpListener, sizes: Sizes) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || {
            let _ = connection(stream, sizes);
        });
    }
}

fn connection(stream: TcpStream, sizes: Sizes) -> Result<(), Any> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut body = Vec::new();
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut n_body = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(length) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                n_body = length.trim().parse()?;
            }
        }
        body.resize(n_body, 0);
        reader.read_exact(&mut body)?;
        let form =
            format!("{}&{}", request.split([' ', '?']).nth(2).unwrap_or_default(), String::from_utf8_lossy(&body));
        let answer = answer(&form, sizes)?;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        )?;
        stream.write_all(&answer)?;
    }
}

fn answer(form: &str, sizes: Sizes) -> Result<Vec<u8>, Any> {
    let of = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("0");
    let (start, end) = (of("start").parse::<f64>()? as i64, of("end").parse::<f64>()? as i64);
    let query = of("query");
    #[allow(clippy::disallowed_methods, reason = "a stand-in for a server, which has no samples of the future")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
    let end = end.min(now);
    let mut text = br#"{"status":"success","data":{"resultType":"matrix","result":["#.to_vec();
    if query.contains("timestamp") {
        text.extend_from_slice(br#"{"metric":{},"values":["#);
        for at in (start..=end).step_by(STEP_S as usize) {
            write!(text, "{}[{at},\"{}\"]", if at > start { "," } else { "" }, at - 3)?;
        }
        text.extend_from_slice(b"]}");
    } else {
        // `m3_total`: the digit before.
        let feature = query.split("_total").next().and_then(|before| before.chars().last()?.to_digit(10));
        let feature = feature.unwrap_or(0) as usize;
        for workload in 0..sizes.workloads {
            if workload > 0 {
                text.push(b',');
            }
            write!(
                text,
                r#"{{"metric":{{"namespace":"ns{}","workload":"workload-{workload}"}},"values":["#,
                workload % 50
            )?;
            values(&mut text, feature, workload, start, end);
            text.extend_from_slice(b"]}");
        }
    }
    text.extend_from_slice(b"]}}");
    Ok(text)
}

/// A daily course with noise, in millionths: no two workloads and no two moments are the same.
fn values(text: &mut Vec<u8>, feature: usize, workload: usize, start: i64, end: i64) {
    for at in (start..=end).step_by(STEP_S as usize) {
        let day = (at % 86_400) - 43_200;
        let course = 300_000 - (day * day / 7_200).min(300_000);
        let mut noise = (at as u64) ^ ((workload as u64) << 32) ^ ((feature as u64) << 56);
        noise = (noise ^ (noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        noise = (noise ^ (noise >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let value = 100_000 + course as u64 + (noise >> 44) % 50_000;
        if at > start {
            text.push(b',');
        }
        text.push(b'[');
        digits(text, at as u64, 1);
        text.extend_from_slice(b",\"0.");
        digits(text, value, 6);
        text.extend_from_slice(b"\"]");
    }
}

fn digits(text: &mut Vec<u8>, mut number: u64, n_min: usize) {
    let mut reversed = [b'0'; 20];
    let mut n = 0;
    while number > 0 || n < n_min {
        reversed[n] = b'0' + (number % 10) as u8;
        number /= 10;
        n += 1;
    }
    text.extend(reversed[..n].iter().rev());
}
