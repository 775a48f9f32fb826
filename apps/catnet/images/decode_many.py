"""Decode many images on all cores, in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from catnet.images.decode import decode
from catnet.images.geometry import WHOLE, Geometry
from catnet.images.reading import ImageError, Source, read_unless_large

AnySource = TypeVar("AnySource", bound=Source)
Result = TypeVar("Result")


def decode_many(
    sources: Iterable[AnySource], size: int = 64, max_aspect: float | None = None
) -> Generator[tuple[AnySource, np.ndarray | ImageError], None, None]:
    """Decode many images on all cores; yield pairs ``(source, image or reason)`` in their order.

    Each result equals that of :func:`decode`.  The sources are iterated lazily, so the memory does
    not grow with their number.
    """
    return _map_in_pool(lambda source: decode(source, size, max_aspect), sources)


def decode_with_whole(
    sources: Iterable[AnySource], geometry: Geometry
) -> Generator[tuple[AnySource, tuple[np.ndarray, np.ndarray] | ImageError], None, None]:
    """Decode many images for a network, and as a whole at 64×64; each file is read once.

    An image is recognized by the second, which does not depend on the network.
    """

    def both(source: Source) -> tuple[np.ndarray, np.ndarray]:
        content = read_unless_large(source)
        image = decode(content, *geometry)
        return image, image if geometry == WHOLE else decode(content, *WHOLE)

    return _map_in_pool(both, sources)


def _map_in_pool(
    work: Callable[[Source], Result], sources: Iterable[AnySource]
) -> Generator[tuple[AnySource, Result | ImageError], None, None]:
    threads = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def result_or_reason(source: Source) -> Result | ImageError:
        try:
            return work(source)
        except ImageError as error:
            return ImageError(str(error))  # a new exception, because the traceback holds the file

    queue = deque()
    try:
        for source in sources:
            queue.append((source, pool.submit(result_or_reason, source)))
            if len(queue) > 2 * threads:
                first, future = queue.popleft()
                yield first, future.result()
        for first, future in queue:
            yield first, future.result()
    finally:
        # Do not wait: if the caller stops early, the garbage collector may run this line in a
        # thread of the pool, and that thread would wait for itself.
        pool.shutdown(wait=False, cancel_futures=True)
