"""The playbook's JSON Schema, by which editors complete and check it while it is written."""

from typing import Any

from schemas.playbook.whole import PlaybookSpec


def playbook_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a playbook file."""
    schema = PlaybookSpec.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
