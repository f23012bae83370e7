//! The modules of cloud-init, in its stages and its order.

pub(crate) mod scripts;
mod write_files;

use zenekar_base::Value;

use crate::session::{Session, Stage};

/// Runs all stages.
pub(crate) fn run(session: &mut Session<'_>, config: &[(String, Value)]) {
    scripts::bootcmd(session, config);
    write_files::run(session, config, false);
    session.leave();
    session.enter(Stage::Config);
    scripts::runcmd(session, config);
    session.leave();
    session.enter(Stage::Final);
    write_files::run(session, config, true);
    for folder in [
        "/var/lib/cloud/scripts/per-once",
        "/var/lib/cloud/scripts/per-boot",
        "/var/lib/cloud/scripts/per-instance",
        scripts::SCRIPTS,
    ] {
        scripts::run_folder(session, folder);
    }
    session.leave();
}
