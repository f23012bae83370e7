//! Tests of provider `nova`: against a scripted peer, and against the real
//! `OpenStack` that `tests/env/openstack/up` starts.

mod ledger;
mod openstack;
mod openstack_network;
mod peer;
mod scripted;
mod scripted_failures;
mod scripted_ports;
mod settings;
mod world;
