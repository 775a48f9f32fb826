"""The place of cars, from an image and the number of a radar: a network with two inputs."""

from __future__ import annotations

import numpy as np

import jaxnn
from jaxnn import Layer, dense, relu, serial
from jaxnn_lecture.chapter import Claim, Figure, Settings
from jaxnn_lecture.drawn.applications import draw_cars
from jaxnn_lecture.html import table
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.training import output, train

TESTS = 1000  # new examples that the network is judged by
SQUARED = jaxnn.mean_squared_error


def _see() -> Layer:
    return serial(jaxnn.conv(4), relu, jaxnn.max_pool(2), jaxnn.flatten)


IMAGE_ONLY = serial(_see(), dense(16), relu, dense(2))
BOTH_INPUTS = serial(jaxnn.each(_see(), jaxnn.identity, merge="concat"), dense(16), relu, dense(2))


def exchange_inputs(settings: Settings) -> Claim:
    """The place of cars, where the radar's number is right, and where it belongs to another car."""
    rng = np.random.default_rng([settings["seed"], 300])
    x, y = draw_cars(settings["examples"], rng)
    (image, distance), place = draw_cars(TESTS, rng)
    params = train(BOTH_INPUTS, SQUARED, x, y, steps=settings["steps"], seed=settings["seed"])
    given = {
        "both": (image, distance),
        "another car's image": (rng.permutation(image), distance),
        "another car's radar": (image, rng.permutation(distance)),
    }
    explained = {}
    for name, inputs in given.items():
        errors = np.mean((np.asarray(output(BOTH_INPUTS, params, inputs)) - place) ** 2, axis=0)
        explained[name] = np.maximum(0, 1 - errors / place.var(axis=0))
    rows = [[name, f"{side:.1%}", f"{ahead:.1%}"] for name, (side, ahead) in explained.items()]
    both, no_image, no_radar = explained.values()
    shown = picture(
        f"A car in an image; the radar says that it is {distance[0, 0]:.2f} away",
        np.clip(255 * (image[0, :, :, 0] + 0.5) / 3, 0, 255),
        f"radar: {distance[0, 0]:.2f}",
    )
    return Claim(
        "A hybrid network joins inputs of different kinds: each has what the other lacks.",
        "With both inputs the network explains "
        f"{both[0]:.1%} of the variance of the place to the side and {both[1]:.1%} of that ahead. "
        f"With the image of another car, {no_image[0]:.1%} and {no_image[1]:.1%}; with the radar "
        f"of another car, {no_radar[0]:.1%} and {no_radar[1]:.1%}.",
        bool(both.min() > 0.9 and no_image[0] < 0.5 and no_radar[1] < 0.5),
        figures=(
            Figure("An image with a car; the network gets the number of the radar too.", (shown,)),
            Figure(
                "Both inputs are needed.",
                (table("Variance explained", ["input", "to the side", "ahead"], rows),),
            ),
        ),
    )
