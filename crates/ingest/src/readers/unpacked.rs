//! A file without its packing: plain, gzip or Zstandard, told apart by the first bytes.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::ReadError;
use super::utf16::Utf16;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 1 << 16;
/// Bytes looked at to find out what a file is: a header line of a thousand columns fits.
const BEGINNING_BYTES: usize = 1 << 15;

/// What a packing gives.
type Inside = Box<dyn Read + Send>;

/// What the packing holds, with its beginning at hand.
pub(super) struct Unpacked {
    beginning: Vec<u8>,
    all: BufReader<Chain<Cursor<Vec<u8>>, Inside>>,
}

/// Opens a packing.
pub(super) fn unpacked(file: impl Read + Send + 'static) -> Result<Unpacked, ReadError> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    let magic = file.fill_buf().map_err(ReadError::of_io)?;
    let mut inside: Inside = if magic.is_empty() {
        return Err(ReadError::Empty);
    } else if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(file))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(ZstdFrames { packed: file, decoder: FrameDecoder::new(), in_frame: false })
    } else {
        Box::new(file)
    };
    let mut mark = Vec::with_capacity(3);
    inside.by_ref().take(3).read_to_end(&mut mark).map_err(ReadError::of_io)?;
    let mut inside: Inside = match mark.as_slice() {
        // A byte order mark says nothing in UTF-8, and no JSON reader wants it.
        [0xef, 0xbb, 0xbf] => inside,
        [0xff, 0xfe, ..] => Box::new(Utf16::new(Cursor::new(mark[2..].to_vec()).chain(inside), u16::from_le_bytes)),
        [0xfe, 0xff, ..] => Box::new(Utf16::new(Cursor::new(mark[2..].to_vec()).chain(inside), u16::from_be_bytes)),
        _no_mark => Box::new(Cursor::new(mark).chain(inside)),
    };
    let mut beginning = Vec::with_capacity(BEGINNING_BYTES);
    inside.by_ref().take(BEGINNING_BYTES as u64).read_to_end(&mut beginning).map_err(ReadError::of_io)?;
    if beginning.iter().all(u8::is_ascii_whitespace) {
        return Err(ReadError::Empty);
    }
    let all = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(beginning.clone()).chain(inside));
    Ok(Unpacked { beginning, all })
}

impl Unpacked {
    /// The first bytes, which stay to be read.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.beginning
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.all.read(buffer)
    }
}

impl BufRead for Unpacked {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.all.fill_buf()
    }

    fn consume(&mut self, n_bytes: usize) {
        self.all.consume(n_bytes);
    }
}

/// Zstandard frames one after another, as joined files have them. A frame that wants a window above 128 MiB is refused.
struct ZstdFrames<R: BufRead> {
    packed: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame {
                if self.packed.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                let begun = self.decoder.reset(&mut self.packed);
                begun.map_err(|error| broken(&mut self.packed, error.to_string()))?;
                self.in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded = self.decoder.decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| broken(&mut self.packed, error.to_string()))?;
            }
            let n_bytes = self.decoder.read(buffer)?;
            if n_bytes > 0 {
                return Ok(n_bytes);
            }
            let written = self.decoder.get_checksum_from_data();
            if written.is_some() && written != self.decoder.get_calculated_checksum() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong"));
            }
            self.in_frame = false;
        }
    }
}

/// The decoder says of every failure the same; whether bytes are missing, the packing says.
fn broken(packed: &mut impl BufRead, why: String) -> io::Error {
    let is_at_end = packed.fill_buf().is_ok_and(<[u8]>::is_empty);
    let kind = if is_at_end { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::InvalidData };
    io::Error::new(kind, why)
}
