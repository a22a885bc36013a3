//! The status page in Chromium, where that is installed.

use std::process::Command;

use crate::world::{World, program};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_page() {
    let Some(chromium) = program(&["chromium", "chromium-browser", "google-chrome"]) else {
        eprintln!("no Chromium: the page is not shown");
        return;
    };
    let world = World::start(&[], &[]).await;
    world
        .eventually("a served route", async |world| {
            world.text("/").await.contains(">served<").then_some(())
        })
        .await;
    let dom = run(&chromium, &world, &["--dump-dom", &world.page]);
    for text in ["shop.example.com", "InvalidHost", "/pay/", "***@pay.example.com"] {
        assert!(dom.contains(text), "{text} in {dom}");
    }
    let filtered = run(
        &chromium,
        &world,
        &["--dump-dom", &format!("{}/?q=%2Fapi%2Fv1", world.page)],
    );
    assert!(filtered.contains("2 of 5") && !filtered.contains("/pay/"), "{filtered}");
    // For people who want to look: pictures of a wide and a narrow screen beside the test program.
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    for (name, size) in [("wide", "1400,1000"), ("narrow", "500,1600")] {
        let picture = folder.join(format!("status-page-{name}.png"));
        let _ = std::fs::remove_file(&picture);
        let to = format!("--screenshot={}", picture.display());
        run(&chromium, &world, &[&to, &format!("--window-size={size}"), &world.page]);
        assert!(std::fs::metadata(&picture).unwrap().len() > 10_000, "{name}");
    }
}

fn run(chromium: &std::path::Path, world: &World, args: &[&str]) -> String {
    let profile = world.folder.path().join("profile");
    let ended = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(args)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{errors}");
    assert!(!errors.contains("Content Security Policy"), "{errors}");
    String::from_utf8(ended.stdout).unwrap()
}
