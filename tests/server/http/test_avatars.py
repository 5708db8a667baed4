"""Descriptions of avatars."""

from __future__ import annotations

import httpx2

from server.pool.fake import EXPRESSION_NAMES


def test_an_avatar_description_states_the_format_of_its_messages(http: httpx2.Client) -> None:
    manifest = http.get("/v1/avatars/default").json()
    assert manifest["expression_names"] == list(EXPRESSION_NAMES)
    assert manifest["vertex_count"] == 4
    assert manifest["resolution"] == 64
    assert manifest["licence"] == "CC0-1.0"
    assert manifest["eye_position"] == [0.0, 0.0, 0.7]
    assert manifest["fov_y_rad"] == 0.5


def test_all_avatars_are_listed(http: httpx2.Client) -> None:
    assert http.get("/v1/avatars").json() == [http.get("/v1/avatars/default").json()]


def test_an_unknown_avatar_is_a_404_that_lists_the_known_avatars(http: httpx2.Client) -> None:
    answer = http.get("/v1/avatars/nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "no avatar 'nobody'; there are: default"


def test_disclosure_of_generated_frames_is_machine_readable(http: httpx2.Client) -> None:
    avatar = http.get("/v1/avatars/default").json()
    assert (avatar["real_person"], avatar["subject"]) == (False, None)
    assert (avatar["marked"], avatar["deletable"]) == (False, False)
    assert avatar["digital_source_type"].endswith("/digitalsourcetype/trainedAlgorithmicMedia")
