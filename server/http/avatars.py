"""The avatars that can be rendered."""

from __future__ import annotations

from fastapi import APIRouter

from models.contract.avatar_info import AvatarInfo
from server.auth.grants import Scope
from server.errors import AvatarNotFoundError
from server.http.authorization import needs
from server.http.bodies import problems
from server.http.dependencies import ThePool

router = APIRouter(prefix="/v1/avatars", tags=["avatars"])

_CAN_READ = needs(Scope.VIEW, Scope.PUBLISH, limited=True)


@router.get("", summary="All avatars", dependencies=[_CAN_READ])
async def list_avatars(pool: ThePool) -> list[AvatarInfo]:
    """Return the manifests of all avatars."""
    return list(pool.avatars.values())


@router.get(
    "/{avatar_id}",
    summary="One avatar",
    responses=problems(_404="no such avatar"),
    dependencies=[_CAN_READ],
)
async def get_avatar(avatar_id: str, pool: ThePool) -> AvatarInfo:
    """Return the manifest of one avatar."""
    avatar = pool.avatars.get(avatar_id)
    if avatar is None:
        known = ", ".join(sorted(pool.avatars)) or "none"
        raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
    return avatar
