"""The forms of the pages. They check shapes; what may be done is decided by the services."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms

from consent.policy import COMMERCIAL_PURPOSES
from consent.territories import COUNTRIES
from generation import engines
from generation.errors import InvalidRequest
from generation.job_request import JobRequest, check_request
from generation.options import OPTION_RULES, Range
from portal.wording import OPTIONS, PURPOSE_LABELS


def purpose_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Purposes in two groups; engines whose licence forbids commercial use are refused for the first."""
    return [
        ("Commercial", [(name, label) for name, label in PURPOSE_LABELS.items() if name in COMMERCIAL_PURPOSES]),
        ("Not commercial", [(name, label) for name, label in PURPOSE_LABELS.items() if name not in COMMERCIAL_PURPOSES]),
    ]


def engine_choices() -> list[tuple[str, str]]:
    """Engines with what their licence allows."""
    entries = engines.ENGINES.values()
    return [(entry.name, f"{entry.name} {entry.version} ({_allowed(entry.licence.commercial_use)})") for entry in entries]


def _allowed(commercial_use: bool) -> str:
    return "any purpose" if commercial_use else "not for commercial purposes"


class OptionField(forms.FloatField):
    """A slider over the range an option may have."""

    def __init__(self, name: str) -> None:
        rule = OPTION_RULES[name]
        if not isinstance(rule, Range):
            raise TypeError(f"option {name} is no number and has no slider")
        label, explanation = OPTIONS[name]
        widget = forms.NumberInput(attrs={"type": "range", "step": "0.05", "data-shows-value": ""})
        super().__init__(
            min_value=rule.low,
            max_value=rule.high,
            initial=1.0,
            required=False,
            label=label,
            help_text=explanation,
            widget=widget,
        )


class NewPerformanceForm(forms.Form):
    """What a studio decides about a job."""

    portrait = forms.FileField(
        label="Portrait",
        help_text="A still with one clear face, at least 64 px wide. PNG, JPEG or WebP.",
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp", "data-drop": "image"}),
    )
    driving = forms.FileField(
        label="Performance",
        help_text="A video of the performer: face to the camera, well lit.",
        widget=forms.FileInput(attrs={"accept": "video/*", "data-drop": "video"}),
    )
    purpose = forms.ChoiceField(
        label="Purpose", choices=purpose_choices, help_text="Each person's consent has to cover this purpose."
    )
    territories = forms.CharField(
        label="Territories",
        required=False,
        help_text="Where the clip will be shown, as country codes: DE, FR, US. Empty means the whole world.",
        widget=forms.TextInput(attrs={"placeholder": "Whole world", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    engine = forms.ChoiceField(
        label="Engine", choices=engine_choices, help_text="Which model animates, and what its licence allows."
    )
    declared_fictional = forms.BooleanField(
        label="The portrait shows nobody real",
        required=False,
        help_text="Drawn or sculpted. Such a portrait is always looked at by a person first.",
    )
    idempotency_key = forms.CharField(widget=forms.HiddenInput, max_length=128, required=False)

    strength = OptionField("strength")
    head_motion = OptionField("head_motion")
    gaze = OptionField("gaze")
    smoothing = OptionField("smoothing")

    @classmethod
    def fresh(cls) -> NewPerformanceForm:
        """An empty form whose sending twice makes one job."""
        return cls(initial={"idempotency_key": uuid.uuid4().hex, "purpose": "internal_test"})

    def clean_territories(self) -> tuple[str, ...]:
        """Country codes in upper case, without repeats."""
        words: str = self.cleaned_data["territories"].replace(",", " ")
        codes = tuple(dict.fromkeys(word.upper() for word in words.split()))
        unknown = [code for code in codes if code not in COUNTRIES]
        if unknown:
            raise forms.ValidationError(f"No country has the code {', '.join(unknown)}; use two letters, such as DE or US.")
        return codes

    def clean(self) -> dict[str, Any]:
        """Ask the rules of `generation` before any file is kept."""
        values = super().clean() or {}
        if not self.errors:
            try:
                check_request(self.request(), list(engines.ENGINES))
            except InvalidRequest as problem:
                raise forms.ValidationError(problem.message) from problem
        return values

    def option_fields(self) -> list[forms.BoundField]:
        """The sliders, in order."""
        return [self[name] for name in OPTIONS]

    def request(self) -> JobRequest:
        """The job this form asks for. Call after `is_valid`."""
        values: dict[str, Any] = self.cleaned_data
        options = {name: values[name] for name in OPTIONS if values[name] is not None and values[name] != 1.0}
        return JobRequest(
            purpose=values["purpose"],
            engine=values["engine"],
            territories=values["territories"],
            declared_fictional=values["declared_fictional"],
            options=options,
        )
