//! Tests of the front-end from the outside.

mod across_files;
mod brackets;
mod compatibility;
mod corpus;
mod emitter;
mod families;
mod files;
mod jinja2;
mod micado;
mod mistakes;
mod python;
mod rendering;
mod retargeting;
mod round_trip;
mod support;
mod variants;
