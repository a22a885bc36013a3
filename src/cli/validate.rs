//! `tyk-ingress validate`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::input::{Input, World};
use super::{End, output};
use crate::desired::Context;
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity, any_error};
use crate::settings;
use crate::snapshot::Location;

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    input: Input,
    /// How to print what is found
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
    #[command(flatten)]
    ingress: settings::Ingress,
    /// Base URL of the gateway's control API, to know which OperatorContexts mean it [env: TYK_URL]
    #[arg(long, env = "TYK_URL", hide_env = true)]
    tyk_url: Option<String>,
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

type Locations = BTreeMap<ObjectRef, Location>;

impl Validate {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let context = Context::at_url(self.tyk_url.as_deref().unwrap_or_default());
        let world = World::read(&self.input, &self.ingress, &context)?;
        let (found, locations) = (&world.diagnostics, &world.loaded.locations);
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Human => {
                output::diagnostics(&mut out, found, locations)?;
                let ingresses = world.translation.ingresses.len();
                let apis = world.desired.wanted().count();
                writeln!(
                    out,
                    "{ingresses} Ingresses of our class, {apis} APIs: {}",
                    output::count(found)
                )?;
            }
            Output::Json => writeln!(
                out,
                "{}",
                serde_json::to_string_pretty(&with_locations(found, locations))?
            )?,
            Output::Sarif => writeln!(out, "{}", serde_json::to_string_pretty(&sarif(found, locations))?)?,
            Output::Github => github(&mut out, found, locations)?,
        }
        Ok(if any_error(found) { End::Errors } else { End::Clean })
    }
}

fn with_locations(found: &[Diagnostic], locations: &Locations) -> Value {
    let one = |diagnostic: &Diagnostic| {
        let mut value = json!(diagnostic);
        if let Some(location) = locations.get(&diagnostic.object) {
            value["file"] = json!(location.file);
            value["line"] = json!(location.line);
        }
        value
    };
    found.iter().map(one).collect()
}

fn sarif(found: &[Diagnostic], locations: &Locations) -> Value {
    let codes: BTreeSet<Code> = found.iter().map(|d| d.code).collect();
    let rule =
        |code: &Code| json!({"id": code, "shortDescription": {"text": code.summary()}, "help": {"text": code.fix()}});
    let result = |diagnostic: &Diagnostic| {
        let mut result = json!({
            "ruleId": diagnostic.code,
            "level": diagnostic.severity(),
            "message": {"text": format!("{}: {}", diagnostic.object, diagnostic.message)},
        });
        if let Some(location) = locations.get(&diagnostic.object) {
            result["locations"] = json!([{"physicalLocation": {
                "artifactLocation": {"uri": location.file}, "region": {"startLine": location.line}
            }}]);
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
            "results": found.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn github(out: &mut dyn Write, found: &[Diagnostic], locations: &Locations) -> std::io::Result<()> {
    for diagnostic in found {
        let command = match diagnostic.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = locations.get(&diagnostic.object).map_or_else(String::new, |location| {
            format!("file={},line={},", property(&location.file), location.line)
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

/// A workflow command ends at its line's end, so line breaks and the escape character itself are escaped.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}
