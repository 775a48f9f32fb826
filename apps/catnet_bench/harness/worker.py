"""Contestants in processes of their own, which alternate.

Thread pools and allocators of two libraries disturb each other in one process.  In two processes,
of which only one works at a time, they do not.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from catnet.terminal import log
from catnet_bench.harness.timing import Seconds, alternate

Prepare = Callable[..., Callable[[], Any]]


class Contestant(NamedTuple):
    """Work for a process of its own.

    Attributes:
        prepare: a function of a module; called once in that process, it returns the work.
        arguments: of ``prepare``.
        needs: the module that must be installed.
    """

    prepare: Prepare
    arguments: tuple[Any, ...] = ()
    needs: str = "jaxnn"


class Worker:
    """A process that prepares its work once and does it on request."""

    def __init__(self, contestant: Contestant) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contestant))
        self._process.start()
        theirs.close()

    def _answer(self) -> Any:
        try:
            kind, value = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"the process ended, exit code {self._process.exitcode}") from None
        if kind == "error":
            raise RuntimeError(value)
        return value

    def ready(self) -> None:
        """Wait until its work is prepared."""
        self._answer()

    def work(self) -> tuple[float, Any]:
        """Do the work once: the seconds, and the result."""
        self._pipe.send("work")
        return self._answer()

    def close(self) -> None:
        """End the process and wait for it."""
        self._pipe.close()
        self._process.join()


def _serve(pipe: Connection, contestant: Contestant) -> None:
    try:
        work = contestant.prepare(*contestant.arguments)
        pipe.send(("ready", None))
        while True:
            pipe.recv()
            start = time.perf_counter()
            value = work()
            pipe.send(("value", (time.perf_counter() - start, value)))
    except (EOFError, KeyboardInterrupt):  # the parent has closed the pipe
        pass
    except Exception as error:
        pipe.send(("error", f"{contestant.prepare.__name__}: {type(error).__name__}: {error}"))


def installed(contestants: Mapping[str, Contestant]) -> dict[str, Contestant]:
    """Those whose module is installed; the others are reported with the remedy."""
    available = {}
    for name, contestant in contestants.items():
        if importlib.util.find_spec(contestant.needs):
            available[name] = contestant
        else:
            log(f"without {name}: it needs {contestant.needs}; pip install 'jaxnn[bench]'")
    return available


@contextmanager
def workers(contestants: Mapping[str, Contestant]) -> Iterator[dict[str, Worker]]:
    """Processes of all installed contestants, prepared one after another."""
    with ExitStack() as stack:
        processes = {}
        for name, contestant in installed(contestants).items():
            processes[name] = worker = Worker(contestant)
            stack.callback(worker.close)
            worker.ready()
        yield processes


def race(
    contestants: Mapping[str, Contestant], rounds: int, warm_up: int = 1
) -> tuple[dict[str, Seconds], dict[str, Any]]:
    """Steady state: seconds of every round after the warm-up, and the results of the last one."""
    values: dict[str, Any] = {}
    with workers(contestants) as processes:

        def contest(name: str) -> Callable[[], float]:
            def once() -> float:
                seconds, values[name] = processes[name].work()
                return seconds

            return once

        each = {name: contest(name) for name in processes}
        alternate(each, warm_up)
        return alternate(each, rounds), values


class FromStart(NamedTuple):
    """Times of whole processes, by the name of the contestant.

    Attributes:
        whole: seconds of every round, from the start of the process to its end.
        work: the part of them after the preparation.
        values: the results of the last round.
    """

    whole: dict[str, Seconds]
    work: dict[str, Seconds]
    values: dict[str, Any]


def race_from_start(contestants: Mapping[str, Contestant], rounds: int) -> FromStart:
    """Whole processes that do their work once: start, preparation, work, end."""
    work: dict[str, Seconds] = {}
    values: dict[str, Any] = {}

    def contest(name: str, contestant: Contestant) -> Callable[[], float]:
        def once() -> float:
            start = time.perf_counter()
            worker = Worker(contestant)
            try:
                worker.ready()
                seconds, values[name] = worker.work()
            finally:
                worker.close()
            work[name] = (*work.get(name, ()), seconds)
            return time.perf_counter() - start

        return once

    each = {name: contest(name, one) for name, one in installed(contestants).items()}
    return FromStart(alternate(each, rounds), work, values)
