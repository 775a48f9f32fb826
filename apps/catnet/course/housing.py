"""Prices of houses by size and bedrooms: the normal equation, and 400 steps of descent.

The cost is J = 1/2m Σ (x θ − y)².  For the descent, each feature is standardized with its mean and
its standard deviation, Σ (x − mean)² / (m − 1) as MATLAB has it.  It starts at 0; after 400 steps
with the learning rate 0.01 it is not converged, with 0.1 it is.

Source: Stanford's machine learning course, exercise 1, ex1data2.txt; the results are printed in
many public solutions.  The 47 rows are in github:dibgerge/ml-coursera-python-assignments @d901c1ca.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import jaxnn
from catnet.course.networks import descend
from catnet.course.record import Number, Options, Set, Table, numbers

# Size in square feet, number of bedrooms, price in dollars.
HOUSES = """
    2104,3,399900 1600,3,329900 2400,3,369000 1416,2,232000 3000,4,539900 1985,4,299900
    1534,3,314900 1427,3,198999 1380,3,212000 1494,3,242500 1940,4,239999 2000,3,347000
    1890,3,329999 4478,5,699900 1268,3,259900 2300,4,449900 1320,2,299900 1236,3,199900
    2609,4,499998 3031,4,599000 1767,3,252900 1888,2,255000 1604,3,242900 1962,4,259900
    3890,3,573900 1100,3,249900 1458,3,464500 2526,3,469000 2200,3,475000 2637,3,299900
    1839,2,349900 1000,1,169900 2040,4,314900 3137,3,579900 1811,4,285900 1437,3,249900
    1239,3,229900 2132,4,345000 4215,4,549000 2162,4,287000 1664,2,368500 2238,3,329900
    2567,4,314000 1200,3,299000 852,2,179900 1852,4,299900 1203,3,239500
"""

HOUSE = np.array([[1650.0, 3.0]])  # whose price is predicted
STEPS = 400


def read_houses() -> tuple[np.ndarray, np.ndarray]:
    """Size and bedrooms (47, 2), and prices (47, 1)."""
    rows = np.array([row.split(",") for row in HOUSES.split()], float)
    return rows[:, :2], rows[:, 2:]


def run(options: Options) -> Iterator[Table]:
    """A table of the normal equation, and a table of the descent."""
    x, y = read_houses()
    net = jaxnn.dense(1)

    ones = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    theta = np.linalg.solve(ones.T @ ones, ones.T @ y)[:, 0]
    params = {"W": theta[None, 1:], "b": theta[:1]}
    rows = [
        *numbers("theta", "89597.909543 139.210674 -8738.019112", theta),
        Number("price", "293081.464335", net.apply(params, HOUSE).item()),
        Number("J", "2043280050.602829", _cost(net, params, x, y)),
    ]
    yield Table("the normal equation, float64", rows)

    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    start = {"W": np.zeros((1, 2)), "b": np.zeros(1)}
    rows = [Number("J at the start", "65591548106.45744", _cost(net, start, x, y))]
    for learning_rate, theta, price in (
        (0.01, "334302.063993 100087.116006 3673.548451", "289314.620338"),
        (0.1, "340412.659574 110631.048958 -6649.472950", "293081.464622"),
    ):
        standardized = (x - mean) / deviation
        params, _ = descend(
            net,
            start,
            standardized,
            y,
            learning_rate=learning_rate / 2,  # J is half the mean squared error
            steps=STEPS,
            gradient=options.gradient,
            title=f"housing, learning rate {learning_rate:g}",
            loss=jaxnn.mean_squared_error,
        )
        what = f"learning rate {learning_rate:g}"
        ours = np.concatenate([params["b"], params["W"][0]])
        rows += numbers(f"{what}: theta", theta, ours)
        ours = net.apply(params, (HOUSE - mean) / deviation).item()
        rows.append(Number(f"{what}: price", price, ours))
        if learning_rate == 0.01:
            cost = _cost(net, params, standardized, y)
            rows.append(Number(f"{what}: J", "2108850058.4007058", cost))
    yield Table(f"gradient descent, {STEPS} steps, float64", rows)


def _cost(net: jaxnn.Layer, params: dict, x: np.ndarray, y: np.ndarray) -> float:
    return jaxnn.mean_squared_error(net.apply(params, x), y).item() / 2


SET = Set(
    name="housing",
    title="prices of 47 houses: the normal equation and gradient descent",
    source="Stanford's machine learning course, exercise 1",
    run=run,
)
