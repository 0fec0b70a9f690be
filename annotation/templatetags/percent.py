"""Template filter for shares as percentages."""

from django import template

from annotation.text.formatting import percentage

register = template.Library()
register.filter("percent", percentage)
