//! The book: its contents, and links.

use std::path::Path;

use regex::Regex;

use crate::pages::{anchors, names, of_the_book, prose, root, text};

/// What is linked, without titles and without what is in code.
fn links(page: &str) -> Vec<String> {
    let code = Regex::new("`[^`\n]*`").unwrap();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    // Text in code keeps its place, so that a link whose text is code stays one.
    let prose = prose(page);
    let prose = code.replace_all(&prose, "code");
    link.captures_iter(&prose).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_page_is_in_the_contents_once() {
    let mut listed = links(&text("docs/SUMMARY.md"));
    listed.sort();
    assert_eq!(of_the_book(), listed, "pages of docs/ and entries of docs/SUMMARY.md");
}

#[test]
fn every_page_has_one_title() {
    for name in of_the_book() {
        let page = prose(&text(&format!("docs/{name}")));
        let titles = page.lines().filter(|line| line.starts_with("# ")).count();
        assert!(page.starts_with("# ") && titles == 1, "{name} has {titles} titles");
    }
}

#[test]
fn links_lead_to_files_and_headings() {
    let (mut dead, mut followed) = (Vec::new(), 0);
    for page in names() {
        let (text, page) = (text(&page), root().join(page));
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            followed += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            if !leads_to(&target, anchor) {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(followed > 100, "only {followed} links");
}

fn leads_to(file: &Path, anchor: &str) -> bool {
    match anchor {
        "" => file.exists(),
        anchor => std::fs::read_to_string(file).is_ok_and(|text| anchors(&text).iter().any(|one| one == anchor)),
    }
}
