//! The accounts of the node, as its own files name them.

use crate::place::Place;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) home: String,
}

/// Finds an account by its name.
pub(crate) fn user(place: &Place, name: &str) -> Option<User> {
    let fields = line(place, "/etc/passwd", name)?;
    Some(User {
        id: fields.get(2)?.parse().ok()?,
        group: fields.get(3)?.parse().ok()?,
        home: fields.get(5)?.clone(),
    })
}

/// Finds a group by its name.
pub(crate) fn group(place: &Place, name: &str) -> Option<u32> {
    line(place, "/etc/group", name)?.get(2)?.parse().ok()
}

fn line(place: &Place, file: &str, name: &str) -> Option<Vec<String>> {
    let text = place.read(file)?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect();
    text.lines()
        .find(|line| line.split(':').next() == Some(name))
        .map(fields)
}

/// An owner as `write_files` names it: what is not given stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
}

impl Owner {
    /// Reads `user:group`.
    pub(crate) fn parse(text: &str) -> Self {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        Self {
            user: given(user),
            group: group.and_then(given),
        }
    }

    /// Returns the numbers of the user and the group; names first, then numbers.
    pub(crate) fn ids(&self, place: &Place) -> Result<(Option<u32>, Option<u32>), String> {
        let user = match &self.user {
            Some(name) => Some(
                user(place, name)
                    .map(|user| user.id)
                    .or_else(|| name.parse().ok())
                    .ok_or_else(|| format!("there is no user `{name}`"))?,
            ),
            None => None,
        };
        let group = match &self.group {
            Some(name) => Some(
                group(place, name)
                    .or_else(|| name.parse().ok())
                    .ok_or_else(|| format!("there is no group `{name}`"))?,
            ),
            None => None,
        };
        Ok((user, group))
    }
}

fn given(name: &str) -> Option<String> {
    let name = name.trim();
    let absent = name.is_empty() || name == "-1" || name.eq_ignore_ascii_case("none");
    (!absent).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_names_or_numbers() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path());
        place
            .write("/etc/passwd", b"web:x:33:34:Web:/var/www:/bin/sh\n", 0o644)
            .unwrap();
        place.write("/etc/group", b"web:x:35:\n", 0o644).unwrap();
        let ids = |text: &str| Owner::parse(text).ids(&place);
        assert_eq!(ids("web:web"), Ok((Some(33), Some(35))));
        assert_eq!(ids(" web "), Ok((Some(33), None)));
        assert_eq!(ids("-1:web"), Ok((None, Some(35))));
        assert_eq!(ids("7:8"), Ok((Some(7), Some(8))));
        assert_eq!(ids("none:None"), Ok((None, None)));
        assert_eq!(ids("nobody"), Err("there is no user `nobody`".to_owned()));
        assert_eq!(user(&place, "web").unwrap().home, "/var/www");
    }
}
