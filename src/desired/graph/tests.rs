#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;

#[test]
fn dump() {
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string("/tmp/graphgo/c/in.json").unwrap()).unwrap();
    let out: Vec<Value> = cases
        .iter()
        .map(|case| {
            let names: Vec<String> = ["users", "posts", "third"].iter().map(|s| s.to_string()).collect();
            let sdls = case["sdls"].as_array().unwrap();
            let parts: Vec<(&str, &str)> = sdls
                .iter()
                .zip(&names)
                .map(|(sdl, name)| (name.as_str(), sdl.as_str().unwrap()))
                .collect();
            match merge(&parts) {
                Ok(text) => json!({"name": case["name"], "sdls": sdls, "ours": text}),
                Err(problems) => {
                    let e: Vec<String> = problems
                        .iter()
                        .map(|p| format!("{}{}", p.subgraph.map(|i| format!("{}: ", names[i])).unwrap_or_default(), p.message))
                        .collect();
                    json!({"name": case["name"], "sdls": sdls, "err": e})
                }
            }
        })
        .collect();
    std::fs::write("/tmp/graphgo/c/ours.json", serde_json::to_string(&out).unwrap()).unwrap();
}
