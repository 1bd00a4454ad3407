"""Reading a request's JSON: every value is checked where it is read, and an error names it as OpenAI would."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self, TypeVar

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_kit.errors import InvalidArgumentError

T = TypeVar("T")

_MAX_SHOWN_LENGTH = 64
_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class Fields:
    """An object in a request.

    A field that is absent or null reads as `None`, unless the reader is told that it is required.

    Attributes:
        values: The object.
        path: Where it stands, for example `input[2]`; empty for the body itself.
    """

    values: Mapping[str, Any]
    path: str = ""

    def param(self, name: str) -> str:
        """Return the full name of a field, for example `input[2].role`."""
        return f"{self.path}.{name}" if self.path else name

    def value(self, name: str) -> Any:
        """Return a field of any type that must be there."""
        if self.values.get(name) is None:
            raise _missing(self.param(name))
        return self.values[name]

    def text(self, name: str, *, max_length: int | None = None) -> str | None:
        """Return a string."""
        text = self._typed(name, str, "a string")
        if text is not None and max_length is not None and len(text) > max_length:
            message = (
                f"Invalid '{self.param(name)}': string too long. Expected a string with maximum length {max_length}."
            )
            raise InvalidArgumentError(message, param=self.param(name))
        return text

    def required_text(self, name: str, *, max_length: int | None = None) -> str:
        """Return a string that must be there."""
        text = self.text(name, max_length=max_length)
        if text is None:
            raise _missing(self.param(name))
        return text

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """Return a string that must be one of `allowed`."""
        text = self.text(name)
        if text is not None and text not in allowed:
            self.refuse_choice(name, allowed)
        return text

    def refuse_choice(self, name: str, allowed: Collection[str]) -> NoReturn:
        """Refuse the string that a field holds, and say which ones can be."""
        supported = ", ".join(f"'{value}'" for value in allowed)
        message = f"Invalid value: '{shown(self.values[name])}'. Supported values are: {supported}."
        raise InvalidArgumentError(message, param=self.param(name))

    def boolean(self, name: str) -> bool | None:
        """Return a truth value."""
        return self._typed(name, bool, "a boolean")

    def integer(self, name: str, *, minimum: int, maximum: int | None = None) -> int | None:
        """Return an integer within its bounds."""
        number = self._typed(name, int, "an integer")
        self._check_bounds(name, number, minimum=minimum, maximum=maximum)
        return number

    def number(self, name: str, *, minimum: float, maximum: float) -> float | None:
        """Return a number within its bounds; an integer counts as one."""
        value = self.values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif value is not None and not isinstance(value, float):
            raise _wrong_type(self.param(name), "a decimal", value)
        self._check_bounds(name, value, minimum=minimum, maximum=maximum)
        return value

    def nested(self, name: str) -> Self | None:
        """Return an object, to be read in turn."""
        values = self._typed(name, dict, "an object")
        return None if values is None else type(self)(values, self.param(name))

    def object(self, name: str) -> dict[str, Any] | None:
        """Return an object whose own fields are the provider's to judge."""
        return self._typed(name, dict, "an object")

    def each(self, name: str) -> Iterator[Self]:
        """Yield the objects of an array, to be read in turn; none where the array is absent."""
        for position, value in enumerate(self._typed(name, list, "an array") or ()):
            path = f"{self.param(name)}[{position}]"
            if not isinstance(value, dict):
                raise _wrong_type(path, "an object", value)
            yield type(self)(value, path)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the strings of an array; none where the array is absent."""
        values = self._typed(name, list, "an array") or ()
        for position, value in enumerate(values):
            if not isinstance(value, str):
                raise _wrong_type(f"{self.param(name)}[{position}]", "a string", value)
        return tuple(values)

    def refuse_type(self, name: str, expected: str) -> NoReturn:
        """Refuse the type of a field; `expected` is what it may be, for example `a string`."""
        raise _wrong_type(self.param(name), expected, self.values.get(name))

    def _typed(self, name: str, kind: type[T], expected: str) -> T | None:
        value = self.values.get(name)
        # To Python a truth value is an integer too; to JSON it is none.
        is_right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if value is not None and not is_right:
            raise _wrong_type(self.param(name), expected, value)
        return value

    def _check_bounds(self, name: str, number: float | None, *, minimum: float, maximum: float | None) -> None:
        if number is None:
            return
        if number < minimum:
            bound = f"below minimum value. Expected a value >= {minimum}"
        elif maximum is not None and number > maximum:
            bound = f"above maximum value. Expected a value <= {maximum}"
        else:
            return
        message = f"Invalid '{self.param(name)}': {bound}, but got {number} instead."
        raise InvalidArgumentError(message, param=self.param(name))


def shown(text: str) -> str:
    """Return a text of the client's as an error message may hold it: whole messages travel in gRPC's headers."""
    return text if len(text) <= _MAX_SHOWN_LENGTH else f"{text[:_MAX_SHOWN_LENGTH]}…"


def unsupported(param: str, message: str) -> InvalidArgumentError:
    """Return the refusal of something that OpenAI has and Rostra has not."""
    return InvalidArgumentError(message, reason=ErrorReason.ERROR_REASON_UNSUPPORTED_VALUE, param=param)


def _missing(param: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Missing required parameter: '{param}'.",
        reason=ErrorReason.ERROR_REASON_MISSING_REQUIRED_PARAMETER,
        param=param,
    )


def _wrong_type(param: str, expected: str, value: object) -> InvalidArgumentError:
    got = _NAMES.get(type(value), "something else")
    return InvalidArgumentError(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        reason=ErrorReason.ERROR_REASON_INVALID_TYPE,
        param=param,
    )
