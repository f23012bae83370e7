//! Includes: what they give, and what they refuse.

use std::path::{Path, PathBuf};

use zenekar_base::Value;
use zenekar_diagnostics::{SourceMap, render_human};
use zenekar_document::{Limits, Loaded, Project, Style, View, load_file, load_file_in};

/// A project in a folder of its own, inside another folder with a secret.
struct Files {
    _outside: tempfile::TempDir,
    root: PathBuf,
}

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let outside = tempfile::tempdir().expect("a temporary folder");
        let root = outside.path().join("project");
        std::fs::create_dir(&root).expect("a folder");
        std::fs::write(outside.path().join("secret.yaml"), "password: x\n").expect("a file");
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("inside the root")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        Self {
            _outside: outside,
            root,
        }
    }

    fn load(&self, limits: &Limits) -> (Loaded, SourceMap) {
        let mut sources = SourceMap::new();
        let loaded = load_file(&self.root.join("infra.yaml"), limits, &mut sources);
        (loaded, sources)
    }

    /// Renders the findings with the folder replaced by `ROOT`.
    fn findings(&self, limits: &Limits) -> String {
        let (loaded, sources) = self.load(limits);
        let root = self.root.display().to_string();
        render_human(&loaded.diagnostics, &sources, false).replace(&root, "ROOT")
    }
}

#[test]
fn all_kinds_of_line_breaks_of_a_text_are_the_same() {
    let files = Files::new(&[
        (
            "infra.yaml",
            "script: !text_import {url: file://run.sh}\r\n",
        ),
        ("run.sh", "#!/bin/sh\r\necho {{ x }}\rdone\r\n"),
    ]);
    let (loaded, sources) = files.load(&Limits::default());
    let root = loaded.document.root().expect("not empty");
    let script = root.get("script").expect("a key");
    let value = script.as_str().expect("text");
    assert_eq!(value, "#!/bin/sh\necho {{ x }}\ndone\n");
    let place = script.position_in(value.find("{{").expect("a template"));
    assert_eq!(sources.position(place).line, 2);
}

#[test]
fn included_yaml_and_text_become_values_with_their_own_places() {
    let files = Files::new(&[
        (
            "infra.yaml",
            "context: !yaml_import\n  url: file://nodes/init.yaml\nscript: !text_import {url: \"file://nodes/run.sh\"}\nempty: !yaml_import {url: file://empty.yaml}\nsame: &S !yaml_import {url: file://nodes/init.yaml}\nalias: *S\n",
        ),
        (
            "nodes/init.yaml",
            "# cloud-config\npackages: [a, b]\ninner: !text_import {url: file://../readme.txt}\n",
        ),
        ("nodes/run.sh", "#!/bin/sh\necho {{ x }}\n"),
        ("readme.txt", "hello\n"),
        ("empty.yaml", "# nothing\n"),
    ]);
    let (loaded, sources) = files.load(&Limits::default());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let root = loaded.document.root().expect("not empty");
    let context = root.get("context").expect("a key");
    assert!(context.is_import());
    assert_eq!(context.get("inner").and_then(View::as_str), Some("hello\n"));
    assert_eq!(root.get("empty").map(View::to_value), Some(Value::Null));
    let script = root.get("script").expect("a key");
    assert_eq!(script.scalar_style(), Style::File);
    let place = script.position_in(15);
    assert_eq!(
        sources.name(place.file),
        files.root.join("nodes/run.sh").display().to_string()
    );
    assert_eq!(sources.position(place).line, 2);
    // Where the value is used is the tag; where it is written is the other file.
    assert_eq!(sources.position(context.span()).line, 1);
    assert_ne!(context.span().file, context.definition_span().file);
    // Two includes of one file are two values; an alias of one is not.
    let same = root.get("same").expect("a key");
    assert_ne!(same.id(), context.id());
    assert_eq!(root.get("alias").map(View::id), Some(same.id()));
}

/// Includes that are refused or fail: name, descriptor, further files.
type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)]);

