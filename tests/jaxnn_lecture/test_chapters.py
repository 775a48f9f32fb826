"""Every chapter on small data: its claims, and its page in a browser at two widths."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from headless import Page

from jaxnn_lecture import page
from jaxnn_lecture.chapter import Chapter
from jaxnn_lecture.chapters import CHAPTERS

# Claims that do not hold, by a word of theirs; others depend on the machine or need more data.
FALSE = {"picture": ["12228"], "depth": ["parity"]}
UNDECIDED = {
    "gradients": ["hundreds", "proportion"],
    "applications": ["kind of data", "price", "hybrid"],
    "scale": ["convolution", "Scale", "shared weights"],
    "digits": ["softmax", "neighbouring", "Mistakes"],
    "speech": ["sequence", "order", "honest"],
    "translation": ["recurrent", "aligns", "Word by word"],
    "sentiment": ["lacking", "embedding", "order"],
    "transfer": ["few examples", "saves"],
    "cats": ["Deeper", "mistakes", "edges", "tried"],
    "activations": ["linear activations"],
    "initialization": ["equal gradients", "Too large"],
    "depth": ["straight line", "few hidden units"],
}

NO_FORMULAS = ("cats", "scale", "speech", "transfer")

# Lists texts of a figure that overlap or leave it, and elements wider than the window.
FAULTS = Path(__file__).with_name("faults.js").read_text()


def test_a_chapter_has_claims_with_numbers_and_figures(chapter: Chapter) -> None:
    name = chapter.name
    assert chapter.title == CHAPTERS[name].title
    assert len(chapter.claims) >= 3
    assert any(claim.formulas for claim in chapter.claims) or name in NO_FORMULAS
    for claim in chapter.claims:
        assert type(claim.holds) is bool
        assert any(c.isdigit() for c in claim.measured)
        assert not any(word in claim.measured for word in ("nan", "None", "array("))
        if not any(word in claim.lecture for word in UNDECIDED.get(name, [])):
            false = any(word in claim.lecture for word in FALSE.get(name, []))
            assert claim.holds is not false, claim.measured


def test_its_page_is_well_formed_and_loads_nothing(chapter: Chapter) -> None:
    text = page.render([chapter])
    end = "<script>" if "<script>" in text else "</body>"
    body = text[text.index("<body>") : text.index(end)] + "</body>"
    root = ElementTree.fromstring(body.replace("&nbsp;", " "))
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert chapter.name in ids
    assert "http" not in text.replace("http-equiv", "")
    assert all(len(image.attrib["href"]) > 30 for image in root.iter("image"))
    assert page.is_page(text.encode()[:4096])


def test_it_is_readable_on_a_phone_and_on_a_projector(
    chapter: Chapter, browser: Page, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    file.write_text(page.render([chapter]), "utf-8")
    for width in (360, 1600):
        browser.resize(width, 900)
        browser.open(file)
        assert browser.evaluate(FAULTS) == []
    assert browser.problems == []
