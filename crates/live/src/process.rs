//! Processes and the global states that they make up.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One instance of a node as the debugger calls it: `srv[1]`. It keeps its name
/// from run to run, while ids of instances change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ProcessName {
    /// The node.
    pub node: String,
    /// The number of the instance among those of the node, from 1.
    pub number: u32,
}

impl ProcessName {
    /// Names an instance of a node by its number, from 1.
    pub fn new(node: impl Into<String>, number: u32) -> Self {
        Self {
            node: node.into(),
            number,
        }
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.node, self.number)
    }
}

impl From<ProcessName> for String {
    fn from(name: ProcessName) -> Self {
        name.to_string()
    }
}

/// A text that names no process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no process: write `NODE[NUMBER]`, with numbers from 1")]
pub struct InvalidProcessName(pub String);

impl TryFrom<String> for ProcessName {
    type Error = InvalidProcessName;

    fn try_from(text: String) -> Result<Self, InvalidProcessName> {
        text.parse()
    }
}

impl std::str::FromStr for ProcessName {
    type Err = InvalidProcessName;

    /// Reads `srv[1]`; `srv` alone is `srv[1]`.
    fn from_str(text: &str) -> Result<Self, InvalidProcessName> {
        let invalid = || InvalidProcessName(text.to_owned());
        let (node, number) = match text.strip_suffix(']') {
            Some(rest) => {
                let (node, number) = rest.rsplit_once('[').ok_or_else(invalid)?;
                (node, number.parse().map_err(|_| invalid())?)
            }
            None => (text, 1),
        };
        let is_name = !node.is_empty() && !node.contains(['[', ']']);
        if !is_name || number == 0 {
            return Err(invalid());
        }
        Ok(Self::new(node, number))
    }
}

/// At which breakpoint each process is: per node the numbers of its instances
/// in their order. It prints as `{"cl":[2,1],"srv":[3]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollectiveBreakpoint(pub BTreeMap<String, Vec<u32>>);

impl fmt::Display for CollectiveBreakpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        formatter.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_print() {
        for text in ["srv[1]", "spark-worker[12]"] {
            let name: ProcessName = text.parse().expect(text);
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("srv".parse(), Ok(ProcessName::new("srv", 1)));
        for text in ["", "[1]", "srv[0]", "srv[x]", "srv]", "a[1][2]"] {
            assert!(text.parse::<ProcessName>().is_err(), "{text}");
        }
    }

    #[test]
    fn collective_breakpoints_print_as_the_original_has_them() {
        let state = CollectiveBreakpoint(BTreeMap::from([
            ("srv".to_owned(), vec![3]),
            ("cl1".to_owned(), vec![2]),
        ]));
        assert_eq!(state.to_string(), r#"{"cl1":[2],"srv":[3]}"#);
    }
}
