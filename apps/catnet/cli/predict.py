"""``catnet predict``: classify images."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from catnet.cli import answers
from catnet.cli.inputs import load_model
from catnet.cli.options import MODEL_HELP, count, fraction, name
from catnet.errors import UserError
from catnet.progress import track
from catnet.terminal import log, one_line, report_problem

if TYPE_CHECKING:
    from catnet.images.paths import ImageFile, OtherFile
    from catnet.models.classifier import Classifier, Prediction

HELP = "classify images"
EXAMPLES = (
    "catnet predict photo.jpg holidays/ 'scans/*.png'",
    "catnet predict holidays/ --csv > answers.csv",
    "catnet predict photos.zip --min-probability 0.9 --sort-into sorted",
    "catnet predict holidays/ --html gallery.html",
)


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
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object a line")
    form.add_argument("--csv", action="store_true", help="print CSV with a line of column names")
    parser.add_argument(
        "--top", type=count, metavar="N", help="also name the other of the N most probable classes"
    )
    parser.add_argument(
        "--min-probability",
        type=fraction,
        default=0.0,
        metavar="P",
        help="leave out answers with a probability below P; they are only counted",
    )
    parser.add_argument(
        "--sort-into",
        type=name,
        metavar="FOLDER",
        help="copy each image into FOLDER/LABEL; nothing is moved or overwritten",
    )
    parser.add_argument(
        "--link", action="store_true", help="with --sort-into: make symbolic links, not copies"
    )
    parser.add_argument(
        "--html",
        type=name,
        metavar="FILE",
        help="write a page with a thumbnail of each image, by label",
    )
    parser.add_argument(
        "--explain",
        type=name,
        metavar="FOLDER",
        help="a new folder for saliency images: the network's input, and the pixels that count",
    )


def run(options: argparse.Namespace) -> int:
    """Classify every image; 1 when some have no answer."""
    from catnet.images.kinds import summarize_kinds
    from catnet.images.paths import expand

    if options.link and not options.sort_into:
        raise UserError("--link is for --sort-into FOLDER; give that too, or leave --link out")
    others: list[OtherFile] = []
    images = expand(options.sources, on_other=others.append)
    classifier = load_model(options.model)
    if not options.json and not options.csv:
        log(f"model: {classifier.name}, {classifier.about}")
    with contextlib.ExitStack() as stack:
        output = _Output(classifier, options, stack)
        stream = classifier.stream_with_images(images, options.threshold)
        answered = track(zip(images, stream, strict=True), len(images), "images")
        for image, (answer, pixels) in answered:
            output.write(image, answer, pixels)
    output.finish(len(images))
    if others:
        log(one_line(summarize_kinds(other.kind for other in others)))
    return 1 if output.failed or output.unsorted else 0


class _Output:
    """Writes and counts the answers."""

    def __init__(
        self, classifier: Classifier, options: argparse.Namespace, stack: contextlib.ExitStack
    ) -> None:
        self.options, self.width = options, answers.choose_width(classifier.classes)
        self.labels: Counter[str] = Counter()
        self.below = self.failed = self.sorted = self.unsorted = 0
        self.gallery = self.sort = None
        if options.html:  # first: it makes nothing where another option is wrong
            from catnet.cli.gallery import Gallery

            sources = ", ".join(options.sources[:3]) + (", …" if options.sources[3:] else "")
            gallery = Gallery(options.html, f"{sources}: {classifier.name}")
            self.gallery = stack.enter_context(gallery)
        self.explanations = _Explanations(classifier, options.explain) if options.explain else None
        if options.sort_into:
            from catnet.cli.sort_into import make_sorter

            self.sort = make_sorter(options.sort_into, classifier.classes, options.link)
        if options.csv:
            print(answers.format_csv_header(options.top or 1))

    def write(self, image: ImageFile, answer: Prediction, pixels: Any) -> None:
        """Print one answer, and copy its image."""
        if answer.label is None:
            self.failed += 1
            self._print_failure(answer)
            if self.gallery:
                self.gallery.add_failure(image.path, answer.error or "")
            return
        if (answer.probability or 0) < self.options.min_probability:
            self.below += 1
            return
        label = answers.UNSURE if answer.unsure else answer.label
        self.labels[label] += 1
        more = {}
        if self.explanations:
            more["explanation"] = self.explanations.write(answer, pixels)
        self._print(answer, more)
        if self.gallery:
            remark = answer.label if answer.unsure else ""
            self.gallery.add(image, label, answer.probability or 0, remark)
        if self.sort:
            try:
                self.sorted += self.sort(image, label)
            except (OSError, ValueError) as error:  # ValueError: a damaged file in an archive
                self.unsorted += 1
                reason = getattr(error, "strerror", None) or error
                report_problem(f"catnet: {one_line(image.path)}: cannot be sorted: {reason}")

    def _print(self, answer: Prediction, more: dict[str, str]) -> None:
        if self.options.json:
            print(answers.format_json(answer, self.options.top, **more))
        elif self.options.csv:
            print(answers.format_csv(answer, self.options.top or 1))
        else:
            print(answers.format_text(answer, self.width, self.options.top or 1))

    def _print_failure(self, answer: Prediction) -> None:
        if self.options.json or self.options.csv:
            self._print(answer, {})
        else:
            sys.stdout.flush()
            report_problem(f"catnet: {one_line(answer.path)}: {answer.error}")

    def finish(self, total: int) -> None:
        """Print the counts."""
        if self.sort:
            what = "links made" if self.options.link else "copies made"
            there = self.labels.total() - self.sorted - self.unsorted
            more = f", {there} were there already" if there else ""
            log(one_line(f"{self.sorted} {what} in {self.options.sort_into}{more}"))
        if self.gallery:
            log(one_line(f"gallery: {self.options.html}"))
        if total > 1:
            limit = self.options.min_probability
            log(answers.count_labels(self.labels, self.below, self.failed, limit))


class _Explanations:
    """Writes the saliency images of ``--explain``, numbered in the order of the answers."""

    def __init__(self, classifier: Classifier, folder: str) -> None:
        from catnet.evaluation import saliency

        self.saliency, self.classifier = saliency, classifier
        self.folder, self.count = saliency.new_folder(folder), 0

    def write(self, answer: Prediction, image: Any) -> str:
        self.count += 1
        strength = self.saliency.saliency(self.classifier, image[None])[0]
        drawing = self.saliency.draw(image, strength, answers.describe(answer))
        path = self.saliency.write_explanation(self.folder, self.count, answer.path or "", drawing)
        return str(path)
