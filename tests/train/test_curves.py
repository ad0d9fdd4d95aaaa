"""The page of curves: what a log holds is shown, what it lacks is said, and a log that is none is refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import DataError
from builderbrain.train.curves.log import read_log, series_of, smooth
from builderbrain.train.curves.page import curves_page
from builderbrain.train.curves.panels import PANELS
from builderbrain.train.curves.svg import panel_svg
from builderbrain.train.plot import main

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
LINES: list[dict[str, Any]] = [
    {
        "step": step,
        "plan": 2.0 / (step + 1),
        "policy": 1.0,
        "alpha_budget": 0.05,
        "alpha_mean": [0.04, 0.05],
        "constraints": {"kl_budget": {"reading": 0.01, "normalised": 0.5, "dual": 0.1 * step, "count": 7}},
        "skill_entropy": 1.5,
        "skills_used": 4,
        "alarms": [{"name": "dual_at_cap", "subject": "kl_budget", "message": "m"}] if step == 2 else [],
        **({"held_out_plan": 1.0, "held_out_exact": 0.25, "held_out_illegal": 0.5} if step % 2 else {}),
    }
    for step in range(4)
]


def written(folder: Path, lines: list[Any]) -> Path:
    (folder / "log.jsonl").write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return folder


def test_panels_read_what_a_run_logs() -> None:
    found = {panel.title: series_of(LINES, panel.read) for panel in PANELS}
    assert found["Task loss"]["training"] == [(0, 2.0), (1, 1.0), (2, pytest.approx(2 / 3)), (3, 0.5)]
    assert found["Task loss"]["held out"] == [(1, 1.0), (3, 1.0)]
    assert list(found["Alpha"]) == ["cap", "tap 0", "tap 1"]
    assert found["Duals"] == {"kl_budget": [(0, 0.0), (1, 0.1), (2, 0.2), (3, pytest.approx(0.3))]}
    assert found["Grammar violations"]["without a mask"] == [(1, 0.5), (3, 0.5)]
    assert not found["Gradient cosines"]


def test_a_policy_in_imagination_has_its_panels_and_its_price_among_the_duals() -> None:
    line = {
        "step": 7, "imagined": 0.4, "asked": 0.3, "calls": 0.5, "held_out_asked": 0.2, "held_out_calls": 0.25,
        "held_out_imagined": {"policy": 0.45, "behaviour": -0.2},
        "constraints": {"behaviour_kl": {"reading": 2.9, "dual": 0.03, "count": 256}},
    }  # fmt: skip
    found = {panel.title: series_of([line], panel.read) for panel in PANELS}
    assert found["Imagined requests"] == {
        "policy, held out": [(7, 0.45)], "behaviour, held out": [(7, -0.2)], "policy": [(7, 0.4)],
    }  # fmt: skip
    assert found["Asking in imagination"]["asked held out"] == [(7, 0.2)]
    assert found["Duals"] == {"behaviour_kl": [(7, 0.03)]}
    assert found["Constraints, raw"] == {"behaviour_kl": [(7, 2.9)]}


def test_every_panel_of_the_page_is_drawn_or_said_to_be_missing() -> None:
    page = curves_page([LINES], title="Run <x>")
    assert "<h1>Run &lt;x&gt;</h1>" in page
    assert all(panel.title.replace("&", "&amp;") in page for panel in PANELS)
    shown, missing = page.split("<h2>Not in this log</h2>")
    assert "Gradient cosines: logged with conflict.method=pcgrad or cagrad" in missing
    assert "Duals" in shown
    assert "dual_at_cap (kl_budget) at step 2" in shown
    for svg in shown.split("<figure>")[1:]:
        ElementTree.fromstring(svg.split("</figure>")[0])


def test_an_alarm_without_a_name_is_shown_too() -> None:
    lines = [{**LINES[0], "alarms": [{"subject": "plan"}, {"name": "spike <b>"}, "bell"]}]
    page = curves_page([lines], title="run")
    assert "Alarms: unnamed (plan) at step 0; spike &lt;b&gt; at step 0; unnamed at step 0." in page


def test_a_second_log_adds_what_the_first_lacks() -> None:
    world = [{"step": 7, "held_out_evsi": {"predicted": 0.1, "realised": 0.2, "calls": 9}, "plan": 9.0}]
    page = curves_page([LINES, world], title="run")
    assert "Value of asking (EVSI)" in page.split("<h2>Not in this log</h2>")[0]
    assert "Steps 0 to 3." in page
    assert curves_page([LINES], title="run").count("<figure>") + 1 == page.count("<figure>")


def test_points_lie_within_the_panel_on_both_kinds_of_axis() -> None:
    for logarithmic in (False, True):
        series = {"a": [(0, 1e-6), (10, 5.0), (20, 0.0)], "b <": [(5, 2.0)], "flat": [(0, 1.0), (20, 1.0)]}
        root = ElementTree.fromstring(panel_svg("t & u", "unit", series, logarithmic=logarithmic))
        space = "{http://www.w3.org/2000/svg}"
        points = [pair.split(",") for line in root.iter(f"{space}polyline") for pair in line.attrib["points"].split()]
        assert len(points) == (4 if logarithmic else 5)  # 0 has no logarithm
        assert all(0 <= float(x) <= 460 and 0 <= float(y) <= 250 for x, y in points)
        assert len(list(root.iter(f"{space}circle"))) == 1


def test_many_points_become_means() -> None:
    assert smooth([(0, 1.0), (1, 3.0), (2, 5.0)], 2) == [(1, 2.0), (2, 5.0)]
    assert smooth([(0, 1.0)], 1) == [(0, 1.0)]


def test_values_that_are_no_numbers_are_left_out() -> None:
    lines = [{"step": 0, "gradient_norm": float("nan")}, {"step": 1, "gradient_norm": None}, {"step": 2, "gradient_norm": 1.0}]
    (panel,) = (panel for panel in PANELS if panel.title == "Gradient norm")
    assert series_of(lines, panel.read) == {"norm": [(2, 1.0)]}


def test_a_torn_last_line_is_left_out_and_one_before_it_is_named(tmp_path: Path) -> None:
    assert len(read_log(written(tmp_path, [*LINES, '{"step": 4, "pl']))) == 4
    with pytest.raises(DataError, match=r"log\.jsonl:2: expected an object with a step"):
        read_log(written(tmp_path, [LINES[0], "torn", LINES[1]]))


def test_the_command_writes_a_page_and_refuses_what_is_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert main([str(run)]) == 2
    assert "expected the log of a run at" in capsys.readouterr().err
    written(run, [])
    assert main([str(run)]) == 2
    assert "at least one step" in capsys.readouterr().err
    written(run, LINES)
    assert main([str(run)]) == 0
    assert (run / "curves.html").read_text().startswith("<!doctype html>")
    assert main([str(run / "log.jsonl"), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").is_file()
    assert main([str(run), "--out", str(tmp_path / "none" / "page.html")]) == 2
    assert "make the folder first" in capsys.readouterr().err


def test_a_committed_run_fills_the_page(tmp_path: Path) -> None:
    out = tmp_path / "curves.html"
    assert main([str(RESULTS / "2026-11-29-governed-run"), str(RESULTS / "2026-11-29-world-run"), "--out", str(out)]) == 0
    shown, missing = out.read_text().split("<h2>Not in this log</h2>")
    absent = {panel.title for panel in PANELS if f"<li>{panel.title}:" in missing}
    of_other_runs = {"Change of risk", "Imagined requests", "Asking in imagination"}
    assert absent == {*of_other_runs, "Covariance of duals with ease"}, "covariances need the 400 steps of watch.history"
    for name in ("cfs_energy", "kl_budget", "g2g", "build", "reuse", "param_l1", "calibration", "invariance"):
        assert name in shown
