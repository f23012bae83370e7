//! Pictures of made-up executions. With `ZENEKAR_PICTURES` set to a folder, the
//! pictures are written there to be looked at.

mod examples;
mod execution;
mod space_time;

/// Checks that a picture is one, and writes it if somebody wants to look at it.
pub(crate) fn look(name: &str, svg: &str) {
    let document = roxmltree::Document::parse(svg).expect("a picture is XML");
    assert_eq!(document.root_element().tag_name().name(), "svg");
    if let Some(folder) = std::env::var_os("ZENEKAR_PICTURES") {
        let path = std::path::Path::new(&folder).join(format!("{name}.svg"));
        std::fs::write(path, svg).expect("the folder is there");
    }
}

/// Returns everything that is written on a picture.
pub(crate) fn words(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).expect("a picture is XML");
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name("text"));
    texts
        .filter_map(|node| node.text())
        .map(str::to_owned)
        .collect()
}
