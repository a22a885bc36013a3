//! The pages of the repository.

use std::path::Path;

/// Pages outside of `docs`.
const OTHERS: [&str; 7] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/README.md",
    "examples/tls/README.md",
    "e2e/README.md",
    "charts/tyk-ingress/README.md",
];

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares a file with what it should be; `UPDATE=1` writes it.
pub fn assert_generated(name: &str, expected: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join(name), expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(root().join(name)).unwrap_or_default() == expected,
        "{name} is out of date; run UPDATE=1 cargo test --test docs"
    );
}

/// The pages of the book, by their names in `docs`, sorted.
pub fn of_the_book() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    names.sort();
    names
}

/// Every page that people read, by its name in the repository.
pub fn names() -> Vec<String> {
    let book = of_the_book().into_iter().map(|name| format!("docs/{name}"));
    let others = OTHERS.map(str::to_owned);
    book.chain(["docs/SUMMARY.md".to_owned()]).chain(others).collect()
}

/// A page without its fenced blocks.
pub fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The ids that GitHub and mdBook give to the headings of a page.
pub fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for line in prose(text).lines() {
        let Some((_, title)) = line
            .split_once("# ")
            .filter(|(marks, _)| marks.chars().all(|c| c == '#'))
        else {
            continue;
        };
        let slug: String = title
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
            .collect();
        let same =
            |anchor: &&String| **anchor == slug || anchor.strip_prefix(&format!("{slug}-")).is_some_and(is_number);
        let before = anchors.iter().filter(same).count();
        anchors.push(match before {
            0 => slug,
            count => format!("{slug}-{count}"),
        });
    }
    anchors
}

fn is_number(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}
