//! Ports for programs under test.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port of the loopback interface that nobody listens on.
pub fn free() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Not of those that whoever binds port 0 gets, which other tests do all the time.
    let ports = || {
        10_000
            + std::process::id()
                .wrapping_mul(487)
                .wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed))
                % 9_000
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut found = std::iter::repeat_with(|| u16::try_from(ports()).unwrap()).take(9_000);
    found.find(is_free).unwrap()
}
