"""The reading head finds where the last tokens stood before, by the longest match, and reads on from there."""

from __future__ import annotations

import torch

from builderbrain.rail.cache import ReadingCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.reading import ReadingHead, find_following

LONGEST = 3


def by_hand(tokens: list[int], row: int) -> tuple[int, int]:
    """The definition, as loops."""
    best, place = 0, -1
    for i in range(row):
        match = 0
        while match < LONGEST and i - match >= 0 and tokens[i - match] == tokens[row - match]:
            match += 1
        if match > best:
            best, place = match, i + 1
    return place, best


def test_places_are_those_of_the_definition() -> None:
    tokens = torch.randint(0, 4, (5, 30), generator=torch.Generator().manual_seed(0))
    places, matches = find_following(tokens, torch.arange(30), LONGEST)
    for row in range(5):
        expected = [by_hand(tokens[row].tolist(), t) for t in range(30)]
        assert list(zip(places[row].tolist(), matches[row].tolist(), strict=True)) == expected
    assert (places <= torch.arange(30)).all()


def head() -> ReadingHead:
    torch.manual_seed(1)
    config = RailConfig(base_name="x", d_model=12, tap_points=(0,), width=8, reading_match=LONGEST, reading_window=4)
    return ReadingHead(config)


def test_what_comes_later_changes_nothing_and_what_follows_a_match_does() -> None:
    reading = head()
    tokens = torch.tensor([[7, 8, 9, 10, 1, 7, 8, 2]])
    states = torch.randn(1, 8, 12)
    whole = reading(tokens, states, cache=None)
    assert whole.following[0].tolist() == [-1, -1, -1, -1, -1, 1, 2, -1]
    cut = reading(tokens[:, :6], states[:, :6], cache=None)
    torch.testing.assert_close(cut.read, whole.read[:, :6])
    changed = states.clone()
    changed[:, 2] += 1.0  # the token behind "7 8"
    other = reading(tokens, changed, cache=None).read
    assert not torch.allclose(other[:, 6], whole.read[:, 6])
    torch.testing.assert_close(other[:, 7], whole.read[:, 7])


def test_reading_token_by_token_is_the_same() -> None:
    reading = head()
    tokens = torch.randint(0, 5, (2, 12), generator=torch.Generator().manual_seed(2))
    states = torch.randn(2, 12, 12)
    whole = reading(tokens, states, cache=None)
    cache = ReadingCache()
    parts = [reading(tokens[:, a:b], states[:, a:b], cache=cache) for a, b in ((0, 5), (5, 6), (6, 9), (9, 12))]
    torch.testing.assert_close(torch.cat([part.read for part in parts], 1), whole.read)
    assert torch.equal(torch.cat([part.following for part in parts], 1), whole.following)
