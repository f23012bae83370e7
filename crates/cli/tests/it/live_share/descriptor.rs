//! Descriptors of nodes that run commands, and two small servers for them.

use std::fmt::Write as _;

/// Serves the files of a folder: `/opt/serve PORT FOLDER`.
const SERVE: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
my ($port, $folder) = @ARGV;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 9, ReuseAddr => 1) or die $!;
while (my $client = $server->accept) {
  my $path = (split / /, <$client> // "")[1] // "/";
  while (<$client>) { last if /^\r?$/ }
  my $file;
  my $is_there = $path eq "/" || (-f "$folder$path" && open $file, "<", "$folder$path");
  my $text = $file ? join("", <$file>) : $is_there ? "here\n" : "nothing\n";
  print $client "HTTP/1.0 ", ($is_there ? "200 OK" : "404 Not Found"), "\r\nContent-Length: ", length $text, "\r\n\r\n$text";
  close $client;
}
"#;

/// Keeps keys as Redis does: `/opt/store PORT`.
const STORE: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
my %kept;
my $server = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 9, ReuseAddr => 1) or die $!;
while (my $client = $server->accept) {
  while (defined(my $line = <$client>)) {
    my ($count) = $line =~ /^\*(\d+)/ or last;
    my @words = map { my ($length) = <$client> =~ /^\$(\d+)/; read $client, my $word, $length; <$client>; $word } 1 .. $count;
    my ($verb, $key, $value) = (uc $words[0], @words[1, 2]);
    my $known = $kept{$key};
    if ($verb eq "GET") { print $client defined $known ? "\$" . length($known) . "\r\n$known\r\n" : "\$-1\r\n" }
    elsif ($verb eq "SET") { $kept{$key} = $value; print $client "+OK\r\n" }
    elsif ($verb eq "SETNX") { $kept{$key} = $value unless defined $known; print $client defined $known ? ":0\r\n" : ":1\r\n" }
    elsif ($verb eq "DEL") { delete $kept{$key}; print $client ":1\r\n" }
    elsif ($verb eq "PING") { print $client "+PONG\r\n" }
    else { print $client "-ERR unknown\r\n" }
  }
  close $client;
}
"#;

/// What is wrong with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A command fails, or waits for ever, or an update is lost.
    Promise,
    /// What people state does not hold.
    Stated,
    /// The same as a promise, in a way that real nodes cannot be made to show.
    Impossible,
}

/// A node of a descriptor.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) count: u32,
    /// The nodes that it depends on.
    pub(crate) after: &'static [&'static str],
    /// Lines of its `verification`.
    pub(crate) states: &'static [&'static str],
    /// A script that tells what is to be reported, if it is more than statuses.
    pub(crate) reports: &'static str,
    pub(crate) commands: &'static [&'static str],
    /// The ports that are checked.
    pub(crate) ports: &'static [u16],
}

/// Something of everything, for those who differ from it.
pub(crate) const NODE: Node = Node {
    name: "",
    count: 1,
    after: &[],
    states: &[],
    reports: "",
    commands: &[],
    ports: &[],
};

/// A descriptor in which something is wrong.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) wrong: Wrong,
    pub(crate) nodes: &'static [Node],
    /// More options for those who explore it.
    pub(crate) explored_with: &'static [&'static str],
    /// Properties, where nothing else tells what is wrong.
    pub(crate) stated: &'static str,
    /// How long a process may take; who waits for ever costs as much.
    pub(crate) deadline: &'static str,
    /// An order in which nothing goes wrong, if there is one.
    pub(crate) good: Option<&'static str>,
}

pub(crate) const CASE: Case = Case {
    name: "",
    wrong: Wrong::Promise,
    nodes: &[],
    explored_with: &[],
    stated: "",
    deadline: "120s",
    good: Some(""),
};

impl Case {
    pub(crate) fn descriptor(&self) -> String {
        let mut text = String::from("infra_name: planted\nuser_id: somebody\nnodes:\n");
        for node in self.nodes {
            let (name, count) = (node.name, node.count);
            let _infallible = writeln!(
                text,
                "- &{name}\n  name: {name}\n  type: {name}\n  scaling: {{min: {count}, max: {count}}}"
            );
            if !node.states.is_empty() {
                let _infallible = writeln!(text, "  verification:");
            }
            for line in node.states {
                let _infallible = writeln!(text, "    {line}");
            }
        }
        let edges = self.nodes.iter();
        let edges: Vec<String> = edges
            .flat_map(|node| {
                node.after
                    .iter()
                    .map(|other| format!("- [*{}, *{other}]\n", node.name))
            })
            .collect();
        if !edges.is_empty() {
            text += "dependencies:\n";
            text += &edges.concat();
        }
        for node in self.nodes {
            node.define(&mut text);
        }
        text
    }
}

impl Node {
    fn define(&self, text: &mut String) {
        let mut add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        add(&format!("'node_def:{}':", self.name));
        add("- resource: {type: local}");
        add("  contextualisation:");
        add("    type: cloudinit");
        add("    context_template: |");
        let mut inner = |line: &str| add(&format!("      {line}"));
        inner("#cloud-config");
        inner("write_files:");
        let mut files = vec![("/opt/serve", SERVE), ("/opt/store", STORE)];
        if !self.reports.is_empty() {
            files.push(("/etc/zenekar/variables", self.reports));
        }
        for (path, content) in files {
            inner(&format!("- path: {path}"));
            inner("  permissions: '0755'");
            inner("  content: |");
            for line in content.lines() {
                inner(&format!("    {line}"));
            }
        }
        inner("runcmd:");
        for command in self.commands {
            inner("- |");
            for line in command.lines() {
                inner(&format!("  {line}"));
            }
        }
        add(&format!(
            "  health_check: {{ping: false, ports: {:?}}}",
            self.ports
        ));
    }
}
