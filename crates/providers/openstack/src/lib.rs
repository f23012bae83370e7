//! Instances at OpenStack Nova.
