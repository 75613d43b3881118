"""Writes colour profiles."""

from __future__ import annotations

import struct


def display_p3() -> bytes:
    """A minimal ICC profile (ICC.1:2001-04) of Display P3, gamma 2.2, its primaries adapted to D50."""

    def s15(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    white = b"XYZ " + bytes(4) + s15(0.9642, 1.0, 0.8249)
    primaries = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    text = b"text" + bytes(4) + b"public domain\0" + bytes(2)
    name = b"desc" + bytes(4) + struct.pack(">I", 3) + b"P3\0" + bytes(78) + bytes(3)
    tags = {b"desc": name, b"cprt": text, b"wtpt": white, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    tags |= {key: b"XYZ " + bytes(4) + s15(*values) for key, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    table, content, start = b"", b"", 128 + 4 + 12 * len(tags)
    for key, data in tags.items():
        table += struct.pack(">4sII", key, start + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    size = start + len(content)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    return head + s15(0.9642, 1.0, 0.8249) + bytes(48) + struct.pack(">I", len(tags)) + table + content
