//! Text on its way into a file: as it is, or packed with gzip or Zstandard.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::whole_file::WholeFile;

/// Bytes of a Zstandard frame before packing. The library packs a frame at a time; larger ones would hardly be smaller in
/// the end, as it looks back no further.
const FRAME_BYTES: usize = 1 << 20;

/// How text is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// A file that packs what is written.
pub(super) enum Packed {
    Plain(WholeFile),
    Gzip(GzEncoder<WholeFile>),
    Zstd { file: WholeFile, gathered: Vec<u8> },
}

impl Packed {
    pub(super) fn new(file: WholeFile, packing: Packing) -> Self {
        match packing {
            Packing::Plain => Self::Plain(file),
            Packing::Gzip => Self::Gzip(GzEncoder::new(file, Compression::default())),
            Packing::Zstd => Self::Zstd { file, gathered: Vec::with_capacity(FRAME_BYTES) },
        }
    }

    pub(super) fn push(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(text.as_bytes()),
            Self::Gzip(file) => file.write_all(text.as_bytes()),
            Self::Zstd { file, gathered } => {
                gathered.extend_from_slice(text.as_bytes());
                if gathered.len() >= FRAME_BYTES { write_frame(file, gathered) } else { Ok(()) }
            }
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.finish(),
            Self::Gzip(file) => file.finish()?.finish(),
            Self::Zstd { mut file, mut gathered } => {
                write_frame(&mut file, &mut gathered)?;
                file.finish()
            }
        }
    }
}

fn write_frame(file: &mut WholeFile, gathered: &mut Vec<u8>) -> io::Result<()> {
    let frame = compress_to_vec(gathered.as_slice(), CompressionLevel::Fastest);
    gathered.clear();
    file.write_all(&frame)
}
