//! `tyk-ingress render`.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::input::{Input, World};
use super::{End, output};
use crate::desired::Api;
use crate::desired::oas::without_secrets;
use crate::diagnostic::any_error;
use crate::inspect::routes;
use crate::settings;

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct Render {
    #[command(flatten)]
    input: Input,
    /// What to print
    #[arg(short, long, value_enum, default_value = "children")]
    output: Output,
    #[command(flatten)]
    ingress: settings::Ingress,
    /// Organisation of APIs that name none [env: TYK_ORG]
    #[arg(
        long = "tyk-org",
        env = "TYK_ORG",
        hide_env = true,
        default_value = "",
        help_heading = "Tyk"
    )]
    org: String,
    /// Base URL of the gateway's control API, to know which OperatorContexts mean it [env: TYK_URL]
    #[arg(long, env = "TYK_URL", hide_env = true, help_heading = "Tyk")]
    tyk_url: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// ApiDefinition children as YAML
    Children,
    /// What the gateway should hold, as one JSON object
    Tyk,
    /// A table of routes
    Summary,
}

impl Render {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let context = crate::desired::Context {
            org: self.org,
            owner: "tyk-ingress".into(),
            ..crate::desired::Context::at_url(self.tyk_url.as_deref().unwrap_or_default())
        };
        let world = World::read(&self.input, &self.ingress, &context)?;
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Children => {
                children(&mut out, &world)?;
                output::diagnostics(&mut std::io::stderr(), &world.diagnostics, &world.loaded.locations)?;
            }
            Output::Tyk => tyk(&mut out, &world)?,
            Output::Summary => {
                summary(&mut out, &world)?;
                output::diagnostics(&mut std::io::stderr(), &world.diagnostics, &world.loaded.locations)?;
            }
        }
        Ok(if any_error(&world.diagnostics) {
            End::Errors
        } else {
            End::Clean
        })
    }
}

fn children(out: &mut dyn Write, world: &World) -> anyhow::Result<()> {
    for child in world.translation.children.values() {
        writeln!(out, "---")?;
        write!(out, "{}", serde_saphyr::to_string(&child.definition())?)?;
    }
    for child in world.translation.oas_children.values() {
        writeln!(out, "---")?;
        write!(out, "{}", serde_saphyr::to_string(&child.definition())?)?;
    }
    Ok(())
}

fn tyk(out: &mut dyn Write, world: &World) -> anyhow::Result<()> {
    let apis: Vec<Value> = world.desired.apis.values().map(|api| api.payload.value()).collect();
    let shown = |apis: &BTreeMap<Arc<str>, Api>| -> Vec<_> {
        apis.values().map(|api| without_secrets(&api.payload.value())).collect()
    };
    let (oas, mcps) = (shown(&world.desired.oas), shown(&world.desired.mcps));
    let certificates = world.desired.certificates.iter();
    let certificates: Vec<_> = certificates
        .map(|(id, certificate)| {
            let source = &certificate.source;
            json!({"id": id, "namespace": source.namespace, "secret": source.name})
        })
        .collect();
    let policies = world.desired.policies.values().filter(|policy| !policy.waits);
    let policies: Vec<_> = policies.map(|policy| &policy.payload).collect();
    let state = json!({
        "apis": apis, "oas": oas, "mcps": mcps, "policies": policies, "certificates": certificates, "diagnostics": world.diagnostics
    });
    writeln!(out, "{}", serde_json::to_string_pretty(&state)?)?;
    Ok(())
}

fn summary(out: &mut dyn Write, world: &World) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = routes::of(&world.desired, &world.translation)
        .into_iter()
        .map(routes::Route::cells)
        .collect();
    output::table(out, &routes::Route::HEADER, &rows)?;
    Ok(())
}
