"""The API under arbitrary requests, valid and invalid by its OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.core.result import Ok

from server.http.avatar_jobs import ARCHIVE, VIDEOS
from server.settings import Settings
from tests.server.conftest import serving

_EXAMPLES = 8
"""Requests per operation: one to two seconds in all."""


@schemathesis.serializer(
    "application/sdp",
    "application/trickle-ice-sdpfrag",
    "application/x-ndjson",
    ARCHIVE,
    *VIDEOS,
)
def _as_text(context: schemathesis.SerializationContext, value: object) -> bytes:
    return str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def schema(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[schemathesis.BaseSchema]:
    store = tmp_path_factory.mktemp("store")
    settings = Settings(
        port=0, workers=1, max_sessions=3, idle_session_s=2, avatar_store=store, max_avatar_jobs=1
    )
    with serving(settings) as served:
        yield schemathesis.openapi.from_url(f"{served.url}/openapi.json")


def test_arbitrary_requests_never_cause_a_server_error(
    schema: schemathesis.BaseSchema,
) -> None:
    seen = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        seen |= _answers(found.ok())
    assert {200, 400, 404} <= seen


def _answers(operation: schemathesis.APIOperation[Any, Any, Any, Any]) -> set[int]:
    """Call one operation with many requests; return the status codes."""
    seen = set()
    may_be_unavailable = "503" in operation.definition.raw["responses"]
    cases = operation.as_strategy()

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(cases, _with_real_ids(cases)))
    def call(case: Case[Any]) -> None:
        answer = case.call(timeout=20)
        seen.add(answer.status_code)
        fine = answer.status_code < 500 or (answer.status_code == 503 and may_be_unavailable)
        assert fine, f"{case.as_curl_command()}: {answer.text}"
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]
            assert answer.json()["detail"]

    call()
    return seen


def _with_real_ids(cases: st.SearchStrategy[Case[Any]]) -> st.SearchStrategy[Case[Any]]:
    """Replace ids by those of an existing stream and avatar: random ids only cause 404."""

    def insert(case: Case[Any]) -> Case[Any]:
        for name, real in (("stream_id", "demo"), ("avatar_id", "default")):
            if name in case.path_parameters and case.method.upper() != "DELETE":
                case.path_parameters[name] = real
        return case

    return cases.map(insert)
