"""Case 4: a folder of large photos, from files to answers."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from catnet_bench.cases.cold_start import shipped_network
from catnet_bench.harness.case import LARGE, Options, large_photos
from catnet_bench.harness.report import Row, cores
from catnet_bench.harness.worker import Contestant, race
from catnet_bench.peers.square import square

CHECKED = 8  # photos that are also classified one by one


def rows(options: Options) -> list[Row]:
    """Classifier.answers against PIL, a DataLoader and PyTorch; and against decoding alone."""
    count, distinct = (60, 6) if options.quick else (2000, 100)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large_photos(folder, count, distinct)
        return compare(folder, count, options.rounds)


def compare(folder: Path, count: int, rounds: int) -> list[Row]:
    """The rows for a folder of ``count`` photos."""
    network = shipped_network()
    times, values = race(
        {
            "jaxnn": Contestant(ours, (folder,)),
            "decode": Contestant(decode_alone, (folder,)),
            "PIL + PyTorch": Contestant(by_torch, (folder, network, False), "torch"),
            "PIL, draft mode + PyTorch": Contestant(by_torch, (folder, network, True), "torch"),
        },
        rounds,
    )
    check_one_by_one(folder, values["jaxnn"])
    speeds = {name: [count / seconds for seconds in times[name]] for name in times}
    ours_speed = speeds.pop("jaxnn")
    alone = speeds.pop("decode")
    what = f"{count} photos of {LARGE[0]}×{LARGE[1]}"
    rows = [Row(what, "images/s", ours_speed, "its decoding alone", alone)]
    for name, theirs in speeds.items():
        largest = float(np.abs(np.subtract(values[name], values["jaxnn"])).max())
        note = f"p differs by {largest:.3f} at most: images are resized differently"
        bound = 2.0 if name == "PIL + PyTorch" else None
        rows.append(Row(what, "images/s", ours_speed, name, theirs, bound, note=note))
    return rows


def check_one_by_one(folder: Path, together: list[float]) -> None:
    """Raise unless photos have bit-identical answers alone and together."""
    from catnet import Classifier

    model = Classifier.load()
    for path, p in list(zip(files(folder), together, strict=True))[:CHECKED]:
        [answer] = model.predict([path])
        if (alone := (answer.probabilities or {}).get("cat")) != p:
            raise AssertionError(f"{path}: {alone} alone, {p} in the folder")


def files(folder: Path) -> list[Path]:
    """The photos of a folder, in order."""
    return sorted(folder.glob("*.jpg"))


def ours(folder: Path) -> Callable[[], list[float]]:
    """What ``catnet predict FOLDER`` does."""
    from catnet import Classifier
    from catnet.images.paths import expand

    model = Classifier.load()

    def work() -> list[float]:
        answers = list(model.stream(expand([str(folder)])))
        failures = [answer for answer in answers if answer.probabilities is None]
        if failures:
            raise RuntimeError(f"no answer: {failures[0]}")
        return [answer.probabilities["cat"] for answer in answers if answer.probabilities]

    return work


def decode_alone(folder: Path) -> Callable[[], int]:
    """Decoding of the same photos, on all cores."""
    from catnet import Classifier
    from catnet.images.decode_many import decode_many

    paths, geometry = [str(path) for path in files(folder)], Classifier.load().geometry
    return lambda: sum(1 for _ in decode_many(paths, *geometry))


def by_torch(folder: Path, network: Any, draft: bool) -> Callable[[], list[float]]:
    """A Dataset, a DataLoader with two workers, and the network."""
    import torch
    from torch.utils.data import DataLoader

    from catnet_bench.peers import torch_photo

    torch.set_num_threads(cores())
    architecture, leaves, slope, offset = network
    model = {"network": architecture, "slope": slope, "offset": offset}
    widths, blocks = architecture["widths"], architecture["blocks"]
    net = torch_photo.network(widths, blocks, architecture["classes"])
    net = torch_photo.load(net, leaves).eval()
    loader: Any = DataLoader(
        Photos(files(folder), model, draft),  # type: ignore[arg-type]
        batch_size=32,
        num_workers=2,
        persistent_workers=True,
    )

    def work() -> list[float]:
        parts = [torch_photo.probabilities(net, model, images) for images in loader]
        return torch.cat(parts).tolist()

    return work


class Photos:
    """A Dataset: a photo file as the input of the network, uint8."""

    def __init__(self, paths: list[Path], model: dict[str, Any], draft: bool) -> None:
        self.paths, self.model, self.draft = paths, model, draft

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        from PIL import Image

        with Image.open(self.paths[index]) as image:
            if self.draft:
                image.draft("RGB", (144, 144))
            return square(image.convert("RGB"), self.model)
