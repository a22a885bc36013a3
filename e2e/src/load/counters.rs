//! What was written to the cluster, and the calls of the gateway, from the metrics of the API server and of the product.

use anyhow::Result;

use crate::Scenario;
use crate::metrics::sum;
use crate::operator::Operator;

/// Counts since the start of the API server, or of the product.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Writes of kinds of ours without their status.
    pub objects: f64,
    /// Writes of statuses of ours.
    pub statuses: f64,
    /// Writes of statuses of Ingresses.
    pub ingress_statuses: f64,
    /// Events.
    pub events: f64,
    /// Lists of the gateway.
    pub lists: f64,
    /// Definitions written to the gateway, or deleted.
    pub writes: f64,
    /// Reloads of the gateway.
    pub reloads: f64,
    /// Rounds against the gateway.
    pub rounds: f64,
}

impl Counters {
    /// Reads both.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn read(scenario: &Scenario, operator: &Operator) -> Result<Self> {
        let metrics = operator.get("/metrics").await?.body;
        let calls = |call: &str| {
            let wanted = format!("call=\"{call}\"");
            sum(&metrics, "tyk_ingress_gateway_calls_total", |labels| {
                labels.contains(&wanted)
            })
        };
        Ok(Self {
            lists: calls("list")?,
            writes: calls("write")? + calls("delete")?,
            reloads: calls("reload")?,
            rounds: sum(&metrics, "tyk_ingress_sync_rounds_total", |_| true)?,
            ..Self::of_cluster(scenario).await?
        })
    }

    /// Of the API server alone.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn of_cluster(scenario: &Scenario) -> Result<Self> {
        let request = hyper::Request::get("/metrics").body(Vec::new())?;
        let metrics = scenario.client().request_text(request).await?;
        let writes = |wanted: [&str; 2]| {
            let wanted = |labels: &str| is_write(labels) && wanted.iter().all(|label| labels.contains(label));
            sum(&metrics, "apiserver_request_total", wanted)
        };
        let ours = "group=\"tyk.tyk.io\"";
        let status = "subresource=\"status\"";
        Ok(Self {
            objects: writes([ours, "subresource=\"\""])?,
            statuses: writes([ours, status])?,
            ingress_statuses: writes(["resource=\"ingresses\"", status])?,
            events: writes(["resource=\"events\"", "subresource=\"\""])?,
            ..Self::default()
        })
    }

    /// What was added since then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            objects: self.objects - before.objects,
            statuses: self.statuses - before.statuses,
            ingress_statuses: self.ingress_statuses - before.ingress_statuses,
            events: self.events - before.events,
            lists: self.lists - before.lists,
            writes: self.writes - before.writes,
            reloads: self.reloads - before.reloads,
            rounds: self.rounds - before.rounds,
        }
    }

    /// Whether nothing was written in between, Events left aside.
    #[must_use]
    pub fn has_the_same_writes(&self, before: &Self) -> bool {
        let since = self.since(before);
        since.objects + since.statuses + since.ingress_statuses + since.writes + since.reloads == 0.0
    }
}

/// Whether something was written, and not refused.
fn is_write(labels: &str) -> bool {
    let done = labels.contains("code=\"2");
    let mut verbs = ["POST", "PUT", "PATCH", "APPLY", "DELETE"].iter();
    done && verbs.any(|verb| labels.contains(&format!("verb=\"{verb}\"")))
}
