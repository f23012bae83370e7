//! The tags by which resources of ours are found again.

/// The infrastructure that a resource belongs to.
pub const TAG_INFRASTRUCTURE: &str = "zenekar:infrastructure";

/// The instance that a resource is or belongs to.
pub const TAG_INSTANCE: &str = "zenekar:instance";

/// The idempotency token that it was created with.
pub const TAG_TOKEN: &str = "zenekar:token";

/// The instance's name for people: node and number.
pub const TAG_NAME: &str = "zenekar:name";

/// What begins all tags of ours; users may not set such.
pub(crate) const PREFIX: &str = "zenekar:";

/// The tag that Amazon's console shows as the name.
pub(crate) const TAG_CONSOLE_NAME: &str = "Name";
