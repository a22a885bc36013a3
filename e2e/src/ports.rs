//! Free ports of the loopback interface.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// First port that is given out. Whoever binds port 0 gets one of the ephemeral ports, which begin behind [`COUNT`] of
/// these where the system was left as it is (`net.ipv4.ip_local_port_range`), so that it takes none of them.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// How many were given out; another process begins elsewhere.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// `N` ports that nobody listened on a moment ago and that this process has given to nobody else.
///
/// Another process may take one before its user binds it: whoever starts a server must be ready to start it again.
///
/// # Errors
/// When the loopback interface has no free port.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = one()?;
    }
    Ok(ports)
}

fn one() -> Result<u16> {
    let start = process::id().wrapping_mul(487);
    for _ in 0..COUNT {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + start.wrapping_add(given) % COUNT)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free loopback port")
}
