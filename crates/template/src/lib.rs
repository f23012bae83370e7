//! Jinja2-compatible templates with Python-style printing.
