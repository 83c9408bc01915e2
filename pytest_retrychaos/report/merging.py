"""Reports of the shards of one run, put together as if one process had run them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_retrychaos.report.asked import Asked
from pytest_retrychaos.report.document import Document, Identity, TestRecord
from pytest_retrychaos.report.finish import make_document
from pytest_retrychaos.report.jsonform import from_json


def read(path: Path, *, draws: bool = True) -> Document:
    """Read one report, with its timelines if they are to be drawn.

    `ValueError` names the file, what is wrong, and the way out.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"), draws=draws)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: it is no text ({error.reason})") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot read it: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def merged(shards: Sequence[tuple[Path, Document]], asked: Asked, listed: Sequence[Identity] | None) -> Document:
    """Put shards together; `ValueError` where one test stands in two of them: what would count then?"""
    tests: dict[str, TestRecord] = {}
    places: dict[str, Path] = {}
    for path, shard in shards:
        for test in shard.tests:
            if test.id in tests:
                raise ValueError(
                    f"{test.id[:200]} stands in {places[test.id]} and in {path}: give each test to one shard, "
                    "or leave one of the files out"
                )
            tests[test.id], places[test.id] = test, path
    has_unrun = any(shard.has_unrun for _, shard in shards)
    seeds = {shard.seed for _, shard in shards}
    if len(seeds) > 1:
        raise ValueError(f"the shards ran with seeds {sorted(seeds)}: run all of them with one --chaos-seed")
    return make_document(
        tests.values(),
        problems=[problem for _, shard in shards for problem in shard.problems],
        began=min(shard.began for _, shard in shards),
        seed=seeds.pop(),
        asked=asked,
        listed=listed,
        is_part=has_unrun,
        has_unrun=has_unrun,
    )
