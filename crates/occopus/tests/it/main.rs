//! Tests of the front-end from the outside.

mod across_files;
mod compatibility;
mod corpus;
mod emitter;
mod families;
mod files;
mod micado;
mod mistakes;
mod rendering;
mod retargeting;
mod round_trip;
mod support;
mod variants;
