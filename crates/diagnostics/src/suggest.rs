//! Guesses what a mistyped word was meant to be.

/// Words longer than this get no suggestion: the distance costs quadratic
/// time, and nobody mistypes one letter of a 64-letter key.
const WORD_CHARS_MAX: usize = 64;
/// At most so many candidates are looked at, which bounds the time per mistake.
const CANDIDATES_MAX: usize = 20_000;

/// Returns the candidate that `word` was probably meant to be.
///
/// A candidate qualifies if at most a third of its letters (one for short
/// words) were changed, added, lost or swapped, or if only the case, or `-`
/// against `_`, differs. Of several the nearest wins, then the first.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = word.chars().count();
    if length == 0 || length > WORD_CHARS_MAX {
        return None;
    }
    let plain_word = plain(word);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates.into_iter().take(CANDIDATES_MAX) {
        let candidate_length = candidate.chars().count();
        if candidate == word || candidate_length > WORD_CHARS_MAX {
            continue;
        }
        let allowed = (length.max(candidate_length) / 3).max(1);
        if candidate_length.abs_diff(length) > allowed {
            continue;
        }
        let distance = strsim::osa_distance(&plain_word, &plain(candidate));
        // A distance as long as the word shares nothing with it.
        let qualifies = distance <= allowed && distance < length;
        if qualifies && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["name", "type", "scaling", "filter", "variables"];
        let suggest = |word| did_you_mean(word, keys);
        assert_eq!(suggest("nmae"), Some("name"));
        assert_eq!(suggest("scalling"), Some("scaling"));
        assert_eq!(suggest("Variables"), Some("variables"));
        assert_eq!(suggest("network"), None);
        assert_eq!(suggest(""), None);
        assert_eq!(suggest("x"), None);
        assert_eq!(
            did_you_mean("infra-name", ["infra_name"]),
            Some("infra_name")
        );
    }
}
