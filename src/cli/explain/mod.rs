//! `tyk-ingress explain`: a diagnostic, or the way of one request.

mod answer;
mod code;
mod print;
mod request;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::End;
use super::input::Input;
use crate::desired::Context;
use crate::settings;
use request::Request;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Code of a diagnostic, such as Conflict; without it and without --request all codes are listed
    #[arg(value_name = "CODE", conflicts_with = "request")]
    code: Option<String>,
    /// Request to follow, such as 'GET https://shop.example.com/cart'; needs -f
    #[arg(short, long, value_name = "REQUEST", requires = "filename", value_parser = Request::parse)]
    request: Option<Request>,
    /// Manifest file, directory (read whole), or - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "PATH", requires = "request")]
    filename: Vec<PathBuf>,
    /// How to print it
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
    /// One JSON object
    Json,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let mut out = std::io::stdout().lock();
        let Some(request) = &self.request else {
            match (&self.code, self.output) {
                (Some(name), Output::Human) => code::one(&mut out, code::find(name)?)?,
                (Some(name), Output::Json) => code::json(&mut out, &[code::find(name)?])?,
                (None, Output::Human) => code::all(&mut out)?,
                (None, Output::Json) => code::json(&mut out, crate::diagnostic::Code::ALL)?,
            }
            return Ok(End::Clean);
        };
        let context = Context {
            owner: "tyk-ingress".into(),
            ..Context::at_url(self.tyk_url.as_deref().unwrap_or_default())
        };
        let loaded = Input {
            filename: self.filename.clone(),
        }
        .load()?;
        let answer = answer::of(request, loaded, &self.ingress.options(&context.owner), &context)
            .context("the routes cannot be made")?;
        match self.output {
            Output::Human => print::human(&mut out, request, &answer)?,
            Output::Json => print::json(&mut out, request, &answer)?,
        }
        Ok(if answer.winner.is_some() {
            End::Clean
        } else {
            End::Errors
        })
    }
}
