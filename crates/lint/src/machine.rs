//! What one implementation puts onto its instances: files, scripts, packages,
//! and the order in which commands run.

use zenekar_diagnostics::Span;
use zenekar_document::{Document, Limits, View, load_text};

use crate::shell::{self, Command, Where, Word, base_name};
use crate::text::{Text, place_of};

/// Commands that are followed from the first one on. Scripts that call each
/// other again and again would make more of them.
const STEPS_MAX: usize = 20_000;

/// Files of one implementation. User-data that a cloud takes has fewer by far,
/// and each is looked for in all the others.
const FILES_MAX: usize = 1_000;

/// Commands in front of one inside of `su -c` among which that `su` is looked for.
const SCRIPT_NEIGHBOURS_MAX: usize = 64;

/// How deep scripts that run scripts are followed.
const CALLS_MAX: usize = 8;

/// What a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An item of `bootcmd` or `runcmd`, or user-data that is a script.
    Boot,
    /// A file of `write_files`, by position.
    File(usize),
    /// The start command of a service, by the position of its file.
    Service(usize),
    /// The command of a container.
    Container,
}

/// A script with its text.
#[derive(Clone, Debug)]
pub struct Script<'d> {
    /// What is written.
    pub text: Text<'d>,
    /// What it is.
    pub origin: Origin,
    /// What was read in it.
    pub parsed: shell::Script,
    /// Its place among the items of `runcmd`, if it is one.
    pub item: Option<usize>,
}

impl Script<'_> {
    /// Returns where a command is written.
    pub fn place(&self, command: &Command) -> Span {
        self.text.span(command.range.clone())
    }
}

/// A file of `write_files`.
#[derive(Clone, Copy, Debug)]
pub struct File<'d> {
    /// Where it is on the instance, as it is written.
    pub path: &'d str,
    /// Where the path is written.
    pub path_span: Span,
    /// What is in it.
    pub content: Text<'d>,
}

/// A string of the implementation with the key that it stands under.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'d> {
    /// The nearest key.
    pub key: &'d str,
    /// The string.
    pub text: Text<'d>,
}

/// A command and the script that it is in, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The script.
    pub script: usize,
    /// The command in it.
    pub command: usize,
    /// Whether it runs as root, as everything does at boot.
    pub is_root: bool,
}

/// What an implementation puts onto its instances.
#[derive(Clone, Debug, Default)]
pub struct Machine<'d> {
    /// The mapping that cloud-init reads, and the text that it is in.
    pub config: Option<(View<'d>, Option<View<'d>>)>,
    /// All strings of the implementation.
    pub leaves: Vec<Leaf<'d>>,
    /// The files of `write_files`.
    pub files: Vec<File<'d>>,
    /// The scripts, whether they are known to run or not.
    pub scripts: Vec<Script<'d>>,
    /// The packages of `packages`.
    pub packages: Vec<String>,
    /// The commands in the order in which they run.
    pub steps: Vec<Step>,
}

/// Reads user-data that is one text, as an included file is, into a document.
///
/// Tags that control are blanked out, so that places stay the same.
pub fn inner_document(implementation: View<'_>) -> Option<Document> {
    let text = implementation
        .get("contextualisation")?
        .get("context_template")?
        .as_str()?;
    if !text.trim_start().starts_with("#cloud-config") {
        return None;
    }
    let mut scratch = zenekar_diagnostics::SourceMap::new();
    Some(
        load_text(
            "user-data",
            &without_control_tags(text),
            &Limits::default(),
            &mut scratch,
        )
        .document,
    )
}

/// Returns where the first of several tags begins; each begins with `{`.
pub fn next_tag(text: &str, tags: &[&str]) -> Option<usize> {
    let mut braces = text.match_indices('{').map(|(at, _)| at);
    braces.find(|at| tags.iter().any(|tag| text[*at..].starts_with(tag)))
}

/// Replaces `{% … %}` and `{# … #}` by blanks of the same length.
fn without_control_tags(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = next_tag(rest, &["{%", "{#"]) {
        let close = if rest[start..].starts_with("{%") {
            "%}"
        } else {
            "#}"
        };
        let end = rest[start..]
            .find(close)
            .map_or(rest.len(), |at| start + at + close.len());
        masked.push_str(&rest[..start]);
        let blanks = rest[start..end]
            .bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' });
        masked.extend(blanks);
        rest = &rest[end..];
    }
    masked.push_str(rest);
    masked
}

