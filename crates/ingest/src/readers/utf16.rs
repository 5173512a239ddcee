//! UTF-16, as spreadsheets and PowerShell write it, made UTF-8 while it is read.

use std::io::{self, Read};

/// Bytes taken at a time.
const CHUNK_BYTES: usize = 1 << 14;

/// Reads UTF-16 without its byte order mark and gives UTF-8. What is no UTF-16 is an error.
pub(super) struct Utf16<R> {
    inside: R,
    unit: fn([u8; 2]) -> u16,
    /// Bytes that are half a unit, and a unit that is half a character.
    half_unit: Option<u8>,
    half_character: Option<u16>,
    ready: Vec<u8>,
    n_given: usize,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(inside: R, unit: fn([u8; 2]) -> u16) -> Self {
        Self { inside, unit, half_unit: None, half_character: None, ready: Vec::new(), n_given: 0 }
    }

    /// Makes more ready; nothing at the end.
    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        let n_read = self.inside.read(&mut chunk)?;
        if n_read == 0 && (self.half_unit.is_some() || self.half_character.is_some()) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a character"));
        }
        let mut units = Vec::with_capacity(n_read / 2 + 2);
        units.extend(self.half_character.take());
        for byte in &chunk[..n_read] {
            match self.half_unit.take() {
                Some(first) => units.push((self.unit)([first, *byte])),
                None => self.half_unit = Some(*byte),
            }
        }
        let is_half = |unit: &u16| (0xd800..0xdc00).contains(unit);
        self.half_character = units.pop_if(|unit| is_half(unit));
        self.ready.clear();
        self.n_given = 0;
        for character in char::decode_utf16(units) {
            let character =
                character.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it isn't valid UTF-16"))?;
            self.ready.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.n_given == self.ready.len() {
            self.fill()?;
            if self.ready.is_empty() && self.half_unit.is_none() && self.half_character.is_none() {
                return Ok(0);
            }
        }
        let n = buffer.len().min(self.ready.len() - self.n_given);
        buffer[..n].copy_from_slice(&self.ready[self.n_given..self.n_given + n]);
        self.n_given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every half is met.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn it_becomes_utf8_wherever_it_is_cut() {
        let text = "time,größe,🦀\n60,1,2\n".repeat(3);
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut read = String::new();
        Utf16::new(Drops(&bytes), u16::from_be_bytes).read_to_string(&mut read).expect("UTF-16");
        assert_eq!(read, text);
        let half = Utf16::new(Drops(&bytes[..bytes.len() - 1]), u16::from_be_bytes).read_to_string(&mut read);
        assert_eq!(half.expect_err("half a character").kind(), io::ErrorKind::UnexpectedEof);
        let lone = [0xdc, 0x00, 0x00, 0x41];
        assert!(Utf16::new(Drops(&lone), u16::from_be_bytes).read_to_string(&mut read).is_err());
    }
}
