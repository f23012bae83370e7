//! Simulated lives of infrastructures.

mod lives;
