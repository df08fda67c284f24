"""Made-up stays with an image each, whose return the image tells, written as small files."""

import io
import random
from copy import deepcopy

import numpy as np

from medspark.task.load import check_task

SIDE = 16
PICTURES = {
    "task": "pictures",
    "title": "Return of made-up stays by a picture",
    "source": {"kind": "table", "path": "unset", "format": "csv", "case": "stay", "subject": "patient"},
    "columns": {
        "stay": {"type": "long"},
        "patient": {"type": "string"},
        "age": {"type": "double"},
        "xray": {"type": "image", "folder": "unset", "size": [SIDE, SIDE], "otherwise": "missing"},
        "back": {"type": "boolean"},
    },
    "outcome": {"name": "back", "when": "back"},
    "features": {"numeric": ["age"], "images": {"chest": {"from": ["xray"]}}},
    "network": {"members": 3, "images": {"filters": [8, 16]}},
    "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.005},
    "report": {"bootstrap": 20},
}


def picture(bright, rng):
    """Noise, with a bright square in it or without: (SIDE, SIDE) bytes."""
    pixels = rng.integers(0, 100, (SIDE, SIDE)).astype(np.uint8)
    if bright:
        top, left = rng.integers(0, SIDE - 6, 2)
        pixels[top : top + 6, left : left + 6] += 150
    return pixels


def png(pixels):
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def pictured(folder, count, seed=0):
    """CSV lines of stays, whose files are written into a folder; one in ten has none, one in thirty is cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    lines = []
    for stay in range(count):
        back = draw.random() < 0.5
        content = png(picture(back, rng))
        name = "" if draw.random() < 0.1 else f"{stay}.png"
        if name:
            (folder / name).write_bytes(content[:-40] if stay % 30 == 29 else content)
        lines.append(f"{stay},p{stay},{draw.uniform(20, 90):.1f},{name},{back}".lower())
    return lines


def pictures_task(source, folder, **changes):
    """The task of stays with a picture; `changes` take a section's place."""
    data = deepcopy(PICTURES)
    data["source"]["path"] = str(source)
    data["columns"]["xray"]["folder"] = str(folder)
    for name, change in changes.items():
        data[name] = {**data[name], **change} if isinstance(data.get(name), dict) else change
    task, problems = check_task(data)
    assert problems == []
    return task
