"""Logistic regression on the 209 cat photographs, with four learning rates.

w and b start at 0; full-batch gradient descent in float64 on x / 255.

Source: DeepLearning.AI, "Neural Networks and Deep Learning", week 2, "Logistic Regression with a
Neural Network mindset"; run in github:Kulbear/deep-learning-coursera @997fdb2e.
"""

from __future__ import annotations

from collections.abc import Iterator

from catnet.course import cat_photos
from catnet.course.files import PHOTOS
from catnet.course.networks import as_params, descend, initialize, network, share_right
from catnet.course.record import Number, Options, Set, Table, numbers

SIZES = (12288, 1)

# Costs at steps 0, 100, …, 1900 with the learning rate 0.005.
COSTS = """
    0.693147 0.584508 0.466949 0.376007 0.331463 0.303273 0.279880 0.260042 0.242941 0.228004
    0.214820 0.203078 0.192544 0.183033 0.174399 0.166521 0.159305 0.152667 0.146542 0.140872"""

# (learning rate, steps, training accuracy and test accuracy in percent)
RUNS = (
    (0.005, 2000, "99.04306220095694", "70.0"),
    (0.01, 1500, "99.52153110047847", "68.0"),
    (0.001, 1500, "88.99521531100478", "64.0"),
    (0.0001, 1500, "68.42105263157895", "36.0"),
)


def run(options: Options, count: int = len(RUNS)) -> Iterator[Table]:
    """One table: the costs of the first run, and the accuracies of all.

    Args:
        count: of the runs; a test takes fewer.
    """
    photos = cat_photos.load(options.files[PHOTOS.name])
    net, rows = network(SIZES), []
    for learning_rate, steps, train, test in RUNS[:count]:
        params, costs = descend(
            net,
            as_params(initialize(SIZES, "0")),
            photos.x,
            photos.y,
            learning_rate=learning_rate,
            steps=steps,
            gradient=options.gradient,
            title=f"learning rate {learning_rate:g}",
        )
        if not rows:
            names = [f"step {step}" for step in range(0, steps, 100)]
            rows += numbers(names, COSTS, costs[::100])
        what = f"learning rate {learning_rate:g}, {steps} steps"
        for part, published, x, y in (
            ("training", train, photos.x, photos.y),
            ("test", test, photos.x_test, photos.y_test),
        ):
            percent = 100 * share_right(net, params, x, y)
            rows.append(Number(f"{what}: {part} accuracy in percent", published, percent))
    yield Table("logistic regression on the cat photographs: 12288 → 1, float64", rows)


SET = Set(
    name="logistic",
    title="logistic regression on the cat photographs with four learning rates",
    source="DeepLearning.AI, Neural Networks and Deep Learning, week 2",
    run=run,
    needs=(PHOTOS,),
)
