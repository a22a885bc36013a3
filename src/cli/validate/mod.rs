//! `tyk-ingress validate`.

mod rules;
mod schema;
mod source;

use std::collections::BTreeSet;
use std::io::Write;

use clap::{Args, ValueEnum};
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use super::input::{Input, World, load};
use super::{End, output, runtime};
use crate::desired::{Context, oas};
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity, any_error};
use crate::secret::Secret;
use crate::settings;
use crate::snapshot::{NamespacedName, SnapshotKind};
use crate::sync::preview;
use crate::tyk::Endpoint;
use crate::tyk::dashboard::Dashboard;
use source::Sources;

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    input: Input,
    /// How to print what is found
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
    /// End with 1 for a warning as well
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    ingress: settings::Ingress,
    /// Base URL of the gateway's control API, to know which OperatorContexts mean it [env: TYK_URL]
    #[arg(long, env = "TYK_URL", hide_env = true, help_heading = "Tyk")]
    tyk_url: Option<String>,
    /// Also let the Dashboard at --tyk-url try the OpenAPI documents, which changes nothing on it
    #[arg(long, requires = "tyk_url", requires = "tyk_auth", help_heading = "Tyk")]
    server_side: bool,
    /// Key of a user of the Dashboard, for --server-side; better given by the environment [env: TYK_AUTH]
    #[arg(long, env = "TYK_AUTH", hide_env = true, value_parser = settings::secret, help_heading = "Tyk")]
    tyk_auth: Option<Secret>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Text for people
    Human,
    /// A JSON array of diagnostics
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Workflow commands that annotate the files of a pull request on GitHub
    Github,
}

impl Validate {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let context = Context::at_url(self.tyk_url.as_deref().unwrap_or_default());
        let texts = self.input.texts()?;
        let world = World::of(load(&texts)?, &self.ingress.options(&context.owner), &context);
        let locations = &world.loaded.locations;
        let mut found = schema::check(&texts, locations);
        found.extend(without_echoes(&world).cloned());
        if self.server_side {
            found.extend(runtime("warn")?.block_on(self.tried(&world))?);
        }
        found.sort();
        let sources = Sources::of(&texts, locations);
        let check = Check {
            found: &found,
            sources: &sources,
            strict: self.strict,
        };
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Human => {
                check.human(&mut out)?;
                let ingresses = output::counted(world.translation.ingresses.len(), "Ingress", "es");
                let apis = output::counted(world.desired.wanted().count(), "API", "s");
                let count = output::count(&found);
                writeln!(out, "{ingresses} of our class, {apis}: {count}")?;
            }
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&check.json())?)?,
            Output::Sarif => writeln!(out, "{}", serde_json::to_string_pretty(&check.sarif())?)?,
            Output::Github => check.github(&mut out)?,
        }
        let fails = any_error(&found) || self.strict && !found.is_empty();
        Ok(if fails { End::Errors } else { End::Clean })
    }
}

impl Validate {
    /// What the Dashboard says against the documents.
    async fn tried(&self, world: &World) -> anyhow::Result<Vec<Diagnostic>> {
        let url = self.tyk_url.as_deref().unwrap_or_default();
        let dashboard = Dashboard::new(Endpoint::new(
            url,
            self.tyk_auth.as_ref().map(Secret::expose).unwrap_or_default(),
        ))?;
        let documents = &world.desired.oas;
        let refused = preview::refused(&dashboard.into(), &world.desired, documents.keys().map(AsRef::as_ref)).await?;
        let one = |(id, reason): (String, String)| {
            let source = documents.get(id.as_str())?.source.clone();
            let field = oas::source_field(source.kind).unwrap_or_default();
            Some(Diagnostic::new(Code::InvalidDocument, source, field, reason))
        };
        Ok(refused.into_iter().filter_map(one).collect())
    }
}

/// Without what is said of a generated child and of its Ingress, too, which is what the user wrote.
fn without_echoes(world: &World) -> impl Iterator<Item = &Diagnostic> {
    let said: BTreeSet<(&ObjectRef, Code)> = world.diagnostics.iter().map(|one| (&one.object, one.code)).collect();
    world.diagnostics.iter().filter(move |one| {
        let name = NamespacedName::new(&one.object.namespace, &one.object.name);
        let origin = world.translation.origin(one.object.kind, &name);
        !origin.is_some_and(|(ingress, _)| {
            let written = ObjectRef::new(Ingress::KIND, &ingress.namespace, &ingress.name);
            said.contains(&(&written, one.code))
        })
    })
}

/// What was found, and where.
struct Check<'a> {
    found: &'a [Diagnostic],
    sources: &'a Sources<'a>,
    /// Whether warnings count as errors.
    strict: bool,
}

impl Check<'_> {
    fn severity(&self, diagnostic: &Diagnostic) -> Severity {
        if self.strict {
            Severity::Error
        } else {
            diagnostic.severity()
        }
    }

    /// As every command prints diagnostics, with the line of the field.
    fn human(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for diagnostic in self.found {
            output::diagnostic(out, self.severity(diagnostic), diagnostic, |out| {
                let Some(place) = self.sources.place(diagnostic) else {
                    return Ok(());
                };
                writeln!(out, "  at   {}:{}", place.file, place.line)?;
                // A line of a Secret is not shown.
                if let Some(column) = place.column.filter(|_| diagnostic.object.kind != "Secret") {
                    let caret = usize::try_from(column).unwrap_or(1).max(1);
                    writeln!(out, "       | {}", place.text)?;
                    writeln!(out, "       | {:>caret$}", "^")?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let one = |diagnostic: &Diagnostic| {
            let mut value = json!(diagnostic);
            value["severity"] = json!(self.severity(diagnostic));
            if let Some(place) = self.sources.place(diagnostic) {
                value["file"] = json!(place.file);
                value["line"] = json!(place.line);
                if let Some(column) = place.column {
                    value["column"] = json!(column);
                }
            }
            value
        };
        self.found.iter().map(one).collect()
    }

    fn sarif(&self) -> Value {
        let codes: BTreeSet<Code> = self.found.iter().map(|d| d.code).collect();
        let rule = |code: &Code| json!({"id": code, "shortDescription": {"text": code.summary()}, "help": {"text": code.fix()}});
        let result = |diagnostic: &Diagnostic| {
            let mut result = json!({
                "ruleId": diagnostic.code,
                "level": self.severity(diagnostic),
                "message": {"text": format!("{}: {}", diagnostic.object, diagnostic.message)},
            });
            if let Some(place) = self.sources.place(diagnostic) {
                let mut region = json!({"startLine": place.line});
                if let Some(column) = place.column {
                    region["startColumn"] = json!(column);
                }
                result["locations"] =
                    json!([{"physicalLocation": {"artifactLocation": {"uri": place.file}, "region": region}}]);
            }
            result
        };
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "tyk-ingress",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": codes.iter().map(rule).collect::<Vec<_>>(),
                }},
                "results": self.found.iter().map(result).collect::<Vec<_>>(),
            }],
        })
    }

    fn github(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for diagnostic in self.found {
            let command = self.severity(diagnostic).as_str();
            let place = self.sources.place(diagnostic).map_or_else(String::new, |place| {
                format!("file={},line={},", property(place.file), place.line)
            });
            let text = format!(
                "{}: {} {} ({})",
                diagnostic.object,
                diagnostic.field,
                diagnostic.message,
                diagnostic.code.fix()
            );
            writeln!(out, "::{command} {place}title={}::{}", diagnostic.code, escape(&text))?;
        }
        Ok(())
    }
}

/// A workflow command ends at its line's end, so line breaks and the escape character itself are escaped.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}
