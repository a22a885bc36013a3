//! The commands of the pages: every `tyk-ingress` line is one that the program takes; those that need neither a cluster
//! nor a Tyk are run, and print what the page shows. `…` alone in a line stands for lines that are left out.

use std::path::Path;
use std::process::Command;

use clap::Parser;
use tyk_ingress::cli::Cli;

use crate::blocks::{self, Block};
use crate::pages::{names, root};

/// A command with what it prints.
struct Step {
    line: String,
    prints: String,
}

/// The commands of a block; of `console` only what follows a `$`.
fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        let command = match block.language() {
            "console" => line.strip_prefix("$ "),
            _ => Some(line),
        };
        match (command, steps.last_mut()) {
            (_, Some(step)) if goes_on => step.line.push_str(line.trim_start()),
            (Some(command), _) => steps.push(Step {
                line: command.to_owned(),
                prints: String::new(),
            }),
            (None, Some(step)) => step.prints.push_str(&format!("{line}\n")),
            (None, None) => panic!("{}: output without a command", block.place),
        }
        let step = steps.last_mut().unwrap();
        goes_on = step.line.ends_with('\\');
        if goes_on {
            step.line.pop();
        }
    }
    steps
}

/// The words of a line as a shell sees them, its operators as words of their own, without comments.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut is_word = false;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.push(c),
            (None, '\'' | '"') => (quote, is_word) = (Some(c), true),
            (None, '#') if !is_word => break,
            (None, ' ' | '|' | ';' | '&' | '>') => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                    is_word = false;
                }
                if c != ' ' {
                    words.push(c.to_string());
                }
            }
            (None, _) => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// The arguments of each call of the program in a line.
fn calls(line: &str) -> Vec<Vec<String>> {
    let words = words(line);
    let is_operator = |word: &String| ["|", ";", "&", ">"].contains(&word.as_str());
    words
        .split(is_operator)
        .filter_map(|command| {
            let is_setting = |word: &&String| {
                word.split_once('=')
                    .is_some_and(|(name, _)| name.to_uppercase() == name)
            };
            let command = &command[command.iter().take_while(is_setting).count()..];
            match command {
                [program, rest @ ..] if program.rsplit('/').next() == Some("tyk-ingress") => Some(rest.to_vec()),
                [cargo, run, rest @ ..] if cargo == "cargo" && run == "run" => {
                    let start = rest.iter().position(|word| word == "--")?;
                    Some(rest[start + 1..].to_vec())
                }
                _ => None,
            }
        })
        .collect()
}

/// Whether a call needs neither a cluster nor a Tyk, and ends.
fn is_offline(arguments: &[String]) -> bool {
    let has = |flag: &str| arguments.iter().any(|word| word == flag);
    match arguments.first().map(String::as_str) {
        Some("render" | "validate") => !has("--server-side"),
        Some("explain") => !has("--controller"),
        Some("migrate") => has("-f"),
        Some("crds" | "completions") => true,
        _ => false,
    }
}

/// A folder with the files that a page names, and those of the repository that pages show.
fn folder(blocks: &[Block]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["examples", "tests"] {
        std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
    }
    for block in blocks {
        if let Some(name) = block.file() {
            std::fs::write(folder.path().join(name), &block.text).unwrap();
        }
    }
    folder
}

fn run(arguments: &[String], folder: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tyk-ingress"));
    let ended = command.args(arguments).current_dir(folder).output().unwrap();
    String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap()
}

/// Whether lines are those that a page shows.
fn is_shown(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=printed.len()).any(|skipped| is_shown(rest, &printed[skipped..])),
        ([one, shown @ ..], [other, printed @ ..]) => one.trim_end() == other.trim_end() && is_shown(shown, printed),
        _ => false,
    }
}

#[test]
fn every_call_is_one_that_the_program_takes() {
    let mut count = 0;
    for page in names() {
        let blocks = blocks::of(&page);
        for block in blocks
            .iter()
            .filter(|block| ["sh", "console"].contains(&block.language()))
        {
            for arguments in steps(block).iter().flat_map(|step| calls(&step.line)) {
                let parsed = Cli::try_parse_from(["tyk-ingress".to_owned()].into_iter().chain(arguments));
                assert!(parsed.is_ok(), "{}: {}", block.place, parsed.unwrap_err());
                count += 1;
            }
        }
    }
    assert!(count > 20, "only {count} calls");
}

#[test]
fn what_needs_no_cluster_prints_what_the_page_shows() {
    let mut count = 0;
    for page in names() {
        let blocks = blocks::of(&page);
        let folder = folder(&blocks);
        for block in blocks.iter().filter(|block| block.language() == "console") {
            for step in steps(block) {
                let calls = calls(&step.line);
                let [arguments] = calls.as_slice() else { continue };
                if !is_offline(arguments) || step.line.contains([';', '|', '&']) {
                    continue;
                }
                let printed = run(arguments, folder.path());
                let shown: Vec<_> = step.prints.lines().collect();
                let fits = is_shown(&shown, &printed.lines().collect::<Vec<_>>());
                assert!(
                    fits,
                    "{}: {} prints\n{printed}\nbut not\n{}",
                    block.place, step.line, step.prints
                );
                count += 1;
            }
        }
    }
    assert!(count > 5, "only {count} commands");
}

#[test]
fn lines_are_taken_apart_as_a_shell_does() {
    let of = |words: &[&str]| vec![words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()];
    let piped = "kubectl get ingress -o yaml | tyk-ingress migrate -f -   # all";
    assert_eq!(calls(piped), of(&["migrate", "-f", "-"]));
    let quoted = "A=b target/release/tyk-ingress explain --request 'GET http://a/b#c' > x";
    assert_eq!(calls(quoted), of(&["explain", "--request", "GET http://a/b#c"]));
    assert!(is_shown(&["a", "…", "d"], &["a", "b", "c", "d"]) && !is_shown(&["a", "…"], &["b"]));
}
