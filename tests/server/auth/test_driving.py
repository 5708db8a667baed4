"""Viewers drive the face they watch only with the scope `drive`."""

from __future__ import annotations

import json

import pytest

from server.auth.grants import Grant, Scope
from server.errors import MayNotDriveError
from server.transport.webrtc.control import Control
from tests.server.sessions.fake_server import FakePeer, mesh, running_server, view

WATCHING = Grant("watcher", frozenset({Scope.VIEW}))
DRIVING = Grant("driver", frozenset({Scope.VIEW, Scope.DRIVE}))
FACE = json.dumps({"type": "mesh", "seq": 1, "expression": {"jawOpen": 1}})


async def test_a_viewer_without_the_scope_may_send_views_but_no_faces() -> None:
    async with running_server() as h:
        session, _ = await h.sessions.open("s", FakePeer, "offer", WATCHING)
        assert session.set_view(view(1))
        with pytest.raises(MayNotDriveError, match="no scope drive"):
            session.set_mesh(mesh(1))
        assert session.stats()["meshes"] == {"accepted": 0, "dropped": 0, "refused": 1}


async def test_a_refused_face_on_the_data_channel_is_counted_and_the_session_continues() -> None:
    async with running_server() as h:
        session, _ = await h.sessions.open("s", FakePeer, "offer", WATCHING)
        control = Control(session, lambda: None)
        for _ in range(3):
            control.receive(FACE)
        assert session.stats()["meshes"]["refused"] == 3
        assert not session.closed


async def test_a_viewer_with_the_scope_drives_the_face() -> None:
    async with running_server() as h:
        session, _ = await h.sessions.open("s", FakePeer, "offer", DRIVING)
        Control(session, lambda: None).receive(FACE)
        assert session.stats()["meshes"] == {"accepted": 1, "dropped": 0, "refused": 0}
