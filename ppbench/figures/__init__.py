"""Figures: their content, taken from reports, and two drawings of it: SVG for pages, matplotlib for papers."""
