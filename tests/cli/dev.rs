//! `dev`: files in, answers out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::program::{Folder, command, ingress, service};

/// Within this time whatever is waited for has happened.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running `dev`; it ends with the test.
struct Dev {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Dev {
    fn start(path: &str) -> Dev {
        let mut command = command();
        command.args(["dev", "--listen", "127.0.0.1:0", "-f", path]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let printed = Arc::new(Mutex::new(String::new()));
        let sink = printed.clone();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let dev = Dev { child, printed };
        dev.wait_for("in step", || dev.printed().contains("in step: "));
        dev
    }

    fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Where the gateway listens, as it says itself.
    fn authority(&self) -> String {
        let printed = self.printed();
        let rest = printed.split_once("simulated Tyk gateway at http://").unwrap().1;
        rest.lines().next().unwrap().to_owned()
    }

    /// Status and body of an answer.
    fn get(&self, host: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so() {
            assert!(
                Instant::now() < end,
                "not within {DEADLINE:?}: {what}\n{}",
                self.printed()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells it to end, and gives back its exit code.
    fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let end = Instant::now() + DEADLINE;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None => assert!(Instant::now() < end, "it goes on after SIGTERM"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_quickstart_answers_as_its_table_says() {
    let mut dev = Dev::start("examples/quickstart");
    for (host, path, echo) in [
        ("shop.example.com", "/", "web.default:80"),
        ("shop.example.com", "/apix", "web.default:80"),
        ("shop.example.com", "/api/orders", "api.default:8080"),
        ("shop.example.com", "/api/health", "health.default:80"),
        ("shop.example.com", "/api/health/", "api.default:8080"),
        ("me.example.com", "/", "blog.default:80"),
        ("other.org", "/x", "sorry.default:80"),
    ] {
        let (status, body) = dev.get(host, path);
        assert_eq!(
            (status, body.lines().next()),
            (200, Some(format!("echo of service {echo}").as_str())),
            "{host}{path}"
        );
        assert_eq!(body.lines().nth(1), Some(format!("GET {path} host={host}").as_str()));
    }
    assert!(
        dev.printed().contains("curl -H 'Host: shop.example.com'"),
        "{}",
        dev.printed()
    );
    assert_eq!(dev.terminate(), Some(0), "{}", dev.printed());
}

/// The lines of the only block of a language of `docs/quick-start.md`.
fn shown(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/quick-start.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    block.lines().map(str::to_owned).collect()
}

#[test]
fn the_quick_start_shows_what_it_prints_and_answers() {
    let dev = Dev::start("examples/quickstart");
    let seconds = regex::Regex::new(r"[0-9.]+ s after").unwrap();
    let timeless = |text: &str| seconds.replace(text, "N s after").into_owned();
    let printed = dev.printed().replace(&dev.authority(), "127.0.0.1:9080");
    assert_eq!(timeless(printed.trim()), timeless(&shown("text").join("\n")));

    let request = regex::Regex::new(r"^\$ curl -H 'Host: (.+)' 'http://127.0.0.1:9080(.+)'$").unwrap();
    let lines = shown("console");
    let mut asked = 0;
    for (number, found) in lines
        .iter()
        .enumerate()
        .filter_map(|(number, line)| Some((number, request.captures(line)?)))
    {
        let answer = lines[number + 1..].iter().take_while(|line| !line.starts_with('$'));
        let answer: Vec<_> = answer.map(String::as_str).collect();
        let (status, body) = dev.get(&found[1], &found[2]);
        assert_eq!(
            (status, body.lines().collect::<Vec<_>>()),
            (200, answer),
            "{}",
            lines[number]
        );
        asked += 1;
    }
    assert_eq!(
        asked,
        lines.iter().filter(|line| line.starts_with('$')).count(),
        "{lines:?}"
    );
}

/// The manifests of a page, with the Services that it names.
fn page(name: &str) -> Folder {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs").join(name)).unwrap();
    let folder = Folder::new();
    let blocks = page.split("```yaml\n").skip(1);
    for (number, block) in blocks.enumerate() {
        folder.write(&format!("{number}.yaml"), block.split("```").next().unwrap());
    }
    let cluster = std::fs::read_to_string(root.join("tests/data/docs-cluster.yaml")).unwrap();
    folder.write("cluster.yaml", &cluster);
    folder
}

#[test]
fn the_pages_do_what_they_say() {
    let folder = page("authentication-and-rate-limits.md");
    let dev = Dev::start(folder.text());
    assert_eq!(dev.get("orders.example.com", "/").0, 401, "a key is asked for");

    let folder = page("middleware.md");
    let dev = Dev::start(folder.text());
    assert_eq!(
        dev.get("shop.example.com", "/").0,
        403,
        "127.0.0.1 is not of 10.0.0.0/8"
    );

    let folder = page("canary.md");
    let dev = Dev::start(folder.text());
    let answers = (0..100).map(|_| dev.get("shop.example.com", "/").1);
    assert_eq!(answers.filter(|body| body.contains("service web-next.")).count(), 20);
}

#[test]
fn an_edit_is_followed_and_a_broken_file_changes_nothing() {
    let folder = Folder::new();
    folder.write("services.yaml", &(service("one") + &service("two")));
    folder.write("ingress.yaml", &ingress("a", "shop.test", "/", "one"));
    let mut dev = Dev::start(folder.text());
    assert!(dev.get("shop.test", "/").1.contains("service one."));

    folder.write("ingress.yaml", &ingress("a", "shop.test", "/moved", "two"));
    dev.wait_for("the edit is served", || {
        dev.get("shop.test", "/moved").1.contains("service two.")
    });
    assert_eq!(dev.get("shop.test", "/").0, 404);

    folder.write("ingress.yaml", "kind: [Ingress\n");
    dev.wait_for("the error is told", || {
        dev.printed().contains("the gateway stays as it was")
    });
    assert!(
        dev.printed().contains("ingress.yaml is not valid YAML"),
        "{}",
        dev.printed()
    );
    assert!(dev.get("shop.test", "/moved").1.contains("service two."));

    folder.write("more/ingress.yaml", &ingress("b", "cafe.test", "/", "one"));
    folder.write("ingress.yaml", &ingress("a", "shop.test", "/again", "two"));
    dev.wait_for("the repair and the new file are served", || {
        dev.get("shop.test", "/again").0 == 200 && dev.get("cafe.test", "/").0 == 200
    });
    std::fs::remove_file(folder.path().join("more/ingress.yaml")).unwrap();
    dev.wait_for("a removed file is followed", || dev.get("cafe.test", "/").0 == 404);
    assert_eq!(dev.terminate(), Some(0));
}

#[test]
fn unusable_files_and_addresses_end_the_start() {
    let mut missing = command();
    let ended = missing
        .args(["dev", "--listen", "127.0.0.1:0", "-f", "/does/not/exist"])
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut busy = command();
    let ended = busy
        .args(["dev", "--listen", &address, "-f", "examples/quickstart"])
        .output()
        .unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{message}");
    assert!(message.contains("--listen"), "{message}");
}
