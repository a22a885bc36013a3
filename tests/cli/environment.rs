//! Wrong settings end the start, and the message says which variable is wrong.

use crate::program::{run, run_with};

const RENDER: &[&str] = &["render", "-f", "examples/quickstart", "-o", "summary"];

#[test]
fn a_wrong_variable_is_named() {
    let run = &["run"][..];
    for (variable, value, arguments) in [
        ("TYK_HTTP_INGRESS_PORT", "abc", RENDER),
        ("TYK_HTTP_INGRESS_PORT", "65536", RENDER),
        ("TYK_HTTP_INGRESS_PORT", "-1", RENDER),
        ("TYK_MODE", "x", run),
        ("TYK_URL", "gateway:8080", run),
        ("TYK_URL", "ftp://gateway", run),
        ("TYK_TLS_INSECURE_SKIP_VERIFY", "maybe", run),
    ] {
        let ended = run_with((variable, value), arguments);
        assert_eq!(ended.code, Some(2), "{variable}={value}: {}", ended.err);
        let names = ended.err.contains(&format!("{variable} must")) || ended.err.contains(&format!("{variable} has"));
        assert!(names, "{variable}={value}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
}

#[test]
fn a_secret_is_not_repeated_in_an_error() {
    let ended = run_with(
        ("TYK_AUTH", "hunter2\n\u{e9}"),
        &["run", "--tyk-url", "http://127.0.0.1:1"],
    );
    assert_eq!(ended.code, Some(2));
    let (named, repeated) = (ended.err.contains("TYK_AUTH has"), ended.err.contains("hunter2"));
    assert!(named && !repeated, "{}", ended.err);
}

#[test]
fn a_controller_needs_a_gateway() {
    let ended = run(&["run"]);
    assert_eq!(
        (ended.code, ended.err.contains("TYK_URL is not set")),
        (Some(2), true),
        "{}",
        ended.err
    );
    let ended = run(&["run", "--tyk-url", "http://127.0.0.1:1"]);
    assert_eq!(
        (ended.code, ended.err.contains("TYK_AUTH is not set")),
        (Some(2), true),
        "{}",
        ended.err
    );
}

#[test]
fn an_empty_variable_is_the_default() {
    for variable in ["TYK_HTTP_INGRESS_PORT", "WATCH_INGRESS_CLASS", "TYK_ORG"] {
        let ended = run_with((variable, ""), RENDER);
        assert_eq!(ended.code, Some(0), "{variable}: {}", ended.err);
        assert_eq!(ended.out, run(RENDER).out, "{variable}");
    }
    for variable in ["TYK_MODE", "TYK_TLS_INSECURE_SKIP_VERIFY", "TYK_GATEWAY_SERVICE"] {
        let ended = run_with((variable, ""), &["run"]);
        assert!(ended.err.contains("TYK_URL is not set"), "{variable}: {}", ended.err);
    }
}

#[test]
fn a_service_of_gateways_is_taken_and_needs_a_cluster() {
    let environment = [("TYK_URL", "http://127.0.0.1:1"), ("TYK_AUTH", "x")];
    let run_with_service = |service: &str| {
        let mut command = crate::program::command();
        command.args(["run", "--listen", "127.0.0.1:0", "--manifests", "examples/quickstart"]);
        command.envs(environment).env("TYK_GATEWAY_SERVICE", service);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let ended = run_with_service("tyk/gateway:8080");
    assert!(ended.contains("needs a cluster"), "{ended}");
    let ended = run_with_service("gateway");
    assert!(ended.contains("NAMESPACE/NAME:PORT"), "{ended}");
}

#[test]
fn a_variable_does_what_its_flag_does() {
    let by_variable = run_with(
        ("TYK_HTTP_INGRESS_PORT", "8081"),
        &["render", "-f", "examples/quickstart"],
    );
    let by_flag = run(&["render", "-f", "examples/quickstart", "--http-ingress-port", "8081"]);
    assert!(by_variable.out.contains("listen_port: 8081"), "{}", by_variable.out);
    assert_eq!(by_variable.out, by_flag.out);
    let other_class = run_with(("WATCH_INGRESS_CLASS", "edge"), RENDER);
    assert_eq!(other_class.out.lines().count(), 1, "{}", other_class.out);
}
