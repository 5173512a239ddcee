//! A small file that is there whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes a file of this name in a directory: under another name first, so that nobody ever reads half of it.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let partial = dir.join(format!(".{name}.partial"));
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| std::fs::rename(&partial, dir.join(name)));
    if moved.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    moved
}
