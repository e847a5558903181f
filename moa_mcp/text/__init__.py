"""Text as data: masking, Unicode, money."""
