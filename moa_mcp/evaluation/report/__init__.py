"""What is shown of an evaluation: JSON, its store, words, a table of texts, a picture and a page.

It reads the values of `result` and computes no statistics. It knows no terminal.
"""
