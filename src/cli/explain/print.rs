//! The way of a request as text and as JSON.

use std::io::Write;

use serde_json::{Value, json};

use super::answer::{Answer, Candidate};
use super::request::Request;

/// Prints it for people.
pub fn human(out: &mut dyn Write, request: &Request, answer: &Answer) -> std::io::Result<()> {
    writeln!(out, "{request}")?;
    match &answer.winner {
        Some(winner) => candidate(out, "answered by", winner)?,
        None => writeln!(out, "\n  nobody answers")?,
    }
    if let Some(second) = &answer.second {
        candidate(out, "second", second)?;
    }
    if let Some(because) = &answer.because {
        writeln!(out, "\n  because      {because}")?;
    }
    Ok(())
}

fn candidate(out: &mut dyn Write, title: &str, candidate: &Candidate) -> std::io::Result<()> {
    let Candidate {
        source,
        field,
        at,
        host,
        path,
        matching,
        api,
        id,
        domain,
        listen_path,
        port,
        target,
    } = candidate;
    writeln!(out, "\n  {title:12} {source} {field}")?;
    if let Some(at) = at {
        writeln!(out, "  at           {at}")?;
    }
    writeln!(out, "  rule         host {host}, {matching} {path}")?;
    writeln!(out, "  API          {api} (id {id})")?;
    let domain = if domain.is_empty() { "every host" } else { domain };
    writeln!(out, "  domain       {domain}")?;
    writeln!(out, "  listen path  {listen_path}")?;
    if *port != 0 {
        writeln!(out, "  port         {port}")?;
    }
    writeln!(out, "  target       {target}")
}

/// It as one object.
pub fn json(request: &Request, answer: &Answer) -> Value {
    json!({
        "request": request.to_string(), "winner": answer.winner, "second": answer.second, "because": answer.because,
    })
}
