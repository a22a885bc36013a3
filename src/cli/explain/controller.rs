//! The way of a request through a running controller: what that answers, and how it is asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

use super::answer::{self, Answer};
use super::print;
use super::request::Request;
use crate::cli::input::World;
use crate::cli::runtime;
use crate::desired::Operator;
use crate::http::debug::Explain;
use crate::ingress::Options;
use crate::inspect;
use crate::secret::Secret;
use crate::snapshot::{Loaded, Snapshot};

/// How long the controller may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the controller that works with these settings says of a request.
pub fn in_controller(options: Options, operator: Operator) -> Explain {
    Arc::new(move |world: &inspect::World, text: &str| {
        let request = Request::parse(text)?;
        let loaded = Loaded {
            snapshot: Snapshot::clone(&world.snapshot),
            ..Loaded::default()
        };
        let make = |loaded| World::under(loaded, &options, operator.clone());
        let answer = answer::of(&request, loaded, &options, &make).map_err(|error| error.to_string())?;
        Ok(print::json(&request, &answer))
    })
}

/// Asks a controller.
///
/// # Errors
/// When it cannot be reached, does not let us in, or is none.
pub fn ask(url: &Url, token: Option<&Secret>, request: &Request) -> anyhow::Result<Answer> {
    let mut page = url
        .join("/debug/explain")
        .context("--controller must be a URL with http")?;
    page.query_pairs_mut().append_pair("request", &request.to_string());
    let asked = runtime("warn")?.block_on(async {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        let mut call = client.get(page);
        if let Some(token) = token.filter(|token| !token.expose().is_empty()) {
            call = call.bearer_auth(token.expose());
        }
        let answer = call.send().await?;
        Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
    });
    let (status, text) = asked.with_context(|| format!("cannot ask the controller at {url}"))?;
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => anyhow::bail!("the controller asks for its token: set TYK_INGRESS_DEBUG_TOKEN"),
        other => anyhow::bail!("the controller at {url} answers {other}: {}", text.trim()),
    }
    let value: Value = serde_json::from_str(&text).with_context(|| format!("{url} is no controller"))?;
    serde_json::from_value(value).with_context(|| format!("the controller at {url} is of another version"))
}
