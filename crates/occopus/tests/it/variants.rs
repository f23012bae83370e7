//! Tutorials written in other words mean the same: written anew with names for
//! what stands at several places, without them, with everything in quotes and
//! keys in another order, and with what was included put into its place.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use zenekar_base::{InfrastructureId, InstanceTag, Value};
use zenekar_diagnostics::{SourceMap, render_concise};
use zenekar_document::{Kind, Limits, Project, View, load_file_in};
use zenekar_model::{RenderInput, Renderer, Topology};
use zenekar_occopus::{LoadOptions, OccopusRenderer, load, yaml_text};

use crate::corpus::{corpus, descriptor_in, folders_in};

/// Writes a value in one line, with texts in double quotes and keys backwards.
fn in_one_line(view: View<'_>, out: &mut String) {
    match view.kind() {
        Kind::List => {
            out.push('[');
            for (at, item) in view.items().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                in_one_line(item, out);
            }
            out.push(']');
        }
        Kind::Map => {
            out.push('{');
            let entries: Vec<_> = view.entries().collect();
            for (at, entry) in entries.iter().rev().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                in_one_line(entry.key.view(), out);
                out.push_str(": ");
                in_one_line(entry.value, out);
            }
            out.push('}');
        }
        Kind::String(text) => {
            // The escapes of JSON are those of YAML.
            let _infallible = write!(out, "{}", serde_json::Value::from(text));
        }
        _ => out.push_str(yaml_text(view).trim_end().trim_end_matches("\n...")),
    }
}

fn one_line(view: View<'_>) -> String {
    let mut out = String::new();
    in_one_line(view, &mut out);
    out.push('\n');
    out
}

/// Writes the files of a tutorial in another way into a folder of its own.
fn rewritten(files: &[&Path], write: fn(View<'_>) -> String) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().expect("a place for files");
    let mut paths = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let project = Project {
            root: file.parent().expect("a folder").to_owned(),
        };
        let mut sources = SourceMap::new();
        let loaded = load_file_in(&project, file, &Limits::default(), &mut sources);
        let root = loaded.document.root().expect("a document");
        let path = folder.path().join(format!("file-{number}.yaml"));
        std::fs::write(&path, write(root)).expect("writable");
        paths.push(path);
    }
    (folder, paths)
}

fn read(files: &[PathBuf]) -> Topology {
    let options = LoadOptions {
        definitions: files[1..].to_vec(),
        ..LoadOptions::default()
    };
    let mut sources = SourceMap::new();
    let loaded = load(&files[0], &options, &mut sources);
    let findings = render_concise(&loaded.diagnostics, &sources);
    loaded
        .topology
        .unwrap_or_else(|| panic!("{}:\n{findings}", files[0].display()))
}

/// Returns what the first instance of every node gets, by name.
fn rendered(topology: &Topology) -> Vec<(String, u32, Option<String>, Value)> {
    let renderer = OccopusRenderer::new();
    let instance = InstanceTag::new("00000000-0000-0000-0000-000000000001");
    let given: Vec<_> = topology
        .indices()
        .map(|node| zenekar_base::GivenNode {
            node: zenekar_base::NodeKey(node.0),
            name: topology.node(node).name.clone(),
            instances: vec![zenekar_base::GivenAddress {
                instance: instance.clone(),
                addresses: zenekar_base::Addresses {
                    all: vec![format!("203.0.113.{}", node.0)],
                    private: Some(format!("10.0.0.{}", node.0)),
                },
            }],
        })
        .collect();
    let all = topology.indices().map(|node| {
        let input = RenderInput {
            infrastructure: &InfrastructureId::new("i"),
            node,
            candidate: 0,
            instance: &instance,
            given: &given,
        };
        let rendered = renderer.render(topology, &input).expect("renderable");
        let name = topology.node(node).name.clone();
        (
            name,
            topology.level(node),
            rendered.user_data,
            sorted(rendered.resource),
        )
    });
    all.collect()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
        Value::Map(mut entries) => {
            entries.sort_by(|one, two| one.0.cmp(&two.0));
            let entries = entries.into_iter();
            Value::Map(entries.map(|(key, value)| (key, sorted(value))).collect())
        }
        other => other,
    }
}

#[test]
fn tutorials_in_other_words_mean_the_same() {
    let Some(corpus) = corpus() else {
        println!("skipped: there is no corpus of tutorials; ZENEKAR_CORPUS can name its folder");
        return;
    };
    let mut count = 0;
    for folder in folders_in(&corpus) {
        let (description, definitions) = descriptor_in(&folder);
        let description = description.expect("a description");
        let mut files = vec![description];
        files.extend(definitions);
        let wanted = rendered(&read(&files));
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        for write in [yaml_text as fn(View<'_>) -> String, one_line] {
            let (_folder, files) = rewritten(&paths, write);
            assert_eq!(rendered(&read(&files)), wanted, "{}", folder.display());
            count += 1;
        }
    }
    assert!(count > 0, "no tutorial in {}", corpus.display());
}
