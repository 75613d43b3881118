"""Reads JSON bodies that a stranger wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class PlainJSONParser(JSONParser):
    """JSON (RFC 8259) that fits our answers and our database: no endless nesting, and only text that UTF-8 can carry."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Parse a body. Raises ParseError, which is answered 400."""
        try:
            data: dict[str, Any] = super().parse(stream, media_type, parser_context)
            text = json.dumps(data, ensure_ascii=False)
            text.encode()
        except RecursionError:
            raise ParseError("The JSON is nested too deeply; send it as the schema at /api/schema/ shows.") from None
        except UnicodeEncodeError:
            raise ParseError("The JSON holds half of a surrogate pair; send valid Unicode text.") from None
        if "\\u0000" in text:
            raise ParseError("The JSON holds a NUL character; leave it out.")
        return data
