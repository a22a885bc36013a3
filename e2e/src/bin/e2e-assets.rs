//! Makes the Kubernetes programs ready ahead of the tests and prints the folder that holds them.

use std::io::{Write, stdout};

use anyhow::Result;

fn main() -> Result<()> {
    writeln!(stdout(), "{}", e2e::assets::locate()?.display())?;
    Ok(())
}
