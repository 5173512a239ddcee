//! What both JSON readers need: values one after another from a stream, and errors told apart.

use std::io::Read;

use serde::de::DeserializeSeed;

use super::ReadError;

pub(super) type Json<R> = serde_json::Deserializer<serde_json::de::IoRead<R>>;

/// Reads one JSON value after another with `read` until the stream ends; says how many there were.
pub(super) fn each<R: Read>(
    text: R,
    mut read: impl FnMut(&mut Json<R>) -> Result<(), ReadError>,
) -> Result<u64, ReadError> {
    let mut json = serde_json::Deserializer::from_reader(text);
    let mut n_values = 0;
    loop {
        match json.end() {
            Ok(()) => return Ok(n_values),
            Err(error) if error.is_io() => return Err(unread(error)),
            Err(_more) => {}
        }
        read(&mut json)?;
        n_values += 1;
    }
}

/// Reads one value. What the sink objected to, which serde can't carry, waits in `refused`.
pub(super) fn one<'de, R: Read, S: DeserializeSeed<'de>>(json: &mut Json<R>, seed: S) -> Result<S::Value, ReadError> {
    seed.deserialize(json).map_err(unread)
}

pub(super) fn unread(error: serde_json::Error) -> ReadError {
    let line = error.line() as u64;
    if error.is_io() {
        ReadError::of_io(error.into())
    } else if error.is_eof() {
        ReadError::CutShort { why: error.to_string() }
    } else {
        ReadError::malformed(line, error.to_string())
    }
}
