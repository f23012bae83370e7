//! The kinds of parts, by content type and by first line.

/// How often a script runs, by the kind of its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    /// At every start.
    Boot,
    /// Once for an instance.
    Instance,
    /// Once for a root file system.
    Once,
}

/// What a part of user-data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// A cloud-config.
    CloudConfig,
    /// Changes to the cloud-config so far, as a JSON patch.
    JsonPatch,
    /// A script that runs in the final stage.
    Script,
    /// A script that is kept and run together with those of the image.
    ScriptOf(Frequency),
    /// A script that runs as soon as it is read.
    Boothook,
    /// A list of addresses to read user-data from.
    Include,
    /// A list of parts, as YAML.
    Archive,
    /// A Python module that handles further kinds of parts.
    PartHandler,
    /// A Jinja template of another part.
    Template,
    /// Anything else: its content type, or nothing if it has none.
    Other(String),
}

/// The first words that say what a part is. Of several that fit, the longest
/// counts, so it comes first.
const FIRST_WORDS: &[(&str, PartKind)] = &[
    ("#cloud-config-archive", PartKind::Archive),
    ("#cloud-config-jsonp", PartKind::JsonPatch),
    ("## template: jinja", PartKind::Template),
    ("#cloud-boothook", PartKind::Boothook),
    ("#cloud-config", PartKind::CloudConfig),
    ("#include-once", PartKind::Include),
    ("#part-handler", PartKind::PartHandler),
    ("#include", PartKind::Include),
    ("#!", PartKind::Script),
];

/// The mark that some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns the content without a byte order mark.
pub(super) fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content)
}

/// Says by the first words what a part is.
pub(super) fn detect(content: &[u8]) -> Option<PartKind> {
    let content = without_mark(content).trim_ascii_start();
    FIRST_WORDS
        .iter()
        .find(|(words, _)| {
            content
                .get(..words.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(words.as_bytes()))
        })
        .map(|(_, kind)| kind.clone())
}

/// Says by its content type what a part is.
pub(super) fn of_content_type(content_type: &str) -> PartKind {
    match content_type {
        "text/cloud-config" => PartKind::CloudConfig,
        "text/cloud-config-jsonp" => PartKind::JsonPatch,
        "text/cloud-config-archive" => PartKind::Archive,
        "text/x-shellscript" => PartKind::Script,
        "text/x-shellscript-per-boot" => PartKind::ScriptOf(Frequency::Boot),
        "text/x-shellscript-per-instance" => PartKind::ScriptOf(Frequency::Instance),
        "text/x-shellscript-per-once" => PartKind::ScriptOf(Frequency::Once),
        "text/cloud-boothook" => PartKind::Boothook,
        "text/x-include-url" | "text/x-include-once-url" => PartKind::Include,
        "text/part-handler" => PartKind::PartHandler,
        "text/jinja2" => PartKind::Template,
        other => PartKind::Other(other.to_owned()),
    }
}

/// Says what a part is whose content type leaves it open.
pub(super) fn of_part(content_type: &str, content: &[u8]) -> PartKind {
    // Many tools call every part a script or plain text.
    let open = matches!(
        content_type,
        "text/plain" | "text/x-not-multipart" | "text/x-shellscript"
    );
    open.then(|| detect(content))
        .flatten()
        .unwrap_or_else(|| of_content_type(content_type))
}

/// Says whether a content type stands for gzip.
pub(super) fn is_compressed(content_type: &str) -> bool {
    matches!(
        content_type,
        "application/gzip"
            | "application/gzip-compressed"
            | "application/gzipped"
            | "application/x-compress"
            | "application/x-compressed"
            | "application/x-gunzip"
            | "application/x-gzip"
            | "application/x-gzip-compressed"
    )
}
