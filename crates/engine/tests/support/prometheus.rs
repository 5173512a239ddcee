//! A Prometheus that answers range queries with whatever a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// What was asked.
pub(crate) struct Asked {
    /// The body as it came, form-encoded.
    pub(crate) form: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) step: u64,
}

impl Asked {
    fn of(form: String) -> Self {
        let number = |name: &str| -> f64 { of(&form, name).parse().expect("a number") };
        let (start, end, step) = (number("start") as u64, number("end") as u64, (number("step") as u64).max(1));
        Self { form, start, end, step }
    }

    /// The expression, still encoded.
    pub(crate) fn query(&self) -> &str {
        of(&self.form, "query")
    }

    /// A series of these labels (JSON) with a value at every step.
    pub(crate) fn series(&self, labels: &str, value: impl Fn(u64) -> u64) -> String {
        let moments = (self.start..=self.end).step_by(self.step as usize);
        let values: Vec<String> = moments.map(|at| format!(r#"[{at},"{}"]"#, value(at))).collect();
        format!(r#"{{"metric":{labels},"values":[{}]}}"#, values.join(","))
    }
}

fn of<'a>(form: &'a str, name: &str) -> &'a str {
    form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
}

/// A number that depends on nothing but these two, and looks like noise of so many bits.
pub(crate) fn noise(at: u64, salt: u64, bits: u32) -> u64 {
    (at ^ salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)
}

/// Serves for as long as the test's process runs; `answer` gives the series of a query. Where it listens.
pub(crate) fn serve(answer: impl Fn(&Asked) -> Vec<String> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || drop(exchange(stream, &*answer)));
        }
    });
    url
}

fn exchange(mut stream: TcpStream, answer: &dyn Fn(&Asked) -> Vec<String>) -> std::io::Result<()> {
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
    let series = answer(&Asked::of(String::from_utf8_lossy(&form).into_owned()));
    let body = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, series.join(","));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
