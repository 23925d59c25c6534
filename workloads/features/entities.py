"""What features are about; a request names one value of each join key."""

from feast import Entity
from feast.value_type import ValueType

OWNER = "data-platform"

commodity = Entity(
    name="commodity",
    join_keys=["commodity_code"],
    value_type=ValueType.STRING,
    description="A traded commodity by its market code: WTI (crude oil), HH (natural gas), EUA (carbon allowance).",
    owner=OWNER,
)

region = Entity(
    name="region",
    join_keys=["region_code"],
    value_type=ValueType.STRING,
    description="A power market by its zone's code: ERCOT, PJM, DE-LU.",
    owner=OWNER,
)
