//! Lines of the log and their keys.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_have_their_keys_at_the_top() {
    let world = World::start(&["--log-format=json"], &[]).await;
    let log = world.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
    }
    let found = lines.iter().find(|line| line["code"] == "InvalidHost").unwrap();
    assert_eq!(
        (&found["message"], &found["object"]),
        (&"diagnostic".into(), &"Ingress web/shop".into())
    );
    assert!(found["reason"].as_str().unwrap().contains("bad_host"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_lines_are_for_people() {
    let world = World::start(&["--log-format=text"], &[]).await;
    let log = world.log();
    assert!(
        log.lines().all(|line| serde_json::from_str::<Value>(line).is_err()),
        "{log}"
    );
    assert!(log.contains("INFO tyk_ingress::cli::run: starting version="), "{log}");
}

/// Every key that a line of ours can have is in the table of `docs/troubleshooting.md`.
#[test]
fn the_page_names_every_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let event = Regex::new(r#"tracing::(?:error|warn|info|debug|trace)!\(([^"]*)""#).unwrap();
    let mut used = BTreeSet::new();
    for text in sources(&root.join("src")) {
        for found in event.captures_iter(&text) {
            // Keys stand before the message, each a name alone or `name = value`.
            let keys = found[1]
                .split(',')
                .map(|part| part.split('=').next().unwrap_or_default());
            used.extend(keys.map(|key| key.trim().trim_start_matches(['%', '?']).to_owned()));
        }
    }
    used.remove("");
    assert!(used.len() > 10 && used.contains("revision"), "{used:?}");
    let page = std::fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let (_, table) = page.split_once("| key | ").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let missing: Vec<_> = used.iter().filter(|key| !table.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            None if path.is_dir() => texts.extend(sources(&path)),
            Some(extension) if extension == "rs" => texts.push(std::fs::read_to_string(&path).unwrap()),
            _ => {}
        }
    }
    texts
}
