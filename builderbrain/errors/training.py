"""Refusals of training, its data and evaluation."""

from __future__ import annotations

from builderbrain.errors.base import BuilderBrainError, Classification


class OutputError(BuilderBrainError):
    """The output folder of a run cannot be written: its disk is full, gone or read-only."""

    code = "output_not_written"
    classification = Classification("resource", "high", "operate")


class RankError(BuilderBrainError):
    """One of the processes of a run is gone, does not answer, or has come to another state than the others."""

    code = "rank_lost"
    classification = Classification("resource", "high", "operate")


class DataError(BuilderBrainError):
    """A file of training data, or one of its rows, is missing, malformed or altered."""

    code = "invalid_data"
    classification = Classification("resource", "medium", "correct")


class BenchError(BuilderBrainError):
    """A file of goals is missing or one of its items is malformed."""

    code = "invalid_bench"
    classification = Classification("resource", "medium", "correct")


class SubjectError(BuilderBrainError):
    """What is to be evaluated is unknown, or something it needs was not given."""

    code = "invalid_subject"
    classification = Classification("resource", "medium", "correct")
