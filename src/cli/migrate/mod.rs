//! `tyk-ingress migrate`.

mod html;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::input::{Input, of_cluster};
use super::{End, output, runtime};
use crate::nginx::{self, Translated, Verdict};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Manifest file, directory (read whole), or - for standard input; may be repeated; without it the cluster is read
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    filename: Vec<PathBuf>,
    /// Namespace of the cluster to read; may be repeated; all without it
    #[arg(short, long, value_name = "NAME")]
    namespace: Vec<String>,
    /// How to print the report
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Folder for the translated manifests, one file for each Ingress
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Class of the translated Ingresses
    #[arg(long, default_value = "tyk")]
    ingress_class: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// A table for people
    Table,
    /// One JSON object
    Json,
    /// A page for people
    Html,
}

impl Migrate {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let snapshot = match self.filename.is_empty() {
            true => Arc::unwrap_or_clone(runtime("warn")?.block_on(of_cluster(&self.namespace))?),
            false => {
                let input = Input {
                    filename: self.filename.clone(),
                };
                input.load()?.snapshot
            }
        };
        let all = nginx::translate(&snapshot, &self.ingress_class);
        if let Some(folder) = &self.write {
            write(folder, &all)?;
        }
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Table => table(&mut out, &all)?,
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report(&all))?)?,
            Output::Html => write!(out, "{}", html::page(&all))?,
        }
        let lost = all.iter().any(|one| one.verdict() == Verdict::Unsupported);
        Ok(if lost { End::Errors } else { End::Clean })
    }
}

fn table(out: &mut dyn Write, all: &[Translated]) -> std::io::Result<()> {
    let rows: Vec<Vec<String>> = all
        .iter()
        .flat_map(|one| {
            let finding = |finding: &nginx::Finding| {
                let value = if finding.value.is_empty() { "-" } else { &finding.value };
                let verdict = finding.verdict.as_str().to_owned();
                vec![
                    one.name.to_string(),
                    verdict,
                    finding.subject.clone(),
                    value.to_owned(),
                    finding.detail.clone(),
                ]
            };
            let plain = || {
                vec![
                    one.name.to_string(),
                    "exact".into(),
                    "-".into(),
                    "-".into(),
                    "nothing of nginx".into(),
                ]
            };
            match one.findings.is_empty() {
                true => vec![plain()],
                false => one.findings.iter().map(finding).collect(),
            }
        })
        .collect();
    output::table(
        out,
        &[
            "INGRESS",
            "VERDICT",
            "ANNOTATION OR FIELD",
            "VALUE",
            "WHAT BECOMES OF IT",
        ],
        &rows,
    )?;
    writeln!(out, "\n{}", summary(all))
}

/// One line that counts the Ingresses by their worst verdict.
fn summary(all: &[Translated]) -> String {
    let count = |verdict| all.iter().filter(|one| one.verdict() == verdict).count();
    format!(
        "{}: {} exact, {} with a difference, {} with something that cannot be kept",
        output::counted(all.len(), "Ingress", "es"),
        count(Verdict::Exact),
        count(Verdict::Differs),
        count(Verdict::Unsupported)
    )
}

/// The report for programs.
pub fn report(all: &[Translated]) -> Value {
    let one = |one: &Translated| {
        json!({
            "namespace": one.name.namespace,
            "name": one.name.name,
            "verdict": one.verdict(),
            "closed": one.closed,
            "template": one.template.as_ref().and_then(|template| template.metadata.name.clone()),
            "findings": one.findings,
        })
    };
    let count = |verdict| all.iter().filter(|one| one.verdict() == verdict).count();
    json!({
        "summary": {
            "ingresses": all.len(),
            "exact": count(Verdict::Exact),
            "differs": count(Verdict::Differs),
            "unsupported": count(Verdict::Unsupported),
        },
        "ingresses": all.iter().map(one).collect::<Vec<_>>(),
    })
}

fn write(folder: &Path, all: &[Translated]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for one in all {
        let Some(ingress) = &one.ingress else { continue };
        let mut ingress = ingress.clone();
        ingress.metadata = as_written(&ingress.metadata);
        ingress.status = None;
        let mut text = serde_saphyr::to_string(&ingress)?;
        if let Some(template) = &one.template {
            text = format!("{}---\n{text}", serde_saphyr::to_string(template)?);
        }
        let path = folder.join(format!("{}-{}.yaml", one.name.namespace, one.name.name));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Metadata as a person writes it; the rest is a cluster's.
fn as_written(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        labels: metadata.labels.clone(),
        annotations: metadata.annotations.clone(),
        ..ObjectMeta::default()
    }
}
