//! As much of Redis's protocol (RESP 2) as purging a cache takes.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Keys that are looked at in one step of a scan: Redis serves others in between.
const SCAN_COUNT: &str = "500";

/// The longest answer that is read: a step of a scan of keys of the usual length is a hundredth of it.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Answers nested deeper than a scan's are none of Redis's to these commands.
const DEPTH_MAX: usize = 3;

/// A connection.
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
    limit: Duration,
}

/// Why Redis can't be worked with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisError {
    /// Nothing was sent.
    #[error("{address} can't be connected to: {why}")]
    NotConnected { address: String, why: String },
    /// It answered that it won't.
    #[error("Redis refused it: {0}")]
    Refused(String),
    /// The answer is missing or no answer of Redis.
    #[error("no answer of Redis: {0}")]
    NoAnswer(String),
}

enum Answer {
    Text(Vec<u8>),
    Number(i64),
    List(Vec<Answer>),
    Nothing,
}

impl Redis {
    /// Connects; each answer after that must come within the limit.
    pub(crate) async fn connect(address: &str, limit: Duration) -> Result<Self, RedisError> {
        let failed = |why: String| RedisError::NotConnected { address: address.to_owned(), why };
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(Self { stream: BufReader::new(stream), limit }),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {limit:?}"))),
        }
    }

    /// Says who it is, and which database is meant.
    pub(crate) async fn log_in(
        &mut self,
        user: Option<&str>,
        password: Option<&str>,
        db: u32,
    ) -> Result<(), RedisError> {
        if let Some(password) = password {
            let auth: Vec<&str> = user.into_iter().chain([password]).collect();
            self.ask("AUTH", &auth).await?;
        }
        if db != 0 {
            self.ask("SELECT", &[&db.to_string()]).await?;
        }
        Ok(())
    }

    /// The keys that match, each once; none where there are more than `max`.
    pub(crate) async fn keys(&mut self, pattern: &str, max: usize) -> Result<Option<Vec<Vec<u8>>>, RedisError> {
        let mut keys = std::collections::BTreeSet::new();
        let mut cursor = b"0".to_vec();
        loop {
            let from = String::from_utf8_lossy(&cursor).into_owned();
            let answer = self.ask("SCAN", &[&from, "MATCH", pattern, "COUNT", SCAN_COUNT]).await?;
            let no_scan = || RedisError::NoAnswer("that is no answer to SCAN".to_owned());
            let Answer::List(parts) = answer else { return Err(no_scan()) };
            let mut parts = parts.into_iter();
            let (Some(Answer::Text(next)), Some(Answer::List(found))) = (parts.next(), parts.next()) else {
                return Err(no_scan());
            };
            keys.extend(found.into_iter().filter_map(|key| match key {
                Answer::Text(key) => Some(key),
                Answer::Number(_) | Answer::List(_) | Answer::Nothing => None,
            }));
            if keys.len() > max {
                return Ok(None);
            }
            if next == b"0" {
                return Ok(Some(keys.into_iter().collect()));
            }
            cursor = next;
        }
    }

    /// Removes these keys, and says how many were still there.
    pub(crate) async fn unlink(&mut self, keys: &[Vec<u8>]) -> Result<u64, RedisError> {
        let mut n_removed = 0;
        for some in keys.chunks(500) {
            let args: Vec<&[u8]> = some.iter().map(Vec::as_slice).collect();
            match self.send("UNLINK", &args).await? {
                Answer::Number(n) => n_removed += u64::try_from(n).unwrap_or(0),
                Answer::Text(_) | Answer::List(_) | Answer::Nothing => {
                    return Err(RedisError::NoAnswer("that is no answer to UNLINK".to_owned()));
                }
            }
        }
        Ok(n_removed)
    }

    async fn ask(&mut self, command: &str, args: &[&str]) -> Result<Answer, RedisError> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        self.send(command, &args).await
    }

    async fn send(&mut self, command: &str, args: &[&[u8]]) -> Result<Answer, RedisError> {
        let mut bytes = format!("*{}\r\n", args.len() + 1).into_bytes();
        for part in std::iter::once(command.as_bytes()).chain(args.iter().copied()) {
            bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        let limit = self.limit;
        let answer = async {
            self.stream.write_all(&bytes).await.map_err(|error| RedisError::NoAnswer(error.to_string()))?;
            let mut left = BYTES_MAX;
            self.answer(&mut left, DEPTH_MAX).await
        };
        match timeout(limit, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(RedisError::NoAnswer(format!("nothing within {limit:?}"))),
        }
    }

    async fn line(&mut self, left: &mut usize) -> Result<String, RedisError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(*left as u64);
        limited.read_until(b'\n', &mut line).await.map_err(|error| RedisError::NoAnswer(error.to_string()))?;
        *left = left.saturating_sub(line.len());
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => Err(RedisError::NoAnswer("it breaks off".to_owned())),
        }
    }

    /// Reads one answer. `left` bounds how much of it.
    async fn answer(&mut self, left: &mut usize, depth: usize) -> Result<Answer, RedisError> {
        let line = self.line(left).await?;
        let odd =
            || RedisError::NoAnswer(format!("{:?} isn't Redis's protocol", line.chars().take(40).collect::<String>()));
        let (kind, rest) = line.split_at_checked(1).ok_or_else(odd)?;
        match kind {
            "+" => Ok(Answer::Text(rest.as_bytes().to_vec())),
            "-" => Err(RedisError::Refused(rest.to_owned())),
            ":" => rest.parse().map(Answer::Number).map_err(|_| odd()),
            "$" => {
                let Ok(length) = rest.parse::<usize>() else {
                    return if rest == "-1" { Ok(Answer::Nothing) } else { Err(odd()) };
                };
                if length.saturating_add(2) > *left {
                    return Err(RedisError::NoAnswer("it is longer than anything that was asked for".to_owned()));
                }
                let mut text = vec![0; length + 2];
                self.stream.read_exact(&mut text).await.map_err(|error| RedisError::NoAnswer(error.to_string()))?;
                *left -= text.len();
                text.truncate(length);
                Ok(Answer::Text(text))
            }
            "*" if depth > 0 => {
                let length = rest.parse::<usize>().map_err(|_| odd())?;
                let mut items = Vec::new();
                for _ in 0..length {
                    items.push(Box::pin(self.answer(left, depth - 1)).await?);
                }
                Ok(Answer::List(items))
            }
            _ => Err(odd()),
        }
    }
}
