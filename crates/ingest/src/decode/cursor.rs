//! A place in the bytes of an answer, and the few steps of JSON that most answers consist of.
//!
//! Every step gives `None` where something else stands there. That is no error: the whole answer is then read by the
//! serde visitors, which know all of JSON and name what is wrong.

use serde::Deserialize;

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The bytes that are left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, n_bytes: usize) {
        self.at += n_bytes;
    }

    /// Whether only white space is left, which is skipped.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The next byte that isn't white space; it isn't taken.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline(always)]
    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Any value, read by `serde_json`.
    pub(super) fn value<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = serde_json::Deserializer::from_slice(self.rest()).into_iter::<T>();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    /// An object; `member` reads the value of each key.
    pub(super) fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            let key = self.key()?;
            self.take(b':')?;
            member(self, key)?;
            if self.is_last(b'}')? {
                return Some(());
            }
        }
    }

    /// A list; `item` reads each.
    #[inline(always)]
    pub(super) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            item(self)?;
            if self.is_last(b']')? {
                return Some(());
            }
        }
    }

    /// Takes the comma or the end that follows a member or an item.
    #[inline(always)]
    fn is_last(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        (byte == b',' || byte == end).then_some(byte == end)
    }

    /// A key without escapes.
    fn key(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let text = plain_text(self.rest())?;
        self.at += text.len() + 1;
        Some(text)
    }
}

/// The text up to the closing quote, if it has no escapes and nothing that JSON forbids.
pub(super) fn plain_text(bytes: &[u8]) -> Option<&str> {
    let length = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    let (text, after) = bytes.split_at_checked(length)?;
    if after.first() == Some(&b'"') { std::str::from_utf8(text).ok() } else { None }
}
