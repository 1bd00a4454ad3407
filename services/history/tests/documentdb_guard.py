"""Holds every command that the DocumentDB store sends to what Amazon DocumentDB has, and to its indexes.

The guard listens to the driver. Whatever a test sends by itself is none of its business: a command is the store's when
nobody of these tests is nearer to it on the call stack.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("documentdb.yaml").read_text("utf-8"))

_SIGNING_IN = {"saslStart", "saslContinue"}
_OF_THE_DRIVER = {"lsid", "$db", "$clusterTime", "$readPreference", "writeConcern", "readConcern"}
_ROOT = Path(__file__).parents[3]
_TESTS = (str(_ROOT / "services/history/tests"), str(_ROOT / "tests"))
_STORE = str(_ROOT / "services/history/rostra_history")

Document = Mapping[str, Any]


class DocumentdbGuard(CommandListener):
    """Remembers what is wrong with the store's commands until it is asked."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._indexes: dict[str, dict[str, Document]] = {}
        self._waiting: list[tuple[str, Document]] = []
        self._known: set[str] = set()

    def started(self, event: CommandStartedEvent) -> None:
        """Take up a command."""
        if event.command_name not in _SIGNING_IN and _is_the_stores():
            self.take(event.command_name, event.command)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Pay no heed: what counts is what is asked."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Pay no heed: what counts is what is asked."""

    def take(self, name: str, command: Document) -> None:
        """Take up a command of the store, unless one of its shape was taken up before."""
        self.seen.add(name)
        if name == "createIndexes":
            self._indexes.setdefault(command[name], {}).update({each["name"]: each for each in command["indexes"]})
        shape = repr((name, shape_of(command)))
        if shape not in self._known:
            self._known.add(shape)
            self._waiting.append((name, command))

    def faults(self) -> list[str]:
        """Return what is wrong with the commands since the last call, as far as the indexes are known by now."""
        waiting = [each for each in self._waiting if self._can_be_judged(*each)]
        self._waiting = [each for each in self._waiting if not self._can_be_judged(*each)]
        return [
            f"{name} {shape_of(command)}: {fault}" for name, command in waiting for fault in self._of(name, command)
        ]

    def _can_be_judged(self, name: str, command: Document) -> bool:
        return not _queries(command) or command[name] in self._indexes

    def _of(self, name: str, command: Document) -> Iterator[str]:
        options = TABLE["commands"].get(name)
        if options is None:
            yield "no such command"
            return
        yield from _beyond("option", command.keys() - {name} - _OF_THE_DRIVER, options)
        for index in command.get("indexes", ()):
            yield from _beyond("option of an index", index.keys(), TABLE["index_options"])
            yield from _beyond("kind of index", index["key"].values(), TABLE["index_directions"])
        for statement in (*command.get("updates", ()), *command.get("deletes", ())):
            yield from _beyond("option", statement.keys(), TABLE["statement_options"])
        for query in _queries(command):
            yield from _beyond("query operator", _operators(query), TABLE["query_operators"])
            if not _is_found(query, self._indexes_of(command[name])):
                yield "no index to find by"
        yield from _of_pipeline(command.get("pipeline", ()))
        for update in _updates(command):
            yield from _of_update(update)
        for projection in (command.get("projection") or {}, command.get("fields") or {}):
            yield from _beyond("projection operator", _operators(projection), TABLE["projection_operators"])
        if name in ("find", "aggregate") and not _has_order(name, command):
            yield "several documents in no order"

    def _indexes_of(self, collection: str) -> list[Document]:
        return [{"key": {"_id": 1}}, *self._indexes.get(collection, {}).values()]


def shape_of(value: Any, *, key: str = "") -> Any:
    """Return what a command asks for, without the values that it asks about."""
    if isinstance(value, Mapping):
        names = [name for name in value if name not in _OF_THE_DRIVER]
        return {name: shape_of(value[name], key=name) for name in names}
    if isinstance(value, list) and key not in ("documents", "$in", "$nin", "$all", "$each", "cursors"):
        shapes = [shape_of(element) for element in value]
        return [shape for n, shape in enumerate(shapes) if shape not in shapes[:n]]
    is_told = key in _TOLD or (key in _NAMING and isinstance(value, str))
    return value if is_told else "?"


