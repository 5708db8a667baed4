"""The description of an avatar: what clients may send to it and how its frames look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """The real person whom an avatar shows."""

    __pydantic_config__ = {"use_attribute_docstrings": True}  # noqa: RUF012

    name: str
    """The person's name."""
    consent: str
    """The statement by which the person agreed to the avatar."""
    origin: str
    """The video from which the avatar was made: its file name and the first digits of its hash."""
    created: str
    """Day on which the avatar was made, YYYY-MM-DD."""


@dataclass(frozen=True, slots=True)
class AvatarInfo:
    """The public part of an avatar's manifest, as `GET /v1/avatars` returns it."""

    # Read by pydantic where this is a response: the docstrings below become OpenAPI descriptions.
    __pydantic_config__ = {"use_attribute_docstrings": True}  # noqa: RUF012

    id: str
    name: str
    resolution: int
    """Width and height of the square frame, pixels, a multiple of 32. The networks have a limited
    receptive field, so it may be changed after training."""
    expression_names: tuple[str, ...]
    """Names of the coefficients of a mesh frame, in the order of a coefficient list."""
    vertex_count: int
    """Number of vertices V in a mesh frame's own `vertices`."""
    triangle_count: int
    licence: str
    origin: str
    """Where the head and the training images come from, and how the avatar was trained."""
    eye_position: tuple[float, float, float]
    """Default eye position of a viewer, metres, looking down -Z."""
    fov_y_rad: float
    """Default full vertical field of view, radians."""
    expression_range: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest value of a coefficient."""
    subject: Subject | None = None
    """The real person whom the avatar shows; none for a drawn one."""
