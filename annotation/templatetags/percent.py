from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def percent(share: float) -> str:
    """80 %, and 66.7 % where a whole number would say something else."""
    value = round(share * 100, 1)
    return f"{number_format(value, 0 if value == int(value) else 1)} %"
