//! Each room of `src/` knows only what the table here allows. `docs/architecture.md` says why.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a room may know.
struct Room {
    /// Folder of `src/`, or a file without its ending.
    name: &'static str,
    /// Rooms of ours that it may import; `*` for all.
    ours: &'static [&'static str],
    /// Paths of other crates and of `std` that may not appear in it.
    not: &'static [&'static [&'static str]],
}

const KUBERNETES: &[&str] = &["kube", "k8s_openapi"];
/// Kubernetes' types are not meant, only the ways to talk to an API server.
const CLIENT: &[&str] = &[
    "kube::Client",
    "kube::Api",
    "kube::api",
    "kube::client",
    "kube::config",
    "kube::runtime",
];
/// What makes an answer depend on more than the arguments: I/O, clock, environment, randomness, hash-map order.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "futures",
    "reqwest",
    "hyper",
    "axum",
    "rand",
    "tracing",
    "std::env",
    "std::process",
    "std::thread",
    "std::time",
    "Timestamp::now",
    "Zoned::now",
    "HashMap",
    "HashSet",
];
const FILES: &[&str] = &["std::fs", "std::io"];
const PURE: &[&[&str]] = &[CLIENT, IMPURE, FILES];

const ROOMS: &[Room] = &[
    Room {
        name: "admission",
        ours: &["api", "desired", "diagnostic", "ingress", "nginx", "snapshot", "stages"],
        // The object of a review can be of any kind, which is a type of the client's part.
        not: &[
            &[
                "kube::Client",
                "kube::Api",
                "kube::client",
                "kube::config",
                "kube::runtime",
            ],
            IMPURE,
            FILES,
        ],
    },
    Room {
        name: "api",
        ours: &["packed"],
        not: PURE,
    },
    Room {
        name: "cli",
        ours: &["*"],
        not: &[],
    },
    Room {
        name: "cluster",
        ours: &["api", "diagnostic", "packed", "permit", "report", "snapshot"],
        not: &[&["reqwest", "axum"], FILES],
    },
    Room {
        name: "desired",
        ours: &[
            "api",
            "diagnostic",
            "expression",
            "ingress",
            "packed",
            "secret",
            "snapshot",
        ],
        not: PURE,
    },
    Room {
        name: "diagnostic",
        ours: &[],
        not: &[KUBERNETES, IMPURE, FILES],
    },
    Room {
        name: "expression",
        ours: &[],
        not: &[KUBERNETES, IMPURE, FILES],
    },
    Room {
        name: "http",
        ours: &[
            "desired",
            "diagnostic",
            "ingress",
            "inspect",
            "log",
            "metrics",
            "secret",
            "snapshot",
            "sync",
        ],
        not: &[KUBERNETES, &["std::fs"]],
    },
    Room {
        name: "ingress",
        ours: &["api", "diagnostic", "expression", "parallel", "snapshot"],
        not: PURE,
    },
    Room {
        name: "inspect",
        ours: &["api", "desired", "diagnostic", "ingress", "snapshot", "sync"],
        not: PURE,
    },
    Room {
        name: "log",
        ours: &[],
        not: &[KUBERNETES, &["std::fs"]],
    },
    Room {
        name: "metrics",
        ours: &["desired", "diagnostic", "secret", "sync"],
        not: &[KUBERNETES, FILES],
    },
    Room {
        name: "nginx",
        ours: &["api", "diagnostic", "ingress", "snapshot"],
        not: PURE,
    },
    Room {
        name: "packed",
        ours: &[],
        not: &[KUBERNETES, IMPURE, FILES],
    },
    Room {
        name: "parallel",
        ours: &[],
        not: &[KUBERNETES, &["tokio"], FILES],
    },
    Room {
        name: "permit",
        ours: &[],
        not: &[KUBERNETES, FILES],
    },
    Room {
        name: "report",
        ours: &["api", "desired", "diagnostic", "ingress", "packed", "snapshot", "sync"],
        not: PURE,
    },
    Room {
        name: "secret",
        ours: &[],
        not: &[KUBERNETES, IMPURE, FILES],
    },
    Room {
        name: "settings",
        ours: &[
            "api", "desired", "ingress", "nginx", "report", "secret", "snapshot", "tyk",
        ],
        not: &[KUBERNETES, FILES],
    },
    Room {
        name: "sim",
        ours: &[],
        not: &[KUBERNETES],
    },
    Room {
        name: "snapshot",
        ours: &["api", "diagnostic", "packed", "secret"],
        not: &[CLIENT, IMPURE],
    },
    Room {
        name: "stages",
        ours: &["desired", "diagnostic", "ingress", "nginx", "snapshot"],
        not: PURE,
    },
    Room {
        name: "sync",
        ours: &["desired", "diagnostic", "packed", "permit", "tyk"],
        not: &[KUBERNETES, FILES],
    },
    Room {
        name: "tyk",
        ours: &["permit", "secret"],
        not: &[KUBERNETES, FILES],
    },
];

/// Uses that one file, or one folder, has to itself.
const ONLY_IN: &[(&str, &str, &[&str])] = &[
    ("snapshot", "snapshot/load.rs", FILES),
    ("cli", "cli/run", &["kube::Client"]),
];

#[test]
fn every_room_is_in_the_table() {
    let rooms: BTreeSet<_> = sources().iter().map(|source| source.room().to_owned()).collect();
    let table: BTreeSet<_> = ROOMS.iter().map(|room| room.name.to_owned()).collect();
    assert_eq!(rooms, table);
}

