//! What explorations find, and what they must not find.

mod difference;
mod faults;
mod minimise;
mod network;
mod pauses;
mod races;
mod reduction;
mod replay;
mod replay_file;
mod setting;
mod stated;
mod tell;
mod times;
mod untimed;
