//! `docs/settings.md`, from the definitions that the program reads its arguments by.

use clap::{Arg, Command, CommandFactory};
use tyk_ingress::cli::Cli;

use crate::pages::{assert_generated, text};

const HEAD: &str = "\
# Settings

<!-- Written by `UPDATE=1 cargo test --test docs` from the program's own definitions. -->

Every setting of every command. A flag wins over its variable, and that over the default; names of the environment are
Tyk Operator's where it has them. A value that cannot be used ends the start, and the message names it. `run` needs
`TYK_URL` and `TYK_AUTH`. Secrets are better given by the environment, since flags show in the list of processes.

What each command is for and how it ends: [README](../README.md#commands). The chart has values in place of most flags:
[its table](../charts/tyk-ingress/README.md#values).
";

const TAIL: &str = "
## Other variables

| variable | what it does |
| --- | --- |
| `RUST_LOG` | filter of the [log](troubleshooting.md#logs): `info,kube=warn` for `run` and `warn` for `dev` unless it is set |
| `KUBECONFIG` | the kubeconfig; without one the service account of the pod is used |
| `SSL_CERT_FILE` | the authorities that the certificate of a control API may come from, in place of the system's |
| `NO_COLOR` | `diff` prints without colours |
";

/// The headings of `--help`, in the order of the page.
const HEADINGS: [&str; 6] = [
    "Tyk",
    "Ingress",
    "Controller",
    "High availability",
    "Admission",
    "Single commands",
];

/// One setting, with the commands that have it.
struct Row {
    heading: String,
    cells: [String; 3],
    commands: Vec<String>,
}

fn rows(cli: &Command) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for command in cli.get_subcommands() {
        let own = ["help", "version"];
        for argument in command
            .get_arguments()
            .filter(|one| !own.contains(&one.get_id().as_str()))
        {
            let heading = argument.get_help_heading().unwrap_or("Single commands").to_owned();
            let cells = [ways(argument), default(argument), meaning(argument)];
            let same = rows.iter_mut().find(|row| row.heading == heading && row.cells == cells);
            let name = format!("`{}`", command.get_name());
            match same {
                Some(row) => row.commands.push(name),
                None => rows.push(Row {
                    heading,
                    cells,
                    commands: vec![name],
                }),
            }
        }
    }
    rows
}

/// Every way to set it.
fn ways(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("`-{short}`"));
    let long = argument.get_long().map(|long| format!("`--{long}`"));
    let variable = argument
        .get_env()
        .map(|variable| format!("`{}`", variable.to_str().unwrap()));
    let ways: Vec<_> = short.into_iter().chain(long).chain(variable).collect();
    match ways.is_empty() {
        true => format!("`{}`", argument.get_value_names().unwrap_or_default()[0]),
        false => ways.join(", "),
    }
}

fn default(argument: &Arg) -> String {
    let values: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    match values.as_slice() {
        [] if argument.is_required_set() => "required".into(),
        [] if !argument.get_action().takes_values() => "off".into(),
        [] => "none".into(),
        [""] => "empty".into(),
        values => format!("`{}`", values.join(" ")),
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).unwrap().to_string();
    let help = help.split(" [env: ").next().unwrap().replace('\n', " ");
    let values = argument.get_possible_values();
    let shown: Vec<_> = values
        .iter()
        // clap gives a switch the two values.
        .filter(|value| argument.get_action().takes_values() && !["true", "false"].contains(&value.get_name()))
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    match shown.is_empty() {
        true => help,
        false => format!("{help}: {}", shown.join(", ")),
    }
}

/// Names of settings, with what the environment can say.
fn names(cli: &Command) -> Vec<String> {
    let arguments = cli.get_subcommands().flat_map(Command::get_arguments);
    let names = arguments.flat_map(|one| {
        let long = one.get_long().map(|long| format!("--{long}"));
        let variable = one.get_env().map(|variable| variable.to_str().unwrap().to_owned());
        long.into_iter().chain(variable)
    });
    names
        .filter(|name| !["--help", "--version"].contains(&name.as_str()))
        .collect()
}

fn settings() -> String {
    let mut cli = Cli::command();
    cli.build();
    let rows = rows(&cli);
    let count = cli.get_subcommands().filter(|one| one.get_name() != "help").count();
    let mut page = HEAD.to_owned();
    let strays = rows.iter().find(|row| !HEADINGS.contains(&row.heading.as_str()));
    assert!(strays.is_none(), "{:?}", strays.map(|row| &row.heading));
    for heading in HEADINGS {
        page.push_str(&format!(
            "\n## {heading}\n\n| flag, variable | default | meaning | commands |\n| --- | --- | --- | --- |\n"
        ));
        for row in rows.iter().filter(|row| row.heading == heading) {
            let commands = match row.commands.len() == count {
                true => "all".into(),
                false => row.commands.join(", "),
            };
            page.push_str(&format!("| {} | {commands} |\n", row.cells.join(" | ")));
        }
    }
    page.push_str(TAIL);
    page
}

#[test]
fn the_page_of_settings_is_what_the_program_takes() {
    assert_generated("docs/settings.md", &settings());
}

#[test]
fn every_setting_is_on_the_page() {
    let (page, names) = (text("docs/settings.md"), names(&Cli::command()));
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
