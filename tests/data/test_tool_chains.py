"""Rows as chains: order, words of steps without tool names, and rows that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from builderbrain.data.tool_chains import is_cut_off, read_chains, step_words
from builderbrain.data.tool_graph import load_tool_graph
from builderbrain.errors import DataError
from tests.data.tool_graph_folder import graph_row, write_folder


def test_words_of_a_step_name_no_tool() -> None:
    assert step_words("Step 2 Call play_song to play the song", "play_song") == "play the song"
    assert step_words("Step 1: Call find_song tool for finding it", "find_song") == "finding it"
    assert step_words("turn it up with set_volume", "set_volume") == "turn it up with"


def test_chains_follow_the_links_and_other_rows_are_counted(tmp_path: Path) -> None:
    said = graph_row("1", "find it and play it", ["find_song", "play_song"])
    said["task_steps"] = ["Step 1 Call find_song to find it", "Step 2 Call play_song to play it"]
    silent = graph_row("2", "play it and stop", ["play_song", "stop_song"])
    against = graph_row("3", "stop and find", ["stop_song", "find_song"])
    forked = graph_row("4", "find, play, stop", ["find_song", "play_song", "stop_song"], [("find_song", "play_song")])
    path = write_folder(tmp_path, [said, silent, against, forked])
    found = read_chains(path, load_tool_graph(tmp_path), "toolgraph")
    assert [chain.tools for chain in found.chains] == [("find_song", "play_song"), ("play_song", "stop_song")]
    assert [chain.steps for chain in found.chains] == [("find it", "play it"), ()]
    assert found.others == 2


def test_a_file_without_chains_is_refused(tmp_path: Path) -> None:
    path = write_folder(tmp_path, [graph_row("1", "stop and find", ["stop_song", "find_song"])])
    with pytest.raises(DataError, match="chains along the graph's links"):
        read_chains(path, load_tool_graph(tmp_path), "toolgraph")


def test_the_cut_depends_on_the_request_and_the_seed_alone() -> None:
    requests = [f"play song {number}" for number in range(400)]
    one, other = ({request for request in requests if is_cut_off(request, share=0.25, seed=seed)} for seed in (0, 1))
    assert 60 < len(one) < 140
    assert one != other
    assert all(is_cut_off(request.upper(), share=0.25, seed=0) for request in one)
    assert not any(is_cut_off(request, share=0.0, seed=0) for request in requests)