_TOLD = {"sort", "limit", "sparse", "$exists"}
_NAMING = {"find", "insert", "update", "delete", "findAndModify", "aggregate", "createIndexes", "name"}


def _beyond(what: str, names: Any, allowed: list[Any]) -> Iterator[str]:
    yield from (f"{what} {name}" for name in names if name not in allowed)


def _queries(command: Document) -> list[Document]:
    statements = [each["q"] for each in (*command.get("updates", ()), *command.get("deletes", ()))]
    first = next(iter(command.get("pipeline", ())), {})
    matched = [first.get("$match", {})] if "pipeline" in command else []
    return statements + matched + [command[name] for name in ("filter", "query") if name in command]


def _updates(command: Document) -> list[Any]:
    """Return all updates: documents, or the lists that pipelines are."""
    single = command.get("update")
    return [each["u"] for each in command.get("updates", ())] + (
        [] if single is None or isinstance(single, str) else [single]
    )


def _of_pipeline(pipeline: Any) -> Iterator[str]:
    for stage in pipeline:
        yield from _beyond("stage", stage.keys(), TABLE["aggregation_stages"])
        yield from _beyond("query operator", _operators(stage.get("$match", {})), TABLE["query_operators"])
        yield from _beyond("accumulator", _operators(stage.get("$group", {})), TABLE["group_accumulators"])


def _of_update(update: Any) -> Iterator[str]:
    if isinstance(update, list):
        yield "an update by a pipeline"
        return
    yield from _beyond("update operator", update.keys(), TABLE["update_operators"])
    for operator in ("$push", "$addToSet"):
        for value in update.get(operator, {}).values():
            modifiers = [name for name in value if name.startswith("$")] if isinstance(value, Mapping) else []
            yield from _beyond("modifier", modifiers, TABLE["update_modifiers"])


def _operators(value: Any) -> Iterator[str]:
    """Yield the operators of a query or projection, at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name.startswith("$"):
                yield name
            yield from _operators(inner)
    elif isinstance(value, list):
        for element in value:
            yield from _operators(element)


def _is_found(query: Document, indexes: list[Document]) -> bool:
    """Tell whether Amazon DocumentDB can find by an index, or by one for each branch, what the query asks for."""
    rest = {name: condition for name, condition in query.items() if name not in ("$or", "$and")}
    for part in query.get("$and", ()):
        rest |= part
    if any(_finds(rest, index) for index in indexes):
        return True
    return "$or" in query and all(_is_found(branch, indexes) for branch in query["$or"])


def _finds(conditions: Document, index: Document) -> bool:
    first, *_ = index["key"]
    if index.get("sparse") and not all(_says_exists(conditions.get(field)) for field in index["key"]):
        return False
    return first in conditions and _narrows(conditions[first])


def _says_exists(condition: Any) -> bool:
    return isinstance(condition, Mapping) and condition.get("$exists") is True


def _narrows(condition: Any) -> bool:
    if isinstance(condition, Mapping) and any(name.startswith("$") for name in condition):
        return any(name in TABLE["index_operators"] for name in condition)
    return True


def _has_order(name: str, command: Document) -> bool:
    """Tell whether the command says in which order it wants several documents, or why it need not."""
    if name == "aggregate":
        stages = {stage for each in command["pipeline"] for stage in each}
        return bool(stages & {"$sort", "$group", "$count"})
    query = command.get("filter") or {}
    if command.get("sort") or command.get("limit") == 1 or isinstance(query.get("_id"), str):
        return True
    fields = sorted(query)
    return any((each["find"], sorted(each["by"])) == (command["find"], fields) for each in TABLE["unordered"] or ())


def _is_the_stores() -> bool:
    """Tell whether the store is nearer on the call stack than any test."""
    frame = sys._getframe(2)  # the driver does not tell who asks
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_STORE):
            return True
        if path.startswith(_TESTS):
            return False
        frame = frame.f_back
    return True
