//! Drives engine, store and providers: the only crate with a clock.
