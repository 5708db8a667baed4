"""Writes small heads as GLB and OBJ files with the features that are hard to read."""

from __future__ import annotations

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
EYES_CM = np.array([[3.1, 3.0, 8.0], [-3.1, 3.0, 8.0]])


class GlbWriter:
    """Collects buffer views and accessors, and writes a GLB file."""

    def __init__(self) -> None:
        self._binary = b""
        self._views: list[dict[str, int]] = []
        self._accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, stride: int | None = None) -> int:
        """Append bytes; return the index of the buffer view."""
        self._binary += b"\0" * (-len(self._binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(data)}
        self._views.append(view | ({"byteStride": stride} if stride else {}))
        self._binary += data
        return len(self._views) - 1

    def accessor(self, kind: int, count: int, shape: str, **fields: Any) -> int:
        """Append an accessor; return its index."""
        self._accessors.append({"componentType": kind, "count": count, "type": shape, **fields})
        return len(self._accessors) - 1

    def floats(self, values: Array) -> int:
        """Append (n, 3) packed float32; return the index of the accessor."""
        view = self.view(values.astype("<f4").tobytes())
        return self.accessor(5126, len(values), "VEC3", bufferView=view)

    def write(self, path: Path, **parts: Any) -> None:
        """Write the file; `parts` are the other members of the JSON."""
        parts |= {
            "asset": {"version": "2.0"},
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._binary)}],
        }
        text = json.dumps(parts).encode()
        text += b" " * (-len(text) % 4)
        binary = self._binary + b"\0" * (-len(self._binary) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


def egg_head() -> tuple[Array, Array, Array]:
    """A closed egg-shaped head, 24 cm high, in centimetres: vertices, triangles, UVs."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=1)
    verts = np.asarray(mesh.vertices) * [7.5, 12, 9.5]
    verts[:, 2] += 0.8 * np.exp(-(((verts[:, :2] - [0, -1]) / 1.5) ** 2).sum(1)) * (verts[:, 2] > 0)
    u = np.arctan2(verts[:, 0], verts[:, 2]) / (2 * np.pi) + 0.5
    v = 0.5 - verts[:, 1] / 24
    return verts, np.asarray(mesh.faces, np.uint16), np.stack([u, v], axis=1)


def jaw_open(verts: Array) -> Array:
    """Offsets of a jaw that opens: the lower front turns by 20 degrees about x at the hinge."""
    hinge, angle = np.array([0, -1.0, 0]), np.radians(20)
    c, s = np.cos(angle), np.sin(angle)
    turned = (verts - hinge) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T + hinge
    share = (verts[:, 1] < -4) & (verts[:, 2] > 0)
    moved: Array = (turned - verts) * share[:, None]
    return moved


def write_head_glb(path: Path, colour: tuple[int, int, int] | None = None) -> None:
    """Write a head with interleaved, normalised and sparse accessors, and two named eyeballs.

    With a colour, its material has a base colour image of that colour.
    """
    verts, faces, uvs = egg_head()
    glb = GlbWriter()
    mixed = np.zeros(len(verts), [("p", "<f4", 3), ("uv", "<u2", 2)])
    mixed["p"], mixed["uv"] = verts, np.round(uvs * 65535)
    view = glb.view(mixed.tobytes(), mixed.dtype.itemsize)
    position = glb.accessor(5126, len(verts), "VEC3", bufferView=view)
    uv = glb.accessor(5123, len(verts), "VEC2", bufferView=view, byteOffset=12, normalized=True)
    index = glb.accessor(5123, faces.size, "SCALAR", bufferView=glb.view(faces.tobytes()))
    moved = jaw_open(verts)
    rows = np.nonzero(moved.any(axis=1))[0]
    sparse = {
        "count": len(rows),
        "indices": {"bufferView": glb.view(rows.astype("<u2").tobytes()), "componentType": 5123},
        "values": {"bufferView": glb.view(moved[rows].astype("<f4").tobytes())},
    }
    opening = glb.accessor(5126, len(verts), "VEC3", sparse=sparse)
    smile = glb.floats(np.where(verts[:, 1:2] < 0, [0.1, 0.2, 0], 0))
    ball = trimesh.creation.icosphere(subdivisions=2, radius=1.2)
    ball_index = glb.view(np.asarray(ball.faces, np.uint8).tobytes())
    eye = {
        "attributes": {"POSITION": glb.floats(np.asarray(ball.vertices))},
        "indices": glb.accessor(5121, ball.faces.size, "SCALAR", bufferView=ball_index),
        "material": 1,
    }
    skin = {
        "attributes": {"POSITION": position, "TEXCOORD_0": uv},
        "indices": index,
        "material": 0,
        "targets": [{"POSITION": opening}, {"POSITION": smile}, {"POSITION": smile}],
    }
    names = ["JawOpen", "mouthSmile_L", "wiggle"]
    materials: list[dict[str, Any]] = [{"name": "Body"}, {"name": "EyeLeftRight"}]
    textured: dict[str, Any] = {}
    if colour is not None:
        png = BytesIO()
        Image.new("RGB", (8, 8), colour).save(png, "png")
        textured["images"] = [{"bufferView": glb.view(png.getvalue()), "mimeType": "image/png"}]
        textured["textures"] = [{"source": 0}]
        materials[0]["pbrMetallicRoughness"] = {"baseColorTexture": {"index": 0}}
    glb.write(
        path,
        scene=0,
        scenes=[{"nodes": [0, 1]}],
        nodes=[
            {"name": "head", "mesh": 0},
            {"name": "eyes", "children": [2, 3]},
            *({"mesh": 1, "translation": eye.tolist()} for eye in EYES_CM),
        ],
        materials=materials,
        meshes=[
            {"primitives": [skin], "extras": {"targetNames": names}},
            {"primitives": [eye]},
        ],
        **textured,
    )


def write_face_obj(path: Path) -> int:
    """Write a face of quads, 18 cm high, with holes for eyes and mouth; return its vertex count."""
    x, y = np.meshgrid(np.arange(-7.5, 7.6, 0.5), np.arange(9, -9.1, -0.5))
    z = 6 - 4 * ((x / 7.5) ** 2 + (y / 9) ** 2)
    rows, columns = x.shape
    lines = [f"v {a} {b} {c}" for a, b, c in zip(x.flat, y.flat, z.flat, strict=True)]
    lines += [f"vt {a / 15 + 0.5} {b / 18 + 0.5}" for a, b in zip(x.flat, y.flat, strict=True)]
    lines.append("o face")
    for row in range(rows - 1):
        for column in range(columns - 1):
            middle = np.array([x[row, column] + 0.25, y[row, column] - 0.25])
            eye = np.abs(np.abs(middle) - [3, 2.5]) < [1.3, 0.6]
            mouth = np.abs(middle - [0, -4.5]) < [2, 0.6]
            if (eye.all() and middle[1] > 0) or mouth.all():
                continue
            first = row * columns + column + 1
            quad = (first, first + columns, first + columns + 1, first + 1)
            lines.append("f " + " ".join(f"{n}/{n}" for n in quad))
    path.write_text("\n".join(lines))
    return int(x.size)
