//! `locale`: the language of the node.

use std::process::Command;

use zenekar_base::Value;

use crate::session::{Ending, Session};
use crate::values::{get, is_false, text_of};

const MODULE: &str = "locale";

/// Sets the locale, and generates it if need be.
pub(super) fn run(session: &mut Session<'_>, config: &[(String, Value)]) {
    let Some(value) = get(config, MODULE).filter(|value| !is_false(value)) else {
        return;
    };
    let locale = text_of(value);
    let file =
        get(config, "locale_configfile").map_or_else(|| "/etc/default/locale".to_owned(), text_of);
    if !session.target.can_administer {
        let message = "a locale needs an own file system and root";
        session.note(MODULE, locale, Ending::impossible(message));
        return;
    }
    session.step(MODULE, locale.clone(), |session| {
        let built_in = ["c", "c.utf-8", "posix"].contains(&locale.to_lowercase().as_str());
        if !built_in {
            let ending = session.run(Command::new("locale-gen").arg(&locale));
            if !ending.is_done() {
                return ending;
            }
        }
        session.run(
            Command::new("update-locale")
                .arg(format!("--locale-file={file}"))
                .arg(format!("LANG={locale}")),
        )
    });
}
