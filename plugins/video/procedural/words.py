"""The words that the model knows, and what it reads out of a prompt."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# Of each kind: the word, and other words for the same.
LEXICON: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "time": {
            "dawn": "sunrise morning daybreak",
            "day": "daylight noon midday afternoon daytime",
            "sunset": "dusk evening twilight sundown gloaming",
            "night": "midnight nighttime nocturnal moonlit",
            "storm": "stormy thunderstorm tempest hurricane typhoon",
        },
        "sky": {
            "sun": "sunny sunlight sunshine sunlit",
            "moon": "moonlight lunar",
            "star": "starry starlight constellation",
            "galaxy": "galaxies cosmos cosmic nebula nebulae universe milky-way",
            "aurora": "auroras northern-lights polar-lights southern-lights",
            "planet": "saturn jupiter mars exoplanet",
            "meteor": "comet asteroid shooting-star falling-star",
            "cloud": "cloudy overcast cumulus",
            "rainbow": "prism",
            "lightning": "thunder thunderbolt bolt",
        },
        "weather": {
            "rain": "rainy raining drizzle downpour shower",
            "snow": "snowy snowing snowfall blizzard winter wintry snowflake frost ice icy",
            "fog": "foggy mist misty haze hazy smoke smoky",
            "wind": "windy breeze breezy gale",
        },
        "place": {
            "mountain": "alps alpine peak summit cliff valley",
            "hill": "hilly rolling-hills highland",
            "forest": "forests wood woods woodland jungle grove",
            "city": "cities town street skyline skyscraper downtown metropolis urban tokyo",
            "desert": "dune dunes sahara",
            "ocean": "sea wave seaside surf tide pacific atlantic",
            "lake": "pond river stream reflection fjord",
            "meadow": "field grass grassy grassland pasture prairie farmland",
            "garden": "wildflower spring flowerbed orchard",
            "beach": "shore coast sand sandy seashore",
            "underwater": "undersea submarine deep-sea seabed seafloor",
            "coral": "reef corals",
            "space": "orbit interstellar outer-space",
            "volcano": "volcanic lava eruption magma",
            "road": "highway path route street-road",
        },
        "air": {
            "firefly": "fireflies glowworm lightning-bug",
            "spark": "sparkle ember cinder",
            "fire": "campfire bonfire flame flames burning",
            "petal": "blossom cherry sakura",
            "leaf": "leaves autumn fall foliage autumnal",
            "bubble": "bubbly foam soap",
            "confetti": "party celebration carnival",
            "firework": "fireworks pyrotechnics",
            "dust": "dusty sandstorm pollen",
        },
        "subject": {
            "fox": "vixen",
            "dog": "puppy hound",
            "wolf": "wolves coyote",
            "cat": "kitten kitty tiger panther",
            "lion": "lioness",
            "horse": "pony stallion mare unicorn",
            "deer": "stag elk reindeer moose",
            "bear": "grizzly panda",
            "elephant": "mammoth",
            "rabbit": "bunny hare",
            "bird": "eagle crow raven seagull swallow sparrow dove hawk parrot",
            "owl": "owlet",
            "butterfly": "butterflies moth",
            "fish": "goldfish salmon koi",
            "whale": "orca dolphin",
            "shark": "barracuda",
            "jellyfish": "medusa",
            "turtle": "tortoise",
            "person": "people man men woman women human girl boy child children runner walker dancer astronaut",
            "dragon": "wyvern",
            "house": "cottage cabin hut home village barn",
            "castle": "fortress palace tower",
            "boat": "ship sailboat yacht sail",
            "lighthouse": "beacon",
            "windmill": "mill turbine",
            "tree": "oak maple pine willow",
            "palm": "coconut tropical",
            "flower": "rose sunflower tulip daisy lily",
            "mushroom": "toadstool fungus",
            "car": "automobile taxi truck",
            "train": "locomotive railway steam-train",
            "rocket": "spaceship spacecraft starship",
            "balloon": "hot-air-balloon airship zeppelin",
            "robot": "android droid",
        },
        "colour": {
            "red": "crimson scarlet ruby",
            "orange": "amber copper tangerine",
            "gold": "golden yellow",
            "green": "emerald lime olive",
            "teal": "turquoise cyan aqua",
            "blue": "azure navy sapphire indigo",
            "purple": "violet lavender magenta lilac",
            "pink": "rosy fuchsia",
            "white": "ivory pale",
            "black": "ebony obsidian",
            "brown": "chestnut chocolate",
            "silver": "grey gray metallic chrome",
        },
        "style": {
            "neon": "cyberpunk synthwave electric fluorescent",
            "pastel": "soft delicate gentle",
            "vintage": "sepia retro antique nostalgic old",
            "noir": "monochrome black-and-white grayscale greyscale",
            "dreamy": "dream dreamlike magical ethereal enchanted",
            "dark": "darkness gloomy shadowy moody",
            "bright": "blazing vivid brilliant radiant glowing",
            "abstract": "surreal psychedelic fluid liquid",
            "geometry": "geometric polygon cube crystal fractal",
        },
        "motion": {
            "fast": "quick rapid speeding racing running hyperlapse timelapse",
            "slow": "calm slowly quiet peaceful still serene",
        },
    }
)

_ONE: Final = {
    known.replace("-", " "): (kind, word)
    for kind, words in LEXICON.items()
    for word, others in words.items()
    for known in (word, *others.split())
}


@dataclass(frozen=True)
class Reading:
    """What a prompt says: words of the lexicon by kind, in its order; and a digest of all of it."""

    words: Mapping[str, tuple[str, ...]]
    skins: Mapping[str, str]
    """A subject's colour, where a colour stands right before it."""
    digest: bytes

    def __contains__(self, word: object) -> bool:
        return any(word in words for words in self.words.values())

    def any(self, *words: str) -> bool:
        return any(word in self for word in words)

    def of(self, kind: str) -> tuple[str, ...]:
        return self.words.get(kind, ())


def _stems(word: str) -> tuple[str, ...]:
    """The word, then what it may be a form of."""
    stems = [word, word.removesuffix("'s")]
    for end, instead in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if word.endswith(end) and len(word) > len(end) + 2:
            stems.append(word.removesuffix(end) + instead)
    return tuple(stems)


def _known(words: list[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    index = 0
    while index < len(words):
        for count in (3, 2, 1):
            phrase = words[index : index + count]
            hit = next((_ONE[name] for name in _stems(" ".join(phrase)) if name in _ONE), None)
            if len(phrase) == count and hit is not None:
                found.append(hit)
                index += count
                break
        else:
            found.append(("", words[index]))
            index += 1
    return found


def plain(prompt: str) -> list[str]:
    """A prompt's words in small letters, however its letters are encoded and whatever stands between them."""
    text = unicodedata.normalize("NFKC", prompt).casefold().replace("’", "'")
    return re.findall(r"\w+(?:'\w+)?", text) or [text.strip()]


def read(prompt: str) -> Reading:
    """What a prompt says to this model."""
    spoken = plain(prompt)
    found = _known(spoken)
    words: dict[str, list[str]] = {}
    skins: dict[str, str] = {}
    for index, (kind, word) in enumerate(found):
        bound = kind == "colour" and index + 1 < len(found) and found[index + 1][0] == "subject"
        if bound:
            skins[found[index + 1][1]] = word
        elif kind and word not in words.setdefault(kind, []):
            words[kind].append(word)
    digest = hashlib.sha256(" ".join(spoken).encode("utf-8", "replace")).digest()
    return Reading({kind: tuple(some) for kind, some in words.items()}, skins, digest)
