"""``catnet gradcheck``: check the hand-written gradients of a network on images."""

from __future__ import annotations

import argparse

from catnet.cli.inputs import load_model, load_parts
from catnet.cli.options import DATA_HELP, add_network, count, seed
from catnet.models.registry import DEFAULT_HIDDEN
from catnet.terminal import log

HELP = "check the hand-written gradients of a network"
EXAMPLES = ("catnet gradcheck my-images --model runs/mine --examples 2",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="?", metavar="DATA", help=DATA_HELP)
    add_network(parser, (*DEFAULT_HIDDEN, "FILE"))
    parser.set_defaults(model="deep", activation="relu")
    parser.add_argument(
        "--examples", type=count, default=8, metavar="N", help="images to check on (default 8)"
    )
    parser.add_argument(
        "--seed", type=seed, default=1, metavar="N", help="seed of the weights (default 1)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the table of gradients; 1 when a backward rule is wrong."""
    import jax

    import jaxnn
    from catnet.evaluation.evaluate import match_labels
    from catnet.images.geometry import WHOLE
    from catnet.models import registry
    from catnet.models.targets import choose_loss, make_targets
    from catnet.training.memory import refuse_too_large

    lecture = options.model in DEFAULT_HIDDEN
    classifier = None if lecture else load_model(options.model)
    geometry = WHOLE if classifier is None else classifier.geometry
    part, _, source = load_parts(options.data, geometry=geometry)
    step = max(1, len(part.labels) // options.examples)
    indices = list(range(0, len(part.labels), step))[: options.examples]
    x = part.images[indices] / 255
    labels, classes = part.labels[indices], len(part.classes)
    if classifier is None:
        how = (options.model, options.hidden, options.activation, classes)
        described = registry.architecture(*how)
        net = registry.build(described)
        refuse_too_large(net)
        params = net.init(jax.random.key(options.seed), jax.ShapeDtypeStruct(x.shape, "float32"))
    else:
        net, params = registry.build(classifier.architecture), classifier.params
        labels, classes = match_labels(classifier, part)[indices], len(classifier.classes)
    log(f"{net} on {len(indices)} images, {source}")
    y = make_targets(labels, classes)
    check = jaxnn.check_gradients(net, params, x, y, choose_loss(classes))
    print(check)
    return 0 if check.ok else 1
