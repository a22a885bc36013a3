//! `tyk-ingress crds`.

use std::io::Write;

use clap::Args;

use super::End;
use crate::api::crds_yaml;

/// Arguments of `crds`.
#[derive(Debug, Args)]
pub struct Crds {}

impl Crds {
    pub(super) fn run(self) -> anyhow::Result<End> {
        std::io::stdout().write_all(crds_yaml().as_bytes())?;
        Ok(End::Clean)
    }
}
