"""The process that this is, and those that it starts: signals, memory, frameworks, children."""
