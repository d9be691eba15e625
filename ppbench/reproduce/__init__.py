"""Tables of papers as commands: their rows trained or taken, measured, and set beside what was published."""
