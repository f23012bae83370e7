//! The journal: append-only, checksummed, leased.
