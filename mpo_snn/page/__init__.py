"""What all pages share: one style, drawings in its colours, templates that load both."""
