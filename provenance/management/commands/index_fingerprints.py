"""`index_fingerprints`: make outputs that were sealed before there was an index findable by their content."""

from __future__ import annotations

from typing import Any

from provenance.fingerprint_index import index_missing
from users.commands import Exit, JsonCommand


class Command(JsonCommand):
    """Run once after an upgrade; running it again adds nothing."""

    help = "Add every sealed output to the index of the search by content that is not in it yet."

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Add them."""
        return {"added": index_missing()}, Exit.DONE
