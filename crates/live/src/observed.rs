//! A global state of real nodes, as properties see it.

use serde_json::Value;
use zenekar_property::{Datum, NameRef, NodeRef, PropertySet, Valuation};

use crate::session::{GlobalState, ProcessData};

/// A global state behind the names of a set of properties.
///
/// Nodes tell when they have finished and nothing about their health, so that
/// finished ones count as ready and serving.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'o> {
    state: &'o GlobalState,
    set: &'o PropertySet,
}

impl<'o> Observed<'o> {
    /// Looks at a state with the names of a set.
    pub const fn new(state: &'o GlobalState, set: &'o PropertySet) -> Self {
        Self { state, set }
    }

    fn data(&self, node: NodeRef) -> &'o [ProcessData] {
        self.set
            .nodes()
            .get(node.index())
            .and_then(|name| self.state.data.get(name))
            .map_or(&[], Vec::as_slice)
    }
}

impl Valuation for Observed<'_> {
    fn count(&self, node: NodeRef) -> u32 {
        u32::try_from(self.data(node).len()).unwrap_or(u32::MAX)
    }

    fn ready(&self, node: NodeRef) -> u32 {
        self.finished(node)
    }

    fn serving(&self, node: NodeRef) -> u32 {
        self.finished(node)
    }

    fn finished(&self, node: NodeRef) -> u32 {
        let finished = self.data(node).iter().filter(|one| one.finished).count();
        u32::try_from(finished).unwrap_or(u32::MAX)
    }

    fn breakpoint(&self, node: NodeRef, instance: u32) -> u32 {
        let name = self.set.nodes().get(node.index());
        name.and_then(|name| self.state.breakpoints.0.get(name))
            .and_then(|numbers| numbers.get(instance as usize))
            .copied()
            .unwrap_or(0)
    }

    fn value(&self, node: NodeRef, instance: u32, name: NameRef) -> Option<Datum<'_>> {
        let data = self.data(node).get(instance as usize)?;
        let name = self.set.names().get(name.index())?;
        let value = data.user.get(name).or_else(|| data.process.get(name))?;
        Some(match value {
            Value::Bool(truth) => Datum::Truth(*truth),
            Value::String(text) => Datum::Text(text),
            Value::Number(number) => match number.as_i64() {
                Some(number) => Datum::Integer(number),
                None => Datum::Decimal(number.as_f64()?),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        })
    }
}
