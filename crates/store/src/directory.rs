//! Where the state lives.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::StoreError;

/// What the environment says about directories; read by the caller.
#[derive(Clone, Debug, Default)]
pub struct DirectoryLookups {
    /// `$ZENEKAR_STATE_DIR`: the state directory itself.
    pub zenekar_state_dir: Option<OsString>,
    /// `$XDG_STATE_HOME`: where programs keep their state.
    pub xdg_state_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
}

/// Returns the state directory: `$ZENEKAR_STATE_DIR`, else
/// `$XDG_STATE_HOME/zenekar`, else `$HOME/.local/state/zenekar`.
///
/// An empty variable counts as unset. `$XDG_STATE_HOME` and `$HOME` count only
/// when absolute, as the XDG specification demands; `$ZENEKAR_STATE_DIR` may be
/// relative to the working directory.
pub fn default_directory(lookups: &DirectoryLookups) -> Result<PathBuf, StoreError> {
    let set = |variable: &Option<OsString>| {
        variable
            .clone()
            .filter(|text| !text.is_empty())
            .map(PathBuf::from)
    };
    let absolute = |variable: &Option<OsString>| set(variable).filter(|path| path.is_absolute());
    set(&lookups.zenekar_state_dir)
        .or_else(|| absolute(&lookups.xdg_state_home).map(|home| home.join("zenekar")))
        .or_else(|| absolute(&lookups.home).map(|home| home.join(".local/state/zenekar")))
        .ok_or(StoreError::NoDirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(own: &str, xdg: &str, home: &str) -> Option<String> {
        let lookups = DirectoryLookups {
            zenekar_state_dir: Some(own.into()),
            xdg_state_home: Some(xdg.into()),
            home: Some(home.into()),
        };
        default_directory(&lookups)
            .ok()
            .map(|path| path.display().to_string())
    }

    #[test]
    fn the_first_usable_variable_wins() {
        assert_eq!(
            directory("here", "/xdg", "/home/a").as_deref(),
            Some("here")
        );
        assert_eq!(
            directory("", "/xdg", "/home/a").as_deref(),
            Some("/xdg/zenekar")
        );
        assert_eq!(
            directory("", "relative", "/home/a").as_deref(),
            Some("/home/a/.local/state/zenekar")
        );
        assert_eq!(directory("", "", "relative"), None);
        assert!(matches!(
            default_directory(&DirectoryLookups::default()),
            Err(StoreError::NoDirectory)
        ));
    }
}
