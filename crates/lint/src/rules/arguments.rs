//! Passwords among the arguments of programs.

use crate::shell::Command;

use super::secrets::is_password_key;

/// Finds passwords among the arguments of a command: what it is for, the value, the user.
pub(super) fn passwords_of(command: &Command) -> Vec<(&'static str, String, Option<String>)> {
    let arguments = command.arguments();
    let text = |position: usize| arguments.get(position).map(|word| word.text.as_str());
    let user = arguments
        .iter()
        .enumerate()
        .find_map(|(at, word)| match word.text.as_str() {
            "-u" | "--user" => text(at + 1).map(str::to_owned),
            other => other
                .strip_prefix("-u")
                .filter(|rest| !rest.is_empty())
                .map(str::to_owned),
        });
    let mut found = Vec::new();
    match command.program() {
        "mysql" | "mysqladmin" | "mysqldump" | "mariadb" => {
            for (at, word) in arguments.iter().enumerate() {
                let own = word.text.strip_prefix("--password=").or_else(|| {
                    word.text
                        .strip_prefix("-p")
                        .filter(|value| !value.is_empty() && !word.text.starts_with("--"))
                });
                let set = (word.text == "password").then(|| text(at + 1)).flatten();
                if let Some(value) = own.or(set) {
                    found.push(("MySQL", value.to_owned(), user.clone()));
                }
                let lower = word.text.to_ascii_lowercase();
                if let Some(value) = lower.find("identified by '").and_then(|start| {
                    word.text[start + "identified by '".len()..]
                        .split('\'')
                        .next()
                }) {
                    found.push(("MySQL", value.to_owned(), None));
                }
            }
        }
        "sshpass" => {
            for (at, word) in arguments.iter().enumerate() {
                let own = word
                    .text
                    .strip_prefix("-p")
                    .filter(|value| !value.is_empty());
                let next = (word.text == "-p").then(|| text(at + 1)).flatten();
                found.extend(
                    own.or(next)
                        .map(|value| ("sshpass", value.to_owned(), None)),
                );
            }
        }
        "curl" => {
            if let Some((user, password)) = user.as_deref().and_then(|pair| pair.split_once(':')) {
                found.push(("curl", password.to_owned(), Some(user.to_owned())));
            }
        }
        "redis-server" | "redis-cli" => {
            for (at, word) in arguments.iter().enumerate() {
                if matches!(word.text.as_str(), "--requirepass" | "-a") {
                    found.extend(text(at + 1).map(|value| ("Redis", value.to_owned(), None)));
                }
            }
        }
        "rabbitmqctl" => {
            if let Some(at) = arguments
                .iter()
                .position(|word| matches!(word.text.as_str(), "add_user" | "change_password"))
            {
                found.extend(text(at + 2).map(|value| {
                    (
                        "RabbitMQ",
                        value.to_owned(),
                        text(at + 1).map(str::to_owned),
                    )
                }));
            }
        }
        "kubeadm" => {
            for (at, word) in arguments.iter().enumerate() {
                let next = (word.text == "--token").then(|| text(at + 1)).flatten();
                let value = word.text.strip_prefix("--token=").or(next);
                found.extend(value.map(|value| ("kubeadm", value.to_owned(), None)));
            }
        }
        "jupyter" | "jupyter-lab" | "jupyter-notebook" => {
            for word in arguments {
                let value = word.text.split_once("assword=").map(|(_, value)| value);
                found.extend(value.map(|value| ("Jupyter", value.to_owned(), None)));
            }
        }
        "docker" | "podman" => {
            for (at, word) in arguments.iter().enumerate() {
                if matches!(word.text.as_str(), "-e" | "--env")
                    && let Some((name, value)) = text(at + 1).and_then(|pair| pair.split_once('='))
                    && is_password_key(name)
                {
                    found.push(("container", value.to_owned(), None));
                }
            }
        }
        _ => {}
    }
    found
}
