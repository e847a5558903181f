"""What an answer comes down to, in a form in which equal answers are equal, or None where it does not say.

One module for each kind of value; each states its rules. All of them read characters of all widths and scripts alike
(`folding`), and take time in proportion to the length of the answer.

Import the module that is needed: the expressions of numbers and choices take a while to compile, and most runs count
nothing.
"""
