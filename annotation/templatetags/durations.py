"""Template filter for durations."""

from django import template

from annotation.text.formatting import duration

register = template.Library()
register.filter("duration", duration)
