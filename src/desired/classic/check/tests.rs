#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

/// A definition that the gateway serves, with `fields` put over it.
fn with(fields: Value) -> Map<String, Value> {
    let definition = json!({"name": "a", "proxy": {"listen_path": "/a/", "target_url": "http://a"}});
    let mut definition = definition.as_object().unwrap().clone();
    for (field, value) in fields.as_object().unwrap() {
        definition.insert(field.clone(), value.clone());
    }
    definition
}

fn with_paths(paths: Value) -> Map<String, Value> {
    let version = json!({"name": "v", "use_extended_paths": true, "extended_paths": paths});
    with(json!({"version_data": {"not_versioned": true, "versions": {"v": version}}}))
}

fn fields(definition: &Map<String, Value>, wanted: Code) -> Vec<String> {
    let found = check(definition).into_iter().filter(|(code, ..)| *code == wanted);
    found
        .map(|(_, field, _)| field.strip_prefix("spec.").unwrap().to_owned())
        .collect()
}

/// The one field of the one finding, which holds the definition back.
fn refused(definition: &Map<String, Value>) -> String {
    let found = check(definition);
    let [(Code::InvalidDefinition, field, message)] = found.as_slice() else {
        panic!("{definition:?}: {found:?}")
    };
    assert!(!message.is_empty());
    field.strip_prefix("spec.").unwrap().to_owned()
}

fn ignored(definition: &Map<String, Value>) -> String {
    let found = check(definition);
    let [(Code::SettingWithoutEffect, field, _)] = found.as_slice() else {
        panic!("{definition:?}: {found:?}")
    };
    field.strip_prefix("spec.").unwrap().to_owned()
}

#[test]
fn a_listener_that_nothing_reaches_is_refused() {
    for (fields, field) in [
        (json!({"protocol": "udp"}), "protocol"),
        (json!({"listen_port": 65536}), "listen_port"),
        (json!({"listen_port": -1}), "listen_port"),
        (json!({"listen_port": "80"}), "listen_port"),
        (json!({"domain": "a b"}), "domain"),
        (
            json!({"protocol": "tcp", "proxy": {"target_url": "tcp://a:1"}}),
            "listen_port",
        ),
        (
            json!({"protocol": "tls", "listen_port": 1, "proxy": {"target_url": "http://a"}}),
            "proxy.target_url",
        ),
        (
            json!({"protocol": "tcp", "listen_port": 1, "proxy": {"target_internal": {"target": {"name": "a"}}}}),
            "proxy.target_internal",
        ),
        (
            json!({"protocol": "tcp", "listen_port": 1, "proxy": {"listen_path": "/{x:(a)}", "target_url": "tcp://a:1"}}),
            "proxy.listen_path",
        ),
        (
            json!({"proxy": {"listen_path": "/", "target_url": ""}}),
            "proxy.target_url",
        ),
        (
            json!({"proxy": {"listen_path": "/", "target_url": "a"}}),
            "proxy.target_url",
        ),
        (
            json!({"proxy": {"listen_path": "/", "target_url": "http://a", "enable_load_balancing": true}}),
            "proxy.target_list",
        ),
        (
            json!({"enable_ip_whitelisting": true, "allowed_ips": ["10.0.0.1", "x"]}),
            "allowed_ips[1]",
        ),
        (
            json!({"enable_ip_blacklisting": true, "blacklisted_ips": ["10.0.0.0/99"]}),
            "blacklisted_ips[0]",
        ),
    ] {
        assert_eq!(refused(&with(fields)), field);
    }
}

