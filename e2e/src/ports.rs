//! Free ports of the loopback interface.

use std::array;
use std::net::TcpListener;

use anyhow::{Context, Result};

/// `N` different ports that nobody listened on a moment ago.
///
/// Another process may take one before its user binds it: whoever starts a server must be ready to start it again.
///
/// # Errors
/// When the loopback interface has no free port.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    // All are held until all are known, so that they differ.
    let mut listeners = Vec::with_capacity(N);
    for _ in 0..N {
        listeners.push(TcpListener::bind(("127.0.0.1", 0)).context("no free loopback port")?);
    }
    let mut ports = Vec::with_capacity(N);
    for listener in &listeners {
        ports.push(
            listener
                .local_addr()
                .context("a listener without an address")?
                .port(),
        );
    }
    Ok(array::from_fn(|index| ports[index]))
}
