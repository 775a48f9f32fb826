"""``catnet predict``: classify images."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from catnet.cli.inputs import load_model
from catnet.cli.options import MODEL_HELP, fraction
from catnet.terminal import log, one_line

if TYPE_CHECKING:
    from catnet.models.classifier import Classifier

HELP = "classify images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="files, folders or patterns; - for stdin"
    )
    parser.add_argument("--model", metavar="FILE", help=f"{MODEL_HELP} (default shipped)")
    parser.add_argument(
        "--threshold",
        type=fraction,
        metavar="P",
        help="the answer is the second class (cat) from this probability on",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--explain",
        metavar="FOLDER",
        help="a new folder for saliency images: the network's input, and the pixels that count",
    )


def run(options: argparse.Namespace) -> int:
    """Classify every image; 1 when some have no answer."""
    from catnet.images.kinds import summarize_kinds
    from catnet.images.paths import OtherFile, expand

    others: list[OtherFile] = []
    images = expand(options.sources, on_other=others.append)
    classifier = load_model(options.model)
    if not options.json:
        log(f"model: {classifier.name}, {classifier.about}")
        if classifier.classes[1] != "cat":
            log(f"the numbers are the probabilities of {one_line(classifier.classes[1])}")
    explanations = _Explanations(classifier, options.explain) if options.explain else None
    failed = 0
    for answer, image in classifier.stream_with_images(images, options.threshold):
        failed += answer.error is not None
        explanation = {}
        if explanations and image is not None:
            explanation["explanation"] = explanations.write(answer.path, image)
        if options.json:
            print(json.dumps({**answer._asdict(), **explanation}))
        elif answer.error is None:
            width = max(map(len, (*map(one_line, classifier.classes), "unsure")))
            label = "unsure" if answer.unsure else one_line(answer.label)
            print(f"{label:{width}}  {answer.p_cat:6.1%}  {one_line(answer.path)}")
        else:
            sys.stdout.flush()
            log(f"catnet: {one_line(answer.path)}: {answer.error}")
    if others:
        log(one_line(summarize_kinds(other.kind for other in others)))
    return 1 if failed else 0


class _Explanations:
    """Writes the saliency images of ``--explain``, numbered in the order of the answers."""

    def __init__(self, classifier: Classifier, folder: str) -> None:
        from catnet.evaluation import saliency

        self.saliency, self.classifier = saliency, classifier
        self.folder, self.count = saliency.new_folder(folder), 0

    def write(self, name: str | None, image: Any) -> str:
        self.count += 1
        strength = self.saliency.saliency(self.classifier, image[None])[0]
        drawing = self.saliency.draw(image, strength)
        path = self.saliency.write_explanation(self.folder, self.count, name or "", drawing)
        return str(path)
