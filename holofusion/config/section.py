"""What every section of params.yaml is, and the types of its keys."""

from __future__ import annotations

from copy import copy
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

Count = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=8, multiple_of=8)]  # group norm has 8 groups
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """A section of params.yaml. Unknown keys are refused; every key must be given; no type is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


Model = TypeVar("Model", bound=type[BaseModel])


def partial(section: Model, name: str) -> Model:
    """The same keys, types and ranges, none of them required; keys left out are None."""
    fields = {}
    for key, field in section.model_fields.items():
        optional = copy(field)
        optional.default = None
        fields[key] = (field.annotation, optional)
    return create_model(name, __base__=Section, __doc__=section.__doc__, **fields)
