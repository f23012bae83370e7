//! Where the files for authentication and configuration are looked for.

use std::path::{Path, PathBuf};

/// A file that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchedFile {
    /// The secrets, `auth_data.yaml`.
    Authentication,
    /// The configuration, `occopus_config.yaml`.
    Configuration,
}

impl SearchedFile {
    /// Returns the usual name of the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authentication => "auth_data.yaml",
            Self::Configuration => "occopus_config.yaml",
        }
    }

    /// Returns the environment variable that may hold its path.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Authentication => "OCCOPUS_AUTH_DATA_PATH",
            Self::Configuration => "OCCOPUS_CONFIG_PATH",
        }
    }

    /// Returns the option of the commands that gives its path.
    pub const fn option(self) -> &'static str {
        match self {
            Self::Authentication => "--auth_data_path",
            Self::Configuration => "--cfg",
        }
    }
}

/// How a path came to be a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Given by an option: no other place is looked at.
    Given,
    /// From the environment variable.
    Variable,
    /// In `.occopus` of the home folder.
    Home,
    /// In the working folder.
    WorkingFolder,
    /// In `etc/occopus` of the installation.
    Installation,
    /// Beside the program.
    Program,
}

/// A path at which a file is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The path.
    pub path: PathBuf,
    /// Where it comes from.
    pub origin: Origin,
}

/// What the search depends on; the caller asks the environment for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPlaces {
    /// The path that an option gave.
    pub given: Option<PathBuf>,
    /// The value of [`SearchedFile::variable`]; an empty one counts as none.
    pub variable: Option<PathBuf>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// The working folder.
    pub working_folder: Option<PathBuf>,
    /// The folder that the program is installed in, such as `/usr/local`.
    pub installation: Option<PathBuf>,
    /// The folder of the program.
    pub program_folder: Option<PathBuf>,
}

impl SearchPlaces {
    /// Returns the paths to look at, in this order. A given path is the only one.
    pub fn candidates(&self, file: SearchedFile) -> Vec<Candidate> {
        if let Some(given) = &self.given {
            return vec![Candidate {
                path: given.clone(),
                origin: Origin::Given,
            }];
        }
        let below = |folder: &Option<PathBuf>, middle: &str| {
            folder
                .as_ref()
                .map(|folder| folder.join(middle).join(file.name()))
        };
        let variable = self
            .variable
            .clone()
            .filter(|path| !path.as_os_str().is_empty());
        [
            (variable, Origin::Variable),
            (below(&self.home, ".occopus"), Origin::Home),
            (below(&self.working_folder, ""), Origin::WorkingFolder),
            (
                below(&self.installation, "etc/occopus"),
                Origin::Installation,
            ),
            (below(&self.program_folder, ""), Origin::Program),
        ]
        .into_iter()
        .filter_map(|(path, origin)| path.map(|path| Candidate { path, origin }))
        .collect()
    }

    /// Returns the file to read: a given path whether it exists or not, so that
    /// its absence is reported, else the first candidate that exists.
    pub fn find(&self, file: SearchedFile, exists: &dyn Fn(&Path) -> bool) -> Option<Candidate> {
        self.candidates(file)
            .into_iter()
            .find(|candidate| candidate.origin == Origin::Given || exists(&candidate.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everywhere() -> SearchPlaces {
        SearchPlaces {
            given: None,
            variable: Some("/v/secrets.yaml".into()),
            home: Some("/home/u".into()),
            working_folder: Some("/w".into()),
            installation: Some("/usr/local".into()),
            program_folder: Some("/usr/local/bin".into()),
        }
    }

    #[test]
    fn places_are_tried_in_the_order_of_occopus() {
        let paths: Vec<PathBuf> = everywhere()
            .candidates(SearchedFile::Authentication)
            .into_iter()
            .map(|candidate| candidate.path)
            .collect();
        let wanted = [
            "/v/secrets.yaml",
            "/home/u/.occopus/auth_data.yaml",
            "/w/auth_data.yaml",
            "/usr/local/etc/occopus/auth_data.yaml",
            "/usr/local/bin/auth_data.yaml",
        ];
        assert_eq!(paths, wanted.map(PathBuf::from));
    }

    #[test]
    fn the_first_that_exists_is_found_and_a_given_one_always() {
        let mut places = everywhere();
        let exists = |path: &Path| path.starts_with("/w") || path.starts_with("/usr");
        let found = places.find(SearchedFile::Configuration, &exists);
        assert_eq!(
            found,
            Some(Candidate {
                path: "/w/occopus_config.yaml".into(),
                origin: Origin::WorkingFolder
            })
        );
        places.variable = Some(PathBuf::new());
        assert_eq!(places.find(SearchedFile::Configuration, &|_| false), None);
        places.given = Some("nowhere.yaml".into());
        let found = places.find(SearchedFile::Authentication, &|_| false);
        assert_eq!(found.map(|found| found.origin), Some(Origin::Given));
    }
}
