//! `tyk-ingress explain`: a diagnostic, or the way of one request.

mod answer;
mod code;
mod controller;
mod print;
mod request;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::End;
use super::input::{Input, World};
use crate::desired::Context;
use crate::secret::Secret;
use crate::settings;
use answer::Answer;
pub(super) use controller::in_controller;
use request::Request;
use url::Url;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Code of a diagnostic, such as Conflict; without it and without --request all codes are listed
    #[arg(value_name = "CODE", conflicts_with = "request")]
    code: Option<String>,
    /// Request to follow, such as 'GET https://shop.example.com/cart'; needs -f or --controller
    #[arg(short, long, value_name = "REQUEST", requires = "source", value_parser = Request::parse)]
    request: Option<Request>,
    /// Manifest file, directory (read whole), or - for standard input; may be repeated
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "PATH",
        requires = "request",
        group = "source"
    )]
    filename: Vec<PathBuf>,
    /// URL of the status page of a running controller, such as http://127.0.0.1:8082, which is asked in place of manifests
    #[arg(
        long,
        value_name = "URL",
        requires = "request",
        conflicts_with = "filename",
        group = "source"
    )]
    controller: Option<Url>,
    /// Token of that page; better given by the environment [env: TYK_INGRESS_DEBUG_TOKEN]
    #[arg(long, env = "TYK_INGRESS_DEBUG_TOKEN", hide_env = true, value_parser = settings::secret)]
    debug_token: Option<Secret>,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
    #[command(flatten)]
    ingress: settings::Ingress,
    /// Base URL of the gateway's control API, to know which OperatorContexts mean it [env: TYK_URL]
    #[arg(long, env = "TYK_URL", hide_env = true, help_heading = "Tyk")]
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
        let answer = match &self.controller {
            Some(url) => controller::ask(url, self.debug_token.as_ref(), request)?,
            None => self.answer(request)?,
        };
        match self.output {
            Output::Human => print::human(&mut out, request, &answer)?,
            Output::Json => writeln!(out, "{:#}", print::json(request, &answer))?,
        }
        Ok(match answer.winner {
            Some(_) => End::Clean,
            None => End::Errors,
        })
    }

    /// What the manifests say.
    fn answer(&self, request: &Request) -> anyhow::Result<Answer> {
        let context = Context {
            owner: "tyk-ingress".into(),
            ..Context::at_url(self.tyk_url.as_deref().unwrap_or_default())
        };
        let loaded = Input {
            filename: self.filename.clone(),
        }
        .load()?;
        let options = self.ingress.options(&context.owner);
        let make = |loaded| World::of(loaded, &options, &context);
        answer::of(request, loaded, &options, &make).context("the routes cannot be made")
    }
}
