//! From character counts, in which the parser speaks, to byte offsets.

/// A table entry per so many characters: small enough to walk, large enough
/// to cost nothing.
const STRIDE: usize = 32;

/// Translates character indices of one text to byte offsets.
pub(crate) struct Offsets<'t> {
    text: &'t str,
    /// Byte offsets of every `STRIDE`-th character; empty for pure ASCII,
    /// where both counts are the same.
    checkpoints: Vec<u32>,
}

impl<'t> Offsets<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        if text.is_ascii() {
            return Self {
                text,
                checkpoints: Vec::new(),
            };
        }
        let checkpoints = text
            .char_indices()
            .step_by(STRIDE)
            .map(|(at, _)| to_u32(at))
            .collect();
        Self { text, checkpoints }
    }

    pub(crate) fn byte(&self, character: usize) -> u32 {
        if self.checkpoints.is_empty() {
            return to_u32(character.min(self.text.len()));
        }
        let Some(&start) = self.checkpoints.get(character / STRIDE) else {
            return to_u32(self.text.len());
        };
        let rest = &self.text[start as usize..];
        let beyond = rest
            .char_indices()
            .nth(character % STRIDE)
            .map_or(rest.len(), |(at, _)| at);
        start + to_u32(beyond)
    }
}

/// Narrows an offset; the limit of bytes keeps all texts far below 4 GiB.
pub(crate) fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_found() {
        let text = "aé".repeat(100);
        let offsets = Offsets::new(&text);
        for (index, (at, _)) in text.char_indices().enumerate() {
            assert_eq!(offsets.byte(index) as usize, at);
        }
        assert_eq!(offsets.byte(200) as usize, text.len());
        assert_eq!(offsets.byte(100_000) as usize, text.len());
    }
}
