//! A cloud as a pure state machine.
