//! What the operations report, in the form that clients know.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// The nodes of an infrastructure that have instances, by name.
pub type Report = BTreeMap<String, NodeReport>;

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// Its instances by id.
    pub instances: BTreeMap<String, InstanceReport>,
    /// How many there are, and how many there may be.
    pub scaling: Scaling,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceReport {
    /// Where it is.
    pub resource_address: Address,
    /// Its state in the words of Occopus.
    pub state: String,
}

/// The addresses of an instance: one or several, as its resource plugin has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Address {
    /// One text.
    One(String),
    /// A list.
    Several(Vec<String>),
}

/// The counts of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scaling {
    /// Instances that there are.
    pub actual: u32,
    /// The most that there may be.
    pub max: u32,
    /// The fewest that there may be.
    pub min: u32,
    /// How many there are to be.
    pub target: u32,
}

/// What an infrastructure has cost: each node's instances by id, and the sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// The sum over all instances.
    pub total: f64,
    /// The cost of each instance by id, by node.
    pub nodes: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Costs {
    /// Returns the costs as clients know them: the nodes stand beside the sum.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        for (node, instances) in &self.nodes {
            let instances = instances
                .iter()
                .map(|(id, cost)| (id.clone(), number(*cost)))
                .collect();
            members.insert(node.clone(), Value::Object(instances));
        }
        members.insert("totalcost".to_owned(), number(self.total));
        Value::Object(members)
    }
}

/// Writes a cost: a whole one without a fraction, as Python's sum of nothing.
fn number(cost: f64) -> Value {
    if cost == 0.0 {
        return Value::from(0);
    }
    serde_json::Number::from_f64(cost).map_or(Value::Null, Value::Number)
}
