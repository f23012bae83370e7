//! Where the state lives, and which infrastructure a command means.

use std::path::{Path, PathBuf};

use zenekar_base::InfrastructureId;
use zenekar_diagnostics::did_you_mean;
use zenekar_store::{
    DirectoryLookups, InfrastructureRow, Store, StoreError, StoreOptions, default_directory,
};

use crate::arguments::{DescriptorArguments, Global, parse_id};
use crate::descriptor::Described;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::providers;

/// Infrastructures that a message names.
const NAMED_MAX: usize = 8;

/// The state directory of this run.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    allow_host_commands: bool,
    authentication_file: Option<PathBuf>,
}

impl Place {
    /// Finds the state directory from the options and the environment.
    pub(crate) fn find(global: &Global) -> Result<Self, Failure> {
        let lookups = DirectoryLookups {
            zenekar_state_dir: global.state_dir.clone().map(PathBuf::into_os_string),
            xdg_state_home: std::env::var_os("XDG_STATE_HOME"),
            home: std::env::var_os("HOME"),
        };
        Ok(Self {
            directory: default_directory(&lookups)?,
            allow_host_commands: global.allow_host_commands,
            authentication_file: None,
        })
    }

    /// Says which of Occopus's files of credentials counts.
    pub(crate) fn with_authentication_file(mut self, file: Option<PathBuf>) -> Self {
        self.authentication_file = file;
        self
    }

    /// Returns the file of Occopus's credentials that was named.
    pub(crate) fn authentication_file(&self) -> Option<&Path> {
        self.authentication_file.as_deref()
    }

    /// Returns the directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Says whether templates may run programs on this machine.
    pub(crate) const fn allows_host_commands(&self) -> bool {
        self.allow_host_commands
    }

    /// Returns where the simulated cloud keeps its files.
    pub(crate) fn sim_directory(&self) -> PathBuf {
        self.directory.join(providers::SIM)
    }

    /// Returns where instances on this machine have their files.
    pub(crate) fn local_directory(&self) -> PathBuf {
        self.directory.join(providers::LOCAL)
    }

    /// Opens the store to look at it; none if nothing was ever stored.
    pub(crate) fn look(&self) -> Result<Option<Store>, Failure> {
        match Store::open(&self.directory, StoreOptions::read_only()) {
            Ok(store) => Ok(Some(store)),
            Err(StoreError::NoState { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the store to look at it; fails if nothing was ever stored.
    pub(crate) fn look_at(&self) -> Result<Store, Failure> {
        self.look()?.ok_or_else(none_at_all)
    }

    /// Opens the store to change it; creates it if there is none.
    pub(crate) fn change(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.directory, StoreOptions::read_write())?)
    }

    /// Opens the store to change what is in it; fails if nothing was ever stored.
    pub(crate) fn change_existing(&self) -> Result<Store, Failure> {
        self.look_at()?;
        self.change()
    }
}

/// Returns the id of a descriptor's infrastructure.
pub(crate) fn id_for(name: Option<&str>, infra_name: &str) -> Result<InfrastructureId, Failure> {
    if let Some(name) = name {
        return Ok(InfrastructureId::new(name));
    }
    parse_id(infra_name)
        .map(InfrastructureId::new)
        .map_err(|why| {
            Failure::usage(format!("`{infra_name}` cannot be an id: {why}"))
                .hint("give one with `--name`")
        })
}

/// Finds the infrastructure that is meant: by id, by descriptor, or because
/// there is only one.
pub(crate) fn find(store: &Store, argument: Option<&str>) -> Result<InfrastructureRow, Failure> {
    let rows = store.list_infrastructures()?;
    match argument {
        None => only(rows),
        Some(text) => named(rows, text),
    }
}

fn only(rows: Vec<InfrastructureRow>) -> Result<InfrastructureRow, Failure> {
    let mut up: Vec<InfrastructureRow> = rows
        .into_iter()
        .filter(|row| row.removed_at.is_none())
        .collect();
    match up.len() {
        0 => Err(none_at_all()),
        1 => up.pop().ok_or_else(none_at_all),
        count => {
            let names = listed(up.iter().map(|row| row.id.as_str()));
            Err(
                Failure::usage(format!("there are {count} infrastructures: {names}"))
                    .hint("say which one you mean"),
            )
        }
    }
}

fn named(rows: Vec<InfrastructureRow>, text: &str) -> Result<InfrastructureRow, Failure> {
    if let Some(row) = rows.iter().find(|row| row.id.as_str() == text) {
        return Ok(row.clone());
    }
    let path = Path::new(text);
    if path.is_file() {
        let id = id_in_descriptor(path)?;
        return rows.into_iter().find(|row| row.id == id).ok_or_else(|| {
            Failure::usage(format!("infrastructure `{id}` of `{text}` is not there"))
                .hint(format!("bring it up with `zenekar up {text}`"))
        });
    }
    let failure = Failure::usage(format!("there is no infrastructure `{text}`"));
    Err(
        match did_you_mean(text, rows.iter().map(|row| row.id.as_str())) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None if rows.is_empty() => failure.hint("bring one up with `zenekar up FILE`"),
            None => failure.hint(format!(
                "there are: {}",
                listed(rows.iter().map(|row| row.id.as_str()))
            )),
        },
    )
}

/// Reads only the name that a descriptor gives its infrastructure.
fn id_in_descriptor(path: &Path) -> Result<InfrastructureId, Failure> {
    let arguments = DescriptorArguments {
        file: path.to_owned(),
        nodes: Vec::new(),
        on: None,
        allow_host_commands: true,
    };
    let described = Described::load(&arguments);
    match &described.loaded.topology {
        Some(topology) => id_for(None, topology.name()),
        None => Err(Failure::new(
            Exit::InvalidDescriptor,
            format!("cannot tell the infrastructure of `{}`", path.display()),
        )
        .hint(format!(
            "`zenekar validate {}` shows what is wrong with it; or give the infrastructure's id",
            path.display()
        ))),
    }
}

fn none_at_all() -> Failure {
    Failure::usage("there is no infrastructure").hint("bring one up with `zenekar up FILE`")
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    }
}
