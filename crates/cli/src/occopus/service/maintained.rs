//! Which infrastructures the service maintains: remembered over its end.
//!
//! One empty file for each, so that two services, or a crash between two
//! changes, cannot spoil what is known of the others.

use std::fs;
use std::io;
use std::path::PathBuf;

use zenekar_base::InfrastructureId;

use crate::arguments::parse_id;
use crate::place::Place;

/// The memory of which infrastructures are maintained.
#[derive(Clone, Debug)]
pub(super) struct Maintained {
    directory: PathBuf,
}

impl Maintained {
    /// Finds the memory of a state directory. Nothing need be there.
    pub(super) fn of(place: &Place) -> Self {
        Self {
            directory: place.directory().join("occopus").join("maintained"),
        }
    }

    /// Remembers an infrastructure.
    pub(super) fn add(&self, id: &InfrastructureId) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        fs::File::create(self.directory.join(id.as_str()))?;
        // Without it a crash of the machine could lose the new name.
        fs::File::open(&self.directory)?.sync_all()
    }

    /// Forgets an infrastructure.
    pub(super) fn remove(&self, id: &InfrastructureId) -> io::Result<()> {
        match fs::remove_file(self.directory.join(id.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns all that are remembered.
    pub(super) fn all(&self) -> Vec<InfrastructureId> {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        let mut ids: Vec<InfrastructureId> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| parse_id(&name).ok())
            .map(InfrastructureId::new)
            .collect();
        ids.sort();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_remembered_until_it_is_removed() {
        let directory = tempfile::tempdir().expect("a folder for the test");
        let memory = Maintained {
            directory: directory.path().join("occopus/maintained"),
        };
        let (one, two) = (InfrastructureId::new("one"), InfrastructureId::new("two"));
        assert!(memory.all().is_empty());
        memory.remove(&one).expect("nothing is there");
        for id in [&two, &one, &one] {
            memory.add(id).expect("the folder can be written");
        }
        assert_eq!(memory.all(), [one.clone(), two.clone()]);
        memory.remove(&one).expect("the folder can be written");
        assert_eq!(memory.all(), [two]);
    }
}
