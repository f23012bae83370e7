use super::*;

fn lines(text: &str) -> Vec<String> {
    read(text, 0..text.len())
        .commands
        .iter()
        .map(Command::line)
        .collect()
}

#[test]
fn commands_are_told_apart() {
    let text = "#!/bin/sh\n# a comment\nA=1 b c # rest\nif [ -f x ]; then d; else e; fi\nf && g || h | i &\n";
    assert_eq!(
        lines(text),
        ["b c", "[ -f x ]", "d", "e", "f", "g", "h", "i"]
    );
}

#[test]
fn quotes_escapes_and_tags_are_followed() {
    let text = "echo \"a b\" 'c d' e\\ f \"x {{ getip(\"m\") }} y\"{% if a %} g{% endif %}";
    assert_eq!(lines(text), ["echo a b c d e f x {{ getip(\"m\") }} y g"]);
    let script = read(text, 0..text.len());
    assert_eq!(&text[script.commands[0].words[1].range.clone()], "\"a b\"");
    assert!(script.commands[0].words[1].is_quoted);
}

#[test]
fn scripts_inside_scripts_follow_their_command() {
    let text = "su - u -c 'wget x && y'; a=$(b `c`); ssh h \"d >> e\"";
    let script = read(text, 0..text.len());
    let found: Vec<(String, Where)> = script
        .commands
        .iter()
        .map(|command| (command.line(), command.place))
        .collect();
    assert_eq!(found[1], ("wget x".to_owned(), Where::Inner));
    assert_eq!(found[2], ("y".to_owned(), Where::Inner));
    assert!(
        found.contains(&("c".to_owned(), Where::Substitution)),
        "{found:?}"
    );
    assert_eq!(found.last(), Some(&("d".to_owned(), Where::Remote)));
}

#[test]
fn here_documents_are_not_commands() {
    let text = "cat <<'EOF' | tee /etc/x\nwget http://a\nEOF\nnext\n";
    let script = read(text, 0..text.len());
    assert_eq!(lines(text), ["cat", "tee /etc/x", "next"]);
    let document = script.commands[0]
        .document
        .clone()
        .expect("a here-document");
    assert_eq!(&text[document], "wget http://a\n");
}

#[test]
fn loops_know_their_condition_and_their_commands() {
    let text = "while [[ `a | b` -gt 0 ]]; do\n sleep 1\ndone\nfor x in 1 2; do c; done\nd";
    let script = read(text, 0..text.len());
    assert_eq!(script.loops.len(), 2);
    assert!(!script.loops[0].is_bounded && script.loops[1].is_bounded);
    assert_eq!(
        text[script.loops[0].condition.clone()].trim(),
        "[[ `a | b` -gt 0 ]];"
    );
    let sleep = script
        .commands
        .iter()
        .find(|command| command.program() == "sleep")
        .expect("sleep");
    assert_eq!(sleep.in_loop, Some(0));
    assert_eq!(
        script.commands.last().and_then(|command| command.in_loop),
        None
    );
}

#[test]
fn wrappers_are_seen_through() {
    for (text, program) in [
        ("sudo -E bash -", "bash"),
        ("sudo -u hdfs /opt/x/hdfs dfs", "hdfs"),
        ("env A=1 nohup y &", "y"),
        ("timeout 30 z", "z"),
        ("A=b", ""),
        ("sudo", "sudo"),
    ] {
        let script = read(text, 0..text.len());
        assert_eq!(script.commands[0].program(), program, "{text}");
    }
}

#[test]
fn redirections_belong_to_their_command() {
    let text = "a 2>/dev/null >> /etc/b 2>&1; > c";
    let script = read(text, 0..text.len());
    let written: Vec<&str> = script.commands[0]
        .written()
        .map(|word| word.text.as_str())
        .collect();
    assert_eq!(written, ["/dev/null", "/etc/b"]);
    assert_eq!(script.commands[1].redirects[0].target.text, "c");
}

#[test]
fn broken_scripts_end() {
    for text in [
        "\"", "'", "`", "$(", "((", "[[ a", "a <<", "<<X\n", "{{", "{%", "done", "do", "\\",
        "a$(b", "é<(", "}}))",
    ] {
        let script = read(text, 0..text.len());
        for command in &script.commands {
            assert!(text.get(command.range.clone()).is_some(), "{text}");
            for word in &command.words {
                assert!(text.get(word.range.clone()).is_some(), "{text}");
            }
        }
    }
}
