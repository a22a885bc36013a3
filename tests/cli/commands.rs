//! Commands that read manifests and end.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Folder, command, ingress, run, run_on, service};

/// One route that works, and one whose Service has no such port.
fn with_error() -> String {
    let bad = ingress("bad", "shop.test", "/bad", "web").replace("number: 80", "name: nope");
    format!(
        "{}---\n{bad}{}",
        ingress("good", "shop.test", "/good", "web"),
        service("web")
    )
}

#[test]
fn exit_codes_tell_clean_errors_and_unusable_input_apart() {
    let (good, warned) = (
        ingress("a", "shop.test", "/", "web") + &service("web"),
        ingress("a", "shop.test", "/", "web"),
    );
    for command in ["render", "validate"] {
        assert_eq!(run_on(&good, &[command, "-f", "-"]).code, Some(0), "{command}");
        assert_eq!(
            run_on(&warned, &[command, "-f", "-"]).code,
            Some(0),
            "{command}: a warning is no error"
        );
        assert_eq!(run_on(&with_error(), &[command, "-f", "-"]).code, Some(1), "{command}");
        assert_eq!(run_on("a: [1,\n", &[command, "-f", "-"]).code, Some(2), "{command}");
        assert_eq!(run(&[command, "-f", "/does/not/exist"]).code, Some(2), "{command}");
        assert_eq!(run(&[command]).code, Some(2), "{command} without files");
        assert_eq!(run(&[command, "-f", "-", "-o", "nonsense"]).code, Some(2), "{command}");
    }
    assert_eq!(run(&["no-such-command"]).code, Some(2));
    assert_eq!(
        run(&["--version"]).out,
        format!("tyk-ingress {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_directory_is_read_whole() {
    let folder = Folder::new();
    folder.write("a.yaml", &ingress("a", "a.test", "/", "web"));
    folder.write("b.yml", &ingress("b", "b.test", "/", "web"));
    folder.write(
        "deep/er/c.yaml",
        &(ingress("c", "c.test", "/", "web") + &service("web")),
    );
    let json = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "d"},
        "spec": {"ingressClassName": "tyk", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    });
    folder.write("d.json", &json.to_string());
    folder.write("notes.txt", "a: [1,");
    let ended = run(&["render", "-o", "summary", "-f", folder.text()]);
    let hosts: Vec<_> = ended
        .out
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(hosts, ["*", "a.test", "b.test", "c.test"], "{}{}", ended.out, ended.err);
    let file = folder.path().join("a.yaml");
    let two = run(&[
        "render",
        "-o",
        "summary",
        "-f",
        file.to_str().unwrap(),
        "-f",
        "examples/quickstart",
    ]);
    assert_eq!(two.out.lines().count(), 1 + 1 + 5, "{}", two.out);
}

#[test]
fn an_error_names_file_document_and_line() {
    let folder = Folder::new();
    let path = folder.write(
        "x.yaml",
        &format!("{}---\napiVersion: v1\nkind: Service\nspec: {{}}\n", service("web")),
    );
    let ended = run(&["validate", "-f", folder.text()]);
    let expected = format!("error: {}:7 (document 2): Service without a name:", path.display());
    assert!(ended.err.starts_with(&expected), "{expected}\n{}", ended.err);

    let path = folder.write(
        "x.yaml",
        &ingress("a", "shop.test", "/", "web").replace("number: 80", "number: many"),
    );
    let ended = run(&["validate", "-f", folder.text()]);
    let expected = format!("error: {}:1 (document 1): Ingress a: spec.rules", path.display());
    assert!(
        ended.err.starts_with(&expected) && ended.err.contains("number"),
        "{expected}\n{}",
        ended.err
    );

    folder.write("x.yaml", "kind: Service\nmetadata: {\n");
    let ended = run(&["validate", "-f", folder.text()]);
    assert!(
        ended.err.contains("x.yaml is not valid YAML") && ended.err.contains("line"),
        "{}",
        ended.err
    );

    let ended = run(&["validate", "-f", "/does/not/exist"]);
    assert_eq!(ended.err.matches("No such file").count(), 1, "{}", ended.err);
    assert!(run_on("3\n", &["validate", "-f", "-"]).err.contains("<stdin>:1"));
}

#[test]
fn validate_prints_for_people() {
    let ended = run_on(&with_error(), &["validate", "-f", "-"]);
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines[0], "error[PortNotFound] Ingress default/bad");
    assert_eq!(lines[1], "  at   <stdin>:25");
    assert!(lines[2].starts_with("       |             backend: {"), "{}", ended.out);
    assert_eq!(lines[3].find('^'), lines[2].find("backend"), "{}", ended.out);
    assert_eq!(lines[4], "  in   spec.rules[0].http.paths[0].backend");
    assert!(
        lines[5].starts_with("  what ") && lines[6].starts_with("  fix  "),
        "{}",
        ended.out
    );
    assert_eq!(lines[7..], ["2 Ingresses of our class, 2 APIs: 1 error, 0 warnings"]);
}

