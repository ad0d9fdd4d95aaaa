"""Tools that need a configuration get it with the runtime; without it they are refused before anything runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from builderbrain.agent.executor import Runtime, ToolSettings, WorkingRoot, run_plan
from builderbrain.errors import ConfigError, SchemaError
from builderbrain.plan import checked, get_domain, parse_text
from builderbrain.tools.api.client import ApiSettings
from builderbrain.tools.api.domain import api_tools
from builderbrain.tools.chat.sources import Source
from builderbrain.tools.configured import CONFIGURED, configured_tools
from builderbrain.tools.pages.settings import SiteSettings
from builderbrain.tools.registry import tools_of
from tests.plan.conftest import ROOT

SETTINGS = ToolSettings(
    api=ApiSettings(base_url="http://127.0.0.1:9"),
    pages=SiteSettings(base_url="http://127.0.0.1:9").driver(),
    sources=(Source(name="Notes", text="The rent is due on Monday."),),
)


@pytest.mark.parametrize("name", sorted(CONFIGURED))
def test_every_skill_of_the_domain_has_a_tool(name: str) -> None:
    tools = configured_tools(name, 1, SETTINGS)
    assert set(tools) == set(get_domain(name).skills)
    assert all(tool.skill == skill for skill, tool in tools.items())


@pytest.mark.parametrize(("name", "field"), [("api_json", "api.base_url"), ("ui_macro", "pages")])
def test_without_a_place_to_go_to_there_are_no_tools(name: str, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tools_of(name, 1)
    assert caught.value.field == field


def test_the_settings_come_with_the_runtime(tmp_path: Path) -> None:
    plan = checked(parse_text('s1=look_up(topic="rent")\ns2=answer(text="I found:",about=s1.passage)', domain="chat_social"))
    run = partial(run_plan, plan, WorkingRoot(tmp_path), runtime=Runtime(settings=SETTINGS))
    report = anyio.run(run)
    assert (report.entries[1].output or {})["said"] == "I found:\n\nThe rent is due on Monday."


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(ApiSettings(base_url="http://127.0.0.1:9", headers={"authorization": "Bearer secret"}))


@pytest.mark.parametrize("headers", [{"a b": "c"}, {"a": "b\r\nc: d"}, {"ä": "b"}])
def test_a_header_cannot_hold_another(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        ApiSettings(base_url="http://127.0.0.1:9", headers=headers)
    assert caught.value.field == "headers"


def test_an_openapi_file_of_another_domain_is_refused(tmp_path: Path) -> None:
    shipped = ROOT / "schemas" / "api_json" / "bookshop.openapi.yaml"
    other = tmp_path / "other.yaml"
    other.write_text(shipped.read_text(encoding="utf-8").replace("operationId: getStock", "operationId: getShelf"))
    with pytest.raises(SchemaError, match="differ in"):
        api_tools(get_domain("api_json"), ApiSettings(base_url="http://a.example"), openapi=other)
    with pytest.raises(SchemaError, match="no OpenAPI file of chat_social is shipped"):
        api_tools(get_domain("chat_social"), ApiSettings(base_url="http://a.example"))
