"""Every set of published numbers; long trainings are cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catnet.course import cat_photos, logistic, published
from catnet.course.record import Options

pytestmark = pytest.mark.usefixtures("x64")

SHORT: dict[str, dict[str, Any]] = {
    "planar": {"steps": 1001, "sizes": (3,)},
    "initialization": {"steps": 2001},
    "regularization": {"steps": 10_001},
    "optimizers": {"epochs": 1001, "count": 3},
    "dinosaurs": {"steps": 2001},
}
LONG = ("planar", "initialization", "regularization")  # for all others, compiling takes longer
OF_PHOTOS = (cat_photos, logistic)  # which have their own tests
SEQUENCES = Path(__file__).parents[4] / "shared" / "data" / "sequences"


@pytest.mark.parametrize(
    "module",
    [module for module in published.MODULES if module not in OF_PHOTOS],
    ids=lambda module: module.SET.name,
)
def test_the_published_numbers_are_reproduced(module, request, capsys) -> None:
    one = module.SET
    if one.name not in LONG:
        request.getfixturevalue("compiled_quickly")
    files = {need.name: need.find(SEQUENCES) for need in one.needs}
    for name, path in files.items():
        if path is None:
            pytest.skip(f"needs {name} in ../shared/data/sequences")
    tables = list(module.run(Options(files), **SHORT.get(one.name, {})))
    assert tables
    for table in tables:
        assert table.numbers
        assert table.agrees, str(table)
