"""Three initializations of one network on two circles: zeros, large random numbers, He.

2 → 10 → 5 → 1 with relu, 15,000 full-batch steps with the learning rate 0.01.  300 training points
after the seed 1, 100 test points after the seed 2, weights after the seed 3.

Large random weights give logits of several hundred.  The descent then depends on rounding, and
published runs of the same code agree to two or three digits only.

Source: DeepLearning.AI, "Improving Deep Neural Networks", week 1, "Initialization"; run in
github:Kulbear/deep-learning-coursera @997fdb2e.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from catnet.course.networks import Scale, as_params, descend, initialize, network, share_right
from catnet.course.record import Number, Options, Set, Table
from catnet.course.synthetic import draw_circles

SIZES = (2, 10, 5, 1)
STEPS = 15_000
EVERY = 1000
LEARNING_RATE = 0.01

HE_COSTS = """
    0.8830537463419761 0.6879825919728063 0.6751286264523371 0.6526117768893807 0.6082958970572938
    0.5304944491717495 0.4138645817071794 0.3117803464844441 0.23696215330322562
    0.18597287209206836 0.1501555628037182 0.12325079292273548 0.09917746546525937
    0.0845705595402428 0.07357895962677366"""


class Run(NamedTuple):
    """One initialization: the costs at some steps, and the accuracies after the last step."""

    title: str
    scale: Scale
    costs: dict[int, str]
    tolerances: dict[int, float]  # of the costs
    notes: dict[int, str]
    accuracies: tuple[str, str]  # of the training and the test part


STEPS_PRINTED = range(0, STEPS, EVERY)
RUNS = (
    Run(
        title="zeros: the cost is log 2 in all steps",
        scale="0",
        costs=dict.fromkeys(STEPS_PRINTED, "0.6931471805599453"),
        tolerances={},
        notes={},
        accuracies=("0.5", "0.5"),
    ),
    Run(
        title="10 randn",
        scale="10",
        costs={1000: "0.62373", 14000: "0.382784"},
        tolerances={1000: 5e-3, 14000: 1e-4},
        notes={
            1000: "another run printed 0.62396; 5e-3 allowed",
            14000: "another run printed 0.382751; 1e-4 allowed",
        },
        accuracies=("0.83", "0.86"),
    ),
    Run(
        title="He: √(2 / n) randn",
        scale="he",
        costs=dict(zip(STEPS_PRINTED, HE_COSTS.split(), strict=True)),
        tolerances=dict.fromkeys(STEPS_PRINTED, 1e-9),  # rounding in thousands of steps
        notes={},
        accuracies=("0.993333333333", "0.96"),
    ),
)


def run(options: Options, steps: int = STEPS) -> Iterator[Table]:
    """A table for each initialization.

    Args:
        steps: a test takes fewer.
    """
    x, y = draw_circles(300, 0.05, np.random.RandomState(1))
    x_test, y_test = draw_circles(100, 0.05, np.random.RandomState(2))
    net = network(SIZES)
    for title, scale, published, tolerances, notes, accuracies in RUNS:
        params, costs = descend(
            net,
            as_params(initialize(SIZES, scale, seed=3)),
            x,
            y,
            learning_rate=LEARNING_RATE,
            steps=steps,
            gradient=options.gradient,
            title=f"initialization, {title.partition(':')[0]}",
        )
        rows = [
            Number(f"step {i}", text, float(costs[i]), tolerances.get(i), notes.get(i, ""))
            for i, text in published.items()
            if i < steps
        ]
        if steps == STEPS:
            train = share_right(net, params, x, y)
            test = share_right(net, params, x_test, y_test)
            rows.append(Number("training accuracy", accuracies[0], train))
            rows.append(Number("test accuracy", accuracies[1], test))
        yield Table(f"{title}, float64", rows)


SET = Set(
    name="initialization",
    title="zeros, large random numbers and He's initialization on two circles",
    source="DeepLearning.AI, Improving Deep Neural Networks, week 1",
    run=run,
)
