"""What an unquoted YAML scalar means: the same as to kubectl, so that a file says the same in both.

kubectl reads YAML with sigs.k8s.io/yaml (go-yaml v2), a blend of YAML 1.1 and 1.2: `yes`, `on` and
`y` are booleans, `0o17` and `017` are octal, timestamps and base-60 numbers stay text. Refused
here, where kubectl fails later or guesses: NaN, infinity, whole numbers of over 64 bits, and tags
other than those of JSON's types.
"""

import math
import re

Scalar = str | int | float | bool | None

STRING, MERGE = "tag:yaml.org,2002:str", "<<"
_TAGS = {
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:bool": bool,
    "tag:yaml.org,2002:null": type(None),
}
_WORDS: dict[str, bool | None] = {
    spelling: meaning
    for words, meaning in (("y yes true on", True), ("n no false off", False), ("null", None))
    for word in words.split()
    for spelling in (word, word.capitalize(), word.upper())
} | {"": None, "~": None}
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMERIC_START = re.compile(r"[-+.0-9]")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# Digits of a 64-bit number in base 2; Python takes quadratic time for very many.
_LONGEST_INTEGER = 64
# Beyond this a float no longer holds every whole number.
_EXACT = 2**53


def resolve(text: str, *, plain: bool, tag: str | None = None) -> Scalar:
    """Value of a scalar, `plain` if it was written without quotes, `tag` in full.

    ValueError if it is refused.
    """
    if tag in (STRING, "!") or (tag is None and not plain):
        return text
    if tag is not None and tag not in _TAGS:
        raise ValueError(f"the tag {tag} is not allowed")
    value = _plain(text)
    if tag is None:
        return value
    wanted = _TAGS[tag]
    if wanted is float and type(value) is int:
        return value
    if type(value) is not wanted:
        raise ValueError(f"the value does not fit its tag !!{tag.rpartition(':')[2]}")
    return value


def _plain(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMERIC_START.match(text):
        return text
    if _SPECIAL.fullmatch(text):
        raise ValueError(f"{text} cannot be represented in JSON")
    # go-yaml skips underscores in numbers.
    digits = text.replace("_", "")
    if match := _INTEGER.fullmatch(digits):
        return _integer(match)
    return _float(digits, text) if _FLOAT.fullmatch(digits) else text


def _integer(match: re.Match[str]) -> int:
    sign, *groups = match.groups()
    base, digits = next(
        (base, group) for base, group in zip((16, 2, 8, 10), groups, strict=True) if group
    )
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError("a whole number must fit in 64 bits")
    value = int(digits, base) * (-1 if sign == "-" else 1)
    if not -(2**63) <= value < 2**64:
        raise ValueError(f"{value} does not fit in 64 bits")
    return value


def _float(digits: str, text: str) -> Scalar:
    value = float(digits)
    if math.isinf(value):
        return text
    # JSON has one kind of number: kubectl writes 80.0 as 80.
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value
