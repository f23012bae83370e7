//! How much is taken, so that no file can make reading or checking expensive.

/// Bytes of one formula or statement. People write a line or two; programs that
/// make formulas can split them.
pub const TEXT_BYTES_MAX: usize = 16 << 10;

/// Words, numbers and signs of one formula.
pub const TOKENS_MAX: usize = 2_000;

/// Levels of brackets and negations. The parser and the evaluation recurse; each
/// level takes some hundred bytes of stack.
pub const DEPTH_MAX: usize = 64;

/// Uses of `once` in one formula: each takes a bit of every explored state.
pub const ONCE_MAX: usize = 16;

/// The longest `within`, in milliseconds: thirty days, which fit 32 bits.
pub const WITHIN_MS_MAX: u32 = 30 * 24 * 3600 * 1000;

/// Properties of one set. All are checked in every state.
pub const PROPERTIES_MAX: usize = 1_000;

/// Declared variables of one set.
pub const VARIABLES_MAX: usize = 1_000;

/// Findings of one set; more than anybody reads in one go.
pub const FINDINGS_MAX: usize = 100;
