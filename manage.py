#!/usr/bin/env python
"""Konomi's command line: `manage.py help` lists the commands."""

import os
import sys

# These write source files, which are as readable as the folder they are in; everything else writes the site's data.
SOURCE_COMMANDS = ("makemessages", "compilemessages", "makemigrations", "startapp")

if __name__ == "__main__":
    if not set(SOURCE_COMMANDS) & set(sys.argv[1:2]):
        os.umask(0o077)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
