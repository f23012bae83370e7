//! Salvage: what a broken database file still holds, moved into a new store.

use crate::error::StoreError;
use crate::export::{ExportMode, export_record};
use crate::import::Imported;
use crate::infrastructure::Record;
use crate::store::Store;

/// What a salvage brought over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The infrastructures, each with what was lost of it.
    pub imported: Vec<Imported>,
    /// What is lost altogether.
    pub problems: Vec<String>,
}

impl Store {
    /// Copies into `target` all that can still be read. Changes nothing here,
    /// so it works where a repair does not: on a database file that is broken
    /// itself. Leases are not copied; infrastructures that `target` has are
    /// not overwritten.
    pub fn salvage_into(&self, target: &mut Self) -> Result<Salvaged, StoreError> {
        let mut salvaged = Salvaged::default();
        let (records, problems) = self.read_with("salvage the state", Record::all_readable)?;
        salvaged.problems.extend(problems);
        for (record, is_intact) in records {
            if !is_intact {
                continue;
            }
            let mut lines = Vec::new();
            let exported = self.read_with("salvage the state", |session| {
                export_record(session, &record, ExportMode::Salvage, &mut lines)
            });
            match exported.and_then(|_| target.import(&mut lines.as_slice())) {
                Ok(imported) => salvaged.imported.push(imported),
                Err(StoreError::Corrupt { what, .. }) => salvaged
                    .problems
                    .push(format!("infrastructure `{}`: {what}", record.id)),
                Err(error) => return Err(error),
            }
        }
        Ok(salvaged)
    }
}
