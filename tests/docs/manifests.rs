//! The manifests of the pages, as a reader takes them: those of a page together, beside the Services that they name.

use std::process::Command;

use crate::blocks::{self, Block};
use crate::pages::{names, root};

/// What the cluster of the pages has.
const CLUSTER: &str = "tests/data/docs-cluster.yaml";

fn is_manifest(block: &Block) -> bool {
    block.language() == "yaml" && block.text.lines().any(|line| line.starts_with("apiVersion: "))
}

fn is_wrong(block: &Block) -> bool {
    block.info == "yaml wrong"
}

/// What `validate --strict` says of these blocks, each in a file that is named by its line.
fn validate(blocks: &[&Block], secrets: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secrets.yaml"), secrets).unwrap();
    for block in blocks {
        let name = block.place.replace(['/', ':'], "-") + ".yaml";
        std::fs::write(folder.path().join(name), &block.text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tyk-ingress"));
    command.args(["validate", "--strict", "-f"]).arg(folder.path());
    let ended = command.arg("-f").arg(root().join(CLUSTER)).output().unwrap();
    let out = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    (ended.status.success() && out.ends_with("0 errors, 0 warnings\n"), out)
}

/// The Secrets of certificates that the pages name: no key is kept in the repository.
fn secrets() -> String {
    let hosts = ["shop.example.com".to_owned(), "*.example.com".to_owned()];
    let made = rcgen::generate_simple_self_signed(hosts).unwrap();
    let indented = |pem: String| pem.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let (cert, key) = (indented(made.cert.pem()), indented(made.signing_key.serialize_pem()));
    let one = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: {name}}}\nstringData:\n  \
             tls.crt: |\n{cert}  tls.key: |\n{key}---\n"
        )
    };
    ["shop-tls", "partner"].map(one).concat()
}

#[test]
fn every_manifest_is_clean_beside_those_of_its_page() {
    let secrets = secrets();
    let mut manifests = 0;
    for page in names() {
        let blocks = blocks::of(&page);
        let good: Vec<_> = blocks
            .iter()
            .filter(|block| is_manifest(block) && !is_wrong(block))
            .collect();
        if !good.is_empty() {
            manifests += good.len();
            let (clean, out) = validate(&good, &secrets);
            assert!(clean, "{page}:\n{out}");
        }
    }
    assert!(manifests > 20, "only {manifests} manifests");
}

#[test]
fn what_is_meant_to_be_wrong_is() {
    let secrets = secrets();
    let mut wrong = 0;
    for page in names() {
        for block in blocks::of(&page).iter().filter(|block| is_wrong(block)) {
            let (clean, out) = validate(&[block], &secrets);
            assert!(!clean, "{}:\n{out}", block.place);
            wrong += 1;
        }
    }
    assert!(wrong > 0, "no block is wrong");
}
