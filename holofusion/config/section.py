"""The base class of all sections of params.yaml, and types that their keys share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=8, multiple_of=8)]  # group norm has 8 groups
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """A section of params.yaml. Unknown keys are refused; every key must be given; no type is converted; numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=(), allow_inf_nan=False)


class Partial(Section):
    """A section none of whose keys is required: `class Changes(Partial, Whole)`. Keys left out are None."""

    @classmethod
    def __pydantic_init_subclass__(cls, **keywords: Any) -> None:
        super().__pydantic_init_subclass__(**keywords)
        for field in cls.model_fields.values():
            field.default = None
        cls.model_rebuild(force=True)
