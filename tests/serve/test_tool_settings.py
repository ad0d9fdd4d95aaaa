"""The file of `--tools`: an API, a site, sources and MCP servers reach plans; what is wrong is named by file and key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from builderbrain.errors import ConfigError
from builderbrain.grammar.base import Constraint
from builderbrain.plan.registry import domain_names
from builderbrain.serve.agent_routes import agent_routers
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.settings import ServeSettings, parse_settings
from builderbrain.serve.tool_settings import ServedTools, load_tools
from tests.domains.bookshop import Bookshop, serving
from tests.domains.site import Site
from tests.mcp.conftest import Desk, desk  # noqa: F401  (a fixture)
from tests.serve.running import running_server
from tests.serve.scripted import scripted_service


@contextmanager
def server(tree: Path, tools: ServedTools) -> Iterator[httpx.Client]:
    service = scripted_service("s1=list()")
    engine: Any = service.backend.mask_engine

    def compiled(source: str) -> Any:
        return engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    routers, lifetimes = agent_routers(
        ServeSettings(root=str(tree)),
        service,
        domains=GoalDomains(service, compiled),
        compile_grammar=compiled,
        served=tools,
    )
    with (
        running_server(service, routers=tuple(routers), lifetimes=tuple(lifetimes)) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        yield http


def run(http: httpx.Client, domain: str, plan: str) -> dict[str, Any]:
    reply = http.post("/v1/plans/run", json={"domain": domain, "plan": plan})
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["steps"][0])


def test_an_api_a_site_and_sources_of_the_file_are_used(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "guide.txt").write_text("For a headache, rest.")
    file = tmp_path / "tools.yaml"
    with serving(Bookshop().app) as shop, serving(Site().app) as site:
        file.write_text(
            f"api: {{base_url: '{shop}', headers: {{Authorization: Bearer K}}}}\nsite: {{base_url: '{site}'}}\n"
            "sources:\n  - {name: Guide, file: guide.txt}\n"
        )
        with server(tree, load_tools(file)) as http:
            assert run(http, "api_json", 's1=search_books(query="sea")')["output"]["total"] == 2
            assert run(http, "ui_macro", 's1=open(page="/")')["output"]["title"] == "Order"
            assert run(http, "chat_social", 's1=look_up(topic="headache")')["output"]["source"] == "Guide"


def test_without_the_file_it_is_said_what_is_missing(tree: Path) -> None:
    with server(tree, ServedTools()) as http:
        reply = http.post("/v1/plans/run", json={"domain": "api_json", "plan": 's1=search_books(query="sea")'})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "no_tools")
    assert "api.base_url in the file of --tools" in reply.json()["error"]["message"]


def test_approved_tools_of_an_mcp_server_are_a_domain_as_long_as_the_server_runs(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
) -> None:
    desk.configure("notes", safety="read_only")
    desk.approve()
    file = tmp_path / "tools.yaml"
    file.write_text(json.dumps({"mcp": [str(desk.config)]}))
    with server(desk.root.folder, load_tools(file)) as http:
        assert "desk" in domain_names()
        assert run(http, "desk", "s1=notes_add(a=19,b=23)")["status"] == "done"
        reply = http.post("/v1/goals", json={"goal": "x", "domain": "desk"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "no_rail")
    assert "desk" not in domain_names()


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        ("apy: {}", "apy", "expected one of api, site"),
        ("api: x", "api", "a section"),
        ("api: {base: x}", "api.base", "did you mean api.base_url?"),
        ("api: {base_url: nowhere}", "api.base_url", "expected a URL"),
        ("site: {base_url: 'http://a.b', seconds: 0}", "site.seconds", "seconds"),
        ("sources: guide.txt", "sources", "a list"),
        ("sources: [{name: a, file: nowhere.txt}]", "sources.0.file", "cannot be read"),
        ("sources: [{name: a}]", "sources.0.file", "got nothing"),
        ("mcp: [nowhere.yaml]", "mcp.0.config", "nowhere.yaml"),
        ("mcp: [7]", "mcp.0", "the name of a file"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(tmp_path: Path, content: str, field: str, words: str) -> None:
    file = tmp_path / "tools.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as refused:
        load_tools(file)
    assert refused.value.field == field
    assert str(file) in refused.value.message or str(tmp_path) in refused.value.message
    assert words in refused.value.message


def test_the_file_is_named_on_the_command_line() -> None:
    assert parse_settings(["--tools", "tools.yaml"]).tools == "tools.yaml"