#[test]
fn every_bad_include_is_explained_at_its_url() {
    let cases: &[Case<'_>] = &[
        (
            "outside",
            "a: !text_import {url: file://../secret.yaml}\n",
            &[],
        ),
        (
            "outside_deep",
            "a: !text_import {url: 'file://x/../../secret.yaml'}\n",
            &[("x/y", "")],
        ),
        (
            "absolute",
            "a: !text_import\n  url: file:///etc/passwd\n",
            &[],
        ),
        (
            "missing_similar",
            "a: !yaml_import {url: file://cloud-init.yml}\n",
            &[("cloud_init.yml", "")],
        ),
        (
            "missing_folder",
            "a: !yaml_import {url: file://nodes/x.yaml}\n",
            &[],
        ),
        ("missing", "a: !yaml_import {url: file://x.yaml}\n", &[]),
        (
            "folder",
            "a: !yaml_import {url: file://nodes}\n",
            &[("nodes/x.yaml", "")],
        ),
        ("itself", "a: !yaml_import {url: file://infra.yaml}\n", &[]),
        (
            "cycle",
            "a: !yaml_import {url: file://one.yaml}\n",
            &[
                ("one.yaml", "b: !yaml_import {url: file://two.yaml}\n"),
                (
                    "two.yaml",
                    "c: !yaml_import {url: ./one.yaml}\nd: !yaml_import {url: file://./one.yaml}\n",
                ),
            ],
        ),
        (
            "scheme",
            "a: !yaml_import {url: https://example.org/x.yaml}\n",
            &[],
        ),
        (
            "no_scheme",
            "a: !yaml_import {url: x.yaml}\n",
            &[("x.yaml", "1")],
        ),
        ("no_path", "a: !yaml_import {url: 'file://'}\n", &[]),
        (
            "mistake_inside",
            "a: !yaml_import {url: file://nodes/x.yaml}\nb: 1\nb: 2\n",
            &[("nodes/x.yaml", "k: 1\nname: {{ x }}-y\nk: 2\n")],
        ),
    ];
    for (name, text, others) in cases {
        let mut all = vec![("infra.yaml", *text)];
        all.extend_from_slice(others);
        insta::assert_snapshot!(*name, Files::new(&all).findings(&Limits::default()));
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_project_are_refused_and_links_inside_are_not() {
    let files = Files::new(&[
        (
            "infra.yaml",
            "a: !text_import {url: file://link}\nb: !text_import {url: file://folder/secret.yaml}\nc: !text_import {url: file://inner}\n",
        ),
        ("real", "x"),
    ]);
    std::os::unix::fs::symlink("../secret.yaml", files.root.join("link")).expect("a link");
    std::os::unix::fs::symlink("..", files.root.join("folder")).expect("a link");
    std::os::unix::fs::symlink("real", files.root.join("inner")).expect("a link");
    insta::assert_snapshot!("links", files.findings(&Limits::default()));
    let (loaded, _) = files.load(&Limits::default());
    let root = loaded.document.root().expect("not empty");
    assert_eq!(root.get("c").and_then(View::as_str), Some("x"));
    assert!(root.get("a").is_some_and(View::is_invalid));
}

#[test]
fn includes_have_budgets() {
    let files = Files::new(&[
        (
            "infra.yaml",
            "a: !text_import {url: file://big}\nb: !text_import {url: file://big}\n",
        ),
        (
            "big",
            "0123456789012345678901234567890123456789012345678901234567890123456789",
        ),
    ]);
    insta::assert_snapshot!(
        "too_large",
        files.findings(&Limits {
            bytes_max: 100,
            ..Limits::default()
        })
    );
    insta::assert_snapshot!(
        "too_many",
        files.findings(&Limits {
            imports_max: 1,
            ..Limits::default()
        })
    );
    let chain = Files::new(&[
        ("infra.yaml", "a: !yaml_import {url: file://b}\n"),
        ("b", "b: !yaml_import {url: file://c}\n"),
        ("c", "c: !yaml_import {url: file://d}\n"),
        ("d", "1"),
    ]);
    insta::assert_snapshot!(
        "too_deep",
        chain.findings(&Limits {
            import_depth_max: 2,
            ..Limits::default()
        })
    );
    let deep = Files::new(&[
        ("infra.yaml", "a: {b: {c: !yaml_import {url: file://d}}}\n"),
        ("d", "&D {e: {f: 1}}\n"),
    ]);
    insta::assert_snapshot!(
        "depth_over_files",
        deep.findings(&Limits {
            depth_max: 4,
            ..Limits::default()
        })
    );
    let reused = Files::new(&[
        (
            "infra.yaml",
            "a: &A !yaml_import {url: file://d}\nb: {c: {d: *A}}\n",
        ),
        ("d", "{e: {f: 1}}\n"),
    ]);
    insta::assert_snapshot!(
        "depth_of_an_alias_over_files",
        reused.findings(&Limits {
            depth_max: 4,
            ..Limits::default()
        })
    );
    // Values of included files nest and count like any others.
    let doubling = Files::new(&[
        (
            "infra.yaml",
            "a: [!yaml_import {url: file://b}, !yaml_import {url: file://b}]\n",
        ),
        (
            "b",
            "[!yaml_import {url: file://c}, !yaml_import {url: file://c}]\n",
        ),
        ("c", "[1, 2, 3, 4, 5, 6, 7, 8, 9]\n"),
    ]);
    let (loaded, _) = doubling.load(&Limits {
        nodes_max: 40,
        ..Limits::default()
    });
    assert!(
        loaded
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.code.id == "ZK0132"),
        "{:?}",
        loaded.diagnostics
    );
}

#[test]
fn a_project_may_be_a_higher_folder() {
    let files = Files::new(&[
        (
            "sub/infra.yaml",
            "a: !text_import {url: file://../shared.txt}\n",
        ),
        ("shared.txt", "x"),
    ]);
    let mut sources = SourceMap::new();
    let path = files.root.join("sub/infra.yaml");
    let refused = load_file(&path, &Limits::default(), &mut sources);
    assert_eq!(
        refused
            .diagnostics
            .first()
            .map(|diagnostic| diagnostic.code.id),
        Some("ZK0143")
    );
    let allowed = load_file_in(
        &Project {
            root: files.root.clone(),
        },
        &path,
        &Limits::default(),
        &mut sources,
    );
    assert!(allowed.diagnostics.is_empty(), "{:?}", allowed.diagnostics);
}

#[test]
fn unreadable_files_are_named() {
    let mut sources = SourceMap::new();
    let loaded = load_file(
        Path::new("no/such/file.yaml"),
        &Limits::default(),
        &mut sources,
    );
    assert!(loaded.document.root().is_none());
    assert_eq!(
        loaded
            .diagnostics
            .first()
            .map(|diagnostic| diagnostic.code.id),
        Some("ZK0150")
    );
    let files = Files::new(&[("infra.yaml", "a: 1\n")]);
    let near = load_file(
        &files.root.join("infra.yml"),
        &Limits::default(),
        &mut sources,
    );
    assert!(
        near.diagnostics[0].help[0].contains("infra.yaml"),
        "{:?}",
        near.diagnostics
    );
    let folder = load_file(&files.root, &Limits::default(), &mut sources);
    assert_eq!(
        folder
            .diagnostics
            .first()
            .map(|diagnostic| diagnostic.code.id),
        Some("ZK0150")
    );
}

#[test]
fn bytes_that_are_not_utf8_are_placed() {
    let files = Files::new(&[]);
    std::fs::write(
        files.root.join("infra.yaml"),
        b"infra_name: caf\xe9\nnodes: []\nnodes: []\n",
    )
    .expect("a file");
    insta::assert_snapshot!("latin1", files.findings(&Limits::default()));
    std::fs::write(files.root.join("infra.yaml"), b"\xff\xfea\0:\0 \x001\0\n\0").expect("a file");
    insta::assert_snapshot!("utf16", files.findings(&Limits::default()));
}