#[test]
fn validate_prints_json() {
    let found = run_on(&with_error(), &["validate", "-f", "-", "-o", "json"]).json();
    let [one] = &found.as_array().unwrap()[..] else {
        panic!("{found}")
    };
    for (field, expected) in [
        ("code", json!("PortNotFound")),
        ("severity", json!("error")),
        ("object", json!("Ingress default/bad")),
        ("field", json!("spec.rules[0].http.paths[0].backend")),
        ("file", json!("<stdin>")),
        ("line", json!(25)),
    ] {
        assert_eq!(one[field], expected, "{field}");
    }
    assert!(
        one["message"].as_str().is_some_and(|text| text.contains("nope")),
        "{one}"
    );
    assert_eq!(
        run(&["validate", "-f", "examples/quickstart", "-o", "json"]).json(),
        json!([])
    );
}

#[test]
fn validate_prints_sarif() {
    let sarif = run_on(&with_error(), &["validate", "-f", "-", "-o", "sarif"]).json();
    assert_eq!(sarif["version"], "2.1.0");
    let [sarif_run] = &sarif["runs"].as_array().unwrap()[..] else {
        panic!("{sarif}")
    };
    assert_eq!(sarif_run["tool"]["driver"]["name"], "tyk-ingress");
    let rules = sarif_run["tool"]["driver"]["rules"].as_array().unwrap();
    let result = &sarif_run["results"][0];
    assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{sarif}");
    assert_eq!(result["level"], "error");
    assert!(result["message"]["text"].is_string());
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 25);
}

#[test]
fn validate_prints_annotations_for_github() {
    let folder = Folder::new();
    let path = folder.write("a,b.yaml", &with_error());
    let ended = run(&["validate", "-f", folder.text(), "-o", "github"]);
    let file = path.to_str().unwrap().replace(',', "%2C");
    let expected = format!("::error file={file},line=25,title=PortNotFound::Ingress default/bad:");
    assert!(ended.out.starts_with(&expected), "{expected}\n{}", ended.out);
    assert_eq!((ended.out.lines().count(), ended.code), (1, Some(1)));
}

#[test]
fn what_a_child_lacks_is_told_of_its_ingress_alone() {
    let text = ingress("shop", "shop.test", "/", "web").replace("spec:", "spec:\n  tls: [{secretName: missing}]")
        + &service("web");
    let ended = run_on(&text, &["validate", "-f", "-", "-o", "json"]);
    let found: Vec<_> = ended
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["object"].clone())
        .collect();
    assert_eq!(found, ["Ingress default/shop"], "{}", ended.out);
    let asked = ["explain", "-f", "-", "--request", "GET https://shop.test/"];
    let answer = run_on(&text, &asked).out;
    assert!(answer.contains("Secret default/missing"), "{answer}");
}

#[test]
fn render_prints_what_a_gateway_should_hold() {
    let state = run_on(&with_error(), &["render", "-f", "-", "-o", "tyk", "--tyk-org", "acme"]).json();
    let keys: Vec<_> = state.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["apis", "certificates", "diagnostics", "mcps", "oas", "policies"]);
    let apis = state["apis"].as_array().unwrap();
    assert_eq!(apis.len(), 2);
    for api in apis {
        assert_eq!(api["org_id"], "acme");
        assert!(
            api["api_id"].is_string() && api["proxy"]["listen_path"].is_string(),
            "{api}"
        );
    }
    for empty in ["oas", "mcps", "policies", "certificates"] {
        assert_eq!(state[empty], json!([]), "{empty}");
    }
    let fields = ["code", "severity", "object", "field", "message"];
    assert!(
        fields.iter().all(|field| state["diagnostics"][0][field].is_string()),
        "{state}"
    );
}

