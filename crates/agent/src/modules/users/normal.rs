//! The many ways to name users and groups, made one.

use zenekar_base::Value;

use super::names_in;
use crate::merge::Rules;
use crate::values::{as_list, as_map, get, is_true, kind_of, text_of, truthy};

type Settings = Vec<(String, Value)>;

/// The accounts that a configuration asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Accounts {
    /// The groups and their members.
    pub(crate) groups: Vec<(String, Vec<String>)>,
    /// The users and their settings.
    pub(crate) users: Vec<(String, Settings)>,
    /// The name of the user whom keys and passwords without a name are for.
    pub(crate) default_user: Option<String>,
}

impl Accounts {
    fn user(&mut self, name: &str) -> &mut Settings {
        let known = self.users.iter().position(|(known, _)| known == name);
        let at = known.unwrap_or_else(|| {
            self.users.push((name.to_owned(), Vec::new()));
            self.users.len() - 1
        });
        &mut self.users[at].1
    }

    fn take(&mut self, name: &str) -> Option<Settings> {
        let at = self.users.iter().position(|(known, _)| known == name)?;
        Some(self.users.remove(at).1)
    }
}

/// The user that images of Debian have.
fn default_settings() -> Settings {
    let text = |text: &str| Value::String(text.to_owned());
    let groups = [
        "adm", "audio", "cdrom", "dialout", "dip", "floppy", "netdev", "plugdev", "sudo", "video",
    ];
    [
        ("name", text("debian")),
        ("lock_passwd", Value::Bool(true)),
        ("gecos", text("Debian")),
        ("groups", Value::List(groups.map(text).to_vec())),
        ("sudo", Value::List(vec![text("ALL=(ALL) NOPASSWD:ALL")])),
        ("shell", text("/bin/bash")),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

/// Completes settings: what is there stays.
fn complete(settings: Settings, with: Settings) -> Settings {
    match Rules::of_defaults().merge(Value::Map(settings), Value::Map(with)) {
        Value::Map(entries) => entries,
        // A mapping stays a mapping.
        _ => Vec::new(),
    }
}

/// Reads the accounts that a configuration asks for. Whoever says nothing about
/// users, but has keys or a password, means the default user.
pub(crate) fn accounts_of(config: &[(String, Value)]) -> Result<Accounts, String> {
    let default_only = Value::List(vec![Value::String("default".to_owned())]);
    let mut accounts = Accounts::default();
    let old_user = match get(config, "user").filter(|value| truthy(value)) {
        Some(Value::String(name)) => vec![("name".to_owned(), Value::String(name.clone()))],
        Some(Value::Map(settings)) => settings.clone(),
        _ => Vec::new(),
    };
    let mut entries = match get(config, "users").unwrap_or(&default_only) {
        Value::List(entries) => entries.clone(),
        Value::String(names) => {
            let names = names_in(&Value::String(names.clone())).unwrap_or_default();
            names.into_iter().map(Value::String).collect()
        }
        Value::Map(users) => from_mapping(users)?,
        _ => Vec::new(),
    };
    if !old_user.is_empty() {
        entries.push(Value::Map(vec![(
            "name".to_owned(),
            Value::String("default".to_owned()),
        )]));
    }
    for entry in entries {
        add_entry(&mut accounts, entry)?;
    }
    for (_, settings) in &mut accounts.users {
        for (key, _) in settings {
            *key = key.trim().replace('-', "_");
        }
    }
    put_default(&mut accounts, complete(old_user, default_settings()));
    if let Some(groups) = get(config, "groups") {
        accounts.groups = groups_of(groups)?;
    }
    Ok(accounts)
}

fn from_mapping(users: &[(String, Value)]) -> Result<Vec<Value>, String> {
    let mut entries = Vec::new();
    for (name, value) in users {
        match value {
            Value::Map(settings) => {
                let mut settings = settings.clone();
                settings.retain(|(key, _)| key != "name");
                settings.push(("name".to_owned(), Value::String(name.clone())));
                entries.push(Value::Map(settings));
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
                if is_true(value) {
                    entries.push(Value::String(name.clone()));
                }
            }
            other => return Err(format!("the user `{name}` is {}", kind_of(other))),
        }
    }
    Ok(entries)
}

fn add_entry(accounts: &mut Accounts, entry: Value) -> Result<(), String> {
    if let Some(names) = names_in(&entry) {
        for name in names.iter().filter(|name| !name.is_empty()) {
            accounts.user(name);
        }
        return Ok(());
    }
    let Value::Map(mut settings) = entry else {
        return Err(format!("a user is {}", kind_of(&entry)));
    };
    let name = get(&settings, "name").map_or_else(|| "default".to_owned(), text_of);
    settings.retain(|(key, _)| key != "name");
    let known = accounts.user(&name);
    *known = complete(std::mem::take(known), settings);
    Ok(())
}

/// Gives the user `default` his name and what the image says about him.
fn put_default(accounts: &mut Accounts, mut image: Settings) {
    let Some(asked) = accounts.take("default") else {
        return;
    };
    let name = get(&image, "name").map(text_of).unwrap_or_default();
    let mut groups: Vec<String> = get(&image, "groups").and_then(names_in).unwrap_or_default();
    image.retain(|(key, _)| key != "name" && key != "groups");
    let mut by_name = accounts.take(&name).unwrap_or_default();
    groups.extend(
        get(&by_name, "groups")
            .and_then(names_in)
            .unwrap_or_default(),
    );
    groups.sort();
    groups.dedup();
    by_name.retain(|(key, _)| key != "groups");
    by_name.push(("groups".to_owned(), Value::String(groups.join(","))));
    let settings = complete(complete(image, asked), by_name);
    accounts.users.push((name.clone(), settings));
    accounts.default_user = Some(name);
}

fn groups_of(value: &Value) -> Result<Vec<(String, Vec<String>)>, String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |name: &str, members: Vec<String>| {
        let name = name.to_owned();
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(members),
            None => groups.push((name, members)),
        }
    };
    let members_of = |name: &str, value: &Value| match value {
        Value::Null => Ok(Vec::new()),
        other => names_in(other)
            .ok_or_else(|| format!("the members of the group `{name}` are {}", kind_of(other))),
    };
    if let Some(entries) = as_map(value) {
        for (name, members) in entries {
            add(name, members_of(name, members)?);
        }
    } else if let Value::String(names) = value {
        for name in names.trim().split(',') {
            add(name, Vec::new());
        }
    } else {
        let items = as_list(value).ok_or_else(|| format!("`groups` is {}", kind_of(value)))?;
        for item in items {
            match item {
                Value::Map(entries) => {
                    for (name, members) in entries {
                        add(name, members_of(name, members)?);
                    }
                }
                Value::String(name) => add(name, Vec::new()),
                other => return Err(format!("a group is {}", kind_of(other))),
            }
        }
    }
    for (_, members) in &mut groups {
        members.sort();
        members.dedup();
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(text: &str) -> Accounts {
        match crate::config::read("test", text.as_bytes()).unwrap().value {
            Value::Map(config) => accounts_of(&config).unwrap(),
            _ => panic!("not a mapping"),
        }
    }

    fn names(accounts: &Accounts) -> Vec<&str> {
        accounts
            .users
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    // The expected values were measured with `normalize_users_groups` of cloud-init 22.4.2.
    #[test]
    fn users_are_lists_mappings_or_text() {
        for (text, expected) in [
            ("users: [default, bob]", vec!["bob", "debian"]),
            (
                "users: [bob, {name: amy}, 'x,y']",
                vec!["bob", "amy", "x", "y"],
            ),
            ("users: bob,amy", vec!["bob", "amy"]),
            ("users: {bob: {}, amy: yes, eve: no}", vec!["amy", "bob"]),
            ("users: []", vec![]),
            ("user: web", vec!["web"]),
            ("{user: web, users: [bob]}", vec!["bob", "web"]),
            ("ssh_authorized_keys: [k]", vec!["debian"]),
        ] {
            let mut expected = expected;
            let found = accounts(text);
            let mut found = names(&found);
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_default_user_has_what_the_image_says_and_what_is_added() {
        let found = accounts(
            "users: [{name: default, shell: /bin/sh, ssh-redirect-user: 1}, {name: debian, groups: [docker, sudo], uid: 7}]",
        );
        assert_eq!(found.default_user.as_deref(), Some("debian"));
        let settings = &found.users[0].1;
        // The image wins over what is said about `default`.
        assert_eq!(
            get(settings, "shell"),
            Some(&Value::String("/bin/bash".to_owned()))
        );
        assert_eq!(get(settings, "uid"), Some(&Value::Int(7)));
        assert_eq!(get(settings, "ssh_redirect_user"), Some(&Value::Int(1)));
        assert_eq!(
            get(settings, "groups"),
            Some(&Value::String(
                "adm,audio,cdrom,dialout,dip,docker,floppy,netdev,plugdev,sudo,video".to_owned()
            ))
        );
    }

    #[test]
    fn groups_are_lists_mappings_or_text() {
        let group = |name: &str, members: &[&str]| {
            (
                name.to_owned(),
                members
                    .iter()
                    .map(|member| (*member).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            accounts("groups: [a, {b: [y, x]}, {b: z, c: w}]").groups,
            [
                group("a", &[]),
                group("b", &["x", "y", "z"]),
                group("c", &["w"])
            ]
        );
        assert_eq!(
            accounts("groups: {a: [], b: 'x,y'}").groups,
            [group("a", &[]), group("b", &["x", "y"])]
        );
        assert_eq!(
            accounts("groups: a,b").groups,
            [group("a", &[]), group("b", &[])]
        );
        let nonsense = vec![("groups".to_owned(), Value::Int(1))];
        assert!(accounts_of(&nonsense).is_err());
    }
}
