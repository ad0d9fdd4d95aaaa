"""What the tests of training share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.tiny_models import llama, save_model


@pytest.fixture(scope="session", name="base")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")