#[test]
fn render_prints_no_secret() {
    let manifests = "
apiVersion: v1
kind: Secret
metadata: {name: hmac}
stringData: {key: hunter2}
---
apiVersion: tyk.tyk.io/v1alpha1
kind: TykOasApiDefinition
metadata: {name: pets}
spec:
  upstreamRequestSigning: {algorithm: hmac-sha256, keyId: k, secretRef: {name: hmac, keyName: key}}
  tykOAS:
    document:
      openapi: 3.0.3
      info: {title: Pets, version: '1'}
      paths: {}
      x-tyk-api-gateway:
        info: {name: pets, state: {active: true}}
        upstream: {url: 'http://pets'}
        server: {listenPath: {value: /pets/}}
";
    for output in ["tyk", "children", "summary"] {
        let ended = run_on(manifests, &["render", "-f", "-", "-o", output]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(!(ended.out + &ended.err).contains("hunter2"), "{output}");
    }
    let state = run_on(manifests, &["render", "-f", "-", "-o", "tyk"]).json();
    let signing = &state["oas"][0]["x-tyk-api-gateway"]["upstream"]["authentication"]["requestSigning"];
    assert_eq!(signing["secret"], "***");
}

#[test]
fn render_prints_children_that_can_be_read_back() {
    let ended = run_on(&with_error(), &["render", "-f", "-"]);
    let children: Vec<Value> = serde_saphyr::from_multiple(&ended.out).unwrap();
    assert_eq!(children.len(), 2);
    assert!(
        children.iter().all(|child| child["kind"] == "ApiDefinition"),
        "{}",
        ended.out
    );
    assert!(
        ended.err.starts_with("error[PortNotFound]"),
        "diagnostics go to stderr: {}",
        ended.err
    );
    // What is printed is itself a manifest; by hand it has no owner, so it is served under the same id.
    let again = run_on(&ended.out, &["render", "-f", "-", "-o", "tyk"]).json();
    let first = run_on(&with_error(), &["render", "-f", "-", "-o", "tyk"]).json();
    let ids = |state: &Value| -> Vec<String> {
        state["apis"]
            .as_array()
            .unwrap()
            .iter()
            .map(|api| api["api_id"].to_string())
            .collect()
    };
    assert_eq!(ids(&again), ids(&first));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for output in ["children", "tyk", "summary"] {
        let arguments = ["render", "-f", "examples/quickstart", "-o", output];
        assert_eq!(run(&arguments).out, run(&arguments).out, "{output}");
    }
}

fn documents(text: &str) -> Vec<String> {
    text.split("---\n")
        .filter(|one| !one.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn crds_are_those_of_the_manifests() {
    let mut files: Vec<_> = std::fs::read_dir("manifests/crds")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let manifests = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    let mut printed = documents(&run(&["crds"]).out);
    let mut manifests: Vec<_> = manifests.flat_map(|text| documents(&text)).collect();
    printed.sort();
    manifests.sort();
    assert!(
        printed == manifests,
        "the manifests differ; UPDATE=1 cargo test --test crds"
    );
}

#[test]
fn completions_are_a_script() {
    let ended = run(&["completions", "bash"]);
    assert_eq!(ended.code, Some(0));
    for word in ["render", "--filename", "complete -F"] {
        assert!(ended.out.contains(word), "{word}");
    }
    let mut bash = std::process::Command::new("bash");
    let mut bash = bash.arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(ended.out.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success(), "bash cannot read the script");
    assert_eq!(run(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [
        &["render", "-f", "-"][..],
        &["render", "-f", "-", "-o", "tyk"],
        &["render", "-f", "-", "-o", "summary"],
        &["validate", "-f", "-", "-o", "json"],
        &["validate", "-f", "-", "-o", "github"],
    ] {
        let mut command = command();
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Nothing is printed before all of the input is read, so the pipe is closed by then.
        drop(child.stdout.take());
        child.stdin.take().unwrap().write_all(with_error().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {message}");
        assert_eq!(message, "", "{arguments:?}");
    }
}

#[test]
fn validate_holds_objects_to_the_schemas_of_their_kinds() {
    let definition = "apiVersion: tyk.tyk.io/v1alpha1\nkind: ApiDefinition\nmetadata: { name: a }\nspec:\n  name: a\n  \
                      use_keyless: hunter2\n  proxy:\n    listen_path: hunter3\n    target_url: http://a\n";
    let context = "---\napiVersion: tyk.tyk.io/v1alpha1\nkind: OperatorContext\nmetadata: { name: c }\nspec:\n  env: { mode: ce, url: \
                   'http://t', auth: hunter4, orgg: x }\n";
    let ended = run_on(
        &format!("{definition}{context}"),
        &["validate", "-f", "-", "-o", "json"],
    );
    let found = ended.json();
    let has = |code: &str, field: &str, line: u64| {
        let mut all = found.as_array().unwrap().iter();
        all.any(|one| one["code"] == code && one["field"] == field && one["line"] == line)
    };
    assert!(has("InvalidManifest", "spec.use_keyless", 6), "{found}");
    assert!(has("InvalidManifest", "spec.proxy.listen_path", 8), "{found}");
    assert!(has("UnknownField", "spec.env.orgg", 15), "{found}");
    assert_eq!(ended.code, Some(1));
    assert!(!ended.out.contains("hunter4"), "{}", ended.out);
}

#[test]
fn a_warning_is_an_error_for_who_asks() {
    let warned = ingress("a", "shop.test", "/", "web");
    assert_eq!(run_on(&warned, &["validate", "-f", "-"]).code, Some(0));
    let strict = run_on(&warned, &["validate", "--strict", "-f", "-"]);
    assert_eq!(strict.code, Some(1));
    assert!(strict.out.starts_with("error[BackendNotFound]"), "{}", strict.out);
}

#[test]
fn rendered_children_are_accepted_as_they_are() {
    for example in ["quickstart", "annotations", "tls", "oas"] {
        let children = run(&["render", "-f", &format!("examples/{example}")]).out;
        assert!(children.contains("kind: "), "{example}");
        let checked = run_on(&children, &["validate", "-f", "-", "-o", "json"]).json();
        let refused = |one: &&Value| one["code"] == "InvalidManifest" || one["code"] == "UnknownField";
        let refused: Vec<_> = checked.as_array().unwrap().iter().filter(refused).collect();
        assert!(refused.is_empty(), "{example}: {refused:?}");
    }
}
