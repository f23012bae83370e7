//! What a command runs, behind `sudo` and the like.

use std::ops::Range;

use super::{Command, RedirectKind, Where, Word};

/// Programs that run another one, which follows their options.
const WRAPPERS: &[&str] = &[
    "sudo", "env", "nohup", "exec", "time", "command", "nice", "ionice", "setsid", "stdbuf",
    "timeout", "builtin", "chronic", "doas", "retry",
];

/// Options of the wrappers whose value is a word of its own.
const WRAPPER_OPTIONS_WITH_VALUE: &[&str] = &[
    "-u", "-g", "-n", "-c", "-k", "-s", "--user", "--group", "--signal",
];

/// Options of `ssh` whose value is a word of its own.
const SSH_OPTIONS_WITH_VALUE: &str = "BbcDEeFIiJLlmOopQRSWw";

/// Shells, which take a script as an argument.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh"];

impl Command {
    /// Returns the position of the program's word, wrappers left out.
    fn program_position(&self) -> Option<usize> {
        let mut at = 0;
        loop {
            let word = self.words.get(at)?;
            let name = base_name(&word.text);
            if !WRAPPERS.contains(&name) {
                return Some(at);
            }
            at += 1;
            let is_timeout = name == "timeout";
            while let Some(option) = self.words.get(at) {
                let is_value =
                    option.text.starts_with('-') || super::lexer::is_assignment(&option.text);
                if !is_value {
                    break;
                }
                at += 1;
                if WRAPPER_OPTIONS_WITH_VALUE.contains(&option.text.as_str()) && name != "exec" {
                    at += 1;
                }
            }
            // `timeout 30 program`.
            at += usize::from(is_timeout);
            if at >= self.words.len() {
                return (!self.words.is_empty()).then_some(0);
            }
        }
    }

    /// Returns the name of the program without its folder; empty for none.
    pub fn program(&self) -> &str {
        self.program_position()
            .map_or("", |at| base_name(&self.words[at].text))
    }

    /// Returns the program as it is written.
    pub fn program_path(&self) -> &str {
        self.program_position()
            .map_or("", |at| self.words[at].text.as_str())
    }

    /// Returns the words behind the program.
    pub fn arguments(&self) -> &[Word] {
        self.program_position()
            .map_or(&[], |at| &self.words[at + 1..])
    }

    /// Says whether one of the words in front of the program has this name.
    pub fn is_wrapped_in(&self, wrapper: &str) -> bool {
        let end = self.program_position().unwrap_or(0);
        self.words[..end]
            .iter()
            .any(|word| base_name(&word.text) == wrapper)
    }

    /// Says whether an argument is exactly this one.
    pub fn has_argument(&self, text: &str) -> bool {
        self.arguments().iter().any(|word| word.text == text)
    }

    /// Returns the arguments that are no options.
    pub fn operands(&self) -> impl Iterator<Item = &Word> {
        self.arguments()
            .iter()
            .filter(|word| !word.text.starts_with('-'))
    }

    /// Returns the files that the command writes, by redirection.
    pub fn written(&self) -> impl Iterator<Item = &Word> {
        self.redirects
            .iter()
            .filter(|redirect| matches!(redirect.kind, RedirectKind::Write | RedirectKind::Append))
            .map(|redirect| &redirect.target)
    }

    /// Returns all words joined by blanks.
    pub fn line(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }

    /// Finds the words that are a script of their own, as in `sh -c '…'`.
    pub fn script_argument(&self) -> Option<(Range<usize>, Where)> {
        let program = self.program_position()?;
        let name = base_name(&self.words[program].text);
        let behind = program + 1;
        if SHELLS.contains(&name) || matches!(name, "su" | "runuser" | "sg") {
            let flag = self.words[behind..].iter().position(|word| {
                word.text == "--command"
                    || (word.text.starts_with('-')
                        && !word.text.starts_with("--")
                        && word.text.ends_with('c'))
            })?;
            let at = behind + flag + 1;
            return (at < self.words.len()).then_some((at..at + 1, Where::Inner));
        }
        if matches!(name, "ssh" | "sshpass") {
            let ssh = self.words[program..]
                .iter()
                .position(|word| base_name(&word.text) == "ssh")?;
            let first = self.behind_host(program + ssh + 1);
            return (first < self.words.len()).then_some((first..self.words.len(), Where::Remote));
        }
        if name == "eval" {
            return (behind < self.words.len()).then_some((behind..behind + 1, Where::Inner));
        }
        None
    }

    /// Returns the position of the first word behind the host of `ssh`.
    fn behind_host(&self, mut at: usize) -> usize {
        while let Some(word) = self.words.get(at) {
            let text = word.text.as_str();
            if !text.starts_with('-') {
                return at + 1;
            }
            let letter = text.strip_prefix('-').filter(|rest| rest.len() == 1);
            let takes_value = letter.is_some_and(|letter| SSH_OPTIONS_WITH_VALUE.contains(letter));
            at += 1 + usize::from(takes_value);
        }
        at
    }

    /// Returns the path of the script that the command runs, if it runs one.
    pub fn runs_script(&self) -> Option<&str> {
        let name = self.program();
        if SHELLS.contains(&name) || matches!(name, "source" | ".") {
            let arguments = self.arguments();
            if self.script_argument().is_some() {
                return None;
            }
            return arguments
                .iter()
                .find(|word| !word.text.starts_with('-') && !word.text.starts_with('+'))
                .map(|word| word.text.as_str());
        }
        let path = self.program_path();
        path.contains('/').then_some(path)
    }

    /// Says whether the command runs a shell that reads its script from a pipe.
    pub fn is_shell_on_pipe(&self) -> bool {
        let name = self.program();
        (SHELLS.contains(&name) || matches!(name, "python" | "python3" | "perl" | "ruby"))
            && self.operands().next().is_none_or(|word| word.text == "-")
            && self.script_argument().is_none()
            || (SHELLS.contains(&name) && self.has_argument("-s"))
    }
}

/// Returns the last part of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
