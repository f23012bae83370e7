//! Bounds of this adapter, each with its reason.

use std::time::Duration;

use zenekar_base::Millis;

/// How long one request may take. `RunInstances` answers within seconds; what
/// takes longer than this is lost, and the same token asks again.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(45);

/// How long what was asked for may stay invisible: the deadline of a call, and
/// the seconds that EC2's lists may lag behind.
pub(crate) const SETTLE: Millis = Millis::from_secs(60);

/// The longest answer that is read. A page of a thousand instances has 6 MB at
/// most with all tags in use.
pub(crate) const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Elements and texts that an answer may have: a page of a thousand instances
/// has about 300,000.
pub(crate) const ANSWER_NODES_MAX: u32 = 2_000_000;

/// Elements that may be inside each other: EC2's answers have at most twenty.
pub(crate) const ANSWER_DEPTH_MAX: usize = 128;

/// Results per page: the most that EC2 gives.
pub(crate) const PAGE_ITEMS: u32 = 1000;

/// Instance types per page: the most that EC2 gives.
pub(crate) const PAGE_TYPES: u32 = 100;

/// Pages of one list: a hundred thousand resources are more than one account has.
pub(crate) const PAGES_MAX: usize = 100;

/// Values that one filter may have, by EC2's own rule.
pub(crate) const FILTER_VALUES_MAX: u32 = 200;

/// Calls in flight at once: above it EC2's own limits of requests throttle.
pub(crate) const CALLS_IN_FLIGHT_MAX: u32 = 64;

/// Bytes that user-data may have before it is wrapped in base64.
pub(crate) const USER_DATA_BYTES_MAX: usize = 16 * 1024;

/// Bytes of user-data that compressing is tried for: what is longer does not get
/// a hundred times shorter.
pub(crate) const USER_DATA_COMPRESSIBLE_MAX: usize = 4 * 1024 * 1024;

/// Characters of a client token, by EC2's own rule.
pub(crate) const TOKEN_CHARACTERS_MAX: usize = 64;

/// Tags of one resource, by EC2's own rule.
pub(crate) const TAGS_MAX: usize = 50;

/// Characters of a tag's key, by EC2's own rule.
pub(crate) const TAG_KEY_CHARACTERS_MAX: usize = 128;

/// Characters of a tag's value, by EC2's own rule.
pub(crate) const TAG_VALUE_CHARACTERS_MAX: usize = 256;

/// Security groups of one instance: EC2's default is 5 and its most 16.
pub(crate) const GROUPS_MAX: usize = 16;

/// Rules of one security group: EC2's default quota.
pub(crate) const RULES_MAX: usize = 60;

/// Volumes of one instance: what the largest types take.
pub(crate) const VOLUMES_MAX: usize = 27;

/// Characters of a message of the cloud that are passed on: encoded reasons of
/// refusals have thousands, and tell people nothing.
pub(crate) const MESSAGE_CHARACTERS_MAX: usize = 300;

/// Credentials are renewed this long before they end: longer than a call takes.
pub(crate) const RENEWAL_LEAD: Duration = Duration::from_mins(5);

/// Finding credentials may take this long: metadata services are asked several times.
pub(crate) const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer to a request for credentials.
pub(crate) const CREDENTIALS_ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A tag that was seen this lately still holds: deleting need not look again.
pub(crate) const TAG_FRESH: Duration = Duration::from_mins(1);

/// Instances whose addresses are remembered: far above what one process runs.
pub(crate) const KNOWN_MAX: usize = 200_000;

/// How far clocks may differ before it is worth a hint: EC2 takes five minutes.
pub(crate) const SKEW: Duration = Duration::from_mins(4);

/// How long connecting to a port of an instance may take at each address.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
