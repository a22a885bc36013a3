//! `diff`: what `run` would change, without a change and without a secret.

use serde_json::{Value, json};

use crate::gateway::{SECRET, Tyk};
use crate::program::{Folder, ingress, run, service};

fn definition(name: &str, target: &str, token: &str) -> String {
    format!(
        "---\napiVersion: tyk.tyk.io/v1alpha1\nkind: ApiDefinition\nmetadata: {{ name: {name} }}\nspec:\n  name: {name}\n  \
         api_id: {name}\n  use_keyless: true\n  proxy: {{ listen_path: /{name}, target_url: \"{target}\" }}\n  \
         version_data: {{ not_versioned: true, versions: {{ Default: {{ name: Default, global_headers: {{ X-Key: {token} }} }} }} }}\n"
    )
}

fn actions(report: &Value) -> Vec<(String, String)> {
    let changes = report["tyks"][0]["changes"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    changes
        .map(|change| (text(&change["action"]), text(&change["id"])))
        .collect()
}

#[test]
fn differences_are_told_by_object_and_field_and_nothing_is_changed() {
    let tyk = Tyk::start();
    let folder = Folder::new();
    folder.write("a.yaml", &definition("one", "http://old", "hunter2"));
    folder.write("b.yaml", &definition("two", "http://two", "hunter2"));
    let before = tyk.run(&["diff", "-f", folder.text()]);
    assert_eq!(before.code, Some(1), "{}", before.err);
    assert!(
        before.out.contains("+ create api one  ApiDefinition default/one"),
        "{}",
        before.out
    );
    assert!(
        before
            .out
            .ends_with("2 to create, 0 to update, 0 to delete, 0 unchanged\n"),
        "{}",
        before.out
    );
    tyk.apply(folder.text());
    let writes = tyk.writes();

    folder.write("a.yaml", &definition("one", "http://new?key=hunter3", "hunter3"));
    std::fs::remove_file(folder.path().join("b.yaml")).unwrap();
    tyk.fill(
        &[json!({"api_id": "theirs", "name": "theirs", "proxy": {"listen_path": "/theirs"}})],
        &[],
        &[],
    );
    folder.write("c.yaml", &definition("theirs", "http://theirs", "hunter2"));
    let human = tyk.run(&["diff", "--color", "always", "-f", folder.text()]);
    assert_eq!(human.code, Some(1), "{}", human.err);
    for part in [
        "\x1b[33m~ update api one\x1b[0m",
        "proxy.target_url\x1b[0m \"http://old\" -> \"http://new/?***\"",
        "X-Key\x1b[0m \"***\" -> \"***\"",
        "- delete api two\x1b[0m  ApiDefinition default/two",
        "~ take over api theirs",
    ] {
        assert!(human.out.contains(part), "{part}: {}", human.out);
    }
    let report = tyk.run(&["diff", "-o", "json", "-f", folder.text()]);
    let pairs = actions(&report.json());
    let expected = [("update", "one"), ("adopt", "theirs"), ("delete", "two")];
    assert_eq!(pairs, expected.map(|(action, id)| (action.to_owned(), id.to_owned())));
    for ended in [&before, &human, &report] {
        let text = format!("{}{}", ended.out, ended.err);
        assert!(!text.contains("hunter") && !text.contains(SECRET), "{text}");
    }
    assert!(
        !tyk.run(&["diff", "-f", folder.text()]).out.contains('\x1b'),
        "colours only for a terminal"
    );
    // One for the API of another, which the test itself wrote.
    assert_eq!(tyk.writes(), writes + 1);
}

#[test]
fn exit_codes_tell_none_differences_and_errors() {
    let tyk = Tyk::start();
    let folder = Folder::new();
    let path = folder.write("a.yaml", &(ingress("a", "shop.test", "/", "web") + &service("web")));
    let diff = ["diff", "-f", folder.text()];
    assert_eq!(tyk.run(&diff).code, Some(1));
    tyk.apply(folder.text());
    let none = tyk.run(&diff);
    assert_eq!(
        (none.code, none.out.as_str()),
        (Some(0), "0 to create, 0 to update, 0 to delete, 1 unchanged\n")
    );
    std::fs::write(
        &path,
        ingress("a", "shop.test", "/", "web").replace("number: 80", "name: nope") + &service("web"),
    )
    .unwrap();
    assert_eq!(tyk.run(&diff).code, Some(2), "an object with an error");
    std::fs::write(&path, "a: [1,").unwrap();
    assert_eq!(tyk.run(&diff).code, Some(2), "unreadable input");
    assert_eq!(
        run(&["diff", "-f", "examples/quickstart"]).code,
        Some(2),
        "no gateway is named"
    );
    let gone = run(&[
        "diff",
        "-f",
        "examples/quickstart",
        "--tyk-url",
        "http://127.0.0.1:1",
        "--tyk-auth",
        "x",
    ]);
    assert_eq!(
        (gone.code, gone.err.contains("127.0.0.1:1")),
        (Some(2), true),
        "{}",
        gone.err
    );
}

#[test]
fn what_somebody_else_owns_is_an_error() {
    let tyk = Tyk::start();
    let folder = Folder::new();
    folder.write("a.yaml", &definition("one", "http://one", "x"));
    tyk.apply(folder.text());
    let other = tyk.run(&["diff", "--owner", "other", "-f", folder.text()]);
    assert_eq!(other.code, Some(2), "{}", other.out);
    assert!(other.out.contains("! cannot write api one"), "{}", other.out);
}
