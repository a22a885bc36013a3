//! Makes the Kubernetes programs and Helm ready ahead of the tests and prints where they are.

use std::io::{Write, stdout};

use anyhow::Result;

fn main() -> Result<()> {
    for path in [e2e::assets::locate()?, e2e::assets::helm()?] {
        writeln!(stdout(), "{}", path.display())?;
    }
    Ok(())
}
