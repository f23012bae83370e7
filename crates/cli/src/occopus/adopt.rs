//! `zenekar occopus adopt`: takes over what Occopus runs.
