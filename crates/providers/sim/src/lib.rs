//! Provider sim: a simulated cloud kept in files.
