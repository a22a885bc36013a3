//! The status page: one document without scripts.

use std::fmt::Display;

use jiff::Timestamp;

use super::json::{contexts, unusable_contexts};
use super::redact::url;
use super::routes::{self, Route};
use super::{Round, World};
use crate::diagnostic::{Diagnostic, Severity};
use crate::sync::{ApiOutcome, Results};

/// Rows of a table; more make a page that no browser likes. The filter finds the others.
const ROWS: usize = 500;

/// What a page is asked for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Routes and findings are shown that have this text in them, in any letter case; empty for all.
    pub filter: String,
    /// The time.
    pub now: Timestamp,
}

/// One cell: its text, and a class of the style sheet.
type Cell = (String, &'static str);

/// The page.
pub fn page(world: &World, request: &PageRequest) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.push_str("<title>tyk-ingress</title><style>");
    page.push_str(include_str!("page.css"));
    page.push_str("</style></head><body><main>\n");
    head(&mut page, world, request);
    findings(&mut page, &world.findings(), &request.filter);
    tyks(&mut page, world, request.now);
    deletions(&mut page, world);
    all_routes(&mut page, world, &request.filter);
    page.push_str(concat!(
        "<footer>tyk-ingress ",
        env!("CARGO_PKG_VERSION"),
        " · <a href=\"/debug/snapshot\">snapshot</a> · <a href=\"/debug/desired\">desired</a> · ",
        "<a href=\"/debug/plan\">plan</a> · <a href=\"/debug/diagnostics\">diagnostics</a></footer>",
    ));
    page.push_str("</main></body></html>\n");
    page
}

fn head(page: &mut String, world: &World, request: &PageRequest) {
    page.push_str("<header><h1>tyk-ingress</h1><p>");
    match world.unready.as_slice() {
        [] => badge(page, "ready", "good"),
        _ => badge(page, "not ready", "bad"),
    }
    if !world.leader {
        badge(page, "not the leader: another process writes", "warn");
    }
    let translated = match world.translated {
        Some(at) => format!("Last change taken in {}.", ago(at, request.now)),
        None => "Nothing has been taken in yet.".to_owned(),
    };
    page.push_str(&format!(" {}</p>", escape(&translated)));
    for reason in &world.unready {
        page.push_str(&format!("<p class=\"bad\">{}</p>", escape(reason)));
    }
    page.push_str("<form method=\"get\" action=\"/\"><label for=\"q\">Host, path, object or code</label>");
    let filter = escape(&request.filter);
    page.push_str(&format!(
        "<input id=\"q\" name=\"q\" type=\"search\" value=\"{filter}\"><button>Filter</button>"
    ));
    if !request.filter.is_empty() {
        page.push_str(" <a href=\"/\">all</a>");
    }
    page.push_str("</form></header>\n");
}

fn findings(page: &mut String, all: &[Diagnostic], filter: &str) {
    let rows: Vec<Vec<Cell>> = all.iter().map(finding).filter(|row| matches(row, filter)).collect();
    let none = "Nothing is wrong with the objects.";
    let titles = ["Severity", "Object", "Field", "What is wrong", "Way out", "Code"];
    section(page, "What is wrong, and why", titles, rows, (all.len(), none));
}

fn finding(diagnostic: &Diagnostic) -> Vec<Cell> {
    let severity = match diagnostic.severity() {
        Severity::Error => "bad",
        Severity::Warning => "warn",
    };
    vec![
        (diagnostic.severity().as_str().into(), severity),
        (diagnostic.object.to_string(), "name"),
        (diagnostic.field.clone(), "code"),
        (diagnostic.message.clone(), ""),
        (diagnostic.code.fix().into(), ""),
        (diagnostic.code.to_string(), "code word"),
    ]
}

fn tyks(page: &mut String, world: &World, now: Timestamp) {
    let mut rows = Vec::new();
    for tyk in world.fleet.tyks.keys() {
        let names = contexts(world, tyk).join(", ");
        let url = match tyk.url.as_str() {
            "" => "no URL".to_owned(),
            text => url(text),
        };
        let mut row = vec![(url, "code word"), (names, "name")];
        row.extend(match world.rounds.get(tyk) {
            None => of_no_round(),
            Some(round) => of_round(round, now),
        });
        rows.push(row);
    }
    for name in unusable_contexts(world) {
        let mut row = vec![("unknown".to_owned(), "bad"), (name.to_string(), "name")];
        row.extend(of_no_round());
        if let Some((error, _)) = row.last_mut() {
            *error = "The context cannot be used; see above.".to_owned();
        }
        rows.push(row);
    }
    let (count, none) = (rows.len(), "No Tyk is known yet.");
    let titles = [
        "Tyk",
        "Contexts",
        "State",
        "Last round",
        "In step",
        "APIs",
        "Policies",
        "Error",
    ];
    section(page, "Tyks and contexts", titles, rows, (count, none));
}

fn of_no_round() -> Vec<Cell> {
    let empty = || (String::new(), "");
    let mut row = vec![("not looked at".to_owned(), "warn")];
    row.extend([empty(), empty(), empty(), empty(), empty()]);
    row
}

