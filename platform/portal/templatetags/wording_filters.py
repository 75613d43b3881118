"""Codes of the product as words, in templates."""

from __future__ import annotations

from collections.abc import Iterable

from django import template

from portal.wording import purpose_label

register = template.Library()


@register.filter
def purposes(codes: Iterable[str]) -> str:
    """Purposes in words, separated by commas."""
    return ", ".join(purpose_label(code) for code in codes)
