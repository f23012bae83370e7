//! Contextualisations with breakpoints, wherever they are rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use zenekar_base::{Addresses, GivenNode, ProbeSpec};
use zenekar_model::{RenderError, RenderInput, Rendered, Renderer, Topology};

use crate::instrument::{
    Access, HELPER_PATH, InstrumentError, Point, commands_with_words, equip_user_data,
    instrument_user_data,
};

/// The path by which scripts of the original report.
const SUBMIT_PATH: &str = "/Submit/";

/// What became of the contextualisation of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steering {
    /// It has these breakpoints, and those that it had before.
    Points(Vec<Point>),
    /// It has none, and its instances never report.
    Unsteered(InstrumentError),
    /// Its instances get no user-data, and never report.
    NoUserData,
}

/// A renderer that puts breakpoints into what another one renders: an instance
/// reports under its tag, to the session of its infrastructure.
pub struct SteeredRenderer {
    inner: Arc<dyn Renderer>,
    server: String,
    token: Option<String>,
    is_automatic: bool,
    /// Commands of nodes that get a breakpoint though they refer to nobody.
    more: BTreeMap<String, BTreeSet<usize>>,
    steering: Mutex<BTreeMap<String, Steering>>,
}

impl std::fmt::Debug for SteeredRenderer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SteeredRenderer")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl SteeredRenderer {
    /// Makes a renderer whose instances report to a server, as instances reach
    /// it: `http://10.0.0.1:5000`.
    pub fn new(inner: Arc<dyn Renderer>, server: &str, token: Option<&str>) -> Self {
        Self {
            inner,
            server: server.to_owned(),
            token: token.map(str::to_owned),
            is_automatic: true,
            more: BTreeMap::new(),
            steering: Mutex::default(),
        }
    }

    /// Puts in no breakpoints: only those count that the contextualisations have.
    #[must_use]
    pub fn by_hand(mut self) -> Self {
        self.is_automatic = false;
        self
    }

    /// Puts breakpoints in behind more commands of nodes, by their places in `runcmd`.
    #[must_use]
    pub fn with_more(mut self, more: BTreeMap<String, BTreeSet<usize>>) -> Self {
        self.more = more;
        self
    }

    /// Says whether a contextualisation has breakpoints by itself: of our helper
    /// script, or of one that was instrumented for the original.
    pub fn has_own_breakpoints(user_data: &str) -> bool {
        user_data.contains(HELPER_PATH) || user_data.contains(SUBMIT_PATH)
    }

    /// Returns what became of a node, once an instance of it was rendered.
    pub fn steering(&self, node: &str) -> Option<Steering> {
        self.steering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(node)
            .cloned()
    }

    fn steer(
        &self,
        user_data: &mut Option<String>,
        input: &RenderInput<'_>,
        node: &str,
    ) -> Steering {
        let Some(text) = user_data else {
            return Steering::NoUserData;
        };
        let access = Access {
            server: self.server.clone(),
            infrastructure: input.infrastructure.as_str().to_owned(),
            infrastructure_name: input.infrastructure.as_str().to_owned(),
            node: input.instance.as_str().to_owned(),
            node_name: node.to_owned(),
            token: self.token.clone(),
        };
        if !self.is_automatic {
            return by_hand(text, &access);
        }
        let words = words_of(input.given);
        let refers = |config: &_| {
            let mut commands = commands_with_words(config, &words);
            commands.extend(self.more.get(node).into_iter().flatten());
            commands
        };
        match instrument_user_data(text, &access, &refers) {
            Ok((instrumented, points)) => {
                *text = instrumented;
                Steering::Points(points)
            }
            Err(error) => Steering::Unsteered(error),
        }
    }
}

/// Gives a contextualisation what its own breakpoints need.
fn by_hand(text: &mut String, access: &Access) -> Steering {
    if !SteeredRenderer::has_own_breakpoints(text) {
        return Steering::Unsteered(InstrumentError::NoBreakpoints);
    }
    if text.contains(HELPER_PATH) {
        match equip_user_data(text, access) {
            Ok(equipped) => *text = equipped,
            Err(error) => return Steering::Unsteered(error),
        }
    }
    Steering::Points(Vec::new())
}

/// The addresses that an instance was given.
fn words_of(given: &[GivenNode]) -> Vec<&str> {
    let instances = given.iter().flat_map(|node| &node.instances);
    instances
        .flat_map(|one| {
            let private = one.addresses.private.as_deref();
            one.addresses.all.iter().map(String::as_str).chain(private)
        })
        .collect()
}

impl Renderer for SteeredRenderer {
    fn render(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
    ) -> Result<Rendered, RenderError> {
        let mut rendered = self.inner.render(topology, input)?;
        let node = &topology.node(input.node).name;
        let steering = self.steer(&mut rendered.user_data, input, node);
        self.steering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node.clone(), steering);
        Ok(rendered)
    }

    fn probes(
        &self,
        topology: &Topology,
        input: &RenderInput<'_>,
        addresses: &Addresses,
    ) -> Result<ProbeSpec, RenderError> {
        self.inner.probes(topology, input, addresses)
    }
}
