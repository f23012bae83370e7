//! Names in messages: `$name` and `${name}`, or `{{ name }}` after a first line that says so.

/// Fills names into a text.
pub(super) fn render(text: &str, names: &[(&str, &str)]) -> Result<String, String> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let kind = first
        .strip_prefix("##")
        .map(|line| line.trim().to_lowercase())
        .and_then(|line| {
            line.strip_prefix("template:")
                .map(|kind| kind.trim().to_owned())
        });
    match kind.as_deref() {
        None => dollars(text, names),
        Some("basic") => dollars(rest, names),
        Some("jinja") => braces(rest, names),
        Some(other) => Err(format!("`{other}` is no kind of template")),
    }
}

fn value<'n>(name: &str, names: &[(&str, &'n str)]) -> Result<&'n str, String> {
    names
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("there is no value for `{name}`"))
}

fn dollars(text: &str, names: &[(&str, &str)]) -> Result<String, String> {
    let of_name = |letter: char| letter.is_ascii_alphanumeric() || "_.".contains(letter);
    let mut rendered = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        rendered.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| {
            let end = inner.find('}')?;
            let name = &inner[..end];
            (!name.is_empty() && name.chars().all(of_name)).then_some((name, &inner[end + 1..]))
        });
        let end = after.find(|letter| !of_name(letter)).unwrap_or(after.len());
        if let Some((name, left)) = braced {
            rendered.push_str(value(name, names)?);
            rest = left;
        } else if end > 0 {
            rendered.push_str(value(&after[..end], names)?);
            rest = &after[end..];
        } else {
            rendered.push('$');
            rest = after;
        }
    }
    rendered.push_str(rest);
    Ok(rendered)
}

fn braces(text: &str, names: &[(&str, &str)]) -> Result<String, String> {
    if text.contains("{%") {
        return Err("statements in the template are not carried out".to_owned());
    }
    let mut rendered = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        rendered.push_str(before);
        let (name, left) = after
            .split_once("}}")
            .ok_or_else(|| "`{{` without `}}`".to_owned())?;
        rendered.push_str(value(name.trim(), names)?);
        rest = left;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

#[cfg(test)]
mod tests {

    #[test]
    fn names_are_filled_in() {
        let names = [("uptime", "7.1"), ("UPTIME", "7.1")];
        let render = |text| super::render(text, &names);
        assert_eq!(
            render("up $UPTIME s, ${uptime}; $ 5").unwrap(),
            "up 7.1 s, 7.1; $ 5"
        );
        assert_eq!(
            render("## template: jinja\nup {{ uptime }}").unwrap(),
            "up 7.1"
        );
        assert_eq!(
            render("cost: $FOO").unwrap_err(),
            "there is no value for `FOO`"
        );
        assert!(render("## template: mako\n").is_err());
    }
}
