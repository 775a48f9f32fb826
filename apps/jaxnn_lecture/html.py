"""Pieces of HTML: tables of numbers, and data for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from jaxnn_lecture.mathml import prose


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column names the rows.  Texts may have formulas between dollar signs."""
    heads = "".join(f'<th scope="col">{prose(one)}</th>' for one in header)
    body = "".join(
        f'<tr><th scope="row">{prose(first)}</th>'
        + "".join(f"<td>{prose(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    return (
        f'<div class="scroll"><table><caption>{prose(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def details(summary: str, content: str) -> str:
    """Content that opens on request; in print it is open."""
    return f"<details><summary>{escape(summary, quote=False)}</summary>{content}</details>"


def widget(name: str, data: Any) -> str:
    """A place that a script fills, with its data as JSON."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'<div class="widget" data-widget="{escape(name)}">'
        "<noscript><p>This figure needs JavaScript.</p></noscript>"
        f'<script type="application/json">{text}</script></div>'
    )