impl<'d> Machine<'d> {
    /// Reads what an implementation puts onto its instances.
    pub fn read(implementation: View<'d>, inner: Option<&'d Document>) -> Self {
        let mut machine = Self::default();
        machine.collect_leaves(implementation, None, None);
        let Some(context) = implementation.get("contextualisation") else {
            return machine;
        };
        if let Some(template) = context.get("context_template") {
            match (inner.and_then(Document::root), template.as_str()) {
                (Some(root), _) => {
                    machine.collect_leaves(root, None, Some(template));
                    machine.read_config(root, Some(template));
                }
                (None, Some(_)) => {
                    if let Some(text) =
                        Text::of(template, None).filter(|text| is_shell_text(text.content))
                    {
                        machine.add_script(text, Origin::Boot);
                    }
                }
                (None, None) => machine.read_config(template, None),
            }
        }
        if let Some(command) = context.get("command") {
            machine.read_command(command, None, Origin::Container);
        }
        machine.find_steps();
        machine
    }

    /// Collects all strings; the depth of a document is bounded.
    fn collect_leaves(&mut self, view: View<'d>, key: Option<&'d str>, outer: Option<View<'d>>) {
        if let (Some(text), Some(key)) = (Text::of(view, outer), key) {
            self.leaves.push(Leaf { key, text });
        }
        for item in view.items() {
            self.collect_leaves(item, Some(key.unwrap_or_default()), outer);
        }
        for entry in view.entries() {
            self.collect_leaves(entry.value, Some(entry.key.text()), outer);
        }
    }

    fn read_config(&mut self, config: View<'d>, outer: Option<View<'d>>) {
        self.config = Some((config, outer));
        for item in config.get("write_files").into_iter().flat_map(View::items) {
            let (Some(path), Some(content)) = (
                item.get("path"),
                item.get("content")
                    .and_then(|content| Text::of(content, outer)),
            ) else {
                continue;
            };
            let is_encoded = item.get("encoding").is_some();
            let fits = self.files.len() < FILES_MAX;
            if let Some(name) = path.as_str().filter(|_| fits && !is_encoded) {
                let path_span = place_of(path, outer);
                self.files.push(File {
                    path: name,
                    path_span,
                    content,
                });
            }
        }
        for package in config.get("packages").into_iter().flat_map(View::items) {
            let first = package.items().next().unwrap_or(package);
            if let Some(name) = first.as_str() {
                self.packages.push(name.to_owned());
            }
        }
        for key in ["bootcmd", "runcmd"] {
            let items = config.get(key).into_iter().flat_map(View::items);
            for (place, item) in items.enumerate() {
                let before = self.scripts.len();
                self.read_command(item, outer, Origin::Boot);
                for script in &mut self.scripts[before..] {
                    script.item = (key == "runcmd").then_some(place);
                }
            }
        }
        self.read_files();
    }

    /// Reads a command that is a text, or a list of words.
    fn read_command(&mut self, view: View<'d>, outer: Option<View<'d>>, origin: Origin) {
        if let Some(text) = Text::of(view, outer) {
            return self.add_script(text, origin);
        }
        let words: Vec<Text<'d>> = view
            .items()
            .filter_map(|item| Text::of(item, outer))
            .collect();
        let Some(first) = words.first() else { return };
        let is_script =
            |word: &Text<'_>| word.content.starts_with('-') && word.content.ends_with('c');
        let flag = words.iter().position(is_script);
        if let (true, Some(script)) = (words.len() > 2, flag.and_then(|flag| words.get(flag + 1))) {
            return self.add_script(*script, origin);
        }
        let range = 0..first.content.len();
        let command = Command {
            words: words
                .iter()
                .map(|word| Word {
                    text: word.content.to_owned(),
                    range: range.clone(),
                    is_quoted: true,
                })
                .collect(),
            range,
            ..Command::default()
        };
        let parsed = shell::Script {
            commands: vec![command],
            loops: Vec::new(),
        };
        self.scripts.push(Script {
            text: *first,
            origin,
            parsed,
            item: None,
        });
    }

    fn add_script(&mut self, text: Text<'d>, origin: Origin) {
        let parsed = shell::read(text.content, 0..text.content.len());
        self.scripts.push(Script {
            text,
            origin,
            parsed,
            item: None,
        });
    }

