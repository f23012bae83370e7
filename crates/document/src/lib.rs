//! YAML with spans, imports and budgets.
