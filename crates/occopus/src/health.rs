//! The section `health_check` of a node definition.

use zenekar_base::Millis;
use zenekar_diagnostics::Diagnostic;
use zenekar_diagnostics::codes::definition as codes;
use zenekar_document::{Kind, View};
use zenekar_model::{Health, MysqlCheck};

use crate::checker::{Checker, with_article};
use crate::schema;

/// Seconds of the longest time-out: a year. More is a mistyped number.
const TIMEOUT_SECONDS_MAX: i128 = 366 * 24 * 3600;

const MYSQL_KEYS: &[&str] = &["name", "user", "pass"];

/// Reads the section; null means the defaults.
pub(crate) fn read(view: View<'_>, checker: &mut Checker) -> Health {
    let mut health = Health::default();
    if !checker.mapping(&codes::INVALID_VALUE, "`health_check`", view) {
        return health;
    }
    for entry in view.entries() {
        let value = entry.value;
        match entry.key.text() {
            "type" => check_type(value, checker),
            "ping" => {
                health.ping = read_ping(value, checker);
            }
            "ports" => {
                if checker.list(&codes::INVALID_VALUE, "`ports`", value) {
                    health.ports = value
                        .items()
                        .filter_map(|port| read_port(port, checker))
                        .collect();
                }
            }
            "urls" => {
                if checker.list(&codes::INVALID_VALUE, "`urls`", value) {
                    let texts = value
                        .items()
                        .filter_map(|url| checker.text(&codes::INVALID_VALUE, "a URL", url));
                    health.urls = texts.map(str::to_owned).collect();
                }
            }
            "mysqldbs" => {
                if checker.list(&codes::INVALID_VALUE, "`mysqldbs`", value) {
                    health.mysql_databases = value
                        .items()
                        .filter_map(|database| read_database(database, checker))
                        .collect();
                }
            }
            "timeout" => health.timeout = read_timeout(value, checker).unwrap_or(health.timeout),
            key => checker.unknown_key(
                &codes::UNKNOWN_SECTION_KEY,
                "`health_check`",
                (key, entry.key.span()),
                schema::HEALTH.keys(),
            ),
        }
    }
    health
}

/// Reads `ping` as Python's `if` does, because that is what Occopus asks.
fn read_ping(view: View<'_>, checker: &mut Checker) -> bool {
    let truth = match view.kind() {
        Kind::Bool(truth) => return truth,
        Kind::Null => false,
        Kind::Int(number) => number != 0,
        Kind::Float(number) => number != 0.0,
        Kind::String(text) => !text.is_empty(),
        Kind::List => view.items().len() > 0,
        Kind::Map => view.entries().len() > 0,
        Kind::Date(_) | Kind::Bytes(_) => true,
        Kind::Invalid => return true,
    };
    let meant = view
        .as_str()
        .and_then(|word| {
            let word = word.to_ascii_lowercase();
            word.parse()
                .ok()
                .or_else(|| zenekar_document::boolean_word(&word))
        })
        .unwrap_or(truth);
    let found = with_article(view.type_name());
    checker.report(
        Diagnostic::warning(
            &codes::NOT_A_TRUTH_VALUE,
            format!("`ping` is {found} and counts as {truth}"),
        )
        .at(view.span())
        .help(format!("write `{meant}`"))
        .fix(view.span(), meant.to_string()),
    );
    truth
}

fn check_type(view: View<'_>, checker: &mut Checker) {
    if let Some(name) = checker.text(&codes::INVALID_VALUE, "`type` of `health_check`", view)
        && name != schema::HEALTH.name
    {
        checker.report(
            Diagnostic::error(
                &codes::UNKNOWN_PLUGIN,
                format!("unknown type `{name}` of `health_check`"),
            )
            .at(view.span())
            .help("`basic` is the only one; it may be left out"),
        );
    }
}

fn read_port(view: View<'_>, checker: &mut Checker) -> Option<u16> {
    let Some(number) = view.as_int() else {
        checker.wrong_type(&codes::INVALID_VALUE, "a port", "an integer", view);
        return None;
    };
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        checker.report(
            Diagnostic::error(&codes::INVALID_VALUE, format!("there is no port {number}"))
                .at(view.span())
                .help("ports are numbers from 1 to 65535"),
        );
    }
    port
}

fn read_timeout(view: View<'_>, checker: &mut Checker) -> Option<Millis> {
    match view.kind() {
        Kind::Null => None,
        Kind::Int(seconds) if (0..=TIMEOUT_SECONDS_MAX).contains(&seconds) => {
            u64::try_from(seconds).ok().map(Millis::from_secs)
        }
        Kind::Int(_) => {
            checker.report(
                Diagnostic::error(
                    &codes::INVALID_VALUE,
                    "`timeout` is a number of seconds, a year at most",
                )
                .at(view.span()),
            );
            None
        }
        _ => {
            checker.wrong_type(&codes::INVALID_VALUE, "`timeout`", "an integer", view);
            None
        }
    }
}

fn read_database(view: View<'_>, checker: &mut Checker) -> Option<MysqlCheck> {
    if view.kind() != Kind::Map {
        checker.wrong_type(
            &codes::INVALID_VALUE,
            "an item of `mysqldbs`",
            "a mapping",
            view,
        );
        return None;
    }
    for entry in view.entries() {
        if !MYSQL_KEYS.contains(&entry.key.text()) {
            checker.unknown_key(
                &codes::UNKNOWN_SECTION_KEY,
                "an item of `mysqldbs`",
                (entry.key.text(), entry.key.span()),
                MYSQL_KEYS.iter().copied(),
            );
        }
    }
    let mut part = |key: &str| {
        let Some(value) = view.get(key) else {
            checker.report(
                Diagnostic::error(
                    &codes::MISSING_SECTION_KEY,
                    format!("an item of `mysqldbs` lacks `{key}`"),
                )
                .at(view.span()),
            );
            return None;
        };
        checker
            .text(
                &codes::INVALID_VALUE,
                &format!("`{key}` of a database"),
                value,
            )
            .map(str::to_owned)
    };
    let (name, user, password) = (part("name"), part("user"), part("pass"));
    Some(MysqlCheck {
        name: name?,
        user: user?,
        password: password?,
    })
}
