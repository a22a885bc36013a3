//! What the catalogue says of a code.

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::output;
use crate::diagnostic::Code;

/// How alike a word and a code have to be, from 0 to 1, for the code to be offered.
const ALIKE: f64 = 0.75;

/// The code with this name, in any letter case.
///
/// # Errors
/// There is none; the message offers the nearest.
pub fn find(name: &str) -> anyhow::Result<Code> {
    let same = |code: &&Code| code.as_str().eq_ignore_ascii_case(name);
    if let Some(code) = Code::ALL.iter().find(same) {
        return Ok(*code);
    }
    let likeness = |code: &Code| strsim::jaro_winkler(&code.as_str().to_lowercase(), &name.to_lowercase());
    let nearest = Code::ALL
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest.filter(|code| likeness(code) >= ALIKE) {
        Some(code) => anyhow::bail!("there is no diagnostic {name:?}; did you mean {code}?"),
        None => anyhow::bail!("there is no diagnostic {name:?}; `tyk-ingress explain` lists all of them"),
    }
}

/// Prints one code.
pub fn one(out: &mut dyn Write, code: Code) -> std::io::Result<()> {
    writeln!(out, "{code} ({})", code.severity().as_str())?;
    writeln!(out, "\n  {}", code.summary())?;
    writeln!(out, "\nFix\n\n  {}", code.fix())
}

/// Prints a table of all codes.
pub fn all(out: &mut dyn Write) -> std::io::Result<()> {
    let row = |code: &Code| vec![code.to_string(), code.severity().as_str().into(), code.summary().into()];
    let rows: Vec<_> = Code::ALL.iter().map(row).collect();
    output::table(out, &["CODE", "SEVERITY", "MEANING"], &rows)
}

/// Prints codes as an array.
pub fn json(out: &mut dyn Write, codes: &[Code]) -> anyhow::Result<()> {
    let one =
        |code: &Code| json!({"code": code, "severity": code.severity(), "summary": code.summary(), "fix": code.fix()});
    let all: Value = codes.iter().map(one).collect();
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?)
}
