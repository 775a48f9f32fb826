"""Formulas: from a small part of LaTeX to MathML, which browsers draw and screen readers read.

Known are letters, numbers and signs, ``^`` and ``_``, groups in braces, the commands of ``SIGNS``
and ``WORDS``, ``\\frac``, ``\\sqrt``, ``\\hat``, ``\\text``, ``\\quad`` and ``\\,``.  A d before a
capital letter, w, b or z is one name with it: the lecture's dZ.
"""

from __future__ import annotations

import re
from html import escape

from catnet.terminal import one_line

SIGNS = {
    "alpha": "α", "beta": "β", "lambda": "λ", "sigma": "σ", "partial": "∂", "infty": "∞",
    "cdot": "·", "times": "×", "circ": "∘", "le": "≤", "ge": "≥", "ne": "≠", "to": "→",
    "in": "∈", "approx": "≈", "sum": "∑", "mathcal L": "ℒ", "dots": "…", "R": "ℝ", "colon": ":",
}  # fmt: skip
LETTERS = ("α", "β", "λ", "σ", "∂", "∞", "ℒ", "ℝ")
WORDS = ("log", "exp", "max", "min", "tanh")
ACCENTS = {"hat": "^"}
SIGN_CHARACTERS = {"-": "−", "'": "′"}

_DOLLAR = "\ue000"  # a character for private use
_TOKENS = re.compile(
    r"\\mathcal L|\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|d[A-Zwbz](?![A-Za-z])|:=|[A-Za-z]|\S"
)
_DIGITS = re.compile(r"[0-9]")


class _Tokens:
    """The tokens of a formula, read from the left."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens = [match.group() for match in _TOKENS.finditer(latex)]
        self.starts = [match.start() for match in _TOKENS.finditer(latex)]
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise ValueError(f"formula {self.latex!r} ends too early")
        self.at += 1
        return token

    def text(self) -> str:
        """The characters up to the closing brace, as they are."""
        start = self.starts[self.at] + 1
        end = self.latex.index("}", start)
        while self.starts[self.at] < end:
            self.at += 1
        self.next()
        return self.latex[start:end]


def formula(latex: str, display: bool = False) -> str:
    """A formula as a ``<math>`` element.

    Raises:
        ValueError: when the formula has an unknown command or a brace too many or too few.

    Example:
        >>> formula("z = w^T x")
        '<math><mi>z</mi><mo>=</mo><msup><mi>w</mi><mi>T</mi></msup><mi>x</mi></math>'
    """
    tokens = _Tokens(latex)
    row = _row(tokens)
    if tokens.peek():
        raise ValueError(f"formula {latex!r} has a closing brace too many")
    kind = ' display="block"' if display else ""
    return f"<math{kind}>{row}</math>"


def prose(text: str) -> str:
    """A text as HTML; what stands between dollar signs is a formula.

    Example:
        >>> prose("a < $b$")
        'a &lt; <math><mi>b</mi></math>'
    """
    parts = text.split("$")
    if len(parts) % 2 == 0:
        raise ValueError(f"a dollar sign without a partner in {text!r}")
    pieces = (formula(p) if i % 2 else escape(p, quote=False) for i, p in enumerate(parts))
    return "".join(pieces).replace(_DOLLAR, "$")


def plain(text: str) -> str:
    """A name of the user's for ``prose``: on one line, and its dollar signs begin no formula.

    Example:
        >>> prose(f"from {plain('cats$')}")
        'from cats$'
    """
    return one_line(text).replace("$", _DOLLAR)


def _row(tokens: _Tokens) -> str:
    parts = []
    while tokens.peek() not in ("", "}"):
        if tokens.peek() == "-" and (not parts or parts[-1].startswith("<mo")):
            tokens.next()
            parts.append('<mo form="prefix">−</mo>')
        else:
            parts.append(_scripted(tokens))
    return "".join(parts)


def _scripted(tokens: _Tokens) -> str:
    """An atom with its indices and exponents."""
    is_sum = tokens.peek() == "\\sum"
    base, scripts = _atom(tokens), {}
    while (sign := tokens.peek()) in ("^", "_"):
        tokens.next()
        scripts[sign] = _atom(tokens)
    if not scripts:
        return base
    both = len(scripts) == 2
    under, over = ("munder", "mover") if is_sum else ("msub", "msup")
    name = under + over.removeprefix("m") if both else under if "_" in scripts else over
    return f"<{name}>{base}{''.join(scripts[s] for s in '_^' if s in scripts)}</{name}>"


def _atom(tokens: _Tokens) -> str:
    token = tokens.next()
    if token == "{":
        row = _row(tokens)
        if tokens.next() != "}":
            raise ValueError(f"formula {tokens.latex!r} has an open brace")
        return f"<mrow>{row}</mrow>"
    if token.startswith("\\"):
        return _command(token[1:], tokens)
    if _DIGITS.match(token):
        return f"<mn>{token}</mn>"
    if token[0] == "d" and len(token) == 2:  # dZ
        return f'<mi class="d">{token}</mi>'
    if token.isalpha():
        return f"<mi>{token}</mi>"
    return f"<mo>{escape(SIGN_CHARACTERS.get(token, token), quote=False)}</mo>"


def _command(name: str, tokens: _Tokens) -> str:
    if name == "frac":
        return f"<mfrac>{_atom(tokens)}{_atom(tokens)}</mfrac>"
    if name == "sqrt":
        return f"<msqrt>{_atom(tokens)}</msqrt>"
    if name in ACCENTS:
        return f'<mover accent="true">{_atom(tokens)}<mo>{ACCENTS[name]}</mo></mover>'
    if name == "text":
        words = escape(tokens.text(), quote=False).replace(" ", "&nbsp;")
        return f"<mtext>{words}</mtext>"
    if name == ",":
        return '<mspace width=".17em"></mspace>'
    if name == "quad":
        return '<mspace width="1.5em"></mspace>'
    if name in WORDS:
        return f'<mi>{name}</mi><mspace width=".17em"></mspace>'
    if name in SIGNS:
        kind = "mi" if SIGNS[name] in LETTERS else "mo"
        return f"<{kind}>{SIGNS[name]}</{kind}>"
    raise ValueError(f"formula {tokens.latex!r} has the unknown command \\{name}")
