"""The page: chapters as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from jaxnn_lecture.chapter import Chapter, Claim, Figure
from jaxnn_lecture.mathml import formula, prose

HERE = Path(__file__).parent
GENERATOR = "jaxnn-lecture"
TITLE = "The deep learning lecture, measured"

# Nothing is loaded from anywhere: the browser itself refuses it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def render(chapters: Sequence[Chapter]) -> str:
    """The page of some chapters, as the text of one HTML file."""
    count = sum(len(chapter.claims) for chapter in chapters)
    holding = sum(chapter.holding for chapter in chapters)
    names = [
        script
        for chapter in chapters
        for claim in chapter.claims
        for figure in claim.figures
        for script in figure.scripts
    ]
    scripts = "".join(f"<script>{read_script(name)}</script>" for name in dict.fromkeys(names))
    links = "".join(
        f'<li><a href="#{chapter.name}">{escape(chapter.title)}</a> '
        f"<small>{chapter.holding} of {len(chapter.claims)} hold</small></li>"
        for chapter in chapters
    )
    body = "".join(map(_chapter, chapters))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{GENERATOR}">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{TITLE}</title>
<style>{(HERE / "style.css").read_text("utf-8")}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the chapters</a>
<header>
<h1>{TITLE}</h1>
<p>Each claim of the classic introduction to deep learning is an experiment here. jaxnn, whose
backward passes are written by hand, computed it; the result stands beside the claim. Of
{count} claims, {holding} hold as the lecture says them.</p>
<nav aria-label="Chapters"><ol>{links}</ol></nav>
</header>
<main id="main">{body}</main>
<footer><p>Made by <code>jaxnn-lecture</code>. The file is complete: it loads nothing.</p></footer>
<script>{read_script("printing")}</script>{scripts}
</body>
</html>
"""


def read_script(name: str) -> str:
    """The text of a script of this app."""
    return (HERE / "scripts" / f"{name}.js").read_text("utf-8")


def is_page(head: bytes) -> bool:
    """Whether these first bytes of a file are those of such a page."""
    return f'<meta name="generator" content="{GENERATOR}">'.encode() in head


def _chapter(chapter: Chapter) -> str:
    claims = "".join(map(_claim, chapter.claims))
    return (
        f'<section id="{chapter.name}" aria-labelledby="{chapter.name}-title">'
        f'<h2 id="{chapter.name}-title">{escape(chapter.title)}</h2>'
        f"<p>{prose(chapter.introduction)}</p>{claims}</section>"
    )


def _claim(claim: Claim) -> str:
    verdict, mark = ("holds", "✓") if claim.holds else ("does not hold", "✗")
    style = "yes" if claim.holds else "no"
    formulas = "".join(formula(one, display=True) for one in claim.formulas)
    shown = f'<div class="formulas scroll">{formulas}</div>' if formulas else ""
    return (
        f'<article class="claim"><h3>{prose(claim.lecture)}</h3>{shown}'
        f"{''.join(map(_figure, claim.figures))}"
        f'<p class="measured"><strong class="verdict {style}">'
        f'<span aria-hidden="true">{mark}</span> {verdict}</strong> {prose(claim.measured)}</p>'
        "</article>"
    )


def _figure(figure: Figure) -> str:
    panels = "".join(f'<div class="panel">{panel}</div>' for panel in figure.panels)
    many = " small" if figure.small else " many" if len(figure.panels) > 1 else ""
    return (
        f'<figure><div class="panels{many}">{panels}</div>'
        f"<figcaption>{prose(figure.caption)}</figcaption></figure>"
    )
