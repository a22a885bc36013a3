//! The webhook's certificate, which the operator makes itself: a Secret that every process reads and the one that leads
//! writes, and its authority in the ValidatingWebhookConfiguration, so that the API server trusts it.

pub mod authority;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::message;
use crate::snapshot::NamespacedName;
use authority::Material;

/// Field manager of the one field that is written.
const FIELD_MANAGER: &str = "tyk-ingress-admission";

/// Where all of it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The Secret with authority and certificate.
    pub secret: NamespacedName,
    /// Name of the ValidatingWebhookConfiguration.
    pub configuration: String,
    /// DNS names and IP addresses at which the API server reaches the webhook.
    pub hosts: Vec<String>,
}

/// The material as the Secret has it now; `None` when there is none that can be read.
///
/// # Errors
/// The API server's.
pub async fn read(client: &Client, place: &Place) -> Result<Option<Material>, String> {
    let secret = secrets(client, place).get_opt(&place.secret.name).await;
    Ok(secret.map_err(|error| message(&error))?.as_ref().and_then(material))
}

/// The same, made or renewed when it is time, and announced to the API server. For the process that leads.
///
/// # Errors
/// The API server's, or that no key can be made.
pub async fn keep(client: &Client, place: &Place, now: Timestamp) -> Result<Material, String> {
    let api = secrets(client, place);
    let found = api.get_opt(&place.secret.name).await.map_err(|error| message(&error))?;
    let present = found.as_ref().and_then(material);
    let material = match authority::renewed(present.as_ref(), &place.hosts, now)? {
        None => present.ok_or("there is no certificate")?,
        Some(renewed) => {
            let params = PostParams::default();
            let secret = secret(place, found.as_ref(), &renewed);
            let written = match found {
                None => api.create(&params, &secret).await,
                Some(_) => api.replace(&place.secret.name, &params, &secret).await,
            };
            written.map_err(|error| message(&error))?;
            tracing::info!(secret = %place.secret, "made a certificate for the admission webhook");
            renewed
        }
    };
    announce(client, &place.configuration, &material.bundle).await?;
    Ok(material)
}

fn secrets(client: &Client, place: &Place) -> Api<Secret> {
    Api::namespaced(client.clone(), &place.secret.namespace)
}

fn material(secret: &Secret) -> Option<Material> {
    let data = secret.data.as_ref()?;
    let field = |name: &str| Some(data.get(name)?.0.clone());
    Some(Material {
        bundle: field("ca.crt")?,
        authority_key: field("ca.key")?,
        certificate: field("tls.crt")?,
        key: field("tls.key")?,
    })
}

/// With the resourceVersion of what is replaced, so that two that renew at once do not mix.
fn secret(place: &Place, found: Option<&Secret>, material: &Material) -> Secret {
    let metadata = found.map(|secret| secret.metadata.clone()).unwrap_or_default();
    let data = [
        ("ca.crt", &material.bundle),
        ("ca.key", &material.authority_key),
        ("tls.crt", &material.certificate),
        ("tls.key", &material.key),
    ];
    Secret {
        metadata: ObjectMeta {
            name: Some(place.secret.name.to_string()),
            namespace: Some(place.secret.namespace.to_string()),
            managed_fields: None,
            ..metadata
        },
        type_: Some(
            found
                .and_then(|secret| secret.type_.clone())
                .unwrap_or_else(|| "Opaque".into()),
        ),
        data: Some(BTreeMap::from(
            data.map(|(name, value)| (name.to_owned(), ByteString(value.clone()))),
        )),
        ..Secret::default()
    }
}

/// Puts the bundle where the API server looks for it, if it is not there.
async fn announce(client: &Client, name: &str, bundle: &[u8]) -> Result<(), String> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let found = api.get_opt(name).await.map_err(|error| message(&error))?;
    let found = found.ok_or_else(|| format!("there is no ValidatingWebhookConfiguration {name} (--admission-name)"))?;
    let webhooks = found.webhooks.unwrap_or_default();
    let knows = |bundle_there: Option<&ByteString>| bundle_there.is_some_and(|there| there.0 == bundle);
    if webhooks
        .iter()
        .all(|webhook| knows(webhook.client_config.ca_bundle.as_ref()))
    {
        return Ok(());
    }
    let bundle = STANDARD.encode(bundle);
    let one = |name: &String| json!({"name": name, "clientConfig": {"caBundle": bundle}});
    let webhooks: Vec<Value> = webhooks.iter().map(|webhook| one(&webhook.name)).collect();
    let patch = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": webhooks
    });
    // Nobody else can know the authority.
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(name, &params, &Patch::Apply(patch))
        .await
        .map_err(|error| message(&error))?;
    tracing::info!(
        configuration = name,
        "told the API server whom to trust for the admission webhook"
    );
    Ok(())
}