    /// Reads the files that are scripts or describe services.
    fn read_files(&mut self) {
        for (position, file) in self.files.clone().into_iter().enumerate() {
            if is_service_file(file.path) {
                self.read_service(position, file);
            } else if is_shell_text(file.content.content)
                || is_shell_path(file.path)
                || self.is_run(file.path)
            {
                self.add_script(file.content, Origin::File(position));
            }
        }
    }

    /// Says whether a boot command names a file as a script to run.
    fn is_run(&self, path: &str) -> bool {
        self.scripts
            .iter()
            .flat_map(|script| &script.parsed.commands)
            .filter_map(Command::runs_script)
            .any(|run| is_same_file(run, path))
    }

    fn read_service(&mut self, position: usize, file: File<'d>) {
        let content = file.content.content;
        let mut offset = 0;
        let mut block = None;
        for line in content.split_inclusive('\n') {
            let start = offset + (line.len() - line.trim_start().len());
            offset += line.len();
            let trimmed = line.trim();
            if trimmed == "script" || trimmed.ends_with("-start script") {
                block = Some(offset);
            } else if trimmed == "end script" {
                if let Some(begin) = block.take() {
                    self.add_part(file, position, begin..start);
                }
            } else if block.is_none() {
                let commands = ["ExecStartPre=", "ExecStart=", "ExecStartPost=", "exec "];
                if let Some(prefix) = commands.iter().find(|prefix| trimmed.starts_with(**prefix)) {
                    let modifiers = trimmed[prefix.len()..].len()
                        - trimmed[prefix.len()..]
                            .trim_start_matches(['-', '@', '+', '!', ':'])
                            .len();
                    self.add_part(
                        file,
                        position,
                        start + prefix.len() + modifiers..start + trimmed.len(),
                    );
                }
            }
        }
    }

    fn add_part(&mut self, file: File<'d>, position: usize, range: std::ops::Range<usize>) {
        let parsed = shell::read(file.content.content, range);
        self.scripts.push(Script {
            text: file.content,
            origin: Origin::Service(position),
            parsed,
            item: None,
        });
    }

    fn find_steps(&mut self) {
        let roots: Vec<usize> = (0..self.scripts.len())
            .filter(|at| matches!(self.scripts[*at].origin, Origin::Boot | Origin::Container))
            .collect();
        let mut steps = Vec::new();
        for root in roots {
            self.follow(root, 0, true, &mut steps);
        }
        self.steps = steps;
    }

    fn follow(&self, script: usize, depth: usize, is_root: bool, steps: &mut Vec<Step>) {
        if depth > CALLS_MAX {
            return;
        }
        for (command, found) in self.scripts[script].parsed.commands.iter().enumerate() {
            if steps.len() >= STEPS_MAX {
                return;
            }
            if found.place == Where::Remote {
                continue;
            }
            let is_root = is_root && !is_as_user(&self.scripts[script].parsed.commands, command);
            steps.push(Step {
                script,
                command,
                is_root,
            });
            // By the path as it is written: rules look at steps without the
            // conditions that scripts with relative paths are mostly called in.
            for next in self.called(found, |run, path| run == path) {
                self.follow(next, depth + 1, is_root, steps);
            }
        }
    }

    /// Returns the scripts that a command runs.
    pub fn called_by(&self, command: &Command) -> Vec<usize> {
        self.called(command, is_same_file)
    }

    fn called(&self, command: &Command, is_same: impl Fn(&str, &str) -> bool) -> Vec<usize> {
        let path = command.runs_script();
        let unit = started_unit(command);
        let scripts = self.scripts.iter().enumerate();
        scripts
            .filter(|(_, script)| match script.origin {
                Origin::File(file) => path.is_some_and(|path| is_same(path, self.files[file].path)),
                Origin::Service(file) => {
                    unit.is_some_and(|unit| unit == unit_name(self.files[file].path))
                }
                Origin::Boot | Origin::Container => false,
            })
            .map(|(at, _)| at)
            .collect()
    }

    /// Returns the command of a step.
    pub fn command(&self, step: Step) -> &Command {
        &self.scripts[step.script].parsed.commands[step.command]
    }

