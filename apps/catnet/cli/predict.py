"""``catnet predict``: classify images."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from catnet.cli.inputs import load_model
from catnet.cli.options import MODEL_HELP, fraction
from catnet.terminal import log, one_line, shorten

if TYPE_CHECKING:
    from catnet.models.classifier import Classifier, Prediction

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
        help="two classes: the answer is the second class (cat) from its probability of P on; more "
        "classes: an answer with a probability below P is unsure",
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
    explanations = _Explanations(classifier, options.explain) if options.explain else None
    width = max(map(len, (*map(shorten, classifier.classes), "unsure")))
    failed = 0
    for answer, image in classifier.stream_with_images(images, options.threshold):
        failed += answer.error is not None
        explanation = {}
        if explanations and image is not None:
            explanation["explanation"] = explanations.write(answer, image)
        if options.json:
            print(json.dumps({**answer._asdict(), **explanation}))
        elif answer.label is not None:
            print(f"{_format(answer, width)}  {one_line(answer.path)}")
        else:
            sys.stdout.flush()
            log(f"catnet: {one_line(answer.path)}: {answer.error}")
    if others:
        log(one_line(summarize_kinds(other.kind for other in others)))
    return 1 if failed else 0


def _format(answer: Prediction, width: int) -> str:
    """The label and its probability; of an unsure answer, the label comes last.

    Example:
        >>> from catnet.models.classifier import Prediction
        >>> _format(Prediction(None, "cat", 0.998, None, 0.5, "m"), 7)
        'cat       99.8%'
        >>> _format(Prediction(None, "cat", 0.53, None, 0.5, "m", unsure=True), 7)
        'unsure    53.0% cat    '
    """
    label = shorten(answer.label or "")
    if answer.unsure:
        return f"{'unsure':{width}}  {answer.probability:6.1%} {label:{width}}"
    return f"{label:{width}}  {answer.probability:6.1%}"


def describe_answer(answer: Prediction) -> str:
    """The answer in words, for a drawing.

    Example:
        >>> from catnet.models.classifier import Prediction
        >>> describe_answer(Prediction(None, "cat", 0.53, None, 0.5, "m", unsure=True))
        'unsure: cat, 53.0%'
    """
    if answer.label is None:
        return "no answer"
    return f"{'unsure: ' if answer.unsure else ''}{shorten(answer.label)}, {answer.probability:.1%}"


class _Explanations:
    """Writes the saliency images of ``--explain``, numbered in the order of the answers."""

    def __init__(self, classifier: Classifier, folder: str) -> None:
        from catnet.evaluation import saliency

        self.saliency, self.classifier = saliency, classifier
        self.folder, self.count = saliency.new_folder(folder), 0

    def write(self, answer: Prediction, image: Any) -> str:
        self.count += 1
        strength = self.saliency.saliency(self.classifier, image[None])[0]
        drawing = self.saliency.draw(image, strength, describe_answer(answer))
        path = self.saliency.write_explanation(self.folder, self.count, answer.path or "", drawing)
        return str(path)
