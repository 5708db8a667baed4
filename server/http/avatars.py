"""The avatars that can be rendered."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fastapi import APIRouter

from models.contract.avatar_info import AvatarInfo
from server.auth.grants import Scope
from server.avatar_store.store import AvatarStore
from server.errors import AvatarNotFoundError
from server.http.authorization import needs
from server.http.bodies import problems
from server.http.dependencies import TheAvatarStoreIfOn, ThePool
from server.pool.pool import RenderPool

router = APIRouter(prefix="/v1/avatars", tags=["avatars"])

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_CAN_READ = needs(Scope.VIEW, Scope.PUBLISH, limited=True)


@dataclass(frozen=True, slots=True)
class AvatarDescription(AvatarInfo):
    """An avatar, and the labels of its frames."""

    # Read by pydantic: the docstrings below become OpenAPI descriptions.
    __pydantic_config__ = {"use_attribute_docstrings": True}  # noqa: RUF012

    real_person: bool = False
    """Whether it shows a real person; `subject` then contains the person's consent."""
    digital_source_type: str = SOURCE_TYPE
    """Digital source type of its frames in the vocabulary of IPTC, which C2PA uses too."""
    marked: bool = False
    """Whether its frames carry the visible watermark "AI-rendered" (`--watermark`)."""
    deletable: bool = False
    """Whether it is in the server's --avatar-store, so that `DELETE` deletes it."""


@router.get("", summary="All avatars", dependencies=[_CAN_READ])
async def list_avatars(pool: ThePool, store: TheAvatarStoreIfOn) -> list[AvatarDescription]:
    """Return the manifests of all avatars."""
    return [_describe(avatar, pool, store) for avatar in pool.avatars.values()]


@router.get(
    "/{avatar_id}",
    summary="One avatar",
    responses=problems(_404="no such avatar"),
    dependencies=[_CAN_READ],
)
async def get_avatar(avatar_id: str, pool: ThePool, store: TheAvatarStoreIfOn) -> AvatarDescription:
    """Return the manifest of one avatar."""
    avatar = pool.avatars.get(avatar_id)
    if avatar is None:
        known = ", ".join(sorted(pool.avatars)) or "none"
        raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
    return _describe(avatar, pool, store)


def _describe(avatar: AvatarInfo, pool: RenderPool, store: AvatarStore | None) -> AvatarDescription:
    values = {each.name: getattr(avatar, each.name) for each in fields(AvatarInfo)}
    return AvatarDescription(
        **values,
        real_person=avatar.subject is not None,
        marked=pool.marks(avatar),
        deletable=store is not None and avatar.id in store.ids,
    )
