//! Calls by other numbers: what tells engines apart that differ in nothing else.

use std::collections::BTreeMap;

use zenekar_base::CallId;

use crate::engine::Engine;
use crate::progress::Timer;

impl Engine {
    /// Numbers the calls in flight anew, from 1, in an order that follows from
    /// what they are about, and returns the old number of each in that order.
    ///
    /// Numbers count the calls that there were before, so engines that got to
    /// the same place by different ways differ in them. For those who compare
    /// engines; whoever answers calls has to know them by the new numbers.
    pub fn renumber_calls(&mut self) -> Vec<CallId> {
        let mut order: Vec<CallId> = self.calls.keys().copied().collect();
        order.sort_by(|one, other| {
            let rank = |call| {
                let flight = self.calls.get(call)?;
                let times = (flight.asked_at, flight.deadline);
                Some((flight.provider, &flight.about, times))
            };
            rank(one).cmp(&rank(other))
        });
        let numbers: BTreeMap<CallId, CallId> =
            order.iter().copied().zip((1..).map(CallId)).collect();
        if numbers.iter().all(|(old, new)| old == new) {
            self.next_call = order.len() as u64 + 1;
            return order;
        }
        let renumber = |call: &mut Option<CallId>| {
            *call = call.and_then(|call| numbers.get(&call).copied());
        };
        self.progress.change_each(|_, progress| {
            renumber(&mut progress.call);
            renumber(&mut progress.probe);
        });
        for provider in &mut self.providers {
            renumber(&mut provider.release.call);
        }
        self.calls = self
            .calls
            .take()
            .map(|(call, flight)| (numbers[&call], flight))
            .collect();
        self.timers = std::mem::take(&mut self.timers)
            .into_iter()
            .filter_map(|(at, timer)| match timer {
                Timer::Call(call) => Some((at, Timer::Call(*numbers.get(&call)?))),
                other => Some((at, other)),
            })
            .collect();
        self.next_call = order.len() as u64 + 1;
        order
    }
}
