//! Runs the engine against the simulated cloud: seeds, crashes, verdicts.
