"""Random rounding: which digits of a result are rounding, and which are the function's.

The function is run several times; each run multiplies what every operation rounds by a
random 1 + ξ, with ξ a few units in the last place.  Digits that differ between runs are lost
to rounding, wherever that came from: a difference of large numbers, 1 − a where a is almost 1.
Operations that do not round, such as a maximum or a reshape, are left alone, so that ties and
kinks of a function stay where they are.

Source: Parker 1997, "Monte Carlo arithmetic: exploiting randomness in floating-point
arithmetic"; Vignes 1974, whose CESTAC method it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core
from jax.typing import ArrayLike

from jaxnn.layer import Array

# What moves, compares or selects numbers: exact, and discontinuous where numbers are equal.
EXACT = frozenset(
    """
    abs and argmax argmin bitcast_convert_type broadcast_in_dim ceil clamp concatenate
    convert_element_type copy copy_p cummax cummin dynamic_slice dynamic_update_slice empty2 eq
    expand_dims floor gather ge gt iota is_finite le lt max min ne neg not optimization_barrier
    or pad platform_index reduce_and reduce_max reduce_min reduce_or reduce_precision
    reduce_window_max reduce_window_min reshape rev round scatter select_and_gather_add
    select_and_scatter_add select_n sharding_constraint sign slice sort split squeeze stack
    stop_gradient top_k transpose xor
    """.split()  # noqa: SIM905
)

# One rounding for every entry of the result, relative to that entry.  Anything else is taken
# for a sum, or a program of its own, whose error depends on all that goes into it.
ELEMENTWISE = frozenset(
    """
    acos acosh add add_any asin asinh atan atan2 atanh cbrt cos cosh div erf erf_inv erfc exp
    exp2 expm1 integer_pow log log1p logistic mul pow rsqrt sin sinh sqrt square sub tan tanh
    """.split()  # noqa: SIM905
)


class Rounding(NamedTuple):
    """One run: how large its errors are, and the number they are drawn from."""

    amount: ArrayLike  # relative; 0 for a run without errors
    seed: ArrayLike


def round_randomly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose every operation makes a random error.

    Args:
        function: of pytrees of arrays, to a pytree of arrays.

    Returns:
        A function ``(rounding, *args)``, jittable, with the errors of ``rounding``.

    Example:
        Of √(x + 1) − √x at 10⁹, which is 1.6 · 10⁻⁵, errors in the 15th digit leave six::

            >>> import jax, jax.numpy as jnp, numpy as np
            >>> from jaxnn.gradients.rounding import Rounding, round_randomly
            >>> run = round_randomly(lambda x: jnp.sqrt(x + 1) - jnp.sqrt(x))
            >>> with jax.enable_x64(True):
            ...     x, seed = jnp.float64(1e9), np.uint32(7)
            ...     exact, other = (float(run(Rounding(a, seed), x)) for a in (0.0, 1e-15))
            >>> exact == np.sqrt(1e9 + 1) - np.sqrt(1e9), 1e-7 < abs(other / exact - 1) < 1e-5
            (np.True_, True)
    """

    def run(rounding: Rounding, *args: Any) -> Any:
        program, like = jax.make_jaxpr(function, return_shape=True)(*args)
        operations = itertools.count(1)

        def disturb(value: Any) -> Any:
            return _disturb(value, rounding, next(operations))

        results = _evaluate(program, jax.tree.leaves(args), disturb)
        return jax.tree.unflatten(jax.tree.structure(like), results)

    return run


def _evaluate(program: core.ClosedJaxpr, args: Sequence[Any], disturb: Callable) -> list[Any]:
    """The results of a program, each operation of which is disturbed."""
    values = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    values.update(zip(program.jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for operation in program.jaxpr.eqns:
        results = _apply(operation, [read(atom) for atom in operation.invars], disturb)
        values.update(zip(operation.outvars, results, strict=True))
    return [read(atom) for atom in program.jaxpr.outvars]


def _apply(operation: core.JaxprEqn, operands: list[Any], disturb: Callable) -> list[Any]:
    name = operation.primitive.name
    for inner in _programs_in(operation):
        return _evaluate(inner, operands, disturb)
    if name not in EXACT | ELEMENTWISE:
        operands = [disturb(operand) for operand in operands]
    bound = operation.primitive.get_bind_params(operation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # JAX before 0.10
    results = operation.primitive.bind(*functions, *operands, **params)
    results = list(results) if operation.primitive.multiple_results else [results]
    return results if name in EXACT else [disturb(result) for result in results]


def _programs_in(operation: core.JaxprEqn) -> Iterator[core.ClosedJaxpr]:
    """The program that an operation calls once with its operands, if it is such a call."""
    if operation.primitive.name in ("jit", "pjit", "closed_call", "custom_jvp_call", "remat"):
        yield from (p for p in operation.params.values() if isinstance(p, core.ClosedJaxpr))


def _disturb(value: Any, rounding: Rounding, operation: int) -> Any:
    """Every entry times 1 + ξ, ξ uniform within ± the amount; integers as they are."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        return value
    seed = lax.mul(rounding.seed, np.uint32(operation * 0x9E3779B1 % 2**32))
    return _times_random(jnp.asarray(value), rounding.amount, seed)


@jax.jit  # traced once for each shape
def _times_random(value: Array, amount: Array, seed: Array) -> Array:
    """Number n of the entries is multiplied by 1 + ξ, ξ of the bits of n² · seed.

    Such a sequence is as good as random here, and compiles far faster than ``jax.random``.
    """
    n = lax.iota(jnp.uint32, value.size).reshape(value.shape) + np.uint32(1)
    bits = lax.bitcast_convert_type(n * n * (seed | np.uint32(1)), jnp.int32)
    return value * (1 + amount * 2.0**-31 * bits.astype(jnp.float64)).astype(value.dtype)
