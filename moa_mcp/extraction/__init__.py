"""Reduces an answer to a comparable value: equal answers give equal values, and None if the answer states none.

There is one module per type of value, and its docstring states its rules. All of them treat widths and scripts of
characters alike (`folding`), and take time proportional to the length of the answer.

Import only the module that you need: the regular expressions of numbers and choices take a while to compile, and most
runs extract nothing.
"""
