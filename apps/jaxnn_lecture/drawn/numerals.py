"""Numbers from 1 to 9999, written out in German and in English.

German says the ones before the tens: fünf und zwanzig is twenty five.  So a translation word by
word, in the order of German, is wrong.
"""

from __future__ import annotations

from typing import NamedTuple

MOST = 9999

_GERMAN = (
    "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf",
    "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn",
)  # fmt: skip
_ENGLISH = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_GERMAN_TENS = (
    "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"
)  # fmt: skip
_ENGLISH_TENS = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"
)  # fmt: skip

#: The words of the languages, each after "", the token for the start of a text.
GERMAN = ("", "ein", *_GERMAN, *_GERMAN_TENS, "und", "hundert", "tausend", "end")
ENGLISH = ("", *_ENGLISH, *_ENGLISH_TENS, "hundred", "thousand", "end")


class Pair(NamedTuple):
    """A number in two languages.

    Attributes:
        german, english: its words; both finish with ``end``.
        alignment: for each English word, the place of the German word that it translates.
    """

    german: tuple[str, ...]
    english: tuple[str, ...]
    alignment: tuple[int, ...]


def spell(number: int) -> Pair:
    """A number from 1 to 9999 in both languages.

    Example:
        >>> spell(321)
        Pair(german=('drei', 'hundert', 'ein', 'und', 'zwanzig', 'end'), english=('three', \
'hundred', 'twenty', 'one', 'end'), alignment=(0, 1, 4, 2, 5))
    """
    german: list[str] = []
    english: list[tuple[str, int]] = []
    for unit, words in ((1000, ("tausend", "thousand")), (100, ("hundert", "hundred"))):
        count, number = divmod(number, unit)
        if count:
            english += [(_ENGLISH[count - 1], len(german)), (words[1], len(german) + 1)]
            german += [_one(count), words[0]]
    tens, ones = divmod(number, 10)
    place = len(german)
    if 0 < number < 20:
        english.append((_ENGLISH[number - 1], place))
        german.append(_GERMAN[number - 1])
    elif number and not ones:
        english.append((_ENGLISH_TENS[tens - 2], place))
        german.append(_GERMAN_TENS[tens - 2])
    elif number:
        english += [(_ENGLISH_TENS[tens - 2], place + 2), (_ENGLISH[ones - 1], place)]
        german += [_one(ones), "und", _GERMAN_TENS[tens - 2]]
    english.append(("end", len(german)))
    words, alignment = zip(*english, strict=True)
    return Pair((*german, "end"), words, alignment)


def _one(count: int) -> str:
    """A number from 1 to 9 before another word: ein hundert, not eins hundert."""
    return "ein" if count == 1 else _GERMAN[count - 1]
