//! `chatops man` and `chatops completions`: both are made from the definition of the command line.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::error::Failure;
use super::output::print;

/// The documents that the page names, by their path in the repository.
const DOCUMENTS: [(&str, &str); 7] = [
    ("README.md", "what chatops is, and a quick start"),
    ("docs/chat.md", "lines, commands, scripts, JSON, framings"),
    ("docs/dashboard.md", "the dashboard: columns, states, flags, keys, filter"),
    ("docs/operating.md", "configuration, control socket, verbs, signals, limits, logs, security"),
    ("docs/sockets.md", "experiments that show how sockets behave"),
    ("docs/robustness.md", "what the server survives, with the test of each"),
    ("docs/performance.md", "how fast, compared with what, by which command"),
];

/// Prints the page as roff.
pub(super) fn page() -> Result<(), Failure> {
    let mut page = Vec::new();
    write_page(&mut page).map_err(Failure::Output)?;
    print(&String::from_utf8_lossy(&page))
}

fn write_page(page: &mut Vec<u8>) -> io::Result<()> {
    let mut command = super::Cli::command();
    command.build();
    let man = Man::new(command.clone()).manual("chatops manual");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    commands(&mut roff, &command, "chatops");
    files_signals_and_exit(&mut roff);
    see_also(&mut roff);
    roff.to_writer(page)
}

/// The commands that do something: of a command with subcommands, its subcommands.
fn commands(roff: &mut Roff, parent: &clap::Command, prefix: &str) {
    for command in parent.get_subcommands() {
        let name = format!("{prefix} {}", command.get_name());
        if command.has_subcommands() {
            commands(roff, command, &name);
            continue;
        }
        let mut usage = vec![bold(name)];
        for argument in command.get_positionals() {
            usage.push(roman(" "));
            usage.push(italic(argument.get_id().as_str().to_uppercase()));
        }
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        entry(roff, usage, &about);
    }
}

fn files_signals_and_exit(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    entry(roff, [bold("~/.config/chatops/config.toml")], "the user's configuration, if it is there");
    entry(roff, [bold("/etc/chatops/config.toml")], "else the machine's");
    entry(
        roff,
        [bold("$XDG_RUNTIME_DIR/chatops-PORT.sock")],
        "the control socket of the server on that port, for chatops ctl; without a runtime directory it is in \
         ~/.local/state/chatops; see control.path",
    );
    roff.control("SH", ["SIGNALS"]);
    entry(
        roff,
        [bold("SIGTERM, SIGINT")],
        "notify the clients, flush, close and exit within server.drain; a second one exits at once",
    );
    entry(roff, [bold("SIGHUP")], "never drops a client; see server.on_hangup for the dashboard");
    roff.control("SH", ["EXIT STATUS"]);
    entry(roff, [bold("0")], "clean end");
    entry(roff, [bold("1")], "failed while running");
    entry(roff, [bold("2")], "wrong usage, bad configuration, cannot bind");
}

/// Programs that are used with chatops, and the documents of the repository.
fn see_also(roff: &mut Roff) {
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("nc"),
        roman("(1), "),
        bold("telnet"),
        roman("(1), "),
        bold("ss"),
        roman("(8), "),
        bold("tcp"),
        roman("(7)"),
    ]);
    roff.control("PP", []);
    roff.text([roman("In the repository:")]);
    for (path, has) in DOCUMENTS {
        entry(roff, [bold(path)], has);
    }
}

fn entry(roff: &mut Roff, head: impl Into<Vec<Inline>>, body: &str) {
    roff.control("TP", []);
    roff.text(head);
    roff.text([roman(body)]);
}

/// Prints the completion script for `shell`.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "chatops", &mut script);
    print(&String::from_utf8_lossy(&script))
}