fn of_round(round: &Round, now: Timestamp) -> Vec<Cell> {
    let outcome = &round.outcome;
    let state = match outcome.endpoint_error {
        None => ("up".to_owned(), "good"),
        Some(_) => ("down".to_owned(), "bad"),
    };
    let success = round.last_success.map_or("never".to_owned(), |at| ago(at, now));
    let counted = |states: &Results, held: usize| {
        let count = |is: fn(&ApiOutcome) -> bool| states.values().filter(|state| is(state)).count();
        let synced = count(|state| matches!(state, ApiOutcome::Synced));
        let failed = count(|state| matches!(state, ApiOutcome::Failed(_)));
        let mut text = format!("{synced} served");
        if failed > 0 {
            text.push_str(&format!(", {failed} failed"));
        }
        if held > 0 {
            text.push_str(&format!(", {held} held as they were"));
        }
        (text, if failed > 0 { "bad" } else { "" })
    };
    vec![
        state,
        (ago(round.ended, now), ""),
        (success, ""),
        counted(&outcome.apis, outcome.desired.held.len()),
        counted(&outcome.policies, outcome.desired.held_policies.len()),
        (outcome.endpoint_error.clone().unwrap_or_default(), "bad"),
    ]
}

fn deletions(page: &mut String, world: &World) {
    if world.fleet.refusals.is_empty() {
        return;
    }
    let refusals = world.fleet.refusals.iter();
    let rows: Vec<_> = refusals
        .map(|(object, reason)| vec![(object.to_string(), "name"), (reason.clone(), "")])
        .collect();
    let count = rows.len();
    section(page, "Deletions that wait", ["Object", "Why"], rows, (count, ""));
}

fn all_routes(page: &mut String, world: &World, filter: &str) {
    let mut rows = Vec::new();
    for (tyk, desired) in &world.fleet.tyks {
        let outcome = world.rounds.get(tyk).map(|round| &round.outcome);
        for route in routes::of(desired, &world.translation) {
            let state = outcome.and_then(|outcome| outcome.apis.get(route.id.as_str()));
            rows.push(of_route(route, state));
        }
    }
    let count = rows.len();
    rows.retain(|row| matches(row, filter));
    let titles = ["Host", "Path", "Matching", "Scheme", "Target", "Source", "State"];
    let none = "Nothing is served: no Ingress of our classes, no definition.";
    section(page, "Routes", titles, rows, (count, none));
}

fn of_route(route: Route, state: Option<&ApiOutcome>) -> Vec<Cell> {
    let state = match state {
        Some(ApiOutcome::Synced) => ("served".to_owned(), "good"),
        Some(ApiOutcome::Failed(message)) => (message.clone(), "bad"),
        Some(ApiOutcome::Gone) | None => ("not sent yet".to_owned(), "warn"),
    };
    let classes = ["code", "code", "", "", "code", "name"];
    let mut row: Vec<_> = route.cells().into_iter().zip(classes).collect();
    row.push(state);
    row
}

fn matches(row: &[Cell], filter: &str) -> bool {
    let filter = filter.to_lowercase();
    row.iter().any(|(text, _)| text.to_lowercase().contains(&filter))
}

/// A table with its title. Each cell repeats the title of its column, for screens where a row is a card.
fn section<const N: usize>(
    page: &mut String,
    title: &str,
    titles: [&str; N],
    rows: Vec<Vec<Cell>>,
    (all, none): (usize, &str),
) {
    let count = match rows.len() {
        count if count == all => count.to_string(),
        count => format!("{count} of {all}"),
    };
    page.push_str(&format!("<section><h2>{} <small>{count}</small></h2>\n", escape(title)));
    if rows.is_empty() {
        let text = if all == 0 { none } else { "The filter leaves nothing." };
        page.push_str(&format!("<p class=\"none\">{}</p></section>\n", escape(text)));
        return;
    }
    page.push_str("<table><thead><tr>");
    for title in titles {
        page.push_str(&format!("<th scope=\"col\">{title}</th>"));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in rows.iter().take(ROWS) {
        page.push_str("<tr>");
        for ((text, class), title) in row.iter().zip(titles) {
            let empty = if text.is_empty() { " empty" } else { "" };
            let text = escape(text);
            page.push_str(&format!(
                "<td data-title=\"{title}\" class=\"{class}{empty}\"><span>{text}</span></td>"
            ));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>");
    if rows.len() > ROWS {
        page.push_str(&format!("<p>{} more; use the filter.</p>", rows.len() - ROWS));
    }
    page.push_str("</section>\n");
}

fn badge(page: &mut String, text: &str, class: &str) {
    page.push_str(&format!("<strong class=\"badge {class}\">{}</strong> ", escape(text)));
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.duration_since(then).as_secs() {
        ..=0 => "just now".into(),
        seconds @ 1..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

/// Text that stands for itself in HTML, in an attribute too.
fn escape(text: impl Display) -> String {
    let mut escaped = String::new();
    for character in text.to_string().chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
