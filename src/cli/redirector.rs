//! `tyk-ingress redirector`.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{End, interrupted, runtime};
use crate::http::{self, redirector};

/// Arguments of `redirector`.
#[derive(Debug, Args)]
pub struct Redirector {
    /// Address to listen on
    #[arg(long, default_value = "0.0.0.0:8081")]
    listen: SocketAddr,
    /// Port of https as clients reach it
    #[arg(long, default_value = "443")]
    https_port: u16,
}

impl Redirector {
    pub(super) fn run(self) -> anyhow::Result<End> {
        runtime("info")?.block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<End> {
        let interrupted = interrupted()?;
        let listen = self.listen;
        let listener = http::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen} (--listen)"))?;
        tracing::info!(address = %listener.local_addr()?, https_port = self.https_port, "redirecting");
        let cancel = CancellationToken::new();
        let server = redirector::serve(listener, self.https_port, cancel.clone());
        tokio::pin!(server);
        tokio::select! {
            ended = &mut server => ended.context("the listener failed")?,
            () = interrupted => {
                cancel.cancel();
                server.await?;
            }
        }
        Ok(End::Clean)
    }
}
