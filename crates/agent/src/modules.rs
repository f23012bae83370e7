//! The modules of cloud-init, in its stages and its order.

mod apt;
mod host;
mod keys;
mod keys_of_users;
mod last;
mod locale;
mod packages;
mod passwords;
pub(crate) mod scripts;
mod template;
mod users;
mod write_files;

use zenekar_base::Value;

use crate::session::{Session, Stage};

/// Runs all stages; the first one was entered.
pub(crate) fn run(session: &mut Session<'_>, config: &[(String, Value)]) {
    let mut packages = packages::Packages::default();
    keys::report(session, config, Stage::Init);
    scripts::bootcmd(session, config);
    write_files::run(session, config, false);
    host::set_name(session, config);
    host::manage_hosts(session, config);
    users::run(session, config);
    keys_of_users::run(session, config);
    session.leave();

    session.enter(Stage::Config);
    keys::report(session, config, Stage::Config);
    locale::run(session, config);
    passwords::run(session, config);
    apt::run(session, config, &mut packages);
    host::time_zone(session, config);
    scripts::runcmd(session, config);
    session.leave();

    session.enter(Stage::Final);
    keys::report(session, config, Stage::Final);
    packages.run(session, config);
    write_files::run(session, config, true);
    scripts::run_all(session);
    last::run(session, config);
    session.leave();
}
