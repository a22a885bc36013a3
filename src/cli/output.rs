//! Text for people: diagnostics and tables.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::diagnostic::{Diagnostic, ObjectRef, Severity};
use crate::snapshot::Location;

/// Prints diagnostics one below the other, each with where it is and the way out.
pub fn diagnostics(
    out: &mut dyn Write,
    found: &[Diagnostic],
    locations: &BTreeMap<ObjectRef, Location>,
) -> io::Result<()> {
    for one in found {
        diagnostic(out, one.severity(), one, |out| match locations.get(&one.object) {
            Some(location) => writeln!(out, "  at   {}:{}", location.file, location.line),
            None => Ok(()),
        })?;
    }
    Ok(())
}

/// Prints one; `at` writes where it is.
pub fn diagnostic(
    out: &mut dyn Write,
    severity: Severity,
    diagnostic: &Diagnostic,
    at: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let Diagnostic {
        object,
        field,
        code,
        message,
    } = diagnostic;
    writeln!(out, "{}[{code}] {object}", severity.as_str())?;
    at(out)?;
    if !field.is_empty() {
        writeln!(out, "  in   {field}")?;
    }
    writeln!(out, "  what {message}")?;
    writeln!(out, "  fix  {}", code.fix())
}

/// One line that counts errors and warnings.
pub fn count(found: &[Diagnostic]) -> String {
    let count = |severity| found.iter().filter(|d| d.severity() == severity).count();
    format!(
        "{}, {}",
        counted(count(Severity::Error), "error", "s"),
        counted(count(Severity::Warning), "warning", "s")
    )
}

/// A number and its word, which ends with `many` unless the number is 1.
pub fn counted(number: usize, word: &str, many: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { many })
}

/// Prints rows under a header, each column as wide as its widest cell.
pub fn table(out: &mut dyn Write, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}   "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
