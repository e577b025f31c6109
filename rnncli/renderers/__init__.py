"""Answer -> bytes: the page that an answer makes, its words and numbers, and the formats that show it."""
