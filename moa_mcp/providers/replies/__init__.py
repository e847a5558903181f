"""From the JSON of a reply to a completion, whichever transport delivered it."""
