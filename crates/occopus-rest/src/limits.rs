//! How much the service takes at once, and for how long.

use std::time::Duration;

/// Bytes of a request's body. The largest public descriptions with everything
/// imported have some hundred kilobytes.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// Connections at the same time. Clients of Occopus make one call after the
/// other; more wait to be accepted, and cost a descriptor each once they are.
pub const CONNECTIONS_MAX: usize = 256;

/// How long a client may take to send the head of a request, and how long a
/// connection may lie idle before the next one.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to send the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Bytes of a request's head: paths hold two names and an address.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Headers of a request.
pub const HEADERS_MAX: usize = 100;

/// How long requests that are being answered may take when the service ends.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
