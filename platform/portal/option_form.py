"""The options of a job as form fields: one per row of `generation.options.OPTION_RULES`, a slider, a choice or a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from generation.options import OPTION_DEFAULTS, OPTION_RULES, Choice, Range, option_values, parse_options
from portal.wording import OPTION_GROUPS, OPTIONS

SLIDER_STEP = "0.05"


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """Fields that are shown together."""

    title: str
    fields: tuple[forms.BoundField, ...]


def option_field(name: str) -> forms.Field:
    """The field of one option. Left empty, it means the option's default."""
    rule, words, default = OPTION_RULES[name], OPTIONS[name], OPTION_DEFAULTS[name]
    common: dict[str, Any] = {"label": words.label, "help_text": words.explanation, "required": False, "initial": default}
    if isinstance(rule, Choice):
        choices = [(word, words.words.get(word, word)) for word in rule.words]
        return forms.ChoiceField(choices=choices, **common)
    if rule.whole:
        return _number_field(rule, words.empty, {**common, "initial": None})
    slider = forms.NumberInput(attrs={"type": "range", "step": SLIDER_STEP, "data-shows-value": "", "autocomplete": "off"})
    return forms.FloatField(min_value=rule.low, max_value=rule.high, widget=slider, **common)


def _number_field(rule: Range, empty: str, common: Mapping[str, Any]) -> forms.Field:
    widget = forms.NumberInput(attrs={"placeholder": empty, "inputmode": "numeric"})
    return forms.IntegerField(min_value=int(rule.low), max_value=int(rule.high), widget=widget, **common)


class OptionForm(forms.Form):
    """All options of the engine, of the picture and of the encoder."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for name in OPTION_RULES:
            self.fields[name] = option_field(name)

    def option_groups(self) -> list[OptionGroup]:
        """The fields of the options, in the order of the pages."""
        return [OptionGroup(title, tuple(self[name] for name in names)) for title, names in OPTION_GROUPS.items()]

    def options(self) -> dict[str, Any]:
        """Plain values of the options that differ from their defaults. Call after `is_valid`."""
        given = {name: self.cleaned_data.get(name) for name in OPTION_RULES}
        return option_values(parse_options({name: value for name, value in given.items() if value not in (None, "")}))
