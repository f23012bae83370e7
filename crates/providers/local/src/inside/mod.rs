//! What runs inside an instance, or on its way into it.

pub(crate) mod confine;
pub(crate) mod enter;
pub(crate) mod init;
pub(crate) mod root;
pub(crate) mod service;
pub(crate) mod trial;

/// The path of this very program, also where its file is not visible.
pub(crate) const SELF: &str = "/proc/self/exe";
