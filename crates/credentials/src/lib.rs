//! Clouds that a user has named, and their credentials, sealed at rest.
