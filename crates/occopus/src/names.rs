//! The rule for names of infrastructures and nodes.

/// Letters of a name; the length of a DNS label, because names become host names.
const NAME_CHARS_MAX: usize = 63;

/// Returns what is wrong with a name, as a remark to put under it.
pub(crate) fn fault_of(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if let Some(bad) = name
        .chars()
        .find(|letter| !letter.is_ascii_alphanumeric() && *letter != '-')
    {
        return Some(format!("must not contain `{}`", bad.escape_debug()));
    }
    let length = name.chars().count();
    (length > NAME_CHARS_MAX)
        .then(|| format!("has {length} characters, {NAME_CHARS_MAX} are allowed"))
}

/// Returns the nearest valid name, if one is near.
pub(crate) fn suggestion_for(name: &str) -> Option<String> {
    let repaired: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .take(NAME_CHARS_MAX)
        .collect();
    let repaired = repaired.trim_matches('-');
    (!repaired.is_empty() && repaired != name).then(|| repaired.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_of_host_names() {
        for good in ["a", "spark-master", "VINA", "4", &"x".repeat(63)] {
            assert_eq!(fault_of(good), None, "{good}");
        }
        for bad in ["", "concat_a", "a.b", "é", "two words", &"x".repeat(64)] {
            assert!(fault_of(bad).is_some(), "{bad}");
        }
        assert_eq!(suggestion_for("concat_a").as_deref(), Some("concat-a"));
        assert_eq!(suggestion_for("___"), None);
    }
}
