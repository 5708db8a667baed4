"""What can be shown, and what its messages must look like."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server.auth.grants import Scope
from server.errors import AvatarNotFoundError
from server.http.authorization import needs
from server.http.bodies import problems
from server.http.dependencies import ThePool

router = APIRouter(prefix="/v1/avatars", tags=["avatars"])

_LOOK = needs(Scope.VIEW, Scope.PUBLISH, limited=True)


class AvatarManifest(BaseModel):
    """An avatar's public manifest."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    resolution: Annotated[int, Field(description="Side of the square picture, pixels")]
    expression_names: Annotated[
        list[str], Field(description="Coefficients a frame may set, in the order of a whole list")
    ]
    expression_range: Annotated[
        tuple[float, float], Field(description="Least and greatest value of a coefficient")
    ]
    vertex_count: Annotated[int, Field(description="V of a frame's own `vertices`")]
    triangle_count: int
    licence: str
    origin: str
    eye_position: Annotated[
        tuple[float, float, float],
        Field(description="Where a viewer stands by default, metres, looking down -Z"),
    ]
    fov_y_rad: Annotated[float, Field(description="The default full vertical angle")]


@router.get("", summary="All avatars", dependencies=[_LOOK])
async def list_avatars(pool: ThePool) -> list[AvatarManifest]:
    """The manifests of all avatars that can be shown."""
    return [AvatarManifest.model_validate(avatar) for avatar in pool.avatars.values()]


@router.get(
    "/{avatar_id}",
    summary="One avatar",
    responses=problems(_404="no such avatar"),
    dependencies=[_LOOK],
)
async def get_avatar(avatar_id: str, pool: ThePool) -> AvatarManifest:
    """The manifest of one avatar."""
    avatar = pool.avatars.get(avatar_id)
    if avatar is None:
        known = ", ".join(sorted(pool.avatars)) or "none"
        raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
    return AvatarManifest.model_validate(avatar)
