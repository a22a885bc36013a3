//! What a test waits for.

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::{Backend, Scenario, served_by};
use crate::eventually::{PATIENCE, eventually};
use crate::http::Answer;
use crate::https;
use crate::pki::ServerCertificate;

impl Scenario {
    /// Waits until there are `count` children, and returns them.
    ///
    /// # Errors
    /// When their number stays another.
    pub async fn expect_children(&self, count: usize) -> Result<Vec<DynamicObject>> {
        eventually(PATIENCE, &format!("{count} children"), async || {
            let children = self.children().await?;
            let names: Vec<_> = children.iter().map(|child| child.metadata.name.as_deref()).collect();
            ensure!(children.len() == count, "there are {names:?}");
            Ok(children)
        })
        .await
    }

    /// Waits until `host` and `path` are answered by `backend`.
    ///
    /// # Errors
    /// When the answer stays another.
    pub async fn expect_backend(&self, host: &str, path: &str, backend: &Backend) -> Result<Answer> {
        let what = format!("{host}{path} to be answered by {}", backend.service());
        let result = eventually(PATIENCE, &what, async || {
            let answer = self.gateway.request(host, path).await?;
            ensure!(
                served_by(&answer) == Some(backend.service()),
                "the answer is {answer:?}"
            );
            Ok(answer)
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits until `backend` answers over https, with this certificate.
    ///
    /// # Errors
    /// When another certificate is shown, or the answer stays another.
    pub async fn expect_https(
        &self,
        host: &str,
        path: &str,
        backend: &Backend,
        expected: &ServerCertificate,
    ) -> Result<Answer> {
        let what = format!("https://{host}{path} to be answered by {}", backend.service());
        let result = eventually(PATIENCE, &what, async || {
            let answer = https::get(self.https_port, host, path, expected).await?;
            ensure!(
                served_by(&answer) == Some(backend.service()),
                "the answer is {answer:?}"
            );
            Ok(answer)
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits until the status of an Ingress names where it is served, and returns the addresses.
    ///
    /// # Errors
    /// When the status stays empty.
    pub async fn expect_published(&self, ingress: &str) -> Result<Vec<String>> {
        let what = format!("{ingress} to be published");
        let result = eventually(PATIENCE, &what, async || {
            let addresses = self.published(ingress).await?;
            ensure!(!addresses.is_empty(), "its status names no address");
            Ok(addresses)
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits until no backend answers `host` and `path`: the gateway has no route for them.
    ///
    /// # Errors
    /// When a backend keeps answering.
    pub async fn expect_no_route(&self, host: &str, path: &str) -> Result<()> {
        let what = format!("{host}{path} to be gone");
        let result = eventually(PATIENCE, &what, async || {
            let answer = self.gateway.request(host, path).await?;
            ensure!(
                answer.status == 404 && served_by(&answer).is_none(),
                "the answer is {answer:?}"
            );
            Ok(())
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits until the gateway holds `count` APIs of this test.
    ///
    /// # Errors
    /// When their number stays another.
    pub async fn expect_apis(&self, count: usize) -> Result<Vec<Value>> {
        let what = format!("{count} APIs on the gateway");
        let result = eventually(PATIENCE, &what, async || {
            let apis = self.gateway.list_marked(&self.namespace).await?;
            let ids: Vec<_> = apis.iter().map(|api| &api["api_id"]).collect();
            ensure!(apis.len() == count, "there are {ids:?}");
            Ok(apis)
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits for a Warning Event on an Ingress whose note contains every one of `words`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn expect_warning(&self, ingress: &str, words: &[&str]) -> Result<Event> {
        self.expect_warning_on("Ingress", ingress, words).await
    }

    /// Waits for a Warning Event on an object whose note or reason contains every one of `words`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn expect_warning_on(&self, kind: &str, name: &str, words: &[&str]) -> Result<Event> {
        self.expect_event_on("Warning", (kind, name), words).await
    }

    /// Waits for an Event of this type on the object of this kind and name whose note or reason contains every one of
    /// `words`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn expect_event_on(&self, type_: &str, (kind, name): (&str, &str), words: &[&str]) -> Result<Event> {
        let events: Api<Event> = Api::namespaced(self.client(), &self.namespace);
        eventually(
            PATIENCE,
            &format!("a {type_} Event on {kind} {name} with {words:?}"),
            async || {
                let mut seen = Vec::new();
                for event in events.list(&ListParams::default()).await?.items {
                    let on = event.regarding.as_ref().is_some_and(|object| {
                        object.kind.as_deref() == Some(kind) && object.name.as_deref() == Some(name)
                    });
                    let note = format!(
                        "{} {}",
                        event.reason.as_deref().unwrap_or_default(),
                        event.note.as_deref().unwrap_or_default()
                    );
                    if on && event.type_.as_deref() == Some(type_) && words.iter().all(|word| note.contains(word)) {
                        return Ok(event);
                    }
                    seen.push(note);
                }
                bail!("the notes of all Events are {seen:?}")
            },
        )
        .await
    }
}
