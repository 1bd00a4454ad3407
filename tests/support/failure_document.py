"""docs/failure-modes.md, made from `failure_table`."""

from support.failure_table import CASES, KINDS, RECOVERY_SECONDS, Case

_HEAD = """# What fails, and what clients see

Made by `make generate` from [tests/support/failure_table.py](../tests/support/failure_table.py), whose every case
`tests/chaos/test_failure_modes.py` plays through, on real servers where there are any. `make test` takes the most
telling ones; `make failures` takes all, and calls every operation of the OpenAPI document as well.

There is one replica of each service here; with more, calls go to those that answer. Whatever fails:

- **works** includes a 503 or two for what was under way in the moment: asked again, it works while the fault lasts.
- **Nothing hangs.** Each case names the longest time that a call takes.
- **503** says when to come back (`Retry-After`), in OpenAI's error body; **504** is a provider's silence.
- **error event**: a stream whose status is sent already ends with one, never just so. An export is cut off, so that it
  does not look whole.
- **Afterwards all works again within {recovery:.0f} s**, without a restart; what was acknowledged is there, and billed.

History and user have no pool but that of their database. Not played: that of the connections to a provider is full
(2,000 from each chat).

The gateway knows callers who were here in the last minute, who so go on while user or MySQL is away. A response in the
background is promised to be stored: one that runs while its provider is down ends as `failed`, and says why.
"""


def document() -> str:
    """Return docs/failure-modes.md."""
    parts = [_HEAD.format(recovery=RECOVERY_SECONDS)]
    for dependency in dict.fromkeys(case.dependency for case in CASES):
        cases = [case for case in CASES if case.dependency == dependency]
        title = dependency[0].upper() + dependency[1:]
        parts.append(f"\n## {title}\n\n" + "\n".join(_described(case) for case in cases) + "\n\n" + _table(cases))
    return "".join(parts)


def _described(case: Case) -> str:
    return f"- **{case.fault}**: {case.meaning} Answered within {case.within_seconds:.0f} s."


def _table(cases: list[Case]) -> str:
    """Return a row for each kind of call that some case concerns."""
    header = "| | " + " | ".join(case.fault for case in cases) + " |\n|---" + "|---" * len(cases) + "|\n"
    rows = [
        f"| {title} | " + " | ".join(case.outcome(kind) for case in cases) + " |\n"
        for kind, title in KINDS.items()
        if any(kind in case.outcomes for case in cases)
    ]
    if not rows:
        return "Everything works.\n"
    return header + "".join(rows) + "| everything else |" + " works |" * len(cases) + "\n"
