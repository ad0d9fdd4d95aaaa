"""One server that learns, shared by the tests of routes: it never has the examples for a candidate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.learn.serving import Learning, learning_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learning]:
    with learning_server(tmp_path_factory.mktemp("learn"), least_rows=1000) as started:
        started.site.service.backend.max_length = 60  # type: ignore[misc]  # short plans
        yield started