#[test]
fn what_the_gateway_serves_is_not_refused() {
    for fields in [
        json!({}),
        json!({"protocol": "h2c", "listen_port": 0}),
        json!({"protocol": "tls", "listen_port": 9000, "proxy": {"target_url": "tls://a:1"}}),
        json!({"proxy": {"listen_path": "/", "target_internal": {"target": {"name": "a"}}}}),
        json!({"proxy": {"listen_path": "/", "service_discovery": {"use_discovery_service": true}}}),
        json!({"proxy": {"listen_path": "/", "target_url": "env://UPSTREAM"}}),
        json!({"allowed_ips": ["not looked at"]}),
        json!({"enable_jwt": true, "jwt_source": "", "jwt_signing_method": "rsa"}),
        json!({"enable_jwt": true, "jwt_source": "https://keys"}),
        json!({"enable_jwt": true, "jwt_source": "c2VjcmV0\n", "jwt_signing_method": "hmac"}),
        json!({"enable_jwt": true, "jwt_source": "vault://keys/jwt"}),
        json!({"version_data": {"versions": {"only": {}}}}),
        json!({"version_data": {"default_version": "a", "versions": {"a": {"expires": "2030-01-01 00:00"}, "b": {}}},
            "definition": {"location": "header", "key": "v"}}),
        json!({"custom_plugin_auth_enabled": true, "custom_middleware_bundle": "bundle.zip"}),
    ] {
        let definition = with(fields);
        assert_eq!(check(&definition), [], "{definition:?}");
    }
}

#[test]
fn authentication_that_would_be_left_out_is_refused() {
    for (fields, field) in [
        (
            json!({"use_keyless": true, "use_standard_auth": true}),
            "use_standard_auth",
        ),
        (
            json!({"base_identity_provided_by": "nobody"}),
            "base_identity_provided_by",
        ),
        (
            json!({"use_basic_auth": true, "basic_auth": {"extract_from_body": true, "body_user_regexp": "(.*)"}}),
            "basic_auth.body_password_regexp",
        ),
        (
            json!({"use_basic_auth": true, "basic_auth":
                {"extract_from_body": true, "body_user_regexp": "(", "body_password_regexp": "(.*)"}}),
            "basic_auth.body_user_regexp",
        ),
        (
            json!({"enable_jwt": true, "jwt_signing_method": "RSA"}),
            "jwt_signing_method",
        ),
        (json!({"use_openid": true}), "openid_options.providers"),
        (json!({"use_oauth2": true}), "oauth_meta.allowed_access_types"),
        (
            json!({"use_standard_auth": true, "auth_configs": {"authToken": {"disable_header": true}}}),
            "auth_configs.authToken",
        ),
        (json!({"enable_coprocess_auth": true}), "custom_middleware.auth_check"),
        (
            json!({"use_go_plugin_auth": true, "custom_middleware": {"driver": "goplugin", "auth_check": {"name": "A"}}}),
            "custom_middleware.auth_check.path",
        ),
        (
            json!({"custom_middleware": {"driver": "perl"}}),
            "custom_middleware.driver",
        ),
        (
            json!({"custom_middleware": {"pre": [{"path": "x"}]}}),
            "custom_middleware.pre[0].name",
        ),
        (
            json!({"custom_middleware": {"id_extractor": {"extract_with": "xslt"}}}),
            "custom_middleware.id_extractor.extract_with",
        ),
    ] {
        assert_eq!(refused(&with(fields)), field);
    }
}

