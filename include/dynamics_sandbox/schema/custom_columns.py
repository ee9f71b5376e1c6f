"""What a customer adds to the standard tables, and what the native Marketo solution leaves behind.

No organisation has these columns unless it is given them.
"""

from __future__ import annotations

from dynamics_sandbox.schema import choices
from dynamics_sandbox.schema.attribute import Attribute

SYNC_FILTER = Attribute("new_synctomkto", "Boolean", options=choices.YES_NO)
MARKETO_COLUMNS: tuple[Attribute, ...] = (
    Attribute("mkt_leadscore", "Integer"),
    Attribute("mkt_priority", "Integer"),
    Attribute("mkt_urgency", "Integer"),
    Attribute("mkt_relativescore", "Integer"),
    Attribute("mkt_lastinterestingmomentdate", "DateTime"),
    Attribute("mkt_lastinterestingmomenttype", "String", max_length=100),
    Attribute("mkt_leadinterestingmomentsource", "String", max_length=100),
    Attribute("mkt_lastinterestingmomentdesc", "Memo", max_length=2000),
)
