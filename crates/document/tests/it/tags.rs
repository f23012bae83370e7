//! Texts that a program has stored with its objects.

use zenekar_diagnostics::SourceMap;
use zenekar_document::{Kind, Limits, Loaded, load_text, load_text_with_tags};

fn load(text: &str) -> Loaded {
    let mut sources = SourceMap::default();
    load_text_with_tags("stored", text, &Limits::default(), &mut sources)
}

#[test]
fn tags_of_objects_are_names_and_nothing_else() {
    let loaded = load(
        "!!python/object:shop.Basket\nitems: &one !!python/tuple [a, 1]\nagain: *one\nowner: !!python/unicode 'Ada'\nlist: !!python/object/new:shop.Shelf\n  listitems: [x]\nplain: 5\n",
    );
    assert_eq!(loaded.diagnostics, []);
    let root = loaded.document.root().expect("there is a value");
    assert_eq!(root.tag(), Some("!!python/object:shop.Basket"));
    let items = root.get("items").expect("it was written");
    assert_eq!(items.tag(), Some("!!python/tuple"));
    assert_eq!(items.kind(), Kind::List);
    let again = root.get("again").expect("it was written");
    assert_eq!((again.id(), again.tag()), (items.id(), items.tag()));
    let owner = root.get("owner").expect("it was written");
    assert_eq!(owner.kind(), Kind::String("Ada"));
    assert_eq!(owner.tag(), Some("!!python/unicode"));
    let plain = root.get("plain").expect("it was written");
    assert_eq!((plain.kind(), plain.tag()), (Kind::Int(5), None));
}

#[test]
fn includes_are_refused_there_too() {
    let loaded = load("a: !text_import {url: file:///etc/hostname}\n");
    assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
}

#[test]
fn everywhere_else_such_tags_are_refused() {
    let text = "!!python/object:shop.Basket\nitems: []\n";
    let mut sources = SourceMap::default();
    let loaded = load_text("stored", text, &Limits::default(), &mut sources);
    assert_eq!(loaded.diagnostics.len(), 1);
    let root = loaded.document.root().expect("there is a value");
    assert!(root.is_invalid());
    assert_eq!(root.tag(), None);
}
