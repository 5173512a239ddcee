//! Readers of exported files: no bytes make one panic, and what a file gives is sorted, told once and within its limits.

#![no_main]

use std::io::Cursor;

use homeostat_ingest::{FeatureTable, Format, ReadOptions, read_samples};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (which, bytes) = input;
    // Most inputs begin like no format; told which, they reach its reader.
    let n_known = Format::ALL.len();
    let format = Format::ALL.get(usize::from(which) % (n_known + 1)).copied();
    let options = ReadOptions { format, feature: (which & 0x80 != 0).then(|| "cpu".to_owned()) };
    let mut table = FeatureTable::new();
    if read_samples(Cursor::new(bytes.to_vec()), &options, &mut table).is_err() {
        return;
    }
    let Ok(windows) = table.windows(None) else { return };
    for window in &windows {
        assert_eq!(window.values().nrows(), window.grid().n_steps());
        assert!(window.n_present() <= bytes.len(), "a value from nowhere");
    }
});
