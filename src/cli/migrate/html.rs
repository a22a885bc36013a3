//! The report as a page: one file, no script, nothing to load.

use crate::nginx::{Finding, Translated, Verdict};

const STYLE: &str = "
:root { color-scheme: light dark; --line: #d8dce3; --dim: #5d6675; --card: #fff; --page: #f5f6f8; --text: #1c2330;
  --exact: #1a7f4b; --differs: #9a6400; --unsupported: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --line: #343b48; --dim: #9aa4b5; --card: #1b2029; --page: #12161d;
  --text: #e6e9ef; --exact: #58c78d; --differs: #e0ae4e; --unsupported: #ff8a80; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 0; font-weight: 600; }
p { margin: .25rem 0 1rem; color: var(--dim); max-width: 46rem; }
.counts { display: flex; gap: .75rem; flex-wrap: wrap; margin: 1.25rem 0; }
.counts div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem 1rem; min-width: 7rem; }
.counts b { display: block; font-size: 1.5rem; line-height: 1.2; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: 1rem 0; overflow: hidden; }
header { display: flex; justify-content: space-between; gap: 1rem; align-items: center; padding: .7rem 1rem; }
.closed { padding: 0 1rem .7rem; color: var(--unsupported); }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .5rem 1rem; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 500; font-size: .8rem; color: var(--dim); }
th:nth-child(1) { width: 8.5rem; } th:nth-child(2) { width: 32%; }
code { font: .86em ui-monospace, monospace; } td:nth-child(2) code + code { display: block; color: var(--dim); }
.v { font-weight: 600; white-space: nowrap; } .v::before { content: '\u{25cf}  '; }
.exact { color: var(--exact); } .differs { color: var(--differs); } .unsupported { color: var(--unsupported); }
";

/// The page.
pub fn page(all: &[Translated]) -> String {
    let count = |verdict| all.iter().filter(|one| one.verdict() == verdict).count();
    let counts = [Verdict::Exact, Verdict::Differs, Verdict::Unsupported].map(|verdict| {
        format!(
            "<div class=\"{}\"><b>{}</b>{}</div>",
            verdict.as_str(),
            count(verdict),
            title(verdict)
        )
    });
    // What needs work first.
    let mut sorted: Vec<&Translated> = all.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.verdict()));
    let sections: String = sorted.into_iter().map(section).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>From ingress-nginx to Tyk</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>From ingress-nginx to Tyk</h1>\n\
         <p>{} Ingresses, each with what becomes of its annotations. Those that need work come first.</p>\n\
         <div class=\"counts\">{}</div>\n{sections}</body>\n</html>\n",
        all.len(),
        counts.concat()
    )
}

fn title(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Exact => "exact",
        Verdict::Differs => "with a difference",
        Verdict::Unsupported => "not kept whole",
    }
}

fn section(one: &Translated) -> String {
    let mut findings: Vec<&Finding> = one.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let rows: String = findings.into_iter().map(row).collect();
    let table = match rows.is_empty() {
        true => String::new(),
        false => format!(
            "<table><thead><tr><th>Verdict</th><th>Annotation or field</th><th>What becomes of it</th></tr></thead>\
             <tbody>{rows}</tbody></table>"
        ),
    };
    let closed = match one.closed {
        true => "<div class=\"closed\">Not served until the template that it names exists: it would be open.</div>",
        false => "",
    };
    let verdict = one.verdict();
    format!(
        "<section><header><h2>{}</h2><span class=\"v {}\">{}</span></header>{closed}{table}</section>\n",
        escape(&one.name.to_string()),
        verdict.as_str(),
        title(verdict)
    )
}

fn row(finding: &Finding) -> String {
    let verdict = finding.verdict.as_str();
    let value = match finding.value.is_empty() {
        true => String::new(),
        false => format!("<code>{}</code>", escape(&finding.value)),
    };
    format!(
        "<tr><td class=\"v {verdict}\">{verdict}</td><td><code>{}</code>{value}</td><td>{}</td></tr>\n",
        escape(&finding.subject),
        marked(&finding.detail)
    )
}

/// Text with what stands between backticks as code.
fn marked(text: &str) -> String {
    let parts = escape(text);
    let mut out = String::new();
    for (index, part) in parts.split('`').enumerate() {
        match index % 2 {
            0 => out.push_str(part),
            _ => out.push_str(&format!("<code>{part}</code>")),
        }
    }
    out
}

/// Names and values are anybody's: nothing of them may be read as HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::NamespacedName;

    #[test]
    fn nothing_of_an_ingress_is_read_as_html() {
        let finding = Finding {
            subject: "app-root".into(),
            value: "<script>\"x'".into(),
            verdict: Verdict::Exact,
            detail: "`<b>`".into(),
        };
        let one = Translated {
            name: NamespacedName::new("a", "b"),
            ingress: None,
            template: None,
            closed: false,
            findings: vec![finding],
        };
        let page = page(&[one]);
        assert!(page.contains("&lt;script&gt;&quot;x&#39;") && page.contains("<code>&lt;b&gt;</code>"));
        assert!(!page.contains("<script") && !page.contains("<b>x"));
    }
}
