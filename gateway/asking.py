"""What every question to the read models takes, and how it may be refused."""

from typing import Annotated

from fastapi import Depends, Path, Query
from fastapi.params import Depends as Dependency

from gateway.auth import AtLeast
from gateway.blocking import in_thread
from gateway.commands import READ_MODEL_WAIT, no_incident
from gateway.refusals import Refusal, documented
from gateway.state import Here
from projections.queries import MAX_LIMIT
from projections.references import incident_key

READS = documented("unauthenticated", "bad_request_fields", "unavailable", "read_model_behind")
READS_ONE = {**READS, **documented("not_found")}

Position = Annotated[
    int | None,
    Query(ge=0, lt=2**63, description="answer from a read model that holds this position; waits up to 1 s"),
]
Words = Annotated[list[str], Query(max_length=20, description="repeat it, or separate words by commas")]
Cursor = Annotated[
    str | None, Query(max_length=500, pattern=r"^[^\x00]*$", description="`next_cursor` of the page before")
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many on one page")]
Moment = Annotated[
    str | None,
    Query(max_length=40, description="RFC 3339", json_schema_extra={"format": "date-time"}),
]


@in_thread
def caught_up(here: Here, min_position: Position = None) -> None:
    """Wait for the read models to hold `min_position`. Raises Refusal (503) after a second."""
    if min_position is not None and not here.parts.queries.reached(min_position, READ_MODEL_WAIT):
        raise Refusal("read_model_behind", f"The read model does not hold position {min_position} yet.")


async def reference(
    ref: Annotated[str, Path(description="INC-7, 7, or the incident's uuid", examples=["INC-7"])],
) -> str:
    """The incident that a path names. Raises Refusal (404) for what cannot be a name."""
    if incident_key(ref) is None:
        raise no_incident(ref)
    return ref


Ref = Annotated[str, Depends(reference)]


def viewers() -> list[Dependency]:
    """Dependencies of a route that viewers may ask, with `min_position`."""
    return [Depends(AtLeast("viewer")), Depends(caught_up)]
