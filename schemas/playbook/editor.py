"""The playbook's JSON Schema, by which editors complete and check it while it is written."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import WithDefaultSchema

from schemas.playbook.base import DURATION_PATTERN, spell_duration
from schemas.playbook.whole import PlaybookSpec


def playbook_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a playbook file."""
    schema = PlaybookSpec.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class _Generator(GenerateJsonSchema):
    """Shows a duration's default as it is written; pydantic would show milliseconds."""

    def default_schema(self, schema: WithDefaultSchema) -> dict[str, Any]:
        shown = super().default_schema(schema)
        if shown.get("pattern") == DURATION_PATTERN and isinstance(shown["default"], int):
            shown["default"] = spell_duration(shown["default"])
        return shown
