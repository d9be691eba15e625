"""The tables of papers as a command: train or take their rows, measure them, and print published beside measured."""
