//! The deterministic orchestration engine: intent, observation, planning, life cycles.
