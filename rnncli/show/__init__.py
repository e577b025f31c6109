"""Turn an answer into bytes: its page, wording and numbers, and the output formats."""
