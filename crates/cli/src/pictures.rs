//! Writes pictures into files.

use std::fs;
use std::path::Path;

use zenekar_picture::{ExecutionGraph, SpaceTime};

use crate::errors::Failure;

/// Writes which states follow which; a name that ends in `.dot` asks for that language.
pub(crate) fn save_graph(graph: &ExecutionGraph, file: &Path) -> Result<(), Failure> {
    let is_dot = file.extension().is_some_and(|extension| extension == "dot");
    let text = if is_dot {
        graph.to_dot()
    } else {
        graph.to_svg()
    };
    save(file, &text)
}

/// Writes a run.
pub(crate) fn save_diagram(diagram: &SpaceTime, file: &Path) -> Result<(), Failure> {
    save(file, &diagram.to_svg())
}

fn save(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(|error| Failure::from_file("write", file, &error))
}
