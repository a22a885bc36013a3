//! Redirects: to https, of everything, of the root.

use serde_json::Value;

use super::Verdict::{Differs, Exact, Unsupported};
use super::draft::Draft;

const RESPONDER: &str = "308 to https by `tyk-ingress redirector`; the controller needs its --redirector-url";

/// Translates the annotations of redirects.
pub fn translate(draft: &mut Draft) {
    to_https(draft);
    for (name, code, default) in [
        ("permanent-redirect", "permanent-redirect-code", 301),
        ("temporal-redirect", "temporal-redirect-code", 302),
    ] {
        of_everything(draft, name, code, default);
    }
    of_the_root(draft);
    let detail = "answer for the other host by adding it to `spec.rules`, or redirect it outside of the gateway";
    draft.tell(
        "from-to-www-redirect",
        Unsupported,
        format!("Tyk cannot redirect to another host; {detail}"),
    );
}

fn to_https(draft: &mut Draft) {
    let tls = draft
        .ingress
        .spec
        .as_ref()
        .and_then(|spec| spec.tls.as_ref())
        .is_some_and(|tls| !tls.is_empty());
    let forced = draft.is_on("force-ssl-redirect");
    match (draft.get("ssl-redirect").is_some(), draft.is_on("ssl-redirect"), tls) {
        (true, true, true) => {
            draft.annotate("ssl-redirect", "true");
            draft.tell("ssl-redirect", Differs, RESPONDER);
        }
        (true, true, false) => draft.tell(
            "ssl-redirect",
            Exact,
            "without `spec.tls` there is no redirect, as in nginx",
        ),
        (true, false, _) => {
            if !forced {
                draft.annotate("ssl-redirect", "false");
            }
            draft.tell("ssl-redirect", Exact, "http is served beside https");
        }
        (false, _, true) if draft.whole && !forced => {
            draft.annotate("ssl-redirect", "true");
            draft.note(
                "spec.tls",
                "",
                Differs,
                format!("nginx redirects its hosts unless told otherwise: {RESPONDER}"),
            );
        }
        (false, ..) => {}
    }
    match (forced, tls) {
        (true, true) => {
            draft.annotate("ssl-redirect", "true");
            draft.tell("force-ssl-redirect", Differs, RESPONDER);
        }
        (true, false) => draft.tell(
            "force-ssl-redirect",
            Unsupported,
            "only hosts of `spec.tls` are redirected; name the hosts there, or redirect where TLS ends",
        ),
        (false, _) => draft.tell("force-ssl-redirect", Exact, "there is no redirect by it"),
    }
}

fn of_everything(draft: &mut Draft, name: &str, code_name: &str, default: u16) {
    let Some(location) = draft.get(name).map(str::to_owned) else {
        return draft.tell(code_name, Exact, format!("no effect without {name}, as in nginx"));
    };
    let code = draft.get(code_name).and_then(|code| code.parse().ok());
    let code = code.filter(|code| (300..=308).contains(code)).unwrap_or(default);
    match draft.redirect("*", code, &location) {
        Ok(()) => draft.tell(name, Exact, format!("answers {code} by `tyk.io/redirect`")),
        Err(why) => draft.tell(
            name,
            Unsupported,
            format!("the place of a redirect is fixed, and {why}; write one `tyk.io/redirect` for each path"),
        ),
    }
    draft.tell(code_name, Exact, format!("answers {code}"));
}

fn of_the_root(draft: &mut Draft) {
    let Some(location) = draft.get("app-root").map(str::to_owned) else {
        return;
    };
    if !location.starts_with('/') {
        return draft.tell(
            "app-root",
            Exact,
            "nginx ignores a place that does not begin with `/`, and so it is left out",
        );
    }
    match draft.redirect("/", 302, &location) {
        Ok(()) => {
            add_exact_path(draft, "/", |_| true);
            draft.tell("app-root", Exact, "answers 302 for `/` by `tyk.io/redirect`");
        }
        Err(why) => draft.tell(
            "app-root",
            Unsupported,
            format!("the place of a redirect is fixed, and {why}"),
        ),
    }
}

/// Adds an Exact path to every rule with paths that `wants` it and has none of that text: a redirect needs one.
pub fn add_exact_path(draft: &mut Draft, path: &str, wants: impl Fn(&[&str]) -> bool) {
    let rules = draft.ingress.spec.as_mut().and_then(|spec| spec.rules.as_mut());
    for rule in rules.into_iter().flatten() {
        let Some(http) = &mut rule.http else { continue };
        let texts: Vec<&str> = http
            .paths
            .iter()
            .map(|path| path.path.as_deref().unwrap_or_default())
            .collect();
        let there = http
            .paths
            .iter()
            .any(|other| other.path_type == "Exact" && other.path.as_deref() == Some(path));
        if there || !wants(&texts) {
            continue;
        }
        if let Some(mut added) = http.paths.first().cloned() {
            added.path = Some(path.to_owned());
            added.path_type = "Exact".into();
            http.paths.push(added);
        }
    }
}

/// A whole number with the unit of nginx's sizes: `10`, `8k`, `20m`, `1g`. 0 stands for no limit.
pub fn size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: u64 = digits.parse().ok()?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// The words of a list with commas.
pub fn words(text: &str) -> Vec<Value> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| Value::String(word.to_owned())).collect()
}
