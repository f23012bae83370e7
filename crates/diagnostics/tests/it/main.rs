//! Tests of the registry and the renderers through their public interface.

mod registry;
mod renderers;
