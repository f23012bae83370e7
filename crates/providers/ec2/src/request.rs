//! Requests of EC2's query protocol.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::limits::CALL_TIMEOUT;

/// What is not escaped in a form: what a signature leaves alone as well.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Which of Amazon's services is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Instances.
    Ec2,
    /// Who we are.
    Sts,
}

impl Service {
    /// Returns the name that signatures have.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
        }
    }

    const fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Sts => "2011-06-15",
        }
    }
}

/// Whether a request may have an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// It only reads: it can be repeated at will.
    Reads,
    /// It changes something: without an answer, nobody knows.
    Changes,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) action: &'static str,
    pub(crate) service: Service,
    pub(crate) nature: Nature,
    pub(crate) timeout: Duration,
    parameters: Vec<(String, String)>,
}

impl Request {
    /// Makes a request that only reads.
    pub(crate) const fn reading(action: &'static str) -> Self {
        Self::new(action, Nature::Reads)
    }

    /// Makes a request that changes something.
    pub(crate) const fn changing(action: &'static str) -> Self {
        Self::new(action, Nature::Changes)
    }

    const fn new(action: &'static str, nature: Nature) -> Self {
        Self {
            action,
            service: Service::Ec2,
            nature,
            timeout: CALL_TIMEOUT,
            parameters: Vec::new(),
        }
    }

    /// Makes a rehearsal of it: the cloud says whether it would succeed.
    pub(crate) fn rehearsed(mut self) -> Self {
        self.nature = Nature::Reads;
        self.with("DryRun", "true")
    }

    /// Sends it to another service.
    pub(crate) const fn of(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a parameter.
    pub(crate) fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.parameters.push((name.into(), value.into()));
    }

    /// Adds a filter with the values, all of them as they are: EC2 would take
    /// stars and question marks for patterns.
    pub(crate) fn filtered<'v>(
        self,
        name: &str,
        values: impl IntoIterator<Item = &'v str>,
    ) -> Self {
        let escaped: Vec<String> = values.into_iter().map(literal).collect();
        self.filtered_by_patterns(name, &escaped)
    }

    /// Adds a filter with patterns.
    pub(crate) fn filtered_by_patterns(mut self, name: &str, patterns: &[String]) -> Self {
        let number = 1 + self
            .parameters
            .iter()
            .filter(|(key, _)| key.starts_with("Filter.") && key.ends_with(".Name"))
            .count();
        self.push(format!("Filter.{number}.Name"), name);
        for (index, pattern) in patterns.iter().enumerate() {
            self.push(format!("Filter.{number}.Value.{}", index + 1), pattern);
        }
        self
    }

    /// Returns the value of a parameter.
    #[cfg(test)]
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the parameters, in the order in which they were added.
    #[cfg(test)]
    pub(crate) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// Writes the form that is sent. The same request is the same text.
    pub(crate) fn body(&self) -> String {
        let mut text = format!("Action={}&Version={}", self.action, self.service.version());
        for (name, value) in &self.parameters {
            text.push('&');
            text.extend(utf8_percent_encode(name, ESCAPED));
            text.push('=');
            text.extend(utf8_percent_encode(value, ESCAPED));
        }
        text
    }
}

/// Writes a value so that a filter takes it literally.
fn literal(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for one in value.chars() {
        if matches!(one, '*' | '?' | '\\') {
            text.push('\\');
        }
        text.push(one);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_escapes_everything_but_plain_characters() {
        let request = Request::reading("DescribeInstances")
            .with("A.1", "x y+z&=/~ü")
            .filtered("tag:zenekar:infrastructure", ["a*b"])
            .filtered("instance-id", ["i-1", "i-2"]);
        assert_eq!(
            request.body(),
            "Action=DescribeInstances&Version=2016-11-15&A.1=x%20y%2Bz%26%3D%2F~%C3%BC\
             &Filter.1.Name=tag%3Azenekar%3Ainfrastructure&Filter.1.Value.1=a%5C%2Ab\
             &Filter.2.Name=instance-id&Filter.2.Value.1=i-1&Filter.2.Value.2=i-2"
        );
    }
}