    /// Returns where the command of a step is written.
    pub fn place(&self, step: Step) -> Span {
        self.scripts[step.script].place(self.command(step))
    }

    /// Returns all commands with their scripts, whether they are known to run or not.
    pub fn commands(&self) -> impl Iterator<Item = (&Script<'d>, &Command)> {
        self.scripts.iter().flat_map(|script| {
            script
                .parsed
                .commands
                .iter()
                .map(move |command| (script, command))
        })
    }

    /// Returns the texts of the contextualisation in which something is looked
    /// for: scripts, files and everything else.
    pub fn texts(&self) -> impl Iterator<Item = &Text<'d>> {
        self.leaves.iter().map(|leaf| &leaf.text)
    }

    /// Says whether one of the texts has a word, capital letters or not.
    pub fn mentions(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        self.texts()
            .any(|text| text.content.to_ascii_lowercase().contains(&word))
    }

    /// Says whether anything is done on the instance but writing files.
    pub fn does_something(&self) -> bool {
        !self.steps.is_empty() || !self.packages.is_empty()
    }
}

/// Says whether two paths lead to one file: commands at boot run in the root directory.
fn is_same_file(one: &str, other: &str) -> bool {
    fn bare(path: &str) -> &str {
        path.trim_start_matches("./").trim_start_matches('/')
    }
    bare(one) == bare(other)
}

/// Says whether a command runs as an ordinary user: through `su` or `sudo -u`,
/// its own or that of the command that it is inside of.
fn is_as_user(commands: &[Command], position: usize) -> bool {
    let own = &commands[position];
    let switches = |command: &Command| {
        let names_user = |word: &Word| matches!(word.text.as_str(), "-u" | "--user");
        matches!(command.program(), "su" | "runuser")
            || command.is_wrapped_in("sudo") && command.words.iter().any(names_user)
    };
    let outer = commands[..position]
        .iter()
        .rev()
        .take(SCRIPT_NEIGHBOURS_MAX);
    let encloses = |command: &&Command| {
        command.range.start <= own.range.start && command.range.end >= own.range.end
    };
    switches(own) || own.place == Where::Inner && outer.filter(encloses).any(switches)
}

/// Returns the service that a command starts, without `.service`.
pub fn started_unit(command: &Command) -> Option<&str> {
    unit_of(
        command,
        &[
            "start",
            "restart",
            "enable",
            "reload-or-restart",
            "try-restart",
        ],
    )
}

/// Returns the service that a command does one of these things with.
pub fn unit_of<'c>(command: &'c Command, verbs: &[&str]) -> Option<&'c str> {
    let mut operands = command.operands().map(|word| word.text.as_str());
    let unit = match command.program() {
        "systemctl" | "rc-service" | "initctl" => {
            let verb = operands.next()?;
            if !verbs.contains(&verb) {
                return None;
            }
            operands.next()?
        }
        "service" => {
            let unit = operands.next()?;
            if !verbs.contains(&operands.next()?) {
                return None;
            }
            unit
        }
        verb @ ("start" | "restart") if verbs.contains(&verb) => operands.next()?,
        program => {
            let path = command.program_path();
            if !path.starts_with("/etc/init.d/") || !verbs.contains(&operands.next()?) {
                return None;
            }
            program
        }
    };
    Some(unit.strip_suffix(".service").unwrap_or(unit))
}

/// Returns the name of the service that a file describes.
pub fn unit_name(path: &str) -> &str {
    let name = base_name(path);
    name.strip_suffix(".service")
        .or_else(|| name.strip_suffix(".conf"))
        .unwrap_or(name)
}

/// Says whether a path ends in an extension, which counts as it is written.
pub fn has_ending(path: &str, extension: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, found)| found == extension)
}

/// Says whether a file describes a service.
pub fn is_service_file(path: &str) -> bool {
    (path.contains("/systemd/system/") && has_ending(path, "service"))
        || (path.starts_with("/etc/init/") && has_ending(path, "conf"))
}

fn is_shell_path(path: &str) -> bool {
    let name = base_name(path);
    [".sh", ".bash"].iter().any(|suffix| name.ends_with(suffix))
}

fn is_shell_text(text: &str) -> bool {
    let line = text.lines().next().unwrap_or("");
    line.starts_with("#!")
        && line
            .split([' ', '/'])
            .any(|word| matches!(word, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh"))
}
