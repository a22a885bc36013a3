//! The part of a kubelet that these tests need: arguments and variables of a container.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, PodSpec, Secret};
use kube::{Api, Client};

/// What a Deployment of one container starts.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its arguments.
    pub args: Vec<String>,
    /// Its variables, with what Secrets hold.
    pub env: BTreeMap<String, String>,
    /// Its service account.
    pub account: String,
    /// Its image.
    pub image: String,
}

impl Pod {
    /// The pod of a Deployment.
    ///
    /// # Errors
    /// When there is no such Deployment, or a Secret is missing.
    pub async fn of(client: &Client, namespace: &str, deployment: &str) -> Result<Self> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let found = deployments.get(deployment).await?;
        let spec: PodSpec = found.spec.and_then(|spec| spec.template.spec).context("no pod")?;
        let [container] = spec.containers.as_slice() else {
            bail!("{} containers", spec.containers.len())
        };
        Ok(Self {
            args: container.args.clone().unwrap_or_default(),
            env: env(client, namespace, container).await?,
            account: spec.service_account_name.unwrap_or_default(),
            image: container.image.clone().unwrap_or_default(),
        })
    }

    /// The port of its `--listen`.
    ///
    /// # Errors
    /// When it has none.
    pub fn port(&self) -> Result<u16> {
        let listen = self.args.iter().find_map(|arg| arg.strip_prefix("--listen="));
        let (_, port) = listen
            .and_then(|address| address.rsplit_once(':'))
            .context("no --listen")?;
        port.parse().context("no port")
    }
}

/// As the kubelet does it: `envFrom` first, so that `env` wins.
async fn env(client: &Client, namespace: &str, container: &Container) -> Result<BTreeMap<String, String>> {
    let mut env = BTreeMap::new();
    for source in container.env_from.iter().flatten() {
        let name = &source.secret_ref.as_ref().context("envFrom without a Secret")?.name;
        env.extend(secret(client, namespace, name).await?);
    }
    for variable in container.env.iter().flatten() {
        let key = variable
            .value_from
            .as_ref()
            .and_then(|from| from.secret_key_ref.as_ref());
        let value = match key {
            Some(key) => secret(client, namespace, &key.name).await?.remove(&key.key),
            None => Some(variable.value.clone().unwrap_or_default()),
        };
        let value = value.with_context(|| format!("the Secret of {} lacks its key", variable.name))?;
        env.insert(variable.name.clone(), value);
    }
    Ok(env)
}

async fn secret(client: &Client, namespace: &str, name: &str) -> Result<BTreeMap<String, String>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let data = secrets.get(name).await?.data.unwrap_or_default();
    data.into_iter()
        .map(|(key, value)| Ok((key, String::from_utf8(value.0).context("not text")?)))
        .collect()
}
