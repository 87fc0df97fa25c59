"""A chart's values: each is a flag of `outgate install`, with the samples by which it is found again in manifests."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Choice = tuple[Any, ...]
"""One sample of each value, in their order."""
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Value:
    """`samples` are what the flag is given, by turns; a text or number that differs elsewhere is in no manifest else.

    `schema` is JSON Schema's. A `loop` makes a list's element that has the sample one for each element of the value: it
    is the variables of the template's `range`, by what they stand for.
    """

    name: str
    flag: str
    comment: str
    default: Any
    schema: Mapping[str, Any]
    samples: tuple[Any, ...]
    loop: tuple[tuple[str, str], ...] = ()

    @property
    def reference(self) -> str:
        """How a template names it."""
        return f".Values.{self.name}"

    @property
    def token(self) -> str:
        """The text that stands for its value; empty: none does, it only says what is there."""
        sample = self.samples[-1]
        return "" if isinstance(sample, bool | tuple) else str(sample)

    @property
    def marker(self) -> str:
        """What is put for its token where that may stand elsewhere too, as one of a few words may."""
        return f"{self.name}.marker.invalid" if "enum" in self.schema else self.token

    @property
    def embedded(self) -> str:
        """The template's action that writes it into a text."""
        if self.schema["type"] == "array":
            return f'{{{{ join "," {self.reference} }}}}'
        number = " | int64" if self.schema["type"] == "integer" else ""
        return f"{{{{ {self.reference}{number} }}}}"

    @property
    def alone(self) -> str:
        """The action that writes it as a whole YAML value."""
        quoted = self.schema["type"] == "string"
        return f"{{{{ {self.reference} | quote }}}}" if quoted else self.embedded

    def conditions(self) -> Iterator[tuple[str, frozenset[Any]]]:
        """Yield what a template can ask about it, and the samples for which the answer is yes."""
        if len(self.samples) < 2:
            return
        if "enum" in self.schema:
            for each in self.samples:
                yield f'eq {self.reference} "{each}"', frozenset({each})
            for each in self.samples[: len(self.samples) if len(self.samples) > 2 else 0]:
                yield f'ne {self.reference} "{each}"', frozenset(self.samples) - {each}
            return
        yes = frozenset(each for each in self.samples if each)
        yield self.reference, yes
        yield f"not {self.reference}", frozenset(self.samples) - yes


def choices(values: Sequence[Value]) -> list[Choice]:
    """Return every combination of samples; the last of each are together in the last one."""
    found = list(itertools.islice(itertools.product(*(each.samples for each in values)), _MOST + 1))
    if len(found) > _MOST:
        raise ValueError(f"more than {_MOST} combinations of flags: too many to compare")
    return found


class Conditions:
    """Says by which values some of the choices differ from others."""

    def __init__(self, values: Sequence[Value], all_choices: Iterable[Choice]) -> None:
        """Work out which choices each question is answered with yes for."""
        self._choices = list(all_choices)
        self._asked = {
            text: frozenset(
                index for index, each in enumerate(self._choices) if each[position] in wanted
            )
            for position, value in enumerate(values)
            for text, wanted in value.conditions()
        }

    def text(self, wanted: frozenset[int], among: frozenset[int]) -> str:
        """Return the shortest condition that holds for those `among` the choices that are `wanted`; empty: for all."""
        if wanted == among:
            return ""
        for size in (1, 2, 3):
            for texts in itertools.combinations(self._asked, size):
                held = among.intersection(*(self._asked[each] for each in texts))
                if held == wanted:
                    return _joined("and", texts)
        return self._alternatives(wanted, among)

    def _alternatives(self, wanted: frozenset[int], among: frozenset[int]) -> str:
        """Cover what is wanted by conditions that hold for nothing else."""
        left, texts = set(wanted), list[str]()
        for size in range(1, len(self._asked) + 1):
            for each in itertools.combinations(self._asked, size):
                held = among.intersection(*(self._asked[one] for one in each))
                if held <= wanted and held & left:
                    left -= held
                    texts.append(_joined("and", each))
                if not left:
                    return _joined("or", texts)
        raise ValueError("no condition tells these flags apart")


def _joined(word: str, texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return f"{word} {' '.join(f'({each})' if ' ' in each else each for each in texts)}"
