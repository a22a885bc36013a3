//! `run --manifests`: files as the source, without a cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use crate::cli::files;
use crate::cli::input::Input;
use crate::diagnostic::Diagnostic;
use crate::sync::{ApiOutcome, Outcome};

/// Follows the files until `cancel`.
pub async fn follow(
    filename: Vec<PathBuf>,
    mut engine: Engine,
    mut ended: mpsc::Receiver<Outcome>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let input = Input { filename };
    let mut seen = None;
    let mut tick = tokio::time::interval(files::INTERVAL);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(outcome) = ended.recv() => report(&engine, &outcome),
            _ = tick.tick() => {
                let now = Some(files::fingerprint(&input.filename));
                if now != seen {
                    seen = now;
                    read(&mut engine, &input).await?;
                }
            }
        }
    }
    engine.ended().await;
    Ok(())
}

/// Files that cannot be read leave the gateway as it is.
async fn read(engine: &mut Engine, input: &Input) -> anyhow::Result<()> {
    match input.load() {
        Ok(loaded) => {
            loaded.diagnostics.iter().for_each(log);
            let since = Instant::now();
            let snapshot = Arc::new(loaded.snapshot);
            let translated = engine.translate(snapshot.clone()).await?;
            engine.hand_over(&translated, since);
            engine.tell(snapshot, &translated);
            translated.diagnostics.iter().for_each(log);
        }
        Err(error) => tracing::error!(%error, "the manifests cannot be used; the gateway stays as it is"),
    }
    Ok(())
}

fn log(diagnostic: &Diagnostic) {
    let Diagnostic {
        object,
        field,
        code,
        message,
    } = diagnostic;
    let severity = code.severity().as_str();
    tracing::warn!(%object, field, %code, severity, reason = message, "diagnostic");
}

fn report(engine: &Engine, outcome: &Outcome) {
    engine.health().ended(outcome);
    // Without the Tyk of another context it is ready all the same.
    if outcome.tyk == *engine.own() {
        let reasons = outcome.endpoint_error.iter().cloned().collect();
        engine.health().set_unready(reasons);
    }
    for (id, api) in outcome.apis.iter() {
        if let ApiOutcome::Failed(message) = api {
            tracing::error!(%id, reason = message, "an API is not served as it should be");
        }
    }
}
