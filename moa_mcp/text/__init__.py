"""Text as data: masking, Unicode, money, tokens, suggestions."""
