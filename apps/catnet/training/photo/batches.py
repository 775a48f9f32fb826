"""The batches of a photo training, gathered ahead by a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from catnet.data.cache import Cache
from catnet.data.sampling import Sampler
from catnet.training.photo.config import CHUNK


def batches(
    cache: Cache, sampler: Sampler, columns: Sequence[np.ndarray], first: int, steps: int
) -> Generator[tuple[np.ndarray, ...], None, None]:
    """Yield the chunks of a training from step ``first`` on; a thread gathers them ahead.

    A chunk has its images and their values of the columns, (n,) each.  An exception in the
    thread is raised by the generator.
    """
    ahead: queue.Queue[Any] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                return ahead.put(item, timeout=0.2)
            except queue.Full:
                continue

    def gather() -> None:
        try:
            for at in range(first, steps, CHUNK):
                if stop.is_set():
                    return
                chosen = np.stack([sampler.batch(i) for i in range(at, min(at + CHUNK, steps))])
                images = cache.take(chosen.ravel())
                images = images.reshape(*chosen.shape, *images.shape[1:])
                put((images, *(column[chosen] for column in columns)))
            put(None)
        except BaseException as error:
            put(error)

    worker = threading.Thread(target=gather, daemon=True)
    worker.start()
    try:
        while (item := ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        worker.join()
