//! `tyk-ingress export`: manifests for what a gateway or a Dashboard already holds.

mod classic;
mod document;
mod links;
mod manifest;
mod names;
mod policy;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::{End, runtime};
use crate::desired::owner;
use crate::settings;
use crate::sync::{Tyk, client};
use crate::tyk::Kind;
use crate::tyk::dashboard::{Dashboard, DocumentKind};
use crate::tyk::gateway::Gateway;
use links::Links;
use manifest::Manifest;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Namespace of the manifests
    #[arg(short, long, value_name = "NAME", default_value = "default", value_parser = namespace)]
    namespace: String,
    /// Folder for the manifests, one file for each; without it they are printed
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Put OpenAPI documents into ConfigMaps instead of into their resources
    #[arg(long)]
    configmaps: bool,
    /// Export what an operator like this one made as well
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    tyk: settings::Tyk,
}

/// What a Tyk holds. It holds secrets.
#[derive(Default)]
struct Held {
    /// A Dashboard looks at `active`, a gateway does not.
    dashboard: bool,
    apis: BTreeMap<String, Value>,
    documents: BTreeMap<String, Value>,
    policies: BTreeMap<String, Value>,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let endpoint = self.tyk.endpoint()?;
        let held = runtime("warn")?.block_on(async {
            match client(&self.tyk.context().tyk, endpoint)? {
                Tyk::Gateway(gateway) => of_gateway(&gateway).await,
                Tyk::Dashboard(dashboard) => of_dashboard(&dashboard).await,
            }
        })?;
        let manifests = manifests(&held, &self);
        match &self.write {
            Some(folder) => write(folder, &manifests)?,
            None => {
                let mut out = std::io::stdout().lock();
                for manifest in &manifests {
                    write!(out, "---\n{}", manifest.yaml()?)?;
                }
            }
        }
        let mut err = std::io::stderr();
        writeln!(err, "{}", summary(&manifests))?;
        if let Some(note) = organisations(&held, &self.tyk.org) {
            writeln!(err, "{note}")?;
        }
        Ok(End::Clean)
    }
}

async fn of_gateway(gateway: &Gateway) -> anyhow::Result<Held> {
    let apis = gateway.list_apis().await?;
    let mut documents = BTreeMap::new();
    if apis.values().any(|api| api["is_oas"] == true && !is_mcp(api)) {
        documents.extend(gateway.list_oas().await?);
    }
    if apis.values().any(is_mcp) {
        documents.extend(gateway.list_mcps().await?);
    }
    let policies = match gateway.list_policies().await {
        Err(error) if error.kind() == Kind::NotFound => BTreeMap::new(),
        policies => policies?,
    };
    Ok(Held {
        apis,
        documents,
        policies,
        dashboard: false,
    })
}

async fn of_dashboard(dashboard: &Dashboard) -> anyhow::Result<Held> {
    let mut held = Held {
        dashboard: true,
        ..Held::default()
    };
    for (id, record) in dashboard.list_apis().await? {
        if record.is_oas() {
            let document = match dashboard.document(DocumentKind::Oas, &id).await? {
                None => dashboard.document(DocumentKind::Streams, &id).await?,
                document => document,
            };
            held.documents.extend(document.map(|document| (id.clone(), document)));
        }
        let mut definition = record.definition().clone();
        if let Some(fields) = definition.as_object_mut() {
            // Of the database.
            fields.remove("id");
        }
        held.apis.insert(id, definition);
    }
    let proxies = match dashboard.list_mcps().await {
        // It is older than they are.
        Err(error) if error.kind() == Kind::Malformed => BTreeMap::new(),
        proxies => proxies?,
    };
    for (id, document) in proxies {
        let name = document
            .pointer("/x-tyk-api-gateway/info/name")
            .cloned()
            .unwrap_or_default();
        let classic = json!({"api_id": id, "name": name, "is_oas": true, "application_protocol": "mcp"});
        held.apis.insert(id.clone(), classic);
        held.documents.insert(id, document);
    }
    for record in dashboard.list_policies().await? {
        // One without an id of its own is known, and taken over, by that of the database.
        let fields = Value::Object(record.fields().clone());
        held.policies.insert(record.id().to_owned(), fields);
    }
    Ok(held)
}

/// Whether the classic form of an API stands for an MCP proxy.
fn is_mcp(api: &Value) -> bool {
    api["application_protocol"] == "mcp"
}

/// The manifests, APIs first, each kind by name.
fn manifests(held: &Held, options: &Export) -> Vec<Manifest> {
    let ours = |object: &Value| owner::of(object).is_some();
    let mut policies = held.policies.clone();
    policies.values_mut().for_each(owner::expose_policy_mark);
    let links = Links::of(&options.namespace, held, &policies);
    let wanted = |object: &Value| options.all || !ours(object);
    let mut manifests = Vec::new();
    for (id, api) in held.apis.iter().filter(|(_, api)| wanted(api)) {
        let Some(link) = links.apis.get(id) else { continue };
        match held.documents.get(id) {
            Some(document) => manifests.extend(document::manifests(document, link, options.configmaps)),
            None => manifests.push(classic::manifest(id, api, link, (&links, held.dashboard))),
        }
    }
    for (id, policy) in policies.iter().filter(|(_, policy)| wanted(policy)) {
        if let Some(link) = links.policies.get(id) {
            manifests.push(policy::manifest(id, policy, link, (&links, held.dashboard)));
        }
    }
    manifests.sort_by_key(Manifest::order);
    manifests
}

fn write(folder: &Path, manifests: &[Manifest]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for manifest in manifests {
        let path = folder.join(manifest.file());
        std::fs::write(&path, manifest.yaml()?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn summary(manifests: &[Manifest]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for manifest in manifests {
        *counts.entry(manifest.link.kind).or_default() += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    match counts.is_empty() {
        true => "nothing to export; what an operator made is left out without --all".into(),
        false => format!("exported: {}", counts.join(", ")),
    }
}

/// A policy is written under the organisation of the operator.
fn organisations(held: &Held, own: &str) -> Option<String> {
    let text = |policy: &Value| policy["org_id"].as_str().unwrap_or_default().to_owned();
    let organisations: BTreeSet<String> = held.policies.values().map(text).filter(|org| org != own).collect();
    let list: Vec<_> = organisations.iter().map(|org| format!("{org:?}")).collect();
    (!list.is_empty()).then(|| {
        format!(
            "there are policies of organisation {}: set TYK_ORG for the operator that takes them over, and use one \
             OperatorContext for each if there are several",
            list.join(", ")
        )
    })
}

fn namespace(text: &str) -> Result<String, String> {
    match names::label(text) == text && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("must be the name of a namespace".into()),
    }
}