#[test]
fn a_shared_secret_is_not_in_the_message() {
    let found = check(&with(json!({"enable_jwt": true, "jwt_source": "hunter2!"})));
    let [(Code::InvalidDefinition, field, message)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(field, "spec.jwt_source");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn what_the_gateway_leaves_out_is_told() {
    for (fields, field) in [
        (json!({"use_keyless": true, "enable_jwt": true}), "enable_jwt"),
        (
            json!({"use_openid": true, "openid_options": {"providers": [{"issuer": "https://a"}]}}),
            "openid_options.providers[0]",
        ),
        (
            json!({"use_openid": true, "openid_options": {"providers": [{"issuer": "a", "client_ids": {"a b": "p"}}]}}),
            "openid_options.providers[0].client_ids",
        ),
        (
            json!({"use_oauth2": true, "oauth_meta": {"allowed_access_types": ["password", "x"]}}),
            "oauth_meta.allowed_access_types[1]",
        ),
        (
            json!({"enable_signature_checking": true, "hmac_allowed_algorithms": ["md5"]}),
            "hmac_allowed_algorithms[0]",
        ),
        (
            json!({"response_processors": [{"name": "x"}]}),
            "response_processors[0].name",
        ),
        (
            json!({"event_handlers": {"events": {"Never": []}}}),
            "event_handlers.events.Never",
        ),
        (
            json!({"event_handlers": {"events": {"HostDown": [{"handler_name": "x"}]}}}),
            "event_handlers.events.HostDown[0].handler_name",
        ),
        (
            json!({"event_handlers": {"events": {"HostDown": [{"handler_name": "eh_web_hook_handler"}]}}}),
            "event_handlers.events.HostDown[0].handler_meta.target_path",
        ),
        (
            json!({"uptime_tests": {"check_list": [{"url": "http://a", "body": "{}"}]}}),
            "uptime_tests.check_list[0].body",
        ),
        (
            json!({"version_data": {"not_versioned": true, "versions":
                {"v": {"use_extended_paths": false, "extended_paths": {"cache": ["/a"]}}}}}),
            "version_data.versions.v.extended_paths",
        ),
        (
            json!({"version_data": {"default_version": "a", "versions": {"a": {}, "b": {}}}}),
            "definition.location",
        ),
        (
            json!({"version_data": {"default_version": "c", "versions": {"a": {}, "b": {}}}, "definition": {"location": "url"}}),
            "version_data.default_version",
        ),
    ] {
        assert_eq!(ignored(&with(fields)), field);
    }
    assert_eq!(
        ignored(&with_paths(json!({"rate_limit": [{"path": "/a", "rate": 1}]}))),
        "version_data.versions.v.extended_paths.rate_limit[0].per"
    );
}

#[test]
fn event_handlers_that_end_the_gateway_are_refused() {
    for (handler, field) in [("eh_dynamic_handler", "path"), ("cp_dynamic_handler", "name")] {
        let handlers = |meta: Value| {
            with(json!({"event_handlers": {"events": {"HostUp": [
            {"handler_name": handler, "handler_meta": meta}]}}}))
        };
        let expected = format!("event_handlers.events.HostUp[0].handler_meta.{field}");
        assert_eq!(refused(&handlers(json!({}))), expected);
        assert_eq!(check(&handlers(json!({field: "x"}))), []);
        assert_eq!(check(&handlers(json!({"disabled": true}))), []);
    }
}

#[test]
fn versions_that_no_request_finds_are_refused() {
    for (fields, field) in [
        (
            json!({"version_data": {"not_versioned": true, "versions": {"a": {}, "b": {}}}}),
            "version_data.versions",
        ),
        (
            json!({"version_data": {"not_versioned": true, "versions": {"Default": {}, "default": {}}}}),
            "version_data.versions",
        ),
        (
            json!({"version_data": {"not_versioned": false, "versions": {"a": {}}}}),
            "definition.location",
        ),
        (
            json!({"version_data": {"versions": {"a": {}, "b": {}}}}),
            "definition.location",
        ),
        (
            json!({"version_data": {"not_versioned": true, "versions": {"a": {"expires": "tomorrow"}}}}),
            "version_data.versions.a.expires",
        ),
        (
            json!({"version_data": {"not_versioned": true, "versions": {"a": {"override_target": "a"}}}}),
            "version_data.versions.a.override_target",
        ),
        (
            json!({"definition": {"url_versioning_pattern": "("}}),
            "definition.url_versioning_pattern",
        ),
    ] {
        assert_eq!(refused(&with(fields)), field);
    }
}

#[test]
fn endpoints_that_the_gateway_cannot_set_up_are_refused() {
    for (paths, field) in [
        (json!({"ignored": [{"path": "/a/**"}]}), "ignored[0].path"),
        (json!({"of_next_year": [{"path": "("}]}), "of_next_year[0].path"),
        (json!({"cache": ["/a", "["]}), "cache[1]"),
        (
            json!({"white_list": [{"path": "/", "method_actions": {"GET": {"action": "x"}}}]}),
            "white_list[0].method_actions.GET.action",
        ),
        (
            json!({"transform": [{"path": "/", "template_data": {"template_source": "e30="}}]}),
            "transform[0].template_data.template_mode",
        ),
        (
            json!({"transform_response": [{"path": "/", "template_data": {"template_mode": "blob", "template_source": "{}"}}]}),
            "transform_response[0].template_data.template_source",
        ),
        (
            json!({"virtual": [{"path": "/", "function_source_type": "file", "function_source_uri": "a.js"}]}),
            "virtual[0].response_function_name",
        ),
        (
            json!({"circuit_breakers": [{"path": "/", "threshold_percent": "50"}]}),
            "circuit_breakers[0].threshold_percent",
        ),
        (
            json!({"circuit_breakers": [{"path": "/", "threshold_percent": "x"}]}),
            "circuit_breakers[0].threshold_percent",
        ),
        (
            json!({"hard_timeouts": [{"path": "/", "timeout": -1}]}),
            "hard_timeouts[0].timeout",
        ),
        (
            json!({"advance_cache_config": [{"path": "/", "cache_key_regex": "["}]}),
            "advance_cache_config[0].cache_key_regex",
        ),
        (
            json!({"url_rewrites": [{"path": "/", "match_pattern": "("}]}),
            "url_rewrites[0].match_pattern",
        ),
        (
            json!({"url_rewrites": [{"path": "/", "rewrite_to": ""}]}),
            "url_rewrites[0].rewrite_to",
        ),
        (
            json!({"url_rewrites": [{"path": "/", "triggers": [{"on": "all"}]}]}),
            "url_rewrites[0].triggers[0].rewrite_to",
        ),
        (
            json!({"url_rewrites": [{"path": "/", "triggers": [
                {"rewrite_to": "/b", "options": {"header_matches": {"x": {"match_rx": "["}}}}]}]}),
            "url_rewrites[0].triggers[0].options.header_matches.x.match_rx",
        ),
        (
            json!({"url_rewrites": [{"path": "/", "triggers": [
                {"rewrite_to": "/b", "options": {"payload_matches": {"match_rx": "["}}}]}]}),
            "url_rewrites[0].triggers[0].options.payload_matches.match_rx",
        ),
    ] {
        let expected = format!("version_data.versions.v.extended_paths.{field}");
        assert_eq!(refused(&with_paths(paths)), expected);
    }
    let off = json!({"url_rewrites": [{"path": "(", "disabled": true}]});
    assert_eq!(check(&with_paths(off)), []);
}

#[test]
fn graphql_that_the_gateway_cannot_set_up_is_refused() {
    let graphql = |fields: Value| {
        let mut graphql =
            json!({"enabled": true, "version": "2", "execution_mode": "proxyOnly", "schema": "type Query"});
        for (field, value) in fields.as_object().unwrap() {
            graphql[field] = value.clone();
        }
        with(json!({"graphql": graphql}))
    };
    let first = |kind: &str| {
        graphql(
            json!({"version": "1", "execution_mode": "executionEngine", "type_field_configurations": [
            {"data_source": {"kind": kind, "data_source_config": {"url": "http://a", "method": "GET"}}}]}),
        )
    };
    assert_eq!(check(&graphql(json!({}))), []);
    assert_eq!(
        check(&graphql(json!({"execution_mode": "supergraph", "schema": ""}))),
        []
    );
    assert_eq!(check(&first("HTTPJsonDataSource")), []);
    assert_eq!(
        refused(&first("x")),
        "graphql.type_field_configurations[0].data_source.kind"
    );
    assert_eq!(refused(&graphql(json!({"schema": " "}))), "graphql.schema");
    assert_eq!(
        refused(&graphql(json!({"execution_mode": "x"}))),
        "graphql.execution_mode"
    );
    assert_eq!(refused(&graphql(json!({"version": "4"}))), "graphql.version");
    let engine =
        |sources: Value| graphql(json!({"execution_mode": "executionEngine", "engine": {"data_sources": sources}}));
    assert_eq!(
        refused(&engine(json!([{"name": "a", "kind": "SOAP"}]))),
        "graphql.engine.data_sources[0].kind"
    );
    let twice = json!([{"name": "a", "kind": "REST"}, {"name": "A ", "kind": "REST"}]);
    assert_eq!(refused(&engine(twice)), "graphql.engine.data_sources[1].name");
    let empty = json!({"version": "", "execution_mode": "executionEngine", "type_field_configurations": [
        {"data_source": {"kind": "GraphQLDataSource"}}]});
    let field = "graphql.type_field_configurations[0].data_source.data_source_config";
    assert_eq!(
        fields(&graphql(empty), Code::InvalidDefinition),
        [format!("{field}.url"), format!("{field}.method")]
    );
    assert_eq!(check(&with(json!({"graphql": {"enabled": false, "version": "x"}}))), []);
}
