//! Drives the real binary: whole stories, exit codes, wrong arguments, crashes.

mod arguments;
mod clouds;
mod damage;
mod examples;
mod exit_codes;
mod help;
mod json;
mod kill_sweep;
mod lint;
mod local;
mod local_heal;
mod local_kills;
mod looking_in;
mod occopus_adopt;
mod occopus_commands;
mod occopus_defects;
mod occopus_desk;
mod occopus_service;
mod occopus_tutorials;
mod occopus_words;
mod real;
mod render;
mod sandbox;
mod stories;
mod traces;
mod tutorials;
