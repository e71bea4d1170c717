"""Writes docs/procedural.png: one still of the procedural model for each of twelve prompts.

    python docs/make_contact_sheet.py [target.png]

It needs numpy and Pillow; the node needs neither this script nor its picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from plugins.video.procedural.render import still  # noqa: E402

PROMPTS = (
    "a red fox running through snow at dusk",
    "city at night in the rain",
    "northern lights over mountains",
    "ocean waves at sunset",
    "a galaxy of stars",
    "fireflies in a dark forest",
    "desert dunes under a blazing sun",
    "cherry blossoms in spring wind",
    "campfire sparks",
    "underwater coral bubbles",
    "thunderstorm over fields",
    "abstract neon geometry",
)
COLUMNS, WIDTH, HEIGHT, CAPTION, GAP = 3, 448, 252, 32, 12


def sheet() -> Image.Image:
    rows = -(-len(PROMPTS) // COLUMNS)
    size = (COLUMNS * (WIDTH + GAP) + GAP, rows * (HEIGHT + CAPTION + GAP) + GAP)
    image = Image.new("RGB", size, (18, 19, 24))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(17)
    for index, prompt in enumerate(PROMPTS):
        x = GAP + index % COLUMNS * (WIDTH + GAP)
        y = GAP + index // COLUMNS * (HEIGHT + CAPTION + GAP)
        frame = Image.fromarray(still(prompt, seed=0, width=2 * WIDTH, height=2 * HEIGHT, number=24))
        image.paste(frame.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), (x, y))
        draw.text((x + 4, y + HEIGHT + 7), prompt, font=font, fill=(226, 228, 236))
    return image


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "procedural.png"
    sheet().save(target, optimize=True)
    print(target)
