"""Image files built byte by byte from their specifications, for tests of the decoder.

Pillow writes none of them: what it cannot write, it may not be able to read either.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, row: bytes, *chunks: bytes) -> bytes:
    """A PNG all of whose rows are ``row``; ``chunks`` stand before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *chunks,
            chunk(b"IDAT", zlib.compress((b"\0" + row) * height)),
            chunk(b"IEND", b""),
        ]
    )


def tiff(
    side: int, tags: Mapping[int, Sequence[int] | bytes], strips: Sequence[bytes], order: str = "<"
) -> bytes:
    """A TIFF of ``side × side`` pixels: tags (LONG, or UNDEFINED if bytes), strips of all rows."""
    entries = {
        **{256: [side], 257: [side], 259: [1], 277: [1], 278: [side]},
        **{279: [len(strip) for strip in strips], 273: [0] * len(strips), **tags},
    }
    head = 8 + 2 + 12 * len(entries) + 4
    sizes = {k: len(v) if isinstance(v, bytes) else 4 * len(v) for k, v in entries.items()}
    at = head + sum(size for size in sizes.values() if size > 4)
    entries[273] = [at + sum(map(len, strips[:i])) for i in range(len(strips))]
    rows, rest = b"", b""
    for tag, values in sorted(entries.items()):
        if isinstance(values, bytes):
            kind, body = 7, values
        else:
            kind, body = 4, struct.pack(f"{order}{len(values)}I", *values)
        where = body if len(body) == 4 else struct.pack(f"{order}I", head + len(rest))
        rest += body if len(body) > 4 else b""
        rows += struct.pack(f"{order}HHI", tag, kind, len(values)) + where
    start = b"II*\0" if order == "<" else b"MM\0*"
    count = struct.pack(f"{order}IH", 8, len(entries))
    return start + count + rows + bytes(4) + rest + b"".join(strips)


def gif(screen: int, frame: tuple[int, int, int, int], index: int, *, clear: int | None) -> bytes:
    """A GIF of the palette red, lime, blue, white; its frame (x, y, width, height) is ``index``."""
    x, y, width, height = frame
    codes: list[int] = []
    for i in range(width * height):  # cleared every two pixels, so all codes have 3 bits
        codes += [4, index] if i % 2 == 0 else [index]
    bits = sum(code << 3 * i for i, code in enumerate([*codes, 5]))
    data = bits.to_bytes(-(-3 * (len(codes) + 1) // 8), "little")
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    return b"".join(
        [
            b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x91, 1, 0),
            bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]),
            b"" if clear is None else b"!\xf9\4\1\0\0" + bytes([clear, 0]),
            b"," + struct.pack("<HHHHB", x, y, width, height, 0) + b"\2",
            *(bytes([len(block)]) + block for block in blocks),
            b"\0;",
        ]
    )


def profile(space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr") -> bytes:
    """An ICC profile, version 2.4, of these tags besides the white point D50."""
    white = _xyz(0.9642, 1, 0.8249)
    tags = {b"desc": b"desc" + struct.pack(">3I", 0, 2, 0x780000) + bytes(76), **tags}
    tags = {**tags, b"wtpt": white, b"cprt": b"text\0\0\0\0none\0"}
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(content))
        body += content
    pcs = b"Lab " if kind == b"prtr" else b"XYZ "
    head = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x02400000, kind, space, pcs)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white[8:] + b"lcms"
    whole = head.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def grey_profile(gamma: float) -> bytes:
    """Grey whose intensity is value^gamma."""
    return profile(b"GRAY", {b"kTRC": _curve(gamma)})


def rgb_profile(gamma: float, order: str = "rgb") -> bytes:
    """The primaries of sRGB, adapted to D50, in the order given; intensity is value^gamma."""
    primaries = {
        "r": _xyz(0.4360747, 0.2225045, 0.0139322),
        "g": _xyz(0.3850649, 0.7168786, 0.0971045),
        "b": _xyz(0.1430804, 0.0606169, 0.7141733),
    }
    tags = {f"{to}XYZ".encode(): primaries[of] for to, of in zip("rgb", order, strict=True)}
    curves = {f"{name}TRC".encode(): _curve(gamma) for name in "rgb"}
    return profile(b"RGB ", {**tags, **curves})


def cmyk_profile(lightness: int) -> bytes:
    """Without black the colour is grey of this lightness L*, from 0 to 100; with it, black."""
    ramp = bytes(range(256))
    grid = bytes([round(lightness * 2.55), 128, 128, 0, 128, 128]) * 2**3
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    return profile(b"CMYK", {b"A2B0": table + ramp * 4 + grid + ramp * 3}, kind=b"prtr")


def _curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))