#[test]
fn rooms_import_only_the_rooms_that_the_table_allows() {
    let wrong = violations(|room, _, path| {
        let [first, target, ..] = path else { return false };
        first == "crate"
            && target != room.name
            && ROOMS.iter().any(|room| room.name == target)
            && !room.ours.iter().any(|ours| *ours == target || *ours == "*")
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn rooms_use_nothing_that_the_table_forbids() {
    let wrong = violations(|room, _, path| room.not.iter().copied().flatten().any(|not| contains(path, not)));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn some_uses_belong_to_one_file_alone() {
    let wrong = violations(|room, source, path| {
        ONLY_IN.iter().any(|(name, file, uses)| {
            room.name == *name && !source.name.starts_with(file) && uses.iter().any(|not| contains(path, not))
        })
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn paths_are_read_out_of_source_text() {
    let text = r#"
        use crate::{api::{names, Target as T}, diagnostic};
        // use crate::comment::Not;
        fn f(c: char) { let _ = ("crate::text::Not", '"', crate::tyk::Secret::new()); super::g() }
        #[cfg(test)]
        mod tests { use crate::tests::Not; }
    "#;
    let source = Source {
        name: "ingress/host.rs".into(),
        text: text.into(),
    };
    let paths: BTreeSet<_> = source.paths().iter().map(|path| path.join("::")).collect();
    for path in [
        "crate::api::names",
        "crate::api::Target",
        "crate::diagnostic",
        "crate::tyk::Secret::new",
        "crate::ingress::g",
    ] {
        assert!(paths.contains(path), "{path} in {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("Not")), "{paths:?}");
}

fn violations(is_wrong: impl Fn(&Room, &Source, &[String]) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(room) = ROOMS.iter().find(|room| room.name == source.room()) else {
            continue;
        };
        let paths = source.paths();
        let paths = paths.iter().filter(|path| is_wrong(room, &source, path));
        wrong.extend(paths.map(|path| format!("src/{} uses {}", source.name, path.join("::"))));
    }
    wrong
}

/// Whether the segments of `part` stand in `path`, one after the other.
fn contains(path: &[String], part: &str) -> bool {
    let part: Vec<&str> = part.split("::").collect();
    path.windows(part.len()).any(|window| window == part.as_slice())
}

/// One file of `src/`, but for the roots of the library and of the program, which only name their parts.
struct Source {
    /// Path below `src/`.
    name: String,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.name.split('/').next().unwrap();
        first.trim_end_matches(".rs")
    }

    /// Every path of the code, with groups of `use` taken apart and `super` resolved; unit tests are left out.
    fn paths(&self) -> Vec<Vec<String>> {
        let code = without_text_and_comments(self.text.split("#[cfg(test)]").next().unwrap());
        let tokens = tokens(&code);
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            at = read_path(&tokens, at, &[], &mut paths);
        }
        paths.iter().map(|path| self.resolve(path)).collect()
    }

    /// Replaces leading `self` and `super` by the module that they name.
    fn resolve(&self, path: &[String]) -> Vec<String> {
        let module = self.name.trim_end_matches(".rs").trim_end_matches("/mod");
        let mut module: Vec<String> = module.split('/').map(str::to_owned).collect();
        let relative = path
            .iter()
            .take_while(|segment| matches!(segment.as_str(), "self" | "super"))
            .count();
        if relative == 0 {
            return path.to_vec();
        }
        for _ in path.iter().take(relative).filter(|segment| *segment == "super") {
            module.pop();
        }
        let root = std::iter::once("crate".to_owned());
        root.chain(module).chain(path[relative..].iter().cloned()).collect()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files.sort();
    let sources = files.iter().map(|file| Source {
        name: file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(file).unwrap(),
    });
    sources
        .filter(|source| !["lib.rs", "main.rs"].contains(&source.name.as_str()))
        // Unit tests in files of their own are left out, as are those inside of a file.
        .filter(|source| !source.name.split('/').any(|part| part == "tests" || part == "tests.rs"))
        .collect()
}

/// The code with a blank for each comment, text and character.
fn without_text_and_comments(text: &str) -> String {
    let pattern = r##"(?s)//[^\n]*|/\*.*?\*/|r#".*?"#|r"[^"]*"|"(?:\\.|[^"\\])*"|'(?:\\.[^']*|[^'\\])'"##;
    regex::Regex::new(pattern).unwrap().replace_all(text, " ").into_owned()
}

/// Names, `::`, `{`, `}` and `,`; every other character as itself.
fn tokens(code: &str) -> Vec<&str> {
    let pattern = regex::Regex::new(r"[A-Za-z_][A-Za-z0-9_]*|::|\S").unwrap();
    pattern.find_iter(code).map(|found| found.as_str()).collect()
}

/// Reads the path that starts at `at`, below `prefix`, and gives back where reading goes on.
fn read_path(tokens: &[&str], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(name) if is_name(name) => path.push((*name).to_owned()),
            Some(&"{") if path.len() > prefix.len() => return read_group(tokens, at + 1, &path, paths),
            _ => break,
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    if path.len() == prefix.len() {
        return at + 1;
    }
    paths.push(path);
    at
}

/// Reads the members of a group up to its closing brace.
fn read_group(tokens: &[&str], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    while at < tokens.len() && tokens[at] != "}" {
        at = read_path(tokens, at, prefix, paths);
    }
    at + 1
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
