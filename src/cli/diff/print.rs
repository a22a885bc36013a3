//! Differences as text for people.

use std::io::{self, Write};

use serde_json::Value;

use super::report::{Action, Change, Field, Report};

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const BOLD: &str = "1";

/// Prints every Tyk with its changes, and how many there are.
pub fn human(out: &mut dyn Write, reports: &[Report], colours: bool) -> io::Result<()> {
    let paint = Paint(colours);
    for report in reports {
        if reports.len() > 1 {
            writeln!(out, "{}", paint.with(BOLD, &report.url))?;
        }
        for one in &report.changes {
            change(out, one, &paint)?;
        }
        writeln!(out, "{}", summary(report))?;
    }
    Ok(())
}

fn change(out: &mut dyn Write, change: &Change, paint: &Paint) -> io::Result<()> {
    let (sign, word, colour) = match change.action {
        Action::Create => ("+", "create", GREEN),
        Action::Update => ("~", "update", YELLOW),
        Action::Adopt => ("~", "take over", YELLOW),
        Action::Repair => ("~", "repair", YELLOW),
        Action::Delete => ("-", "delete", RED),
        Action::Refuse => ("!", "cannot write", RED),
    };
    let object = change.object.as_deref().unwrap_or("made by no known resource");
    let title = format!("{sign} {word} {} {}", change.sort, change.id);
    writeln!(out, "{}  {object}", paint.with(colour, &title))?;
    if let Some(reason) = &change.reason {
        writeln!(out, "    {reason}")?;
    }
    if change.fields.is_empty() && matches!(change.action, Action::Update | Action::Adopt) {
        writeln!(out, "    no field changes, only the mark of the owner")?;
    }
    change.fields.iter().try_for_each(|one| field(out, one, paint))
}

fn field(out: &mut dyn Write, field: &Field, paint: &Paint) -> io::Result<()> {
    let Field { field, held, wanted } = field;
    let (sign, colour, values) = match (held, wanted) {
        (Value::Null, wanted) => ("+", GREEN, wanted.to_string()),
        (held, Value::Null) => ("-", RED, held.to_string()),
        (held, wanted) => ("~", YELLOW, format!("{held} -> {wanted}")),
    };
    writeln!(out, "    {} {values}", paint.with(colour, &format!("{sign} {field}")))
}

fn summary(report: &Report) -> String {
    let count = |action| report.count(action);
    let mut parts = vec![
        format!("{} to create", count(Action::Create)),
        format!("{} to update", count(Action::Update) + count(Action::Repair)),
        format!("{} to delete", count(Action::Delete)),
        format!("{} unchanged", report.unchanged),
    ];
    for (action, words) in [
        (Action::Adopt, "to take over"),
        (Action::Refuse, "that cannot be written"),
    ] {
        if count(action) > 0 {
            parts.push(format!("{} {words}", count(action)));
        }
    }
    parts.join(", ")
}

/// Escape sequences, if there are to be any.
struct Paint(bool);

impl Paint {
    fn with(&self, colour: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}
