//! Free loopback ports.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// Below the kernel's ephemeral range (from 32768), whose ports any outgoing connection may take between our
/// looking and the server's binding.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Ports handed out by this process: two servers about to start must not be told the same one.
static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A loopback port that nobody listens on, and that this process hasn't handed out before.
///
/// # Errors
/// When the whole range is taken.
pub fn free() -> Result<u16> {
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    // Another test process searches too; starting elsewhere keeps the two apart.
    let n_ports = RANGE.end - RANGE.start;
    let offset = u16::try_from(u32::from(n_ports) * (std::process::id() % 100) / 100)?;
    for step in 0..n_ports {
        let port = RANGE.start + (offset + step) % n_ports;
        if !handed_out.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            handed_out.insert(port);
            return Ok(port);
        }
    }
    bail!("no free loopback port in {RANGE:?}")
}
