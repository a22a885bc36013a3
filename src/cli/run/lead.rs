//! Leadership: a Lease, and what may be done while it is held.

use anyhow::bail;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::lease::{Elector, Terms};
use crate::permit::Permit;
use crate::settings;
use crate::snapshot::NamespacedName;

/// Whether this process leads. What is false can become true once; what was true is false only in a process that ends.
#[derive(Clone, Debug)]
pub struct Lead(watch::Receiver<bool>);

impl Lead {
    /// Whether this process leads.
    pub fn is_held(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until this process leads, for ever if it never does.
    pub async fn held(&mut self) {
        if self.0.wait_for(|held| *held).await.is_err() {
            std::future::pending().await
        }
    }
}

/// The candidate's task.
pub struct Candidate {
    task: JoinHandle<anyhow::Result<()>>,
    release: CancellationToken,
}

/// Starts to stand for the Lease, or leads at once when nothing is to be elected.
///
/// # Errors
/// When the settings contradict each other.
pub fn stand(
    client: kube::Client,
    settings: &settings::Election,
    owner: &str,
    permit: Permit,
) -> anyhow::Result<(Candidate, Lead)> {
    settings.check()?;
    let terms = Terms {
        name: NamespacedName::new(namespace(settings, &client), lease_name(owner)),
        identity: identity(),
        duration: settings.leader_election_lease_duration,
        renew_deadline: settings.leader_election_renew_deadline,
        retry: settings.leader_election_retry_period,
    };
    let elect = settings.leader_elect;
    let release = CancellationToken::new();
    let (held, lead) = watch::channel(false);
    let released = release.clone();
    let task = tokio::spawn(async move {
        if !elect {
            held.send_replace(true);
            released.cancelled().await;
            return Ok(());
        }
        let (lease, identity) = (terms.name.clone(), terms.identity.clone());
        tracing::info!(%lease, identity, "waiting for the lease");
        let mut elector = Elector::new(client, terms, permit);
        if released.run_until_cancelled(elector.acquire()).await.is_none() {
            return Ok(());
        }
        tracing::info!(%lease, identity, "holds the lease");
        held.send_replace(true);
        let lost = released.run_until_cancelled(elector.keep()).await;
        match lost {
            Some(reason) => bail!("{reason}"),
            None => {
                elector.release().await;
                Ok(())
            }
        }
    });
    Ok((Candidate { task, release }, Lead(lead)))
}

impl Candidate {
    /// Ends when the Lease is lost, with the reason.
    pub async fn lost(&mut self) -> anyhow::Error {
        match (&mut self.task).await {
            Ok(Ok(())) => anyhow::anyhow!("the leader election ended by itself"),
            Ok(Err(error)) => error,
            Err(error) => anyhow::anyhow!(error).context("the leader election failed"),
        }
    }

    /// Gives the Lease up. To be called when nothing is being written any more.
    pub async fn release(self) {
        self.release.cancel();
        // What it says is in the log.
        let _ = self.task.await;
    }
}

/// The operator's own namespace.
pub fn namespace(settings: &settings::Election, client: &kube::Client) -> String {
    let given = settings.leader_election_namespace.clone();
    given.unwrap_or_else(|| client.default_namespace().to_owned())
}

/// Operators with different owners work side by side.
fn lease_name(owner: &str) -> String {
    format!("tyk-ingress-{}", owner.to_ascii_lowercase().replace('_', "-"))
}

/// Name of the pod or machine, and a number that no other process has.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let host = if host.is_empty() { "tyk-ingress" } else { &host };
    format!("{host}_{:016x}", rand::random::<u64>())
}
