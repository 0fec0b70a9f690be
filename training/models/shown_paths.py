"""Errors and logs of engines as pages show them: folders of this machine by their names."""

import re
import sys

from django.conf import settings


def without_folders(text: str) -> str:
    """The text with paths relative to var, to the model roots and to the program; those folders by name alone."""
    folders = {*map(str, settings.MODEL_ROOTS), str(settings.VAR), str(settings.BASE_DIR), sys.prefix, sys.base_prefix}
    for folder in sorted(folders - {"/"}, key=len, reverse=True):
        text = re.sub(rf"{re.escape(folder)}(/|(?![\w.-]))", lambda found: "" if found[1] else _name(found[0]), text)
    return text


def _name(folder: str) -> str:
    return folder.rpartition("/")[2]
