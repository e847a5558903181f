r"""Converts LaTeX in an answer to the plain text that it displays: ``\frac{3}{4}`` becomes ``3/4``.

It takes one pass with a stack, so the depth of nested braces does not matter. The content of ``\boxed`` is put between
`BOXED` and `BOXED_END`. What has no plain form becomes `UNKNOWN`, or `UNREADABLE` if it is a number.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

BOXED, BOXED_END = "\x0e", "\x0f"
SEAM = "\x01"
"""Replaces removed markup that separates the text before from the text after it."""
UNKNOWN = "\u03be"
OVERLINE = "\u0305"
"""Follows each repeating digit."""
UNREADABLE = "\x02"
"""Replaces a number that has no plain form."""

_PART = re.compile(r"\\[A-Za-z]+\*?|\\[^A-Za-z]|[{}]|[\^_](?=\s?[{\\])|[^\\{}^_]+|[\^_\\]", re.DOTALL)
_SEPARATOR = re.compile(r"\{\s?([,.])\s?\}|\\(?:text|mathrm|mbox)\s?\{([,.])\}")
_ROOT_OF = re.compile(r"\\sqrt\s?\[[^\[\]{}]{0,20}\]")
_SHORT_FRACTION = re.compile(r"(\\[cdt]?frac)\s?(\d)\s?(\d)")
_NAMED_FRACTION = re.compile(r"(\\[cdt]?frac)\s?(\\[A-Za-z]+)\s?(\d|\\[A-Za-z]+)")
_PLAIN_POWER = re.compile(r"[-+\u2212]?\s?\d{1,20}")
_FRACTION_PART = re.compile(r"-?\s?[\d.,' ]*\d\s?")

_SAYS = {
    **dict.fromkeys(("times", "cdot", "ast", "bullet"), "\u00d7"),
    **dict.fromkeys(("div",), "\u00f7"),
    **dict.fromkeys(("pm", "mp"), "\u00b1"),
    **dict.fromkeys(("approx", "simeq", "sim", "equiv", "cong"), "\u2248"),
    **dict.fromkeys(("to", "implies", "Rightarrow", "rightarrow", "longrightarrow", "therefore", "iff"), " \u21d2 "),
    **dict.fromkeys(("le", "leq", "leqslant", "ge", "geq", "geqslant", "lt", "gt", "ne", "neq"), " < "),
    **dict.fromkeys(("quad", "qquad", "space", "thinspace", "newline", "medspace", "hfill", "par"), " "),
    **dict.fromkeys(("circ", "degree"), "\u00b0"),
    **dict.fromkeys(("ldots", "dots", "cdots"), "..."),
    "percent": "%",
    "euro": "$",
    "pounds": "$",
    "sqrt": "\u221a",
    "infty": "\u221e",
    "Gamma": "\u0393",
    **dict.fromkeys(("phi", "varphi", "zeta", "psi"), "\u03c6"),
    "lor": " or ",
    "vee": " or ",
    "land": " and ",
    "lfloor": "\u230a",
    "lceil": "\u2308",
    "neg": " not ",
    "lnot": " not ",
    "pi": "\u03c0",
    **dict.fromkeys(("n", "r", "t"), "\n"),  # double-escaped line breaks and tabs
}
_ESCAPED = {"!": "", **dict.fromkeys("()[]", SEAM), "{": "(", "}": ")", **{each: each for each in "%#&_$^' \n"}}
_UNSEEN = {
    *("left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "textstyle"),
    *("limits", "rm", "bf", "it", "tt", "sf", "scriptstyle", "boldsymbol", "mathbf", "mathbb", "centering", "Large"),
    *("large", "mathit", "mathsf", "mathtt", "mathcal", "bm", "normalsize", "small", "huge", "Huge", "hline"),
    *("mathnormal", "ensuremath", "displaylines", "underline", "underbrace", "item"),
}
_SPACED = {
    "num",
    "SI",
    "qty",
    "text",
    "mathrm",
    "textbf",
    "textit",
    "textrm",
    "texttt",
    "textsf",
    "mbox",
    "operatorname",
    "emph",
    "hbox",
}
_DROPPED = {
    *("tag", "label", "ref", "eqref", "cite", "footnote", "footnotemark", "hspace", "vspace", "phantom", "hphantom"),
    *(
        "cancel",
        "sout",
        "bcancel",
        "xcancel",
        "textcolor",
        "vphantom",
        "url",
        "includegraphics",
        "begin",
        "end",
        "color",
    ),
}
_OPENS = {"box": BOXED, "spaced": " ", "": "("}
_FUNCTIONS = {
    *("ln", "log", "lg", "exp", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh"),
    *("tanh", "max", "min", "gcd", "det", "arg"),
}
_REPEATED = {"overline", "bar", "dot"}
_BOXES = {"boxed", "fbox", "framebox", "Boxed"}


class _Group(Struct):
    kind: str
    start: int
    """The position of its first output."""
    above: str | None = None
    """The numerator, if this is a denominator."""


class _Reader(Struct):
    out: list[str] = field(default_factory=list[str])
    groups: list[_Group] = field(default_factory=list[_Group])
    expects: str = ""
    """The role of the next pair of braces."""
    above: str | None = None

    def read(self, part: str) -> None:
        """Process the next part of the text."""
        expects, above = self.expects, self.above
        if expects and part != "{":
            if part.isspace() and expects not in {"unseen", "^", "_"}:
                return
            self.expects, self.above = "", None
            part = self._without_braces(expects, above, part)
            if not part:
                return
        match part[0]:
            case "{":
                self.expects, self.above = "", None
                self.groups.append(_Group(expects, len(self.out), above))
                self.out.append(_OPENS.get(expects, ""))
            case "}":
                if self.groups:
                    self._close(self.groups.pop())
            case "\\":
                self._command(part[1:].rstrip("*"))
            case "^" | "_":
                self.expects = part
            case _:
                self.out.append(part)

    def _without_braces(self, expects: str, above: str | None, part: str) -> str:
        """Process the argument without braces of a command or sign; return the rest of the part."""
        match expects:
            case "repeated" if part.lstrip()[:1].isdigit():
                self.out.append(part.lstrip()[0] + OVERLINE)
                return part.lstrip()[1:]
            case "fraction" if part[0].isdigit() and above is not None:
                self.out.append(self._fraction(above, part[0]))
                return part[1:]
            case "fraction":
                self.out.append(UNREADABLE)
            case "^" if part[0] == "\\":
                self.out.append("" if part == "\\circ" else f"^{UNKNOWN}")
            case "_" if part[0] == "\\":
                self.out.append(UNKNOWN)
            case "^" | "_":
                self.out.append(expects)
            case _:
                pass
        return part

    def _command(self, name: str) -> None:
        if name in _BOXES:
            self.expects = "box"
        elif name.endswith("frac") and len(name) <= 5:  # noqa: PLR2004  dfrac, tfrac, cfrac
            self.expects = "fraction"
        elif name in _SPACED:
            self.expects = "spaced"
        elif name in _DROPPED:
            self.expects = "dropped"
        elif name in _SAYS:
            self.out.append(_SAYS[name])
        elif name in _FUNCTIONS:
            self.out.append(f"{name} ")
        elif name in _REPEATED:
            self.expects = "repeated"
        elif name and not name.isalpha():
            self.out.append(_ESCAPED.get(name, " "))
        elif name in _UNSEEN:
            self.expects = "unseen"
        else:
            self.out.append(UNKNOWN)

    def _close(self, group: _Group) -> None:
        match group.kind:
            case "box":
                self.out.append(BOXED_END)
            case "dropped":
                del self.out[group.start :]
                self.out.append(SEAM)
            case "^":
                power = self._taken(group)
                degrees = power.strip() == "\u00b0"
                self.out.append("\u00b0" if degrees else f"^{power if _PLAIN_POWER.fullmatch(power) else UNKNOWN}")
            case "_":
                self._taken(group)
                self.out.append(UNKNOWN)
            case "fraction" if group.above is None:
                self.expects, self.above = "fraction", self._taken(group)
            case "fraction":
                below = self._taken(group)
                self.out.append(self._fraction(group.above or "", below))
            case "repeated":
                self._repeat(group)
            case "":
                self.out.append(")")
            case _:
                pass

    def _repeat(self, group: _Group) -> None:
        """Mark repeating digits; other overlined content is unknown."""
        inside = self.out[group.start + 1 :][:1]
        if len(self.out) - group.start <= 2 and inside and inside[0].isdecimal():  # noqa: PLR2004
            self.out[group.start :] = ["".join(digit + OVERLINE for digit in inside[0])]
        else:
            self.out[group.start] = f"{UNKNOWN}("
            self.out.append(")")

    def _taken(self, group: _Group) -> str:
        """Remove and return the output of a group, if it is short."""
        parts = self.out[group.start : group.start + 20]
        short = len(self.out) - group.start <= len(parts)
        del self.out[group.start :]
        return "".join(parts).replace(SEAM, "") if short else UNKNOWN

    def _fraction(self, above: str, below: str) -> str:
        if not _FRACTION_PART.fullmatch(above) or not _FRACTION_PART.fullmatch(below) or below.strip()[0] == "-":
            return UNREADABLE
        before = self.out[-1][-1:] if self.out else ""
        return f"{' ' if before.isdigit() else ''}{above.strip()}/{below.strip()}{SEAM}"


def plain(text: str) -> str:
    """Return the text without LaTeX."""
    if "\\" not in text and "{" not in text:
        return text
    text = _NAMED_FRACTION.sub(r"\1{\2}{\3}", text)
    text = _SHORT_FRACTION.sub(r"\1{\2}{\3}", _ROOT_OF.sub(r"\\sqrt", _SEPARATOR.sub(r"\1\2", text)))
    reader = _Reader()
    for found in _PART.finditer(text):
        reader.read(found[0])
    return "".join(reader.out)
